"""Calls in the store: claimed once, ended once, with both halves of an ending or neither (S1, S3)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tallystick.errors import StoreUnavailable
from tallystick.store.records import Abandoned, Decline, Queued, Reservation
from tallystick.store.store import Store

from .conftest import ANSWERED_AT
from .samples import FAILURE, completed, fulfil, reservation

ROOT = Path(__file__).resolve().parents[2]
Content = Callable[[], dict[str, list[Any]]]
Execute = Callable[[str], list[Any]]


# ---- reserve ----------------------------------------------------------------------------------------------------------


def test_reserve_new_call_is_the_caller_s(store: Store) -> None:
    assert store.reserve(reservation()) is None
    assert store.find_call(reservation().call_id) == reservation()


def test_reserve_again_returns_what_is_there_and_writes_nothing(store: Store, content: Content) -> None:
    """S1: whoever comes second does not run the model."""
    first = reservation()
    store.reserve(first)
    before = content()
    assert store.reserve(reservation(1, salt=bytes(32), reserved_at=5)) == first
    assert content() == before


def test_reserve_of_an_answered_call_returns_the_answer(store: Store) -> None:
    """S2: the same request again finds the stored reply."""
    done = completed(reservation())
    store.reserve(done.reservation)
    store.complete(done, fulfil(done))
    assert store.reserve(reservation()) == done


def test_reserve_of_an_abandoned_call_returns_the_failure(store: Store) -> None:
    store.reserve(reservation())
    store.abandon(reservation(), FAILURE)
    assert store.reserve(reservation()) == Abandoned(reservation(), FAILURE)


def test_reserve_by_two_processes_of_many_threads_is_won_once(database: Path) -> None:
    """S1, C2: the claim is atomic over workers; the file is created and migrated by both at once, too."""
    threads = 24
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.store.racer", str(database), str(threads)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    told = [racer.communicate(timeout=60)[0].split() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert [int(asked) for asked, _ in told] == [threads, threads]
    assert sum(int(won) for _, won in told) == 1
    store = Store.open(database)
    assert store.count_calls() == {"reserved": 1}
    store.close()


def test_reserve_of_two_calls_keeps_them_apart(store: Store) -> None:
    assert store.reserve(reservation(1)) is None
    assert store.reserve(reservation(2)) is None
    assert store.count_calls() == {"reserved": 2}


# ---- complete and abandon ---------------------------------------------------------------------------------------------


def test_complete_records_the_answer_and_queues_its_posting(store: Store, execute: Execute) -> None:
    done = completed(reservation())
    store.reserve(done.reservation)
    store.complete(done, fulfil(done))
    assert store.find_call(done.reservation.call_id) == done
    assert store.find_posting(done.reservation.call_id) == Queued(
        1, done.reservation.call_id, done.reservation.call, fulfil(done)
    )
    assert execute("SELECT answered_at FROM calls") == [(int(ANSWERED_AT),)]


def test_complete_keeps_the_reply_byte_for_byte(store: Store) -> None:
    """S2, S3: what is fetched again is what was sent."""
    done = completed(reservation())
    store.reserve(done.reservation)
    store.complete(done, fulfil(done))
    found = store.find_call(done.reservation.call_id)
    assert getattr(found, "reply", None) == done.reply
    assert getattr(found, "disclosure", None) == done.disclosure


def test_abandon_records_the_failure_and_queues_the_refund(store: Store) -> None:
    """M4"""
    reserved = reservation()
    store.reserve(reserved)
    store.abandon(reserved, FAILURE)
    assert store.find_call(reserved.call_id) == Abandoned(reserved, FAILURE)
    assert store.find_posting(reserved.call_id) == Queued(1, reserved.call_id, reserved.call, Decline())


def end_complete(store: Store) -> None:
    done = completed(reservation())
    store.complete(done, fulfil(done))


def end_abandon(store: Store) -> None:
    store.abandon(reservation(), FAILURE)


ENDINGS = pytest.mark.parametrize("end", [end_complete, end_abandon])


@ENDINGS
def test_ending_of_a_call_that_was_never_reserved_changes_nothing(
    store: Store, content: Content, end: Callable[[Store], None]
) -> None:
    """S1: no step of a call's life can be left out."""
    before = content()
    with pytest.raises(AssertionError, match="not reserved"):
        end(store)
    assert content() == before


@ENDINGS
@pytest.mark.parametrize("first", [end_complete, end_abandon])
def test_ending_a_call_twice_changes_nothing(
    store: Store, content: Content, end: Callable[[Store], None], first: Callable[[Store], None]
) -> None:
    """M3: a call that ended has its one posting; no second ending adds a charge or a refund."""
    store.reserve(reservation())
    first(store)
    before = content()
    with pytest.raises(AssertionError, match="not reserved"):
        end(store)
    assert content() == before


@ENDINGS
@pytest.mark.parametrize("table", ["calls", "postings"])
def test_ending_that_fails_half_way_leaves_the_call_reserved(
    store: Store, content: Content, execute: Execute, end: Callable[[Store], None], table: str
) -> None:
    """S3, A6: both statements or neither, whichever of them the database refuses."""
    store.reserve(reservation())
    before = content()
    action = "UPDATE" if table == "calls" else "INSERT"
    execute(f"CREATE TRIGGER torn BEFORE {action} ON {table} BEGIN SELECT RAISE(ABORT, 'torn'); END")
    with pytest.raises(StoreUnavailable):
        end(store)
    assert content() == before

    execute("DROP TRIGGER torn")
    end(store)
    assert store.count_postings() == {"queued": 1}


# ---- questions --------------------------------------------------------------------------------------------------------


def test_find_call_unknown_is_none(store: Store) -> None:
    assert store.find_call(bytes(32)) is None


def test_reservations_are_those_that_never_ended_oldest_first(store: Store) -> None:
    """A1: what a restart has to go on with."""
    late, early, done, given_up = (reservation(number) for number in (4, 3, 2, 1))
    for reserved in (late, early, done, given_up):
        store.reserve(reserved)
    store.complete(completed(done), fulfil(completed(done)))
    store.abandon(given_up, FAILURE)
    assert store.reservations() == [early, late]


def test_count_calls_counts_by_state(store: Store) -> None:
    assert store.count_calls() == {}
    for number in (1, 2, 3, 4):
        store.reserve(reservation(number))
    for number in (1, 2):
        store.complete(completed(reservation(number)), fulfil(completed(reservation(number))))
    store.abandon(reservation(3), FAILURE)
    assert store.count_calls() == {"completed": 2, "abandoned": 1, "reserved": 1}


def test_completed_returns_every_answer(store: Store) -> None:
    for number in (1, 2, 3):
        store.reserve(reservation(number))
    done = [completed(reservation(number)) for number in (1, 2)]
    for answer in done:
        store.complete(answer, fulfil(answer))
    assert sorted(store.completed(), key=lambda answer: answer.reservation.reserved_at) == done


# ---- receipts ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def answered(store: Store) -> list[Reservation]:
    """Five calls in an order that is not that of their numbers; the third was given up."""
    order = [reservation(number) for number in (5, 1, 4, 2, 3)]
    for reserved in order:
        store.reserve(reserved)
    for position, reserved in enumerate(order):
        if position == 2:
            store.abandon(reserved, FAILURE)
        else:
            store.complete(completed(reserved), fulfil(completed(reserved)))
    return order


def test_receipts_come_in_the_order_of_their_postings(store: Store, answered: list[Reservation]) -> None:
    expected = [completed(reserved).signed for position, reserved in enumerate(answered) if position != 2]
    assert [signed for _, signed in store.receipts()] == expected


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
def test_receipts_page_by_page_miss_none_and_repeat_none(store: Store, answered: list[Reservation], limit: int) -> None:
    seen, after = [], 0
    while page := store.receipts(after=after, limit=limit):
        assert len(page) <= limit
        seen += [signed for _, signed in page]
        after = page[-1][0]
    assert seen == [signed for _, signed in store.receipts()]


def test_receipts_beyond_the_end_are_none(store: Store, answered: list[Reservation]) -> None:
    assert store.receipts(after=10**6) == []
    assert store.receipts(after=store.receipts()[-1][0]) == []


# ---- over a restart ---------------------------------------------------------------------------------------------------


def test_calls_in_every_state_survive_a_restart(store: Store, reopened: Callable[[], Store]) -> None:
    """S3: nothing that money depends on lives only in memory."""
    reserved, done, given_up = reservation(1), completed(reservation(2)), reservation(3)
    for each in (reserved, done.reservation, given_up):
        store.reserve(each)
    store.complete(done, fulfil(done))
    store.abandon(given_up, FAILURE)
    after = reopened()
    assert after.find_call(reserved.call_id) == reserved
    assert after.find_call(done.reservation.call_id) == done
    assert after.find_call(given_up.call_id) == Abandoned(given_up, FAILURE)
    assert after.reservations() == [reserved]


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"salt": bytes(32)}, False),
        ({"input": "another"}, False),
        ({"parameters": {"top_k": 3}}, False),
        ({"parameters": {}}, False),
        ({"revision": 4}, False),
        ({"method": "generate"}, False),
    ],
)
def test_same_request_compares_all_that_a_payment_covers(changes: dict[str, Any], same: bool) -> None:
    """S2"""
    reserved = reservation()
    salt = changes.pop("salt", reserved.salt)
    assert reserved.same_request(salt, replace(reserved.request, **changes)) is same
