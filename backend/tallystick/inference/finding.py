"""Where, below a folder of models, the one with a given manifest lies."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from tallystick.errors import ManifestInvalid, ModelMissing
from tallystick.inference.manifest import MANIFEST_NAME, read_manifest
from tallystick.protocol.hexes import to_hex

log = logging.getLogger("tallystick.models")

PATTERNS: Final = (f"*/artifacts/*/{MANIFEST_NAME}", f"*/{MANIFEST_NAME}", MANIFEST_NAME)
"""Trained models of this repository's layout, a folder of model folders, one model folder."""


def find_folder(models: Path, manifest_hash: bytes) -> Path:
    """The folder whose manifest hashes to `manifest_hash`; its files are not looked at. Raises ModelMissing."""
    for pattern in PATTERNS:
        for path in sorted(models.glob(pattern)):
            try:
                if read_manifest(path.parent).hash() == manifest_hash:
                    return path.parent
            except ManifestInvalid as error:
                log.warning("a model folder has no valid manifest", extra={"code": error.code})
    raise ModelMissing(
        f"No model folder below {models.name} has the manifest {to_hex(manifest_hash)} that this revision names. Train or "
        "restore it; until then the listing is not served and nothing is charged.",
        manifest_hash=to_hex(manifest_hash),
    )
