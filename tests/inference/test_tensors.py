"""The safetensors header against the bytes of the file: nothing overlaps, nothing is left over, nothing is too large."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from tallystick.errors import ModelMalformed
from tallystick.inference.folder import read_verified
from tallystick.inference.manifest import Manifest
from tallystick.inference.tensors import DTYPE_BYTES, HEADER_LIMIT, read_header

NAME = "model.safetensors"


def encoded(header: Any, body: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def entry(start: int, end: int, shape: list[Any] | None = None, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": [(end - start) // 4] if shape is None else shape, "data_offsets": [start, end]}


def test_read_header_agrees_with_the_library_that_wrote_the_file() -> None:
    tensors = {
        "a": torch.zeros(2, 3),
        "b": torch.zeros((), dtype=torch.int64),
        "c": torch.zeros(0, 5, dtype=torch.float16),
    }
    header = read_header(NAME, save(tensors, metadata={"format": "pt"}))
    assert {name: tensor.shape for name, tensor in header.items()} == {"a": (2, 3), "b": (), "c": (0, 5)}
    assert {name: tensor.dtype for name, tensor in header.items()} == {"a": "F32", "b": "I64", "c": "F16"}


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int16, torch.bfloat16, torch.int32, torch.float64, torch.float8_e4m3fn]
)
def test_every_dtype_has_the_size_that_torch_gives_it(dtype: torch.dtype) -> None:
    tensor = read_header(NAME, save({"a": torch.zeros(3, dtype=dtype)}))["a"]
    assert DTYPE_BYTES[tensor.dtype] == dtype.itemsize


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x01\x02\x03", id="shorter than a length"),
        pytest.param(encoded({}, length=3), id="header longer than the file"),
        pytest.param(encoded({}, length=(1 << 64) - 1), id="header as long as a number can be"),
        pytest.param(encoded(b"{"), id="not JSON"),
        pytest.param(encoded([]), id="not an object"),
        pytest.param(
            encoded(b'{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"a":1}', bytes(4)), id="a name twice"
        ),
        pytest.param(encoded({"a": entry(0, 4)}, b""), id="truncated"),
        pytest.param(encoded({"a": entry(0, 4)}, bytes(5)), id="bytes left over"),
        pytest.param(encoded({}, bytes(1)), id="bytes without a tensor"),
        pytest.param(encoded({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)), id="overlap"),
        pytest.param(encoded({"a": entry(0, 8), "b": entry(0, 8)}, bytes(8)), id="the same bytes twice"),
        pytest.param(encoded({"a": entry(0, 4), "b": entry(8, 12)}, bytes(12)), id="hole"),
        pytest.param(encoded({"a": entry(4, 8)}, bytes(8)), id="hole at the start"),
        pytest.param(encoded({"a": entry(-4, 0, [1])}), id="negative offset"),
        pytest.param(encoded({"a": entry(4, 0, [-1])}, bytes(4)), id="negative shape"),
        pytest.param(encoded({"a": entry(0, 4, [2])}, bytes(4)), id="shape too large"),
        pytest.param(encoded({"a": entry(0, 4, [1 << 40, 1 << 40])}, bytes(4)), id="product over 64 bits"),
        pytest.param(encoded({"a": entry(0, 4, [1.0])}, bytes(4)), id="shape is a float"),
        pytest.param(encoded({"a": entry(0, 4, [True])}, bytes(4)), id="shape is a bool"),
        pytest.param(encoded({"a": entry(0, 4, [1] * 9)}, bytes(4)), id="nine dimensions"),
        pytest.param(encoded({"a": entry(0, 4, dtype="F128")}, bytes(4)), id="unknown dtype"),
        pytest.param(encoded({"a": entry(0, 4, dtype=["F32"])}, bytes(4)), id="dtype is a list"),
        pytest.param(encoded({"a": {**entry(0, 4), "code": "x"}}, bytes(4)), id="unknown key"),
        pytest.param(encoded({"a": {"dtype": "F32", "shape": []}}), id="no offsets"),
        pytest.param(
            encoded({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}, bytes(4)), id="three offsets"
        ),
        pytest.param(encoded({"__metadata__": {"format": 1}}), id="metadata is not text"),
        pytest.param(encoded({"__metadata__": []}), id="metadata is not an object"),
        pytest.param(encoded({"a": 5}), id="entry is a number"),
    ],
)
def test_read_header_refuses(data: bytes) -> None:
    with pytest.raises(ModelMalformed, match=NAME):
        read_header(NAME, data)


def test_read_header_refuses_a_header_over_the_limit() -> None:
    padding = b" " * HEADER_LIMIT
    with pytest.raises(ModelMalformed, match=str(HEADER_LIMIT)):
        read_header(NAME, encoded(b"{}" + padding))


def test_truncated_weights_are_refused_in_a_folder_that_is_sealed_anew(
    model_folder: Path, seal: Callable[[], Manifest]
) -> None:
    path = model_folder / NAME
    path.write_bytes(path.read_bytes()[:-4])
    seal()
    with pytest.raises(ModelMalformed, match=NAME):
        read_verified(model_folder, None)
