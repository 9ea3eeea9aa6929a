"""The header of a safetensors file, checked against the file's bytes before any library sees them.

Format (github.com/huggingface/safetensors, "Format"): an unsigned 64-bit little-endian header length, the header as a
JSON object, then the tensors' bytes. Offsets are relative to the end of the header and may leave no hole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

from tallystick.errors import ModelMalformed, NotJson
from tallystick.protocol.canonical import parse_json

HEADER_LIMIT: Final = 16 << 20
"""Longest header that is read, in bytes; the format's own limit is 100 MB."""

DTYPE_BYTES: Final[Mapping[str, int]] = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip

_LENGTH_BYTES = 8
_MOST_TENSORS = 100_000
_MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class Tensor:
    """One entry of the header: element type, shape, where its bytes lie (relative to the end of the header)."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(name: str, data: bytes) -> dict[str, Tensor]:
    """The tensors in `data`, by name. Raises ModelMalformed where header and bytes don't fit each other exactly."""
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if len(data) < _LENGTH_BYTES or length > len(data) - _LENGTH_BYTES:
        raise _malformed(name, f"the header's length ({length} bytes) does not fit the file ({len(data)} bytes)")
    if length > HEADER_LIMIT:
        raise _malformed(name, f"the header has {length} bytes, more than {HEADER_LIMIT}")
    try:
        header = parse_json(data[_LENGTH_BYTES : _LENGTH_BYTES + length])
    except NotJson:
        raise _malformed(name, "the header is not JSON") from None
    if not isinstance(header, dict) or len(header) > _MOST_TENSORS:
        raise _malformed(name, f"the header is not an object of at most {_MOST_TENSORS} tensors")
    _check_metadata(name, header.pop("__metadata__", {}))
    tensors = [_tensor(name, key, value) for key, value in header.items()]
    position = 0
    for tensor in sorted(tensors, key=lambda tensor: (tensor.start, tensor.end)):
        if tensor.start != position:
            raise _malformed(name, f"tensor {tensor.name!r} overlaps another or leaves a hole before it")
        position = tensor.end
    if position != len(data) - _LENGTH_BYTES - length:
        raise _malformed(name, f"the tensors end at byte {position}, the file does not")
    return {tensor.name: tensor for tensor in tensors}


def _tensor(name: str, key: str, value: Any) -> Tensor:
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise _malformed(name, f"tensor {key!r} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise _malformed(name, f"tensor {key!r} has an unknown dtype")
    if not _whole_numbers(shape) or len(shape) > _MOST_DIMENSIONS:
        raise _malformed(name, f"tensor {key!r} has no valid shape")
    if not _whole_numbers(offsets) or len(offsets) != 2:
        raise _malformed(name, f"tensor {key!r} has no valid offsets")
    if offsets[1] - offsets[0] != prod(shape) * DTYPE_BYTES[dtype]:
        raise _malformed(name, f"tensor {key!r} has other bytes than its shape and dtype need")
    return Tensor(key, dtype, tuple(shape), offsets[0], offsets[1])


def _check_metadata(name: str, value: Any) -> None:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise _malformed(name, "__metadata__ is not an object of texts")


def _whole_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _malformed(name: str, what: str) -> ModelMalformed:
    return ModelMalformed(f"{name} is not a valid safetensors file: {what}. Export the model again.", file=name)
