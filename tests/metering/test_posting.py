"""From the store onto the chain: once, with the same bytes, whatever happens in between (S3, S4, S5)."""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing

import pytest
from tallystick.chain.null import NullChain
from tallystick.chain.types import Mined, Pending, SignedTransaction
from tallystick.chain.wallet import Wallet
from tallystick.errors import ChainError, FeeTooHigh, NodeError
from tallystick.inference.null import NullRunner
from tallystick.metering.posting import BUSY_SECONDS, IDLE_SECONDS, RESEND_SECONDS, TROUBLE_SECONDS, Poster
from tallystick.metering.steps import Step, When
from tallystick.protocol.calls import CallStatus, DirectCall, Outcome
from tallystick.protocol.prices import NATIVE
from tallystick.store.records import Abandoned, Confirmed, Finalised, Posted, Posting, Queued, Rejected, Signed

from .kit import CALL_SECONDS, MARGIN, ORACLE, OWNER, PAYER, Order, Shop

ASKED_BEFORE_BROADCAST = 3
"""Questions of a first round that come before the transaction is sent: history, nonce, dry run."""


def queued(shop: Shop, number: int = 1) -> Order:
    """An answered call whose posting is queued."""
    order = shop.opened(number=number)
    shop.answered(order)
    return order


def posting(shop: Shop, order: Order) -> Posting:
    found = shop.store.find_posting(order.call.call_id(shop.chain.domain))
    assert found is not None
    return found


def transaction(shop: Shop, order: Order) -> SignedTransaction:
    found = posting(shop, order)
    assert isinstance(found, Signed | Posted | Confirmed | Finalised)
    return found.transaction


def signed_only(shop: Shop, order: Order) -> SignedTransaction:
    """Bring a queued posting to where it is signed and stored, and the node went away before it was sent."""
    shop.chain.go_down(after=ASKED_BEFORE_BROADCAST)
    shop.poster().round()
    shop.chain.come_back()
    assert isinstance(posting(shop, order), Signed)
    return transaction(shop, order)


def assert_settled(shop: Shop, order: Order) -> None:
    """Final in the store; on chain charged and logged once, with what the receipt says (S3)."""
    completed = shop.store.find_call(order.call.call_id(shop.chain.domain))
    receipt = completed.signed.receipt  # type: ignore[union-attr]
    assert isinstance(posting(shop, order), Finalised)
    assert shop.state(order).status is CallStatus.FULFILLED
    assert shop.state(order).amount == receipt.charge
    assert [(entry.charge, entry.result_hash) for entry in shop.logs(order)] == [(receipt.charge, receipt.result_hash)]


def assert_not_charged(shop: Shop, order: Order) -> None:
    assert shop.logs(order) == []
    assert shop.chain.owed(OWNER.address, NATIVE) == 0


# ---- the way of a posting ---------------------------------------------------------------------------------------------


def test_round_takes_a_posting_all_the_way_where_blocks_come_at_once(shop: Shop) -> None:
    """E1, S3: charged = served = logged."""
    order = queued(shop)
    poster = shop.poster()
    poster.round()
    assert_settled(shop, order)
    assert poster.trouble is None


def test_round_stops_at_each_depth_that_is_configured(careful: Shop) -> None:
    """S5: confirmed two blocks deep, left alone three blocks deep."""
    order = queued(careful)
    poster = careful.poster()
    poster.round()
    assert isinstance(posting(careful, order), Posted)
    careful.chain.mine()
    poster.round()
    assert isinstance(posting(careful, order), Confirmed)
    poster.round()
    assert isinstance(posting(careful, order), Confirmed)
    careful.chain.mine()
    poster.round()
    assert_settled(careful, order)


def test_round_keeps_where_it_was_mined(careful: Shop) -> None:
    order = queued(careful)
    poster = careful.poster()
    poster.round()
    careful.chain.mine(2)
    poster.round()
    found = posting(careful, order)
    assert isinstance(found, Finalised)
    assert found.mined == careful.chain.outcome(found.transaction.hash)
    assert found.mined.depth == 3


def test_finality_is_never_below_the_confirmations(shop: Shop) -> None:
    order = queued(shop)
    poster = Poster(shop.chain, shop.store, ORACLE, confirmations=3, finality=1, clock=shop.ticks)
    poster.round()
    shop.chain.mine()
    poster.round()
    assert isinstance(posting(shop, order), Posted)
    shop.chain.mine()
    poster.round()
    assert isinstance(posting(shop, order), Finalised)


def test_round_returns_the_escrow_of_a_call_that_failed(shop: Shop) -> None:
    """M4"""

    def breaks(_text: str) -> None:
        raise RuntimeError

    order = shop.opened()
    ended = shop.direct().infer(shop.reserved(order), shop.quote(order, NullRunner(before_run=breaks)))
    assert isinstance(ended, Abandoned)
    shop.poster().round()
    assert isinstance(posting(shop, order), Finalised)
    assert shop.state(order).status is CallStatus.DECLINED
    assert shop.chain.owed(PAYER.address, NATIVE) == order.call.amount
    assert_not_charged(shop, order)


def test_round_says_when_to_come_back(careful: Shop) -> None:
    poster = careful.poster()
    assert poster.round() == IDLE_SECONDS
    queued(careful)
    assert poster.round() == BUSY_SECONDS
    assert poster.round() == 5 * BUSY_SECONDS
    careful.chain.mine(2)
    assert poster.round() == IDLE_SECONDS
    queued(careful, 2)
    careful.chain.go_down()
    assert poster.round() == TROUBLE_SECONDS


# ---- the node goes away (S4, B1) --------------------------------------------------------------------------------------


def test_round_without_a_chain_keeps_the_posting_and_says_why(shop: Shop) -> None:
    order = queued(shop)
    poster = shop.poster()
    shop.chain.go_down()
    poster.round()
    assert isinstance(posting(shop, order), Queued)
    assert "can't be reached" in str(poster.trouble)
    shop.chain.come_back()
    poster.round()
    assert poster.trouble is None
    assert_settled(shop, order)


@pytest.mark.parametrize("answered", range(7))
@pytest.mark.parametrize("failures", [1, 2, 3])
def test_rounds_converge_wherever_the_node_goes_away(shop: Shop, answered: int, failures: int) -> None:
    """S3, S4: one log, at whichever question and for however long."""
    order = queued(shop)
    poster = shop.poster()
    shop.chain.go_down(failures, after=answered)
    for _ in range(failures + 1):
        poster.round()
    shop.chain.come_back()
    poster.round()
    assert_settled(shop, order)


def test_round_stores_the_signed_bytes_before_it_sends_them(shop: Shop) -> None:
    """S4, A3: and a restart sends the same ones."""
    order = queued(shop)
    stored = signed_only(shop, order)
    assert shop.chain.outcome(stored.hash) == Pending()
    shop.reopen()
    shop.poster().round()
    assert transaction(shop, order) == stored
    assert_settled(shop, order)


def test_round_whose_broadcast_s_answer_is_lost_takes_it_for_neither(shop: Shop) -> None:
    """S4: unknown is not failed: no second transaction is signed."""
    order = queued(shop)
    poster = shop.poster()
    shop.chain.lose_next_answer()
    poster.round()
    first = transaction(shop, order)
    assert isinstance(posting(shop, order), Signed)
    assert isinstance(shop.chain.outcome(first.hash), Mined)
    poster.round()
    assert transaction(shop, order) == first
    assert_settled(shop, order)


def test_round_whose_broadcast_s_answer_is_lost_while_mining_is_held(shop: Shop) -> None:
    """S4: known to the node, and not yet in a block."""
    order = queued(shop)
    poster = shop.poster()
    shop.chain.hold()
    shop.chain.lose_next_answer()
    poster.round()
    first = transaction(shop, order)
    poster.round()
    assert isinstance(posting(shop, order), Posted)
    shop.chain.release()
    poster.round()
    assert transaction(shop, order) == first
    assert_settled(shop, order)


# ---- dropped by the node ----------------------------------------------------------------------------------------------


def test_round_sends_a_dropped_transaction_again_with_the_same_bytes(shop: Shop) -> None:
    """S4, B4"""
    order = queued(shop)
    poster = shop.poster()
    shop.chain.drop_next_broadcast()
    poster.round()
    first = transaction(shop, order)
    assert isinstance(posting(shop, order), Posted)
    shop.pass_time(RESEND_SECONDS)
    poster.round()
    poster.round()
    assert transaction(shop, order) == first
    assert_settled(shop, order)


def test_round_does_not_send_again_all_the_time(shop: Shop) -> None:
    order = queued(shop)
    poster = shop.poster()
    shop.chain.drop_next_broadcast()
    poster.round()
    shop.pass_time(RESEND_SECONDS - 0.1)
    for _ in range(5):
        poster.round()
    assert isinstance(posting(shop, order), Posted)
    assert_not_charged(shop, order)


def test_round_sends_again_every_time_that_it_was_dropped(shop: Shop) -> None:
    order = queued(shop)
    poster = shop.poster()
    shop.chain.drop_next_broadcast(3)
    for _ in range(4):
        poster.round()
        shop.pass_time(RESEND_SECONDS)
    poster.round()
    assert_settled(shop, order)


def test_round_after_a_restart_sends_a_dropped_transaction_again(shop: Shop) -> None:
    """S3: what was last sent when is not known any more, so that it is sent at once."""
    order = queued(shop)
    shop.chain.drop_next_broadcast()
    shop.poster().round()
    first = transaction(shop, order)
    shop.reopen()
    shop.ticks.now = 10_000.0
    poster = shop.poster()
    poster.round()
    poster.round()
    assert transaction(shop, order) == first
    assert_settled(shop, order)


# ---- nonces -----------------------------------------------------------------------------------------------------------


def test_round_signs_anew_when_somebody_else_took_the_nonce(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """B5: noticed, told, and posted with the next nonce: the first can't be mined any more."""
    order = queued(shop)
    first = signed_only(shop, order)
    shop.chain.send(ORACLE.address)
    with caplog.at_level(logging.ERROR):
        shop.poster().round()
    assert transaction(shop, order).nonce == first.nonce + 1
    assert shop.chain.outcome(first.hash) == Pending()
    assert_settled(shop, order)
    assert "nonce used outside this oracle" in caplog.text


def test_round_signs_anew_when_the_nonce_of_a_dropped_transaction_was_taken(shop: Shop) -> None:
    order = queued(shop)
    poster = shop.poster()
    shop.chain.drop_next_broadcast()
    poster.round()
    shop.chain.send(ORACLE.address)
    shop.pass_time(RESEND_SECONDS)
    poster.round()
    assert_settled(shop, order)


def test_round_that_can_t_tell_whether_the_nonce_was_taken_signs_nothing(shop: Shop) -> None:
    """S4: the node refuses the transaction and is gone before it can be asked why."""
    order = queued(shop)
    first = signed_only(shop, order)
    shop.chain.send(ORACLE.address)
    shop.chain.go_down(after=2)
    shop.poster().round()
    assert transaction(shop, order) == first


def test_round_posts_two_calls_with_nonces_in_a_row(shop: Shop) -> None:
    """The second does not wait for the first to be mined, and does not take its nonce."""
    first, second = queued(shop, 1), queued(shop, 2)
    shop.chain.hold()
    poster = shop.poster()
    poster.round()
    assert [type(posting(shop, order)) for order in (first, second)] == [Posted, Posted]
    assert transaction(shop, second).nonce == transaction(shop, first).nonce + 1
    shop.chain.release()
    poster.round()
    assert_settled(shop, first)
    assert_settled(shop, second)


def test_round_counts_stored_transactions_that_the_chain_has_not_seen(shop: Shop) -> None:
    """S4: a nonce that was signed with is not signed with again for another call."""
    first = queued(shop, 1)
    shop.chain.drop_next_broadcast()
    poster = shop.poster()
    poster.round()
    second = queued(shop, 2)
    poster.round()
    assert transaction(shop, second).nonce == transaction(shop, first).nonce + 1
    assert isinstance(posting(shop, second), Posted)
    shop.pass_time(RESEND_SECONDS)
    poster.round()
    poster.round()
    assert_settled(shop, first)
    assert_settled(shop, second)


# ---- reorganisations (S5, B4) -----------------------------------------------------------------------------------------


def test_round_posts_again_after_a_reorganisation_before_confirmation(careful: Shop) -> None:
    order = queued(careful)
    poster = careful.poster()
    poster.round()
    first = transaction(careful, order)
    careful.chain.reorganise(1)
    assert careful.state(order).status is CallStatus.OPEN
    careful.pass_time(RESEND_SECONDS)
    poster.round()
    careful.chain.mine(2)
    poster.round()
    assert transaction(careful, order) == first
    assert_settled(careful, order)


def confirmed_deep(shop: Shop) -> Order:
    """A call whose opening is old and whose result is confirmed, not final."""
    order = shop.opened()
    shop.chain.mine(5)
    shop.answered(order)
    poster = shop.poster()
    poster.round()
    shop.chain.mine()
    poster.round()
    assert isinstance(posting(shop, order), Confirmed)
    return order


def test_round_posts_again_after_a_reorganisation_after_confirmation(
    careful: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    order = confirmed_deep(careful)
    first = transaction(careful, order)
    poster = careful.poster()
    careful.chain.reorganise(2)
    with caplog.at_level(logging.WARNING):
        poster.round()
    assert isinstance(posting(careful, order), Posted)
    assert "reorganised away" in caplog.text
    careful.pass_time(RESEND_SECONDS)
    poster.round()
    careful.chain.mine(2)
    poster.round()
    assert transaction(careful, order) == first
    assert_settled(careful, order)


def test_round_counts_anew_when_a_reorganisation_moved_the_transaction(careful: Shop) -> None:
    """S5: mined again, in another block: what was confirmed was the old one."""
    order = confirmed_deep(careful)
    before = posting(careful, order)
    assert isinstance(before, Confirmed)
    careful.chain.reorganise(2)
    careful.chain.broadcast(before.transaction)
    poster = careful.poster()
    poster.round()
    assert isinstance(posting(careful, order), Posted)
    careful.chain.mine(2)
    poster.round()
    after = posting(careful, order)
    assert isinstance(after, Finalised)
    assert after.mined.block_hash != before.mined.block_hash
    assert_settled(careful, order)


def test_round_leaves_alone_what_is_final(careful: Shop) -> None:
    order = confirmed_deep(careful)
    careful.chain.mine()
    poster = careful.poster()
    poster.round()
    final = posting(careful, order)
    careful.chain.go_down()
    assert poster.round() == IDLE_SECONDS
    assert posting(careful, order) == final


def test_round_waits_for_an_opening_that_a_reorganisation_took(shop: Shop) -> None:
    """S3, S5: the answer was given; the payer's opening comes back in a later block, as they do, and is charged then."""
    order = queued(shop)
    shop.chain.reorganise(1)
    poster = shop.poster()
    assert poster.round() == TROUBLE_SECONDS
    assert isinstance(posting(shop, order), Queued)
    assert "Escrow_CallNotInState" in str(poster.trouble)
    assert shop.chain.next_nonce(ORACLE.address) == 0
    shop.chain.open(order.call)
    poster.round()
    assert poster.trouble is None
    assert_settled(shop, order)


def test_round_signs_anew_where_the_result_was_mined_without_its_opening(shop: Shop) -> None:
    """S3, S5: both were reorganised away and only the result came back, to be reverted."""
    order = queued(shop)
    poster = Poster(shop.chain, shop.store, ORACLE, confirmations=1, finality=10, clock=shop.ticks)
    poster.round()
    first = transaction(shop, order)
    shop.chain.reorganise(2)
    shop.chain.broadcast(first)
    poster.round()
    assert isinstance(posting(shop, order), Queued)
    shop.chain.open(order.call)
    poster.round()
    shop.chain.mine(10)
    poster.round()
    assert transaction(shop, order).nonce == first.nonce + 1
    assert_settled(shop, order)


def test_round_gives_up_on_an_opening_that_stays_away_until_its_deadline(shop: Shop) -> None:
    order = queued(shop)
    shop.chain.reorganise(1)
    shop.pass_time(CALL_SECONDS + 1)
    shop.chain.mine()
    poster = shop.poster()
    poster.round()
    found = posting(shop, order)
    assert isinstance(found, Rejected)
    assert found.failure["error"]["details"]["contract_error"] == "Escrow_CallNotInState"
    assert poster.trouble is None


def test_round_with_one_opening_gone_posts_the_others(shop: Shop) -> None:
    gone = queued(shop, 1)
    shop.chain.reorganise(1)
    here = queued(shop, 2)
    shop.poster().round()
    assert isinstance(posting(shop, gone), Queued)
    assert_settled(shop, here)


def test_round_on_a_chain_that_was_reset_does_nothing(shop: Shop) -> None:
    """S5, B11: our transactions would mean something else there."""
    order = queued(shop)
    stored = signed_only(shop, order)
    shop.chain.reset()
    poster = shop.poster()
    assert poster.round() == TROUBLE_SECONDS
    assert isinstance(posting(shop, order), Signed)
    assert transaction(shop, order) == stored
    assert shop.chain.next_nonce(ORACLE.address) == 0
    assert "reset" in str(poster.trouble)


# ---- refused by the contract (B9) -------------------------------------------------------------------------------------


def failure_of(shop: Shop, order: Order) -> dict[str, object]:
    found = posting(shop, order)
    assert isinstance(found, Rejected)
    error: dict[str, object] = found.failure["error"]
    return error


def test_round_after_the_deadline_is_rejected_and_not_charged(shop: Shop) -> None:
    """M4: and uses no nonce; the payer can have the escrow back."""
    order = queued(shop)
    shop.pass_time(CALL_SECONDS + 1)
    shop.poster().round()
    error = failure_of(shop, order)
    assert (error["code"], error["retryable"]) == ("contract_refused", False)
    assert error["details"] == {
        "contract_error": "Escrow_DeadlinePassed",
        "actual": str(int(shop.clock())),
        "deadline": str(order.call.deadline),
    }
    assert shop.chain.next_nonce(ORACLE.address) == 0
    assert_not_charged(shop, order)
    shop.chain.refund(order.call, PAYER.address)
    assert shop.state(order).status is CallStatus.REFUNDED


def test_round_of_what_was_mined_too_late_is_rejected(shop: Shop) -> None:
    """S4: failed, which is known because it is in a block."""
    order = queued(shop)
    shop.chain.hold()
    poster = shop.poster()
    poster.round()
    assert isinstance(posting(shop, order), Posted)
    shop.pass_time(CALL_SECONDS + 1)
    shop.chain.release()
    poster.round()
    assert failure_of(shop, order)["details"]["contract_error"] == "Escrow_DeadlinePassed"  # type: ignore[index]
    assert shop.chain.next_nonce(ORACLE.address) == 1
    assert_not_charged(shop, order)


def test_round_of_what_reverted_waits_for_its_confirmations(careful: Shop) -> None:
    """S5: a failure can be reorganised away as well as a success."""
    order = queued(careful)
    careful.chain.hold()
    poster = careful.poster()
    poster.round()
    careful.pass_time(CALL_SECONDS + 1)
    careful.chain.release()
    poster.round()
    assert isinstance(posting(careful, order), Posted)
    careful.chain.mine()
    poster.round()
    assert isinstance(posting(careful, order), Rejected)


def test_round_of_a_call_that_ended_otherwise_is_rejected(shop: Shop) -> None:
    order = queued(shop)
    shop.chain.broadcast(shop.chain.prepare_decline(ORACLE, order.call, 0))
    shop.poster().round()
    assert failure_of(shop, order)["details"] == {
        "contract_error": "Escrow_CallNotInState",
        "callId": "0x" + order.call.call_id(shop.chain.domain).hex(),
        "actual": str(int(CallStatus.DECLINED)),
        "expected": str(int(CallStatus.OPEN)),
    }
    assert_not_charged(shop, order)


def test_round_leaves_alone_what_was_rejected(shop: Shop) -> None:
    order = queued(shop)
    shop.pass_time(CALL_SECONDS + 1)
    poster = shop.poster()
    poster.round()
    rejected = posting(shop, order)
    shop.chain.go_down()
    assert poster.round() == IDLE_SECONDS
    assert posting(shop, order) == rejected


def test_round_after_it_ran_out_of_gas_posts_again(shop: Shop) -> None:
    """S3, B9: reverted without a reason while the call is still open: that says nothing of the next transaction."""
    order = queued(shop)
    shop.chain.run_out_of_gas()
    poster = shop.poster()
    poster.round()
    poster.round()
    assert_settled(shop, order)
    assert shop.chain.next_nonce(ORACLE.address) == 2


def test_round_that_can_t_ask_why_it_reverted_posts_again(shop: Shop) -> None:
    """S4: the node goes away after it has said that the transaction reverted."""
    order = queued(shop)
    shop.chain.run_out_of_gas()
    shop.chain.go_down(1, after=ASKED_BEFORE_BROADCAST + 2)
    poster = shop.poster()
    poster.round()
    poster.round()
    assert_settled(shop, order)


def test_round_that_reverted_without_a_reason_on_a_call_that_ended_is_rejected(shop: Shop) -> None:
    order = queued(shop)
    shop.chain.hold()
    poster = shop.poster()
    poster.round()
    shop.pass_time(CALL_SECONDS + 1)
    shop.chain.run_out_of_gas()
    shop.chain.release()
    shop.chain.refund(order.call, PAYER.address)
    poster.round()
    assert failure_of(shop, order)["details"]["contract_error"] == ""  # type: ignore[index]
    assert_not_charged(shop, order)


# ---- trouble with one, or with all ------------------------------------------------------------------------------------


class Choosy(NullChain):
    """Has an error for the transactions of one call."""

    unwanted: DirectCall | None = None
    error: ChainError = NodeError("Not this one.")

    def prepare_fulfil(self, wallet: Wallet, call: DirectCall, outcome: Outcome, nonce: int) -> SignedTransaction:
        if call == self.unwanted:
            raise self.error
        return super().prepare_fulfil(wallet, call, outcome, nonce)


@pytest.mark.parametrize("error", [FeeTooHigh("Not this one."), NodeError("Not this one.")], ids=["fee", "node"])
def test_round_with_one_posting_in_trouble_moves_those_behind_it(shop: Shop, error: ChainError) -> None:
    """B8: what the chain has against one transaction, it does not have against all."""
    choosy = Choosy(clock=shop.clock)
    choosy.publish(OWNER.address, ORACLE.address, shop.runner.manifest_hash, shop.served().revision.prices)
    shop.chain = choosy
    first, second = queued(shop, 1), queued(shop, 2)
    choosy.unwanted, choosy.error = first.call, error
    poster = shop.poster()
    assert poster.round() == TROUBLE_SECONDS
    assert poster.trouble == "Not this one."
    assert isinstance(posting(shop, first), Queued)
    assert_settled(shop, second)
    choosy.unwanted = None
    poster.round()
    assert poster.trouble is None
    assert_settled(shop, first)


class Once:
    """A checkpoint that fails the first time it is passed at one point."""

    def __init__(self, point: tuple[Step, When], error: BaseException) -> None:
        self.point = point
        self.error: BaseException | None = error
        self.failed = threading.Event()

    def __call__(self, step: Step, when: When) -> None:
        if (step, when) == self.point and self.error is not None:
            error, self.error = self.error, None
            self.failed.set()
            raise error


def test_round_with_a_defect_in_one_posting_moves_those_behind_it(shop: Shop) -> None:
    first, second = queued(shop, 1), queued(shop, 2)
    poster = shop.poster(Once((Step.QUEUED, When.BEFORE), RuntimeError("a defect")))
    poster.round()
    assert poster.trouble == "unexpected RuntimeError"
    assert_settled(shop, second)
    poster.round()
    assert poster.trouble is None
    assert_settled(shop, first)


class StoreTrigger:
    """The database refuses updates of postings to one state."""

    def __init__(self, shop: Shop, state: str) -> None:
        self._execute(
            shop,
            f"CREATE TRIGGER refused BEFORE UPDATE ON postings WHEN NEW.state = '{state}' "
            "BEGIN SELECT RAISE(ABORT, 'disk full'); END",
        )

    def remove(self, shop: Shop) -> None:
        self._execute(shop, "DROP TRIGGER refused")

    def _execute(self, shop: Shop, statement: str) -> None:
        with closing(sqlite3.connect(shop.path, isolation_level=None)) as connection:
            connection.execute(statement)


@pytest.mark.parametrize("state", ["signed", "posted", "confirmed", "finalised"])
def test_round_whose_record_is_refused_goes_on_once_it_is_not(shop: Shop, state: str) -> None:
    """S3, S4, A6: at whichever state the disk is full."""
    order = queued(shop)
    poster = shop.poster()
    trigger = StoreTrigger(shop, state)
    assert poster.round() == TROUBLE_SECONDS
    assert "store is not usable" in str(poster.trouble)
    trigger.remove(shop)
    poster.round()
    assert poster.trouble is None
    assert_settled(shop, order)


def test_round_that_can_t_store_the_bytes_does_not_send_them(shop: Shop) -> None:
    """S4"""
    queued(shop)
    StoreTrigger(shop, "signed")
    shop.poster().round()
    assert shop.chain.next_nonce(ORACLE.address) == 0
    assert shop.chain.logged() == []


class Killed(BaseException):
    """The process ended: nothing after this line ran."""


POINTS = [(step, when) for step in (Step.QUEUED, Step.POSTED, Step.CONFIRMED, Step.FINALISED) for when in When]


@pytest.mark.parametrize(("step", "when"), POINTS, ids=[f"{step.value}-{when.value}" for step, when in POINTS])
def test_restart_after_a_crash_at_each_step_posts_once(shop: Shop, step: Step, when: When) -> None:
    """S3, S4, A3, A4: the same bytes, one log."""
    order = queued(shop)
    with pytest.raises(Killed):
        shop.poster(Once((step, when), Killed())).round()
    before = posting(shop, order)
    shop.reopen()
    shop.poster().round()
    assert_settled(shop, order)
    if isinstance(before, Signed | Posted | Confirmed | Finalised):
        assert transaction(shop, order) == before.transaction
    assert shop.chain.next_nonce(ORACLE.address) == 1


# ---- the thread -------------------------------------------------------------------------------------------------------


class Signal:
    """A checkpoint that tells when a point is passed."""

    def __init__(self, point: tuple[Step, When]) -> None:
        self.point = point
        self.passed = threading.Event()

    def __call__(self, step: Step, when: When) -> None:
        if (step, when) == self.point:
            self.passed.set()


def test_thread_posts_what_is_there_when_it_starts(shop: Shop) -> None:
    order = queued(shop)
    done = Signal((Step.FINALISED, When.AFTER))
    poster = shop.poster(done)
    poster.start()
    assert done.passed.wait(30)
    poster.stop(30)
    assert_settled(shop, order)


def test_thread_posts_what_it_is_woken_for(shop: Shop) -> None:
    done = Signal((Step.FINALISED, When.AFTER))
    poster = shop.poster(done)
    poster.start()
    order = queued(shop)
    poster.wake()
    assert done.passed.wait(30)
    poster.stop(30)
    assert_settled(shop, order)


def test_thread_survives_a_defect(shop: Shop) -> None:
    """One posting that can't be handled must not end all posting."""
    order = queued(shop)
    fails, done = Once((Step.QUEUED, When.BEFORE), RuntimeError("a defect")), Signal((Step.FINALISED, When.AFTER))

    def both(step: Step, when: When) -> None:
        done(step, when)
        fails(step, when)

    poster = shop.poster(both)
    poster.start()
    assert fails.failed.wait(30)
    while not done.passed.wait(0.01):
        poster.wake()
    poster.stop(30)
    assert_settled(shop, order)


def test_stop_leaves_what_is_not_posted_to_the_next_start(shop: Shop) -> None:
    """A9"""
    order = queued(shop)
    shop.chain.go_down()
    poster = shop.poster()
    poster.start()
    poster.stop(30)
    assert isinstance(posting(shop, order), Queued)
    shop.chain.come_back()
    shop.poster().round()
    assert_settled(shop, order)


def test_stop_before_start_is_harmless(shop: Shop) -> None:
    shop.poster().stop(0)


def test_wait_for_a_move_ends_by_itself(shop: Shop) -> None:
    shop.poster().wait_for_a_move(0)


# ---- everything together ----------------------------------------------------------------------------------------------


def test_postings_of_many_calls_add_up(shop: Shop) -> None:
    """M1: what the owner and the payers are owed is what was escrowed."""
    orders = [queued(shop, number) for number in range(1, 8)]
    shop.poster().round()
    charges = 0
    for order in orders:
        assert_settled(shop, order)
        charges += shop.state(order).amount
    assert shop.chain.owed(OWNER.address, NATIVE) == charges
    assert shop.chain.owed(PAYER.address, NATIVE) == sum(order.call.amount for order in orders) - charges
    assert shop.chain.escrowed() == sum(order.call.amount for order in orders)


def test_call_at_its_margin_is_still_posted_in_time(shop: Shop) -> None:
    """The margin is what is left for the posting."""
    order = shop.opened()
    shop.pass_time(CALL_SECONDS - MARGIN)
    shop.answered(order)
    shop.pass_time(MARGIN)
    shop.poster().round()
    assert_settled(shop, order)
