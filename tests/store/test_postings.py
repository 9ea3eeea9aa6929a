"""A posting's way onto the chain, every state of it durable (S3, S4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tallystick.store.records import Confirmed, Finalised, Posted, Queued, Rejected, Signed
from tallystick.store.store import Store

from .samples import FAILURE, ORACLE, PAYER, completed, fulfil, mined, reservation, transaction


def queue(store: Store, number: int = 1) -> Queued:
    done = completed(reservation(number))
    store.reserve(done.reservation)
    store.complete(done, fulfil(done))
    found = store.find_posting(done.reservation.call_id)
    assert isinstance(found, Queued)
    return found


def sign(store: Store, number: int = 1, nonce: int = 0) -> Signed:
    return store.sign_posting(queue(store, number), transaction(nonce))


def confirm(store: Store) -> Confirmed:
    posted = store.mark_posted(sign(store))
    return store.mark_confirmed(posted, mined(posted.transaction))


STATES: dict[str, Callable[[Store], Queued | Signed | Posted | Confirmed | Finalised | Rejected]] = {
    "queued": queue,
    "signed": sign,
    "posted": lambda store: store.mark_posted(sign(store)),
    "confirmed": confirm,
    "finalised": lambda store: store.mark_finalised(confirm(store), mined(transaction(0), depth=12)),
    "rejected": lambda store: store.mark_rejected(queue(store), FAILURE),
    "posted again after a reorganisation": lambda store: store.mark_posted(confirm(store)),
    "requeued after its nonce was taken": lambda store: store.requeue_posting(sign(store).queued),
    "rejected after it was signed": lambda store: store.mark_rejected(sign(store).queued, FAILURE),
}


@pytest.mark.parametrize("state", STATES)
def test_posting_in_each_state_reads_back_as_it_was_returned(store: Store, state: str) -> None:
    posting = STATES[state](store)
    assert store.find_posting(reservation().call_id) == posting


@pytest.mark.parametrize("state", STATES)
def test_posting_in_each_state_survives_a_restart(store: Store, reopened: Callable[[], Store], state: str) -> None:
    posting = STATES[state](store)
    assert reopened().find_posting(reservation().call_id) == posting


@pytest.mark.parametrize("state", STATES)
def test_unfinished_postings_are_all_but_the_final_ones(store: Store, state: str) -> None:
    posting = STATES[state](store)
    finished = isinstance(posting, Finalised | Rejected)
    assert store.unfinished_postings() == ([] if finished else [posting])
    assert store.count_postings() == {type(posting).__name__.lower(): 1}


def test_sign_posting_keeps_the_exact_bytes(store: Store, reopened: Callable[[], Store]) -> None:
    """S4: a signed transaction is stored before it is sent, so that a restart sends the same one."""
    signed = sign(store, nonce=7)
    found = reopened().find_posting(signed.queued.call_id)
    assert isinstance(found, Signed)
    assert found.transaction == transaction(7)


def test_unfinished_postings_come_in_the_order_in_which_they_were_queued(store: Store) -> None:
    for number in (3, 1, 2):
        queue(store, number)
    assert [posting.call_id for posting in store.unfinished_postings() if isinstance(posting, Queued)] == [
        reservation(number).call_id for number in (3, 1, 2)
    ]


def test_find_posting_of_a_call_without_one_is_none(store: Store) -> None:
    store.reserve(reservation())
    assert store.find_posting(reservation().call_id) is None
    assert store.find_posting(bytes(32)) is None


def test_highest_nonce_without_transactions_is_none(store: Store) -> None:
    queue(store)
    assert store.highest_nonce(transaction(0).sender) is None


def test_highest_nonce_counts_every_stored_transaction_of_its_sender(store: Store) -> None:
    """S4: signed and not yet sent, too; another key's don't count."""
    sign(store, 1, nonce=4)
    store.mark_posted(sign(store, 2, nonce=5))
    store.sign_posting(queue(store, 3), transaction(9, sender=PAYER))
    assert store.highest_nonce(transaction(0, sender=ORACLE).sender) == 5
    assert store.highest_nonce(transaction(0, sender=PAYER).sender) == 9


def test_highest_nonce_forgets_a_transaction_that_was_requeued(store: Store) -> None:
    sign(store, 1, nonce=4)
    store.requeue_posting(sign(store, 2, nonce=5).queued)
    assert store.highest_nonce(transaction(0).sender) == 4


def test_requeue_posting_can_be_signed_anew(store: Store) -> None:
    again = store.sign_posting(store.requeue_posting(sign(store, nonce=1).queued), transaction(2))
    assert store.find_posting(reservation().call_id) == again


def test_count_postings_without_any_is_empty(store: Store) -> None:
    assert store.count_postings() == {}


def test_postings_of_two_calls_move_apart(store: Store) -> None:
    first, second = sign(store, 1, nonce=1), sign(store, 2, nonce=2)
    store.mark_posted(first)
    assert store.find_posting(second.queued.call_id) == second
