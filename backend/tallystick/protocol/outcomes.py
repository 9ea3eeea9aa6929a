"""The last word of a `CallLogged` and of a batch's entry: units and charge in one. Its twin on chain is Outcomes.sol.

From the highest bit: 40 bits of head, 32 of input tokens, 32 of output tokens, 32 of compute milliseconds, 120 of charge
(atomic units, or credits). The head is revision (32) and mode (8) in a log, and the call's index in an entry.
"""

from __future__ import annotations

from dataclasses import dataclass

from tallystick.protocol.calls import Mode
from tallystick.protocol.prices import Units

CHARGE_BITS = 120
INDEX_BITS = 40
_UNITS_MASK = (1 << 32) - 1


@dataclass(frozen=True)
class LoggedOutcome:
    """What a log says beside its hashes. `charge` in atomic units, in credits for Mode.CREDITS."""

    revision: int
    mode: Mode
    units: Units
    charge: int


def pack_outcome(outcome: LoggedOutcome) -> int:
    """Raises ValueError where a part is out of range."""
    return _pack(_fitting(outcome.revision, 32) << 8 | outcome.mode, outcome.units, outcome.charge)


def unpack_outcome(word: int) -> LoggedOutcome:
    """Raises ValueError on a word of more than 256 bits, or with a mode that there is none of."""
    head = _fitting(word, 256) >> 216
    return LoggedOutcome(head >> 8, Mode(head & 0xFF), *_body(word))


def pack_entry(index: int, units: Units, charge: int) -> int:
    """An entry's word: `index` is the call's number on its account or key. Raises ValueError where out of range."""
    return _pack(_fitting(index, INDEX_BITS), units, charge)


def unpack_entry(word: int) -> tuple[int, Units, int]:
    """Index, units and charge. Raises ValueError on a word of more than 256 bits."""
    return (_fitting(word, 256) >> 216, *_body(word))


def _pack(head: int, units: Units, charge: int) -> int:
    body = units.input_tokens << 184 | units.output_tokens << 152 | units.compute_ms << 120
    return head << 216 | body | _fitting(charge, CHARGE_BITS)


def _body(word: int) -> tuple[Units, int]:
    units = Units(*(word >> shift & _UNITS_MASK for shift in (184, 152, 120)))
    return units, word & ((1 << CHARGE_BITS) - 1)


def _fitting(value: int, bits: int) -> int:
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{value} does not fit into {bits} bits")
    return value
