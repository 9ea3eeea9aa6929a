"""The packed outcome of a log and of an entry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallystick.protocol.calls import Mode
from tallystick.protocol.outcomes import LoggedOutcome, pack_entry, pack_outcome, unpack_entry, unpack_outcome
from tallystick.protocol.prices import Units

from .strategies import units, unsigned

outcomes = st.builds(LoggedOutcome, unsigned(32), st.sampled_from(Mode), units, unsigned(120))


@given(outcomes)
def test_outcome_round_trip(outcome: LoggedOutcome) -> None:
    word = pack_outcome(outcome)
    assert 0 <= word < 1 << 256
    assert unpack_outcome(word) == outcome


@given(unsigned(40), units, unsigned(120))
def test_entry_round_trip(index: int, consumed: Units, charge: int) -> None:
    assert unpack_entry(pack_entry(index, consumed, charge)) == (index, consumed, charge)


def test_pack_outcome_puts_each_part_in_its_place() -> None:
    word = pack_outcome(LoggedOutcome(0x11111111, Mode.CREDITS, Units(0x22222222, 0x33333333, 0x44444444), 0x55))
    assert f"{word:064x}" == "11111111" + "03" + "22222222" + "33333333" + "44444444" + "55".rjust(30, "0")


def test_pack_entry_puts_the_index_first() -> None:
    assert f"{pack_entry(0x1122334455, Units(0, 0, 0), 1):064x}" == "1122334455" + "1".rjust(54, "0")


@pytest.mark.parametrize(("revision", "charge"), [(2**32, 0), (-1, 0), (0, 2**120), (0, -1)])
def test_pack_outcome_out_of_range_is_refused(revision: int, charge: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        pack_outcome(LoggedOutcome(revision, Mode.DIRECT, Units(0, 0, 0), charge))


@pytest.mark.parametrize("index", [-1, 2**40])
def test_pack_entry_out_of_range_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        pack_entry(index, Units(0, 0, 0), 0)


@pytest.mark.parametrize("word", [-1, 2**256, 4 << 216, 255 << 216])
def test_unpack_outcome_of_what_is_none_is_refused(word: int) -> None:
    with pytest.raises(ValueError, match=r"does not fit|is not a valid Mode"):
        unpack_outcome(word)
