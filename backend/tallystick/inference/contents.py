"""What a file is by its bytes, whatever its name: pickles, archives and programs are refused.

A pickle runs code when it is loaded, and so may a torch checkpoint (a zip with a pickle in it), a Keras file (HDF5 with
marshalled functions) or a program. Nothing here loads any of them; opcodes are walked, never executed. See Python's
`pickletools` for the opcodes and CVE-2025-32434 for why torch's own safe mode is not relied on.
"""

from __future__ import annotations

import pickletools
from typing import Final

from tallystick.errors import ModelFileForbidden

_SIGNATURES: Final = {
    b"PK\x03\x04": "zip archive",
    b"PK\x05\x06": "zip archive",
    b"\x1f\x8b": "gzip archive",
    b"BZh": "bzip2 archive",
    b"\xfd7zXZ\x00": "xz archive",
    b"\x28\xb5\x2f\xfd": "zstd archive",
    b"7z\xbc\xaf\x27\x1c": "7z archive",
    b"\x89HDF\r\n\x1a\n": "HDF5 file",
    b"\x7fELF": "program (ELF)",
    b"MZ": "program (PE)",
    b"\xfe\xed\xfa\xce": "program (Mach-O)",
    b"\xfe\xed\xfa\xcf": "program (Mach-O)",
    b"\xce\xfa\xed\xfe": "program (Mach-O)",
    b"\xcf\xfa\xed\xfe": "program (Mach-O)",
    b"\xca\xfe\xba\xbe": "program (Mach-O or Java)",
    b"#!": "script",
    b"GGUF": "GGUF file",
}
_ZIP_END = b"PK\x05\x06"
_ZIP_END_BYTES = 22
_CALLING = frozenset({"REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"})
_MOST_OPCODES = 100_000


def refuse_dangerous(name: str, data: bytes) -> None:
    """Raises ModelFileForbidden where the content could carry code."""
    kind = dangerous_kind(data)
    if kind:
        raise ModelFileForbidden(
            f"{name} is a {kind} by its content. Files of that kind can run code when they are loaded; convert the "
            "weights to safetensors and keep only the tokenizer's and the configuration's JSON.",
            file=name,
            kind=kind,
        )


def dangerous_kind(data: bytes) -> str | None:
    """What the content is, if it is of a kind that can carry code; else None."""
    # A short safetensors file may begin with the two bytes of some signature: its first eight are a small number.
    if not (data[2:8] == bytes(6) and data[8:9] == b"{"):
        for signature, kind in _SIGNATURES.items():
            if data.startswith(signature):
                return kind
    if data[257:262] == b"ustar":
        return "tar archive"
    if _ends_as_zip(data):
        return "zip archive"
    if _is_pickle(data):
        return "pickle"
    return None


def _ends_as_zip(data: bytes) -> bool:
    """A zip is read from its end, so that it can hide behind any other content."""
    position = data.rfind(_ZIP_END, max(0, len(data) - _ZIP_END_BYTES - 0xFFFF))
    while position >= 0:
        comment = int.from_bytes(data[position + 20 : position + 22], "little")
        if position + _ZIP_END_BYTES + comment == len(data):
            return True
        position = data.rfind(_ZIP_END, max(0, len(data) - _ZIP_END_BYTES - 0xFFFF), position)
    return False


def _is_pickle(data: bytes) -> bool:
    """Whether an unpickler that starts at the first byte would call something, or would come to a regular end."""
    stack: list[bool] = []  # one entry a value; True for a mark
    declared = data[:1] == b"\x80"
    try:
        for count, (opcode, _, position) in enumerate(pickletools.genops(data)):
            if count >= _MOST_OPCODES:
                return True
            if not _apply(opcode, stack):
                return False
            if opcode.name in _CALLING:
                return True
            if opcode.name == "STOP":
                return declared or not data[(position or 0) + 1 :].strip()
    except (ValueError, IndexError, OverflowError, UnicodeDecodeError):
        return False
    return False


def _apply(opcode: pickletools.OpcodeInfo, stack: list[bool]) -> bool:
    """Follow the opcode's effect on the stack's depth. False where an unpickler would stop with an error."""
    before = opcode.stack_before
    if pickletools.markobject in before:
        if True not in stack:
            return False
        while not stack.pop():
            pass
        needed = before.index(pickletools.markobject)
    else:
        needed = len(before)
    if len(stack) < needed or (any(stack[len(stack) - needed :]) and opcode.name != "POP"):
        return False
    del stack[len(stack) - needed :]
    stack.extend(item is pickletools.markobject for item in opcode.stack_after)
    return True
