"""A trained model as a folder: written aside, checked as an oracle will check it, then put in place by renaming."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from tokenizers import Tokenizer

from tallystick.inference.folder import describe_files
from tallystick.inference.manifest import Manifest, ManifestFile, write_manifest


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A draft folder that takes the place of `folder` at the end; whatever stops the block leaves `folder` as it was."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    workspace = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    draft, previous = workspace / "new", workspace / "previous"
    try:
        draft.mkdir()
        yield draft
        if folder.exists():
            folder.rename(previous)
        try:
            draft.rename(folder)
        except BaseException:
            if previous.exists() and not folder.exists():
                previous.rename(folder)
            raise
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def write_model(
    folder: Path,
    model: Any,
    tokenizer: Tokenizer,
    tokenizer_settings: Mapping[str, Any],
    card: str,
    manifest_for: Callable[[tuple[ManifestFile, ...]], Manifest],
) -> Manifest:
    """Weights, configuration, tokenizer, card, and at last the manifest over them. Nothing else goes into the folder."""
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "config.json", model.config.to_diff_dict())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(folder / "tokenizer_config.json", tokenizer_settings)
    (folder / "README.md").write_text(card, encoding="utf-8")
    manifest = manifest_for(describe_files(folder))
    write_manifest(folder, manifest)
    return manifest


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
