"""What `NullChain` adds to the promises of `Chain`: exact times, and failures on demand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_hash.auto import keccak
from tallystick.chain.null import NullChain
from tallystick.chain.null_books import refusal
from tallystick.chain.types import Mined, Pending, SignedTransaction
from tallystick.errors import ChainUnreachable, ContractRefused, DeploymentMismatch
from tallystick.protocol.calls import CallState, CallStatus, DirectCall
from tallystick.protocol.prices import NATIVE
from tallystick.protocol.tiers import Tier

from .bench import AMOUNT, CHARGE, ORACLE, OUTCOME, OWNER, PAYER, PRICES, STRANGER, NullBench, terms

WEEK = 7 * 24 * 3600


@pytest.fixture
def bench() -> NullBench:
    return NullBench()


def opened(bench: NullBench, *, salt: int = 1, seconds: int = 600) -> DirectCall:
    call = terms(bench, bench.publish(), salt=salt, seconds=seconds)
    bench.open(call)
    return call


def prepared(bench: NullBench, call: DirectCall) -> SignedTransaction:
    return bench.null.prepare_fulfil(ORACLE, call, OUTCOME, bench.null.next_nonce(ORACLE.address))


def state(bench: NullBench, call: DirectCall) -> CallState:
    return bench.null.call_state(call.call_id(bench.null.domain))


def refused_with(bench: NullBench, call: DirectCall, name: str) -> None:
    with pytest.raises(ContractRefused) as refused:
        bench.open(call)
    assert refused.value.name == name
    assert state(bench, call).status is CallStatus.NONE


# ---- the contracts' boundaries, which a real clock can't hit ---------------------------------------------------------


def test_open_a_week_ahead_is_the_furthest(bench: NullBench) -> None:
    listing = bench.publish()
    refused_with(bench, terms(bench, listing, seconds=WEEK + 1), "Escrow_DeadlineOutOfRange")
    bench.open(terms(bench, listing, seconds=WEEK))


def test_open_a_second_ahead_is_the_nearest(bench: NullBench) -> None:
    listing = bench.publish()
    refused_with(bench, terms(bench, listing, seconds=0), "Escrow_DeadlineOutOfRange")
    bench.open(terms(bench, listing, seconds=1))


def test_fulfil_in_the_second_of_its_deadline_is_accepted(bench: NullBench) -> None:
    call = opened(bench)
    bench.now = call.deadline
    bench.null.broadcast(prepared(bench, call))
    assert state(bench, call).status is CallStatus.FULFILLED


def test_fulfil_a_second_after_its_deadline_is_refused(bench: NullBench) -> None:
    """M4: and the payer can have the escrow back, which a second earlier was refused."""
    call = opened(bench)
    bench.now = call.deadline
    with pytest.raises(ContractRefused, match="Escrow_DeadlineNotPassed"):
        bench.refund(call)
    bench.now += 1
    with pytest.raises(ContractRefused, match="Escrow_DeadlinePassed"):
        prepared(bench, call)
    bench.refund(call)
    assert state(bench, call).status is CallStatus.REFUNDED


def test_head_never_goes_back_in_time(bench: NullBench) -> None:
    bench.mine(1)
    before = bench.null.head().timestamp
    bench.now -= 1_000
    bench.mine(1)
    assert bench.null.head().timestamp == before


def test_open_with_several_faults_names_the_first_as_the_contract_does(bench: NullBench) -> None:
    listing = bench.publish()
    call = terms(bench, listing, seconds=-1, request_commitment=bytes(32))
    with pytest.raises(ContractRefused, match="Escrow_NotPayer"):
        bench.open(call, by=STRANGER, value=1)
    with pytest.raises(ContractRefused, match="Escrow_EmptyCommitment"):
        bench.open(call, value=1)
    refused_with(bench, replace(call, request_commitment=keccak(b"x")), "Escrow_DeadlineOutOfRange")


@pytest.mark.parametrize(
    ("oracle", "uri", "name"),
    [("0x" + "0" * 40, "", "Registry_ZeroOracle"), (ORACLE.address, "x" * 2049, "Registry_URITooLong")],
)
def test_publish_with_bad_terms_is_refused(bench: NullBench, oracle: str, uri: str, name: str) -> None:
    with pytest.raises(ContractRefused) as refused:
        bench.null.publish(OWNER.address, oracle, keccak(b"manifest"), PRICES, uri)
    assert refused.value.name == name
    assert bench.null.listing_count() == 0


def test_refusal_of_unknown_name_is_a_defect_of_the_caller() -> None:
    with pytest.raises(StopIteration):
        refusal("Escrow_NoSuchError")


def test_escrowed_covers_what_is_owed_and_open(bench: NullBench) -> None:
    """M1: money comes in with an opening and leaves with a withdrawal, and in no other way."""
    first, second = opened(bench, salt=1), opened(bench, salt=2)
    assert bench.null.escrowed() == first.amount + second.amount
    bench.null.broadcast(prepared(bench, first))
    assert bench.null.escrowed() == first.amount + second.amount
    bench.null.withdraw_owed(OWNER.address, NATIVE)
    assert bench.null.escrowed() == first.amount + second.amount - CHARGE


def test_logged_holds_one_entry_for_each_charged_call(bench: NullBench) -> None:
    """E1: who paid what for which request and result; calls that were not charged leave none."""
    charged, declined = opened(bench, salt=1), opened(bench, salt=2)
    bench.null.broadcast(prepared(bench, charged))
    bench.null.broadcast(bench.null.prepare_decline(ORACLE, declined, bench.null.next_nonce(ORACLE.address)))
    (entry,) = bench.null.logged()
    assert (entry.call_id, entry.payer, entry.charge) == (charged.call_id(bench.null.domain), PAYER.address, CHARGE)
    assert (entry.request_commitment, entry.result_hash) == (charged.request_commitment, OUTCOME.result_hash)


# ---- signed bytes -----------------------------------------------------------------------------------------------------


def test_broadcast_runs_as_whoever_signed_the_bytes(bench: NullBench) -> None:
    """M7: the sender that the record claims does not count."""
    call = opened(bench)
    honest = prepared(bench, call)
    altered = replace(honest, raw=honest.raw.replace(b'"charge":"', b'"charge":"0', 1))
    bench.null.broadcast(replace(altered, hash=keccak(altered.raw)))
    assert state(bench, call) == CallState(CallStatus.OPEN, AMOUNT, call.deadline)
    assert bench.null.next_nonce(ORACLE.address) == honest.nonce


# ---- failures on demand -----------------------------------------------------------------------------------------------


def test_go_down_for_some_calls_fails_each_of_them_and_no_more(bench: NullBench) -> None:
    bench.null.go_down(2)
    for _ in range(2):
        with pytest.raises(ChainUnreachable):
            bench.null.head()
    bench.null.head()


def test_go_down_after_some_calls_answers_those(bench: NullBench) -> None:
    bench.null.go_down(1, after=2)
    for _ in range(2):
        bench.null.head()
    with pytest.raises(ChainUnreachable):
        bench.null.head()
    bench.null.head()


def test_go_down_stops_every_question_until_it_comes_back(bench: NullBench) -> None:
    call = opened(bench)
    transaction = prepared(bench, call)
    bench.null.go_down()
    questions = (
        bench.null.verify_history,
        bench.null.head,
        bench.null.listing_count,
        lambda: bench.null.listing(1),
        lambda: bench.null.revision(1, 1),
        lambda: state(bench, call),
        lambda: bench.null.next_nonce(ORACLE.address),
        lambda: prepared(bench, call),
        lambda: bench.null.prepare_decline(ORACLE, call, 0),
        lambda: bench.null.broadcast(transaction),
        lambda: bench.null.outcome(transaction.hash),
        lambda: bench.null.why_reverted(transaction.hash),
    )
    for question in questions:
        with pytest.raises(ChainUnreachable):
            question()
    bench.null.come_back()
    assert state(bench, call).status is CallStatus.OPEN


def test_lose_next_answer_takes_the_transaction_all_the_same(bench: NullBench) -> None:
    """S4: that is what unknown means."""
    transaction = prepared(bench, opened(bench))
    bench.null.lose_next_answer()
    with pytest.raises(ChainUnreachable):
        bench.null.broadcast(transaction)
    assert isinstance(bench.null.outcome(transaction.hash), Mined)
    bench.null.broadcast(transaction)


def test_drop_next_broadcast_looks_like_success(bench: NullBench) -> None:
    transaction = prepared(bench, opened(bench))
    bench.null.drop_next_broadcast()
    bench.null.broadcast(transaction)
    bench.mine(1)
    assert bench.null.outcome(transaction.hash) == Pending()
    bench.null.broadcast(transaction)
    assert isinstance(bench.null.outcome(transaction.hash), Mined)


def test_run_out_of_gas_reverts_without_a_reason(bench: NullBench) -> None:
    call = opened(bench)
    transaction = prepared(bench, call)
    bench.null.run_out_of_gas()
    bench.null.broadcast(transaction)
    found = bench.null.outcome(transaction.hash)
    assert isinstance(found, Mined)
    assert not found.succeeded
    assert bench.null.why_reverted(transaction.hash).name == ""
    assert state(bench, call).status is CallStatus.OPEN
    assert bench.null.next_nonce(ORACLE.address) == transaction.nonce + 1


def test_mine_while_held_takes_the_whole_mempool_into_one_block(bench: NullBench) -> None:
    first, second = opened(bench, salt=1), opened(bench, salt=2)
    bench.hold()
    one = prepared(bench, first)
    two = bench.null.prepare_fulfil(ORACLE, second, OUTCOME, one.nonce + 1)
    bench.null.broadcast(two)
    bench.null.broadcast(one)
    number = bench.null.head().number
    bench.mine(1)
    blocks = [bench.null.outcome(transaction.hash) for transaction in (one, two)]
    assert [found.block for found in blocks if isinstance(found, Mined)] == [number + 1, number + 1]


def test_mempool_forgets_a_transaction_whose_nonce_was_used(bench: NullBench) -> None:
    call = opened(bench)
    transaction = prepared(bench, call)
    bench.hold()
    bench.null.broadcast(transaction)
    mark = bench.mark()
    other = bench.null.prepare_decline(ORACLE, call, transaction.nonce)
    assert mark == bench.mark()
    with pytest.raises(ChainUnreachable, match="underpriced"):
        bench.null.broadcast(other)
    bench.release()
    with pytest.raises(ChainUnreachable, match="nonce too low"):
        bench.null.broadcast(other)


@pytest.mark.parametrize("depth", [-1, 0, 2, 10])
def test_reorganise_deeper_than_the_contracts_is_refused(bench: NullBench, depth: int) -> None:
    head = bench.null.head()
    with pytest.raises(ValueError, match="no reorganisation of depth"):
        bench.null.reorganise(depth)
    assert bench.null.head() == head


def test_reset_is_noticed_by_verify_history(bench: NullBench) -> None:
    """S5: everything is gone, though the address is the same."""
    call = opened(bench)
    bench.null.reset()
    assert state(bench, call).status is CallStatus.NONE
    assert bench.null.next_nonce(PAYER.address) == 0
    with pytest.raises(DeploymentMismatch) as noticed:
        bench.null.verify_history()
    assert noticed.value.details["block"] == 1
    assert noticed.value.details["actual"] != noticed.value.details["expected"]


def test_null_chain_without_a_clock_uses_the_time_of_day() -> None:
    assert NullChain(5).domain.chain_id == 5
    assert NullChain().head().timestamp > 1_700_000_000


# ---- fee, share and tiers, which the development marketplace has none of ---------------------------------------------


def test_fulfil_divides_what_is_earned_by_the_fee_of_its_opening(bench: NullBench) -> None:
    bench.null.set_fee(500, STRANGER.address)
    listing = bench.null.publish(OWNER.address, ORACLE.address, keccak(b"manifest"), PRICES, oracle_share_bps=2_500)
    call = terms(bench, listing)
    bench.open(call)
    bench.null.set_fee(0, STRANGER.address)
    bench.null.broadcast(prepared(bench, call))
    fee = CHARGE * 500 // 10_000
    share = (CHARGE - fee) * 2_500 // 10_000
    assert [bench.owed(wallet) for wallet in (STRANGER, ORACLE, OWNER, PAYER)] == [
        fee,
        share,
        CHARGE - fee - share,
        AMOUNT - CHARGE,
    ]
    assert state(bench, call) == CallState(CallStatus.FULFILLED, CHARGE, call.deadline, 500)


@pytest.mark.parametrize(
    ("fee_bps", "collector", "name"),
    [(501, STRANGER.address, "Escrow_FeeTooHigh"), (1, "0x" + "0" * 40, "Escrow_ZeroCollector")],
)
def test_set_fee_that_can_not_be_is_refused(bench: NullBench, fee_bps: int, collector: str, name: str) -> None:
    with pytest.raises(ContractRefused) as refused:
        bench.null.set_fee(fee_bps, collector)
    assert refused.value.name == name
    call = opened(bench)
    assert state(bench, call).fee_bps == 0


def test_fulfil_above_the_tier_that_the_payer_reached_is_refused(bench: NullBench) -> None:
    tiers = (Tier(1, 1_000),)
    listing = bench.null.publish(OWNER.address, ORACLE.address, keccak(b"manifest"), PRICES, tiers=tiers)
    first, second = (terms(bench, listing, salt=salt) for salt in (1, 2))
    bench.open(first)
    bench.open(second)
    bench.null.broadcast(prepared(bench, first))
    with pytest.raises(ContractRefused) as refused:
        prepared(bench, second)
    assert refused.value.arguments == {"actual": str(CHARGE), "maximum": str(CHARGE * 9 // 10)}
    assert state(bench, second).status is CallStatus.OPEN
