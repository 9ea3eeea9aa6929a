"""What `Chain` promises, asked of both that keep it: `NullChain`, and `Marketplace` with the contracts on Ganache."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_hash.auto import keccak
from tallystick.chain.types import Listing, Mined, Pending, Revision
from tallystick.errors import ContractRefused, NodeError, UnknownListing, WrongRevision
from tallystick.protocol.calls import CallState, CallStatus, DirectCall, Outcome
from tallystick.protocol.prices import NATIVE, Units
from tallystick.protocol.revisions import RevisionTerms

from .bench import (
    AMOUNT,
    CHARGE,
    MANIFEST,
    ORACLE,
    OUTCOME,
    OWNER,
    PAYER,
    PRICES,
    STRANGER,
    UNITS,
    Bench,
    GanacheBench,
    terms,
)

NONE = CallState(CallStatus.NONE, 0, 0)
OTHER_ASSET = "0x5FbDB2315678afecb367f032d93F642f64180aa3"


def fulfil(bench: Bench, call: DirectCall, outcome: Outcome = OUTCOME) -> Mined:
    transaction = bench.chain.prepare_fulfil(ORACLE, call, outcome, bench.chain.next_nonce(ORACLE.address))
    bench.chain.broadcast(transaction)
    return bench.wait_for(transaction.hash)


def decline(bench: Bench, call: DirectCall) -> Mined:
    transaction = bench.chain.prepare_decline(ORACLE, call, bench.chain.next_nonce(ORACLE.address))
    bench.chain.broadcast(transaction)
    return bench.wait_for(transaction.hash)


def opened(bench: Bench, **changes: Any) -> DirectCall:
    call = terms(bench, bench.publish(), **changes)
    bench.open(call)
    return call


def state(bench: Bench, call: DirectCall) -> CallState:
    return bench.chain.call_state(call.call_id(bench.chain.domain))


# ---- listings -------------------------------------------------------------------------------------------------------


def test_listing_after_publish_says_what_was_published(bench: Bench) -> None:
    before = bench.chain.listing_count()
    listing = bench.publish()
    assert listing == before + 1 == bench.chain.listing_count()
    assert bench.chain.listing(listing) == Listing(listing, OWNER.address, ORACLE.address, 1, False)
    assert bench.chain.revision(listing, 1) == Revision(
        listing, 1, RevisionTerms(ORACLE.address, MANIFEST, PRICES, "ipfs://manifest")
    )


def test_revision_after_revise_keeps_the_earlier_one(bench: Bench) -> None:
    """M9: the terms of an earlier revision can still be read, unchanged."""
    listing = bench.publish()
    bench.revise(listing, replace(PRICES, per_call=2_000))
    assert bench.chain.listing(listing).latest_revision == 2
    assert bench.chain.revision(listing, 1).prices == PRICES
    assert bench.chain.revision(listing, 2).prices.per_call == 2_000


def test_listing_after_withdrawal_and_relisting(bench: Bench) -> None:
    listing = bench.publish()
    bench.withdraw_listing(listing)
    assert bench.chain.listing(listing).withdrawn
    bench.relist(listing)
    assert not bench.chain.listing(listing).withdrawn


@pytest.mark.parametrize("listing", [0, 10**6, 2**256 - 1])
def test_listing_unknown_is_refused(bench: Bench, listing: int) -> None:
    with pytest.raises(UnknownListing) as refused:
        bench.chain.listing(listing)
    assert refused.value.details == {"listing": str(listing)}


def test_revision_of_unknown_listing_is_refused(bench: Bench) -> None:
    with pytest.raises(UnknownListing) as refused:
        bench.chain.revision(10**6, 1)
    assert refused.value.details == {"listing": str(10**6)}


@pytest.mark.parametrize("revision", [0, 2, 2**32 - 1])
def test_revision_unknown_is_refused(bench: Bench, revision: int) -> None:
    listing = bench.publish()
    with pytest.raises(WrongRevision) as refused:
        bench.chain.revision(listing, revision)
    assert refused.value.details == {"listing": str(listing), "actual": revision}


def test_revise_by_a_stranger_is_refused(bench: Bench) -> None:
    listing = bench.publish()
    with pytest.raises(ContractRefused) as refused:
        bench.revise(listing, PRICES, by=STRANGER)
    assert refused.value.name == "Registry_NotOwner"
    assert refused.value.arguments == {"actual": STRANGER.address.lower(), "expected": OWNER.address.lower()}
    assert bench.chain.listing(listing).latest_revision == 1


def test_withdraw_listing_twice_is_refused(bench: Bench) -> None:
    listing = bench.publish()
    bench.withdraw_listing(listing)
    with pytest.raises(ContractRefused) as refused:
        bench.withdraw_listing(listing)
    assert (refused.value.name, refused.value.arguments) == ("Registry_SaleStateUnchanged", {"withdrawn": True})


def test_publish_without_a_manifest_is_refused(bench: Bench) -> None:
    before = bench.chain.listing_count()
    with pytest.raises(ContractRefused) as refused:
        bench.publish(manifest=bytes(32))
    assert (refused.value.name, refused.value.arguments) == ("Registry_EmptyManifest", {})
    assert bench.chain.listing_count() == before


# ---- opening --------------------------------------------------------------------------------------------------------


def test_call_state_never_opened_is_all_zero(bench: Bench) -> None:
    assert bench.chain.call_state(keccak(b"no such call")) == NONE


def test_open_escrows_the_amount(bench: Bench) -> None:
    call = opened(bench)
    assert state(bench, call) == CallState(CallStatus.OPEN, AMOUNT, call.deadline)


def test_call_state_counts_confirmations_from_the_block_itself(bench: Bench) -> None:
    """S5: an opening is not there at a depth that it has not reached."""
    call = opened(bench)
    call_id = call.call_id(bench.chain.domain)
    assert bench.chain.call_state(call_id, 1).status is CallStatus.OPEN
    assert bench.chain.call_state(call_id, 2) == NONE
    bench.mine(1)
    assert bench.chain.call_state(call_id, 2).status is CallStatus.OPEN
    assert bench.chain.call_state(call_id, 3) == NONE


def test_call_state_deeper_than_the_chain_is_all_zero(bench: Bench) -> None:
    call = opened(bench)
    assert bench.chain.call_state(call.call_id(bench.chain.domain), 10**6) == NONE


REFUSED_OPENINGS = {
    "Escrow_NotPayer": ({"payer": STRANGER.address}, {"actual": PAYER.address.lower()}),
    "Escrow_EmptyCommitment": ({"request_commitment": bytes(32)}, {}),
    "Registry_UnknownListing": ({"listing_id": 10**6}, {"actual": str(10**6)}),
    "Escrow_RevisionNotForSale": ({"revision": 2}, {"actual": "2", "expected": "1"}),
    "Escrow_WrongOracle": ({"oracle": STRANGER.address}, {"expected": ORACLE.address.lower()}),
    "Escrow_WrongAsset": ({"asset": OTHER_ASSET}, {"actual": OTHER_ASSET.lower(), "expected": NATIVE}),
}


@pytest.mark.parametrize("name", REFUSED_OPENINGS)
def test_open_with_wrong_terms_is_refused(bench: Bench, name: str) -> None:
    changes, arguments = REFUSED_OPENINGS[name]
    call = terms(bench, bench.publish(), **changes)
    with pytest.raises(ContractRefused) as refused:
        bench.open(call)
    assert refused.value.name == name
    assert arguments.items() <= refused.value.arguments.items()
    assert state(bench, call) == NONE


def test_open_with_another_value_is_refused(bench: Bench) -> None:
    call = terms(bench, bench.publish())
    with pytest.raises(ContractRefused) as refused:
        bench.open(call, value=AMOUNT - 1)
    assert refused.value.name == "Escrow_WrongValue"
    assert refused.value.arguments == {"actual": str(AMOUNT - 1), "expected": str(AMOUNT)}
    assert state(bench, call) == NONE


def test_open_on_withdrawn_listing_is_refused(bench: Bench) -> None:
    listing = bench.publish()
    bench.withdraw_listing(listing)
    call = terms(bench, listing)
    with pytest.raises(ContractRefused) as refused:
        bench.open(call)
    assert (refused.value.name, refused.value.arguments) == ("Escrow_ListingWithdrawn", {"listingId": str(listing)})
    assert state(bench, call) == NONE


def test_open_in_a_token_takes_no_value(bench: Bench) -> None:
    call = terms(bench, bench.publish(replace(PRICES, asset=OTHER_ASSET)), asset=OTHER_ASSET)
    with pytest.raises(ContractRefused) as refused:
        bench.open(call)
    assert (refused.value.name, refused.value.arguments) == (
        "Escrow_WrongValue",
        {"actual": str(AMOUNT), "expected": "0"},
    )
    assert state(bench, call) == NONE


@pytest.mark.parametrize("seconds", [-1, 0, 7 * 24 * 3600 + 100])
def test_open_with_a_deadline_out_of_range_is_refused(bench: Bench, seconds: int) -> None:
    call = terms(bench, bench.publish(), seconds=seconds)
    with pytest.raises(ContractRefused) as refused:
        bench.open(call)
    assert refused.value.name == "Escrow_DeadlineOutOfRange"
    assert refused.value.arguments["actual"] == str(call.deadline)
    assert int(refused.value.arguments["latest"]) - int(refused.value.arguments["earliest"]) == 7 * 24 * 3600 - 1
    assert state(bench, call) == NONE


def test_open_twice_is_refused(bench: Bench) -> None:
    """M3: the same terms can be opened once."""
    call = opened(bench)
    with pytest.raises(ContractRefused) as refused:
        bench.open(call)
    assert refused.value.name == "Escrow_CallNotInState"
    assert refused.value.arguments == {
        "callId": "0x" + call.call_id(bench.chain.domain).hex(),
        "actual": str(int(CallStatus.OPEN)),
        "expected": str(int(CallStatus.NONE)),
    }
    assert state(bench, call).amount == AMOUNT


# ---- ending ---------------------------------------------------------------------------------------------------------


def test_fulfil_pays_the_owner_and_gives_the_rest_back(bench: Bench) -> None:
    """M1, M3, M5: the charge is owed to the listing's owner, the rest to the payer, and nothing is pushed."""
    call = opened(bench)
    owner, payer = bench.owed(OWNER), bench.owed(PAYER)
    mined = fulfil(bench, call)
    assert mined.succeeded
    assert state(bench, call) == CallState(CallStatus.FULFILLED, CHARGE, call.deadline)
    assert bench.owed(OWNER) - owner == CHARGE
    assert bench.owed(PAYER) - payer == AMOUNT - CHARGE


def test_fulfil_of_an_earlier_revision_is_priced_by_it(bench: Bench) -> None:
    """M9: a price change after the opening does not touch the call."""
    call = opened(bench)
    bench.revise(call.listing_id, replace(PRICES, per_call=1, per_thousand_input_tokens=0))
    assert fulfil(bench, call).succeeded
    assert state(bench, call).amount == CHARGE


def test_fulfil_on_a_withdrawn_listing_still_works(bench: Bench) -> None:
    call = opened(bench)
    bench.withdraw_listing(call.listing_id)
    assert fulfil(bench, call).succeeded


def test_fulfil_at_the_price_of_its_units_is_accepted_and_one_more_refused(bench: Bench) -> None:
    """M3: never more than the pinned price sheet gives for the posted units."""
    call = opened(bench)
    with pytest.raises(ContractRefused) as refused:
        fulfil(bench, call, replace(OUTCOME, charge=CHARGE + 1))
    assert refused.value.name == "Escrow_ChargeTooHigh"
    assert refused.value.arguments == {"actual": str(CHARGE + 1), "maximum": str(CHARGE)}
    assert state(bench, call).status is CallStatus.OPEN


def test_fulfil_above_the_escrow_is_refused(bench: Bench) -> None:
    """M3: never more than was escrowed."""
    call = opened(bench, amount=500)
    with pytest.raises(ContractRefused) as refused:
        fulfil(bench, call, replace(OUTCOME, charge=501))
    assert refused.value.name == "Escrow_ChargeTooHigh"
    assert refused.value.arguments == {"actual": "501", "maximum": "500"}
    assert state(bench, call).status is CallStatus.OPEN


def test_fulfil_of_a_free_call_owes_all_to_the_payer(bench: Bench) -> None:
    call = opened(bench)
    payer = bench.owed(PAYER)
    fulfil(bench, call, replace(OUTCOME, units=Units(0, 0, 0), charge=0))
    assert state(bench, call) == CallState(CallStatus.FULFILLED, 0, call.deadline)
    assert bench.owed(PAYER) - payer == AMOUNT


def test_fulfil_without_a_result_is_refused(bench: Bench) -> None:
    call = opened(bench)
    with pytest.raises(ContractRefused) as refused:
        fulfil(bench, call, replace(OUTCOME, result_hash=bytes(32)))
    assert refused.value.name == "Escrow_EmptyResult"
    assert state(bench, call).status is CallStatus.OPEN


def test_fulfil_by_a_stranger_is_refused(bench: Bench) -> None:
    """M7: nobody but the oracle in the terms can end the call before its deadline."""
    call = opened(bench)
    with pytest.raises(ContractRefused) as refused:
        bench.chain.prepare_fulfil(STRANGER, call, OUTCOME, bench.chain.next_nonce(STRANGER.address))
    assert refused.value.name == "Escrow_NotOracle"
    assert refused.value.arguments == {"actual": STRANGER.address.lower(), "expected": ORACLE.address.lower()}
    assert state(bench, call).status is CallStatus.OPEN


def test_fulfil_with_altered_terms_is_refused(bench: Bench) -> None:
    """The terms are authentic because their hash is the key: altered ones are another call."""
    call = replace(opened(bench), amount=AMOUNT + 1)
    with pytest.raises(ContractRefused) as refused:
        fulfil(bench, call)
    assert refused.value.name == "Escrow_CallNotInState"
    assert refused.value.arguments["actual"] == str(int(CallStatus.NONE))
    assert state(bench, call) == NONE


def test_fulfil_before_its_deadline_is_accepted(bench: Bench) -> None:
    call = opened(bench)
    bench.pass_time(200)
    assert fulfil(bench, call).succeeded


def test_fulfil_after_its_deadline_is_refused(bench: Bench) -> None:
    """M4: what is not delivered in time costs nothing."""
    call = opened(bench)
    bench.pass_time(1_000)
    with pytest.raises(ContractRefused) as refused:
        fulfil(bench, call)
    assert refused.value.name == "Escrow_DeadlinePassed"
    assert refused.value.arguments["deadline"] == str(call.deadline)
    assert state(bench, call).status is CallStatus.OPEN


def test_fulfil_twice_is_refused(bench: Bench) -> None:
    """M3: a call is charged once."""
    call = opened(bench)
    fulfil(bench, call)
    owner = bench.owed(OWNER)
    with pytest.raises(ContractRefused) as refused:
        fulfil(bench, call)
    assert refused.value.name == "Escrow_CallNotInState"
    assert refused.value.arguments["actual"] == str(int(CallStatus.FULFILLED))
    assert bench.owed(OWNER) == owner


def test_decline_owes_all_to_the_payer(bench: Bench) -> None:
    """M4: a call that fails costs nothing."""
    call = opened(bench)
    payer = bench.owed(PAYER)
    assert decline(bench, call).succeeded
    assert state(bench, call) == CallState(CallStatus.DECLINED, 0, call.deadline)
    assert bench.owed(PAYER) - payer == AMOUNT


def test_decline_after_the_deadline_is_accepted(bench: Bench) -> None:
    call = opened(bench)
    bench.pass_time(1_000)
    assert decline(bench, call).succeeded


def test_decline_by_a_stranger_is_refused(bench: Bench) -> None:
    call = opened(bench)
    with pytest.raises(ContractRefused) as refused:
        bench.chain.prepare_decline(STRANGER, call, bench.chain.next_nonce(STRANGER.address))
    assert refused.value.name == "Escrow_NotOracle"
    assert state(bench, call).status is CallStatus.OPEN


def test_decline_of_a_fulfilled_call_is_refused(bench: Bench) -> None:
    call = opened(bench)
    fulfil(bench, call)
    with pytest.raises(ContractRefused) as refused:
        decline(bench, call)
    assert refused.value.name == "Escrow_CallNotInState"
    assert state(bench, call).status is CallStatus.FULFILLED


def test_refund_after_the_deadline_by_anyone_owes_all_to_the_payer(bench: Bench) -> None:
    """M4: nobody needs the oracle for it."""
    call = opened(bench)
    payer = bench.owed(PAYER)
    bench.pass_time(1_000)
    bench.refund(call)
    assert state(bench, call) == CallState(CallStatus.REFUNDED, 0, call.deadline)
    assert bench.owed(PAYER) - payer == AMOUNT


def test_refund_before_the_deadline_is_refused(bench: Bench) -> None:
    call = opened(bench)
    with pytest.raises(ContractRefused) as refused:
        bench.refund(call)
    assert refused.value.name == "Escrow_DeadlineNotPassed"
    assert refused.value.arguments["deadline"] == str(call.deadline)
    assert state(bench, call).status is CallStatus.OPEN


def test_refund_twice_is_refused(bench: Bench) -> None:
    call = opened(bench)
    bench.pass_time(1_000)
    bench.refund(call)
    payer = bench.owed(PAYER)
    with pytest.raises(ContractRefused) as refused:
        bench.refund(call)
    assert refused.value.name == "Escrow_CallNotInState"
    assert bench.owed(PAYER) == payer


def test_withdraw_pays_everything_out_once(bench: Bench) -> None:
    """M5: pulled by whom it is owed."""
    fulfil(bench, opened(bench))
    bench.withdraw_owed(OWNER)
    assert bench.owed(OWNER) == 0
    with pytest.raises(ContractRefused) as refused:
        bench.withdraw_owed(OWNER)
    assert refused.value.name == "Escrow_NothingToWithdraw"
    assert refused.value.arguments == {"account": OWNER.address.lower(), "asset": NATIVE}


# ---- transactions ---------------------------------------------------------------------------------------------------


def test_prepare_uses_no_nonce_and_changes_nothing(bench: Bench) -> None:
    call = opened(bench)
    nonce = bench.chain.next_nonce(ORACLE.address)
    transaction = bench.chain.prepare_fulfil(ORACLE, call, OUTCOME, nonce)
    assert (transaction.sender, transaction.nonce) == (ORACLE.address, nonce)
    assert bench.chain.next_nonce(ORACLE.address) == nonce
    assert isinstance(bench.chain.outcome(transaction.hash), Pending)
    assert state(bench, call).status is CallStatus.OPEN


def test_prepare_with_the_same_facts_gives_the_same_bytes(bench: Bench) -> None:
    call = opened(bench)
    nonce = bench.chain.next_nonce(ORACLE.address)
    first = bench.chain.prepare_fulfil(ORACLE, call, OUTCOME, nonce)
    assert bench.chain.prepare_fulfil(ORACLE, call, OUTCOME, nonce) == first
    assert bench.chain.prepare_fulfil(ORACLE, call, OUTCOME, nonce + 1).hash != first.hash


def test_next_nonce_counts_what_is_mined(bench: Bench) -> None:
    call = opened(bench)
    nonce = bench.chain.next_nonce(ORACLE.address)
    fulfil(bench, call)
    assert bench.chain.next_nonce(ORACLE.address) == nonce + 1
    assert bench.chain.next_nonce(ORACLE.address.lower()) == nonce + 1


def test_outcome_of_unknown_transaction_is_pending(bench: Bench) -> None:
    """S4: what was never seen is unknown, not failed."""
    assert bench.chain.outcome(keccak(b"never sent")) == Pending()


def test_outcome_of_mined_transaction_names_its_block(bench: Bench) -> None:
    mined = fulfil(bench, opened(bench))
    head = bench.chain.head()
    assert (mined.block, mined.block_hash, mined.depth) == (head.number, head.hash, 1)
    assert 0 < mined.gas_used <= mined.fee


def test_outcome_depth_counts_its_own_block(bench: Bench) -> None:
    mined = fulfil(bench, opened(bench))
    bench.mine(2)
    found = bench.chain.outcome(mined.transaction)
    assert found == replace(mined, depth=3)


def test_outcome_while_mining_is_held_is_pending(bench: Bench) -> None:
    call = opened(bench)
    bench.hold()
    transaction = bench.chain.prepare_fulfil(ORACLE, call, OUTCOME, bench.chain.next_nonce(ORACLE.address))
    bench.chain.broadcast(transaction)
    assert bench.chain.outcome(transaction.hash) == Pending()
    assert bench.chain.next_nonce(ORACLE.address) == transaction.nonce
    bench.release()
    assert bench.wait_for(transaction.hash).succeeded


def test_broadcast_again_while_pending_counts_as_success(bench: Bench) -> None:
    """S4: the same bytes may be sent again and again."""
    call = opened(bench)
    bench.hold()
    transaction = bench.chain.prepare_fulfil(ORACLE, call, OUTCOME, bench.chain.next_nonce(ORACLE.address))
    bench.chain.broadcast(transaction)
    bench.chain.broadcast(transaction)
    bench.release()
    assert bench.wait_for(transaction.hash).succeeded
    assert bench.chain.next_nonce(ORACLE.address) == transaction.nonce + 1


def test_broadcast_again_after_it_was_mined_counts_as_success(bench: Bench) -> None:
    """S4: and are mined once."""
    call = opened(bench)
    transaction = bench.chain.prepare_fulfil(ORACLE, call, OUTCOME, bench.chain.next_nonce(ORACLE.address))
    bench.chain.broadcast(transaction)
    mined = bench.wait_for(transaction.hash)
    bench.chain.broadcast(transaction)
    assert bench.chain.outcome(transaction.hash) == mined
    assert bench.chain.next_nonce(ORACLE.address) == transaction.nonce + 1


def test_broadcast_with_a_used_nonce_is_a_node_error(bench: Bench) -> None:
    """The node does not have it and will not take it: that is all that is said, and nothing is charged."""
    call = opened(bench)
    bench.use_nonce(ORACLE)  # Ganache takes a nonce of zero for none, and would take the second one too
    transaction = bench.chain.prepare_fulfil(ORACLE, call, OUTCOME, bench.chain.next_nonce(ORACLE.address))
    assert transaction.nonce > 0
    bench.use_nonce(ORACLE)
    with pytest.raises(NodeError):
        bench.chain.broadcast(transaction)
    assert bench.chain.outcome(transaction.hash) == Pending()
    assert state(bench, call).status is CallStatus.OPEN


def test_broadcast_with_a_pending_nonce_is_a_node_error(bench: Bench) -> None:
    one, other = opened(bench, salt=1), opened(bench, salt=2)
    bench.use_nonce(ORACLE)
    nonce = bench.chain.next_nonce(ORACLE.address)
    bench.hold()
    first = bench.chain.prepare_fulfil(ORACLE, one, OUTCOME, nonce)
    second = bench.chain.prepare_fulfil(ORACLE, other, OUTCOME, nonce)
    bench.chain.broadcast(first)
    with pytest.raises(NodeError):
        bench.chain.broadcast(second)
    bench.release()
    assert bench.wait_for(first.hash).succeeded
    assert state(bench, other).status is CallStatus.OPEN


def test_broadcast_beyond_the_next_nonce_waits_for_the_gap_to_close(bench: Bench) -> None:
    one, other = opened(bench, salt=1), opened(bench, salt=2)
    nonce = bench.chain.next_nonce(ORACLE.address)
    first = bench.chain.prepare_fulfil(ORACLE, one, OUTCOME, nonce)
    second = bench.chain.prepare_fulfil(ORACLE, other, OUTCOME, nonce + 1)
    # Held, because a Ganache that mines at once answers a broadcast only when it has mined it.
    bench.hold()
    bench.chain.broadcast(second)
    bench.release()
    bench.mine(1)
    assert bench.chain.outcome(second.hash) == Pending()
    bench.chain.broadcast(first)
    assert bench.wait_for(first.hash).succeeded
    assert bench.wait_for(second.hash).succeeded
    assert bench.chain.next_nonce(ORACLE.address) == nonce + 2


def test_why_reverted_names_the_contract_error(bench: Bench) -> None:
    """Both pass their dry run; only the first finds the call open when it is mined."""
    call = opened(bench)
    nonce = bench.chain.next_nonce(ORACLE.address)
    bench.hold()
    first = bench.chain.prepare_fulfil(ORACLE, call, OUTCOME, nonce)
    second = bench.chain.prepare_fulfil(ORACLE, call, replace(OUTCOME, charge=1), nonce + 1)
    bench.chain.broadcast(first)
    bench.chain.broadcast(second)
    bench.release()
    assert bench.wait_for(first.hash).succeeded
    assert not bench.wait_for(second.hash).succeeded
    why = bench.chain.why_reverted(second.hash)
    assert why.name == "Escrow_CallNotInState"
    assert why.arguments["actual"] == str(int(CallStatus.FULFILLED))
    assert bench.chain.next_nonce(ORACLE.address) == nonce + 2
    assert state(bench, call).amount == CHARGE


def test_why_reverted_of_unknown_transaction_is_a_node_error(bench: Bench) -> None:
    with pytest.raises(NodeError):
        bench.chain.why_reverted(keccak(b"never sent"))


# ---- history --------------------------------------------------------------------------------------------------------


def test_head_moves_on_with_each_block(bench: Bench) -> None:
    before = bench.chain.head()
    bench.mine(1)
    after = bench.chain.head()
    assert after.number == before.number + 1
    assert after.hash != before.hash
    assert after.timestamp >= before.timestamp


def test_head_follows_the_time_that_passes(bench: Bench) -> None:
    before = bench.chain.head()
    bench.pass_time(1_000)
    assert bench.chain.head().timestamp >= before.timestamp + 1_000


def test_verify_history_of_the_same_chain_is_silent(bench: Bench) -> None:
    opened(bench)
    bench.chain.verify_history()


def test_reorganisation_takes_a_posted_result_back(bench: Bench) -> None:
    """S5: the call is open again, the transaction unknown, its nonce free; the same bytes can be sent anew."""
    call = opened(bench)
    nonce, owner = bench.chain.next_nonce(ORACLE.address), bench.owed(OWNER)
    mark = bench.mark()
    mined = fulfil(bench, call)
    bench.reorganise_to(mark)
    assert bench.chain.outcome(mined.transaction) == Pending()
    assert bench.chain.next_nonce(ORACLE.address) == nonce
    assert state(bench, call).status is CallStatus.OPEN
    assert bench.owed(OWNER) == owner


def test_broadcast_after_a_reorganisation_takes_the_same_bytes_again(bench: Bench) -> None:
    call = opened(bench)
    transaction = bench.chain.prepare_fulfil(ORACLE, call, OUTCOME, bench.chain.next_nonce(ORACLE.address))
    mark = bench.mark()
    bench.chain.broadcast(transaction)
    first = bench.wait_for(transaction.hash)
    bench.reorganise_to(mark)
    bench.chain.broadcast(transaction)
    second = bench.wait_for(transaction.hash)
    assert second.succeeded
    assert second.block_hash != first.block_hash
    assert state(bench, call).status is CallStatus.FULFILLED


def test_reorganisation_takes_an_opening_back(bench: Bench) -> None:
    """S5: and the funds with it."""
    listing = bench.publish()
    mark = bench.mark()
    call = terms(bench, listing)
    bench.open(call)
    bench.reorganise_to(mark)
    assert state(bench, call) == NONE


def test_head_after_a_reorganisation_is_higher_and_another(bench: Bench) -> None:
    bench.publish()
    mark = bench.mark()
    bench.mine(2)
    before = bench.chain.head()
    bench.reorganise_to(mark)
    after = bench.chain.head()
    assert after.number > before.number
    assert after.hash != before.hash


def test_price_of_units_is_the_same_on_both_sides(ganache: GanacheBench) -> None:
    """M3: the contract computes the charge that the protocol does."""
    assert ganache.market.price_of(ganache.publish(), 1, UNITS) == PRICES.price_of(UNITS) == CHARGE
