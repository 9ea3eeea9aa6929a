"""The error tree and the package's modules, walked."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import tallystick
from tallystick.errors import TallystickError

SKIPPED = ("tallystick.__main__", "tallystick.store.migrations")
"""The first runs the command line when imported; the second is Alembic's, which imports it itself."""


def every_module() -> list[ModuleType]:
    """Every module of the package, imported."""
    names = [module.name for module in pkgutil.walk_packages(tallystick.__path__, "tallystick.")]
    return [importlib.import_module(name) for name in names if not name.startswith(SKIPPED)]


def tree(root: type[TallystickError] = TallystickError) -> list[type[TallystickError]]:
    """The root and all below it, each once, in the order of their definition."""
    found = [root]
    for child in root.__subclasses__():
        found += [kind for kind in tree(child) if kind not in found]
    return found


def concrete_errors() -> list[type[TallystickError]]:
    """What is raised: every class with a code of its own. The others only group them."""
    return [kind for kind in tree()[1:] if "code" in vars(kind)]
