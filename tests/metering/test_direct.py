"""A directly paid call at the oracle: refused before anything is reserved, or recorded (M3, M4, S1, S2, S5, E3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from tallystick.errors import (
    CallClosed,
    CallNotOpened,
    ChainUnreachable,
    CommitmentMismatch,
    DeadlineTooClose,
    DeploymentMismatch,
    EmptyText,
    EscrowTooSmall,
    InferenceFailed,
    InputTooLong,
    InvalidRequest,
    ListingWithdrawn,
    StoreUnavailable,
    TallystickError,
    WrongOracle,
)
from tallystick.inference.null import NullRunner
from tallystick.inference.runner import Inference
from tallystick.metering.direct import Inferred, Taken, check_for_sale
from tallystick.metering.steps import Step, When
from tallystick.protocol.calls import CallStatus, Mode
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.commitments import parameters_hash, result_hash
from tallystick.protocol.prices import NATIVE, Units
from tallystick.protocol.signatures import recover
from tallystick.protocol.tiers import Tier
from tallystick.store.records import Abandoned, Decline, Fulfil, Queued, Reservation

from .kit import CALL_SECONDS, MARGIN, ORACLE, OWNER, PAYER, PRICES, STRANGER, TEXT, Order, Shop

POSTING_MARGIN = 5
"""The default: seconds that are left for a posting, or its call is not answered."""

OTHER_ASSET = "0x5FbDB2315678afecb367f032d93F642f64180aa3"


def refused(shop: Shop, order: Order, kind: type[TallystickError], **details: Any) -> TallystickError:
    """Verification raises `kind` with these details, and nothing was reserved or run for it (S1)."""
    with pytest.raises(kind) as caught:
        shop.verified(order)
    assert details.items() <= caught.value.details.items()
    assert shop.store.count_calls() == {}
    assert shop.runner.runs == 0
    return caught.value


# ---- quote ------------------------------------------------------------------------------------------------------------


def test_quote_prices_the_worst_case(shop: Shop) -> None:
    """M3: six tokens at 50 a token, the call itself, and the longest time that a run may take."""
    quote = shop.direct().quote(shop.request(), shop.served())
    assert quote.maximum == 1_000 + 6 * 50 + 10 * 2_000
    assert quote.parameters["top_k"] == 3
    assert shop.runner.runs == 0


BAD_REQUESTS: dict[str, tuple[dict[str, Any], type[TallystickError]]] = {
    "no text": ({"text": " \n"}, EmptyText),
    "too long": ({"text": "word " * 300}, InputTooLong),
    "not a text": ({"text": 5}, InvalidRequest),
    "unknown parameter": ({"parameters": {"heat": 1}}, InvalidRequest),
    "bad parameter": ({"parameters": {"top_k": 0}}, InvalidRequest),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_quote_of_a_bad_request_is_refused_before_payment_is_looked_at(shop: Shop, case: str) -> None:
    changes, kind = BAD_REQUESTS[case]
    with pytest.raises(kind):
        shop.direct().quote(shop.request(**changes), shop.served())
    assert shop.runner.runs == 0


def test_check_for_sale_of_a_withdrawn_listing_is_refused() -> None:
    with pytest.raises(ListingWithdrawn) as caught:
        check_for_sale(7, withdrawn=True)
    assert caught.value.details == {"listing": "7"}
    check_for_sale(7, withdrawn=False)


# ---- verify -----------------------------------------------------------------------------------------------------------


def test_verify_of_an_opened_call_reserves_nothing_yet(shop: Shop) -> None:
    """S1: verified is one step, reserved the next."""
    order = shop.opened()
    verified = shop.verified(order)
    assert verified.call_id == order.call.call_id(shop.chain.domain)
    assert shop.store.count_calls() == {}


def test_verify_for_another_oracle_is_refused(shop: Shop) -> None:
    refused(
        shop,
        shop.order(oracle=STRANGER.address),
        WrongOracle,
        actual=STRANGER.address,
        expected=ORACLE.address,
    )


OTHER_REQUESTS: dict[str, Callable[[Order], Order]] = {
    "input": lambda order: replace(order, request=replace(order.request, input=TEXT + "?")),
    "parameters": lambda order: replace(order, request=replace(order.request, parameters={"top_k": 3})),
    "method": lambda order: replace(order, request=replace(order.request, method="generate")),
    "revision": lambda order: replace(order, request=replace(order.request, revision=2)),
    "listing": lambda order: replace(order, request=replace(order.request, listing_id=2)),
    "salt": lambda order: replace(order, payment=replace(order.payment, salt=bytes(32))),
}


@pytest.mark.parametrize("part", OTHER_REQUESTS)
def test_verify_of_another_request_than_was_paid_is_refused(shop: Shop, part: str) -> None:
    """S2: a payment covers exactly the method, listing, revision, parameters and input that it was made for."""
    order = shop.opened()
    quote = shop.quote(order)
    other = OTHER_REQUESTS[part](order)
    with pytest.raises(CommitmentMismatch) as caught:
        shop.direct().verify(other.payment, replace(quote, request=other.request))
    assert caught.value.details == {
        "expected": "0x" + order.call.request_commitment.hex(),
        "deadline": order.call.deadline,
    }
    assert shop.store.count_calls() == {}


@pytest.mark.parametrize("term", ["listing_id", "revision"])
def test_verify_of_a_call_for_another_listing_or_revision_is_refused(shop: Shop, term: str) -> None:
    """S2, M9: also where the commitment alone would not tell."""
    refused(shop, shop.order(**{term: 2}), CommitmentMismatch)


def test_verify_of_the_exact_worst_case_is_enough(shop: Shop) -> None:
    order = shop.opened()
    assert order.call.amount == shop.maximum(order.request)
    shop.verified(order)


def test_verify_of_an_escrow_that_is_too_small_is_refused(shop: Shop) -> None:
    """M3: the least that covers the worst case, or nothing is run."""
    maximum = shop.maximum(shop.request())
    order = shop.opened(amount=maximum - 1)
    refused(
        shop,
        order,
        EscrowTooSmall,
        required=str(maximum),
        available=str(maximum - 1),
        asset=NATIVE,
        deadline=order.call.deadline,
    )


def test_verify_of_an_escrow_in_another_asset_is_refused(shop: Shop) -> None:
    refused(shop, shop.order(asset=OTHER_ASSET), EscrowTooSmall, asset=NATIVE)


def test_verify_of_a_call_that_was_never_opened_is_refused(shop: Shop) -> None:
    order = shop.order()
    error = refused(
        shop,
        order,
        CallNotOpened,
        call_id="0x" + order.call.call_id(shop.chain.domain).hex(),
        confirmations=1,
        escrow=shop.chain.domain.escrow,
    )
    assert error.retryable


@pytest.mark.parametrize("term", ["payer", "amount", "deadline"])
def test_verify_of_terms_that_differ_from_those_opened_is_refused(shop: Shop, term: str) -> None:
    """M3: the call id is the hash of all terms, so that a payment can't claim others than were escrowed."""
    order = shop.opened()
    claimed = {"payer": STRANGER.address, "amount": order.call.amount + 1, "deadline": order.call.deadline + 1}
    call = replace(order.call, **{term: claimed[term]})
    refused(shop, replace(order, payment=replace(order.payment, call=call)), CallNotOpened)


def close_by_decline(shop: Shop, order: Order) -> None:
    nonce = shop.chain.next_nonce(ORACLE.address)
    shop.chain.broadcast(shop.chain.prepare_decline(ORACLE, order.call, nonce))


def close_by_refund(shop: Shop, order: Order) -> None:
    shop.pass_time(CALL_SECONDS + 1)
    shop.chain.refund(order.call, PAYER.address)


@pytest.mark.parametrize(
    ("close", "status"), [(close_by_decline, "declined"), (close_by_refund, "refunded")], ids=["declined", "refunded"]
)
def test_verify_of_a_call_that_has_ended_is_refused(
    shop: Shop, close: Callable[[Shop, Order], None], status: str
) -> None:
    """M3, A7: also where the oracle's own memory of it was lost."""
    order = shop.opened()
    close(shop, order)
    refused(shop, order, CallClosed, status=status)


def test_verify_of_a_call_that_was_fulfilled_is_refused(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A7: a store that was lost does not make the same payment good for a second run."""
    order = shop.opened()
    shop.answered(order)
    shop.poster().round()
    assert shop.state(order).status is CallStatus.FULFILLED
    shop.store.close()
    shop.path = tmp_path_factory.mktemp("new") / "oracle.sqlite3"
    shop.reopen()
    with pytest.raises(CallClosed) as caught:
        shop.verified(order)
    assert caught.value.details["status"] == "fulfilled"
    assert shop.store.count_calls() == {}
    assert shop.runner.runs == 1


# ---- confirmations (S5) -----------------------------------------------------------------------------------------------


def test_verify_before_the_confirmations_are_there_is_refused(careful: Shop) -> None:
    """S5: funds count after a configured number of blocks, and not a block earlier."""
    order = careful.order()
    careful.chain.open(order.call)
    refused(careful, order, CallNotOpened, confirmations=2)
    careful.chain.mine()
    careful.verified(order)


def test_verify_after_a_reorganisation_took_the_opening_is_refused(careful: Shop) -> None:
    """S5: what was deep enough may be gone."""
    order = careful.opened()
    careful.verified(order)
    careful.chain.reorganise(2)
    refused(careful, order, CallNotOpened)


def test_verify_of_a_call_that_ended_within_the_confirmations_is_refused(careful: Shop) -> None:
    """S5: open as deep as configured, but not any more in the newest block."""
    order = careful.opened()
    close_by_decline(careful, order)
    assert careful.chain.call_state(order.call.call_id(careful.chain.domain), 2).status is CallStatus.OPEN
    refused(careful, order, CallClosed, status="declined")


def test_verify_on_a_chain_that_was_reset_is_refused(shop: Shop) -> None:
    """S5, B11: nothing is served on vanished funds, even if a call of the same terms is open there."""
    order = shop.opened()
    shop.chain.reset()
    shop.chain.publish(PAYER.address, ORACLE.address, shop.runner.manifest_hash, PRICES)
    shop.chain.open(order.call)
    assert shop.state(order).status is CallStatus.OPEN
    refused(shop, order, DeploymentMismatch)


@pytest.mark.parametrize("answers", [0, 1, 2])
def test_verify_while_the_chain_is_down_is_refused(shop: Shop, answers: int) -> None:
    """S1, B1: a payment that can't be seen is not taken for one, at whichever question the node goes away."""
    order = shop.opened()
    quote = shop.quote(order)
    shop.chain.go_down(after=answers)
    with pytest.raises(ChainUnreachable):
        shop.direct().verify(order.payment, quote)
    shop.chain.come_back()
    assert shop.store.count_calls() == {}


def test_verify_of_a_deep_call_while_the_chain_goes_down_half_way_is_refused(careful: Shop) -> None:
    """S1, B1: the second look at the call, in the newest block, is no less needed than the first."""
    order = careful.opened()
    quote = careful.quote(order)
    careful.chain.go_down(after=2)
    with pytest.raises(ChainUnreachable):
        careful.direct().verify(order.payment, quote)
    assert careful.store.count_calls() == {}


# ---- deadlines (E6) ---------------------------------------------------------------------------------------------------


def test_verify_at_the_margin_is_accepted_and_a_second_later_refused(shop: Shop) -> None:
    order = shop.opened()
    shop.pass_time(CALL_SECONDS - MARGIN)
    shop.verified(order)
    shop.pass_time(1)
    refused(
        shop,
        order,
        DeadlineTooClose,
        deadline=order.call.deadline,
        now=order.call.deadline - MARGIN + 1,
        required_seconds=MARGIN,
    )


def test_verify_counts_our_clock_where_no_block_was_mined_for_a_while(shop: Shop) -> None:
    """E6: a chain that mines on demand shows an old time, and the next block will not."""
    order = shop.opened()
    mined_at = shop.chain.head().timestamp
    shop.pass_time(CALL_SECONDS)
    assert shop.chain.head().timestamp == mined_at
    refused(shop, order, DeadlineTooClose, now=order.call.deadline)


@pytest.mark.parametrize("skew", [-86_400, -3_600, -1])
def test_verify_counts_the_chain_s_clock_where_ours_is_behind(shop: Shop, skew: int) -> None:
    """E6: a clock that was set back, by a second, for winter or by a day, does not make a late call early."""
    order = shop.opened()
    shop.pass_time(CALL_SECONDS)
    shop.chain.mine()
    shop.clock.pass_time(skew)
    refused(shop, order, DeadlineTooClose, now=order.call.deadline)


def test_verify_with_our_clock_ahead_refuses_rather_than_serves_for_nothing(shop: Shop) -> None:
    """E6"""
    order = shop.opened()
    shop.clock.pass_time(3_600)
    refused(shop, order, DeadlineTooClose)


# ---- stored -----------------------------------------------------------------------------------------------------------


def test_stored_of_an_unknown_call_is_none(shop: Shop) -> None:
    order = shop.opened()
    assert shop.direct().stored(order.payment, order.request) is None


def test_stored_of_the_same_request_is_what_it_came_to(shop: Shop) -> None:
    """S2: and the chain is not asked: a reply that is stored can be had while the node is down."""
    order = shop.opened()
    completed = shop.answered(order)
    shop.chain.go_down()
    assert shop.direct().stored(order.payment, order.request) == completed


@pytest.mark.parametrize("part", ["input", "parameters", "method", "revision", "salt"])
def test_stored_of_another_request_is_refused(shop: Shop, part: str) -> None:
    """S2: another request with the same payment gets nothing, the stored answer least of all."""
    order = shop.opened()
    shop.answered(order)
    other = OTHER_REQUESTS[part](order)
    with pytest.raises(CommitmentMismatch) as caught:
        shop.direct().stored(other.payment, other.request)
    assert "parcel" not in caught.value.message
    assert shop.runner.runs == 1


# ---- reserve ----------------------------------------------------------------------------------------------------------


def test_reserve_of_a_verified_call_is_durable_before_anything_runs(shop: Shop) -> None:
    """S1"""
    order = shop.opened()
    reservation = shop.reserved(order)
    assert shop.runner.runs == 0
    shop.reopen()
    assert shop.store.reservations() == [reservation]
    assert reservation.reserved_at == int(shop.clock())
    assert (reservation.call, reservation.salt) == (order.call, order.payment.salt)


def test_reserve_a_second_time_is_taken(shop: Shop) -> None:
    """S1: two verified at once, and one of them runs."""
    order = shop.opened()
    first, second = shop.verified(order), shop.verified(order)
    reservation = shop.direct().reserve(first)
    assert shop.direct().reserve(second) == Taken(reservation)  # type: ignore[arg-type]


def test_reserve_by_many_threads_is_given_once(shop: Shop) -> None:
    """S1, C2"""
    verified = shop.verified(shop.opened())
    direct = shop.direct()
    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(direct.reserve, [verified] * 50))
    assert sum(isinstance(result, Reservation) for result in results) == 1
    assert sum(isinstance(result, Taken) for result in results) == 49


def test_reserve_that_the_store_refuses_runs_nothing(shop: Shop) -> None:
    """S1, A6"""
    verified = shop.verified(shop.opened())
    shop.store.close()
    shop.path.unlink()
    shop.path.mkdir()
    with pytest.raises(StoreUnavailable):
        shop.direct().reserve(verified)
    assert shop.runner.runs == 0


# ---- infer ------------------------------------------------------------------------------------------------------------


def breaks(_text: str) -> None:
    raise RuntimeError(f"out of memory on {TEXT}")


class ForgetfulRunner(NullRunner):
    """Raises what no runner should."""

    def run(self, input: Any, parameters: Any) -> Inference:  # noqa: A002
        raise ZeroDivisionError(f"no good with {input}")


class GreedyRunner(NullRunner):
    """Claims to have used more than its own worst case."""

    def run(self, input: Any, parameters: Any) -> Inference:  # noqa: A002
        result = super().run(input, parameters).result
        return Inference(result, Units(10**6, 0, 10**6))


FAILING = {
    "the model fails": lambda _shop: NullRunner(before_run=breaks),
    "the runner breaks its promise": lambda _shop: ForgetfulRunner(),
    "the run takes too long": lambda shop: NullRunner(
        clock=shop.ticks, time_limit_ms=10, before_run=lambda _: shop.ticks.pass_time(1)
    ),
}


@pytest.mark.parametrize("case", FAILING)
def test_infer_that_fails_is_abandoned_and_its_escrow_queued_to_go_back(shop: Shop, case: str) -> None:
    """M4, D5: nothing is charged, and the payer need not wait for the deadline."""
    order = shop.opened()
    reservation = shop.reserved(order)
    ended = shop.direct().infer(reservation, shop.quote(order, FAILING[case](shop)))
    assert isinstance(ended, Abandoned)
    assert ended.failure["error"]["code"] == InferenceFailed.code
    assert shop.store.find_call(reservation.call_id) == ended
    posting = shop.store.find_posting(reservation.call_id)
    assert isinstance(posting, Queued)
    assert posting.action == Decline()


@pytest.mark.parametrize("case", FAILING)
def test_infer_that_fails_tells_neither_the_text_nor_the_trace(shop: Shop, case: str) -> None:
    """S7, E10"""
    order = shop.opened()
    ended = shop.direct().infer(shop.reserved(order), shop.quote(order, FAILING[case](shop)))
    assert isinstance(ended, Abandoned)
    shown = json.dumps(dict(ended.failure))
    assert TEXT not in shown
    assert "Traceback" not in shown


def test_infer_that_fails_and_can_t_be_recorded_leaves_the_call_reserved(shop: Shop) -> None:
    """A6: the next start ends it."""
    order = shop.opened()
    reservation, quote = shop.reserved(order), shop.quote(order, NullRunner(before_run=breaks))
    direct = shop.direct()
    shop.store.close()
    backup = shop.path.read_bytes()
    shop.path.unlink()
    shop.path.mkdir()
    with pytest.raises(StoreUnavailable):
        direct.infer(reservation, quote)
    shop.path.rmdir()
    shop.path.write_bytes(backup)
    shop.reopen()
    assert shop.store.reservations() == [reservation]


@pytest.mark.parametrize("left", [POSTING_MARGIN - 1, 0, -100])
def test_infer_whose_turn_comes_too_late_runs_nothing(shop: Shop, left: int) -> None:
    """M4: an answer that could not be posted any more is not given."""
    order = shop.opened()
    reservation, quote = shop.reserved(order), shop.quote(order)
    shop.pass_time(CALL_SECONDS - left)
    ended = shop.direct().infer(reservation, quote)
    assert isinstance(ended, Abandoned)
    assert ended.failure["error"]["code"] == DeadlineTooClose.code
    assert shop.store.find_call(reservation.call_id) == ended
    assert shop.runner.runs == 0


def test_infer_whose_turn_comes_just_in_time_is_run(shop: Shop) -> None:
    order = shop.opened()
    reservation, quote = shop.reserved(order), shop.quote(order)
    shop.pass_time(CALL_SECONDS - POSTING_MARGIN)
    assert isinstance(shop.direct().infer(reservation, quote), Inferred)


def test_infer_that_ends_too_late_is_abandoned(shop: Shop) -> None:
    """M4: the model was slow, and its answer would be for nothing."""
    order = shop.opened()
    slow = NullRunner(before_run=lambda _: shop.pass_time(CALL_SECONDS - POSTING_MARGIN + 1))
    ended = shop.direct().infer(shop.reserved(order), shop.quote(order, slow))
    assert isinstance(ended, Abandoned)
    assert ended.failure["error"]["code"] == DeadlineTooClose.code
    shop.poster().round()
    assert shop.state(order).status is CallStatus.DECLINED
    assert shop.logs(order) == []


# ---- record -----------------------------------------------------------------------------------------------------------


def test_record_stores_the_answer_and_queues_what_is_charged(shop: Shop) -> None:
    """S3: the reply and its posting, or neither."""
    order = shop.opened()
    completed = shop.answered(order)
    receipt = completed.signed.receipt
    assert shop.store.find_call(receipt.call_id) == completed
    posting = shop.store.find_posting(receipt.call_id)
    assert isinstance(posting, Queued)
    assert isinstance(posting.action, Fulfil)
    outcome = posting.action.outcome
    assert (outcome.charge, outcome.units) == (receipt.charge, receipt.units)
    assert (outcome.result_hash, outcome.receipt_digest) == (receipt.result_hash, receipt.digest(shop.chain.domain))


def test_record_charges_what_was_used_and_not_the_worst_case(shop: Shop) -> None:
    """M3, M8"""
    shop.runner = NullRunner(clock=shop.ticks, before_run=lambda _: shop.ticks.pass_time(0.5))
    receipt = shop.answered(shop.opened()).signed.receipt
    assert receipt.units == Units(6, 0, 500)
    assert receipt.charge == receipt.cumulative_spend == PRICES.price_of(receipt.units) == 1_000 + 300 + 1_000


def test_record_of_a_revision_with_tiers_charges_the_lowest_price(shop: Shop) -> None:
    """M3: whichever tier holds when it is posted, the contract takes it."""
    tiers = (Tier(1, 500), Tier(100, 1_000))
    shop.listing = shop.chain.publish(OWNER.address, ORACLE.address, shop.runner.manifest_hash, PRICES, tiers=tiers)
    order = shop.opened()
    receipt = shop.answered(order).signed.receipt
    assert receipt.charge == PRICES.price_of(receipt.units) * 9 // 10
    shop.poster().round()
    assert shop.state(order).status is CallStatus.FULFILLED


def test_record_never_charges_more_than_the_escrow(shop: Shop) -> None:
    """M3: whatever the engine says it used; and the contract takes it."""
    order = shop.opened()
    receipt = shop.answered(order, GreedyRunner()).signed.receipt
    assert PRICES.price_of(receipt.units) > order.call.amount
    assert receipt.charge == order.call.amount
    shop.poster().round()
    assert shop.state(order).status is CallStatus.FULFILLED
    assert shop.state(order).amount == order.call.amount


def test_record_signs_a_receipt_that_binds_everything(shop: Shop) -> None:
    """E3: payer, oracle, listing, revision, manifest, request, parameters, result, units, charge, spend and time."""
    order = shop.opened()
    shop.pass_time(3)
    completed = shop.answered(order)
    receipt, salt = completed.signed.receipt, order.payment.salt
    assert completed.signed.signer(shop.chain.domain) == ORACLE.address
    assert (receipt.call_id, receipt.mode) == (order.call.call_id(shop.chain.domain), Mode.DIRECT)
    assert (receipt.payer, receipt.oracle) == (PAYER.address, ORACLE.address)
    assert (receipt.listing_id, receipt.revision) == (shop.listing, 1)
    assert receipt.manifest_hash == shop.chain.revision(shop.listing, 1).manifest_hash == shop.runner.manifest.hash()
    assert receipt.request_commitment == order.call.request_commitment
    assert receipt.parameters_hash == parameters_hash(salt, canonical_bytes(dict(completed.parameters)))
    assert receipt.result_hash == result_hash(salt, canonical_bytes(completed.result))
    assert completed.disclosure.mismatches(receipt) == []
    assert (receipt.asset, receipt.charge) == (NATIVE, receipt.cumulative_spend)
    assert receipt.issued_at == int(shop.clock())


ALTERED: dict[str, Any] = {
    "call_id": bytes(32),
    "mode": Mode.KEY,
    "payer": STRANGER.address,
    "oracle": STRANGER.address,
    "listing_id": 2,
    "revision": 2,
    "manifest_hash": bytes(32),
    "request_commitment": bytes(32),
    "parameters_hash": bytes(32),
    "result_hash": bytes(32),
    "units": Units(7, 0, 0),
    "asset": OTHER_ASSET,
    "charge": 1,
    "cumulative_spend": 1,
    "issued_at": 1,
}


@pytest.mark.parametrize("field", ALTERED)
def test_record_signs_a_receipt_in_which_nothing_can_be_altered(shop: Shop, field: str) -> None:
    """E3"""
    signed = shop.answered(shop.opened()).signed
    altered = replace(signed.receipt, **{field: ALTERED[field]})
    assert recover(altered.digest(shop.chain.domain), signed.signature) != ORACLE.address


def test_record_puts_the_receipt_and_its_signature_into_the_reply(shop: Shop) -> None:
    """E3: signed before the reply leaves, so that no reply is without one."""
    completed = shop.answered(shop.opened())
    reply = json.loads(completed.reply)
    assert reply["receipt"] == completed.signed.receipt.to_dict()
    assert reply["signature"] == "0x" + completed.signed.signature.hex()
    assert reply["result"] == completed.result
    assert completed.reply == canonical_bytes(reply)


def test_record_that_the_store_refuses_charges_nothing_and_can_be_repeated(shop: Shop) -> None:
    """S3, A2, A6: no answer without its record; the call is run again at the next start."""
    order = shop.opened()
    direct = shop.direct()
    inferred = direct.infer(shop.reserved(order), shop.quote(order))
    assert isinstance(inferred, Inferred)
    shop.store.close()
    backup = shop.path.read_bytes()
    shop.path.unlink()
    shop.path.mkdir()
    with pytest.raises(StoreUnavailable):
        direct.record(inferred)
    shop.path.rmdir()
    shop.path.write_bytes(backup)
    shop.reopen()
    assert shop.store.reservations() == [inferred.reservation]
    assert shop.store.count_postings() == {}
    shop.direct().record(inferred)
    assert shop.store.count_postings() == {"queued": 1}


# ---- the call of a last run -------------------------------------------------------------------------------------------


def test_verify_again_of_an_open_call_is_silent(shop: Shop) -> None:
    shop.direct().verify_again(shop.reserved(shop.opened()))


GONE: dict[str, tuple[Callable[[Shop, Order], None], type[TallystickError]]] = {
    "ended": (close_by_decline, CallClosed),
    "vanished": (lambda shop, _order: shop.chain.reorganise(1), CallNotOpened),
    "late": (lambda shop, _order: shop.pass_time(CALL_SECONDS), DeadlineTooClose),
    "on a chain that was reset": (lambda shop, _order: shop.chain.reset(), DeploymentMismatch),
    "unseen": (lambda shop, _order: shop.chain.go_down(), ChainUnreachable),
}


@pytest.mark.parametrize("case", GONE)
def test_verify_again_of_a_call_that_is_gone_is_refused(shop: Shop, case: str) -> None:
    """S5: what was verified before a crash is not taken for granted after it."""
    order = shop.opened()
    reservation = shop.reserved(order)
    happen, kind = GONE[case]
    happen(shop, order)
    with pytest.raises(kind):
        shop.direct().verify_again(reservation)


# ---- checkpoints ------------------------------------------------------------------------------------------------------


def test_checkpoints_surround_every_step_in_order(shop: Shop) -> None:
    """A test that kills at each of them kills everywhere."""
    order = shop.opened()
    passed: list[tuple[Step, When]] = []
    direct = shop.direct(lambda step, when: passed.append((step, when)))
    verified = direct.verify(order.payment, shop.quote(order))
    reservation = direct.reserve(verified)
    assert isinstance(reservation, Reservation)
    inferred = direct.infer(reservation, verified.quote)
    assert isinstance(inferred, Inferred)
    direct.record(inferred)
    steps = (Step.VERIFIED, Step.RESERVED, Step.INFERRED, Step.RECORDED)
    assert passed == [(step, when) for step in steps for when in When]
