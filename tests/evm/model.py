"""The money rules as a pure model, written from contracts/interfaces: what every operation changes, or why it is refused.

An operation checks everything first and raises Refusal, or changes the books and notes its events. Integers only. Tests
run it beside the contract. The clock is `time`, which whoever drives the model sets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from tallystick.protocol.accounts import ChannelTerms, PositionTerms, key_account, settled_call_id
from tallystick.protocol.calls import CallStatus, DirectCall, Mode, Outcome
from tallystick.protocol.encoding import Domain
from tallystick.protocol.hexes import ZERO_ADDRESS
from tallystick.protocol.outcomes import LoggedOutcome, pack_outcome
from tallystick.protocol.prices import NATIVE, Units
from tallystick.protocol.revisions import RevisionTerms

from tests.evm.model_states import (
    CHANNEL_ROOM,
    EMPTY,
    MAX_CALL_DURATION,
    MAX_FEE_BPS,
    REASONS,
    WINDOW,
    Channel,
    DirectState,
    Group,
    Key,
    Position,
)
from tests.evm.model_world import ALL_BPS, Catalogue, Move, Permit, Purses, Refusal


class Books:
    """The escrow."""

    def __init__(self, domain: Domain, administrator: str, catalogue: Catalogue, purses: Purses) -> None:
        self.domain, self.administrator = domain, administrator
        self.catalogue, self.purses = catalogue, purses
        self.time = 0
        self.owed: dict[tuple[str, str], int] = defaultdict(int)
        self.calls: dict[bytes, DirectState] = {}
        self.channels: dict[bytes, Channel] = {}
        self.keys: dict[tuple[bytes, bytes], Key] = {}
        self.positions: dict[bytes, Position] = {}
        self.trials: set[tuple[str, int]] = set()
        self.charged: set[tuple[bytes, int]] = set()
        self.calls_of: dict[tuple[str, int], int] = defaultdict(int)
        self.fee_bps, self.collector = 0, ZERO_ADDRESS
        self.paused = False
        self.batches = 0
        self.native_held = 0
        self.wallets: dict[str, str | None] = {}
        """Payers that are contracts: who signs for them; None while they approve of nothing."""
        self.refusing: set[str] = set()
        """Receivers that don't take ether."""
        self.events: list[tuple[str, dict[str, Any]]] = []

    # ---- what comes in, what goes out

    def withdraw(self, sender: str, asset: str, to: str) -> int:
        if to == ZERO_ADDRESS:
            raise Refusal("Escrow_ZeroReceiver")
        amount = self.owed[sender, asset]
        if amount == 0:
            raise Refusal("Escrow_NothingToWithdraw", sender, asset)
        if asset != NATIVE:
            self.purses.apply(asset, self.purses.push(asset, to, amount))
        elif to in self.refusing:
            raise Refusal("Escrow_TransferFailed", to, amount)
        else:
            self.native_held -= amount
        self.owed[sender, asset] = 0
        self._note("Withdrawn", account=sender, asset=asset, to=to, amount=amount)
        return amount

    def set_paused(self, sender: str, paused: bool) -> None:
        self._require_administrator(sender)
        if self.paused == paused:
            raise Refusal("EnforcedPause" if paused else "ExpectedPause")
        self.paused = paused
        self._note("Paused" if paused else "Unpaused", account=sender)

    def set_fee(self, sender: str, fee_bps: int, collector: str) -> None:
        self._require_administrator(sender)
        if fee_bps > MAX_FEE_BPS:
            raise Refusal("Escrow_FeeTooHigh", fee_bps, MAX_FEE_BPS)
        if collector == ZERO_ADDRESS:
            raise Refusal("Escrow_ZeroCollector")
        self.fee_bps, self.collector = fee_bps, collector
        self._note("FeeChanged", feeBps=fee_bps, collector=collector)

    # ---- direct calls

    def open(self, sender: str, call: DirectCall, value: int) -> bytes:
        self._require_running()
        self._require_payer(sender, call.payer)
        call_id = self._require_openable(call)
        self._take_exactly(sender, call.asset, call.amount, value)
        return self._open(call_id, call)

    def open_with_authorisation(self, call: DirectCall, permit: Permit) -> bytes:
        """Anybody may."""
        self._require_running()
        call_id = self._require_openable(call)
        if call.asset == NATIVE:
            raise Refusal("Escrow_NotAToken", call.asset)
        if call.asset != self.purses.token:
            raise Refusal()
        used = (call.payer, permit.nonce) in self.purses.used
        relayed = None if used else self.purses.relay(permit, call, call_id, self.time)
        emptied = self.purses.empty(call.asset, call_id, relayed.measured if relayed else 0)
        if emptied.measured < call.amount:
            raise Refusal("Escrow_TokenShort", emptied.measured, call.amount)
        self._open(call_id, call)
        if relayed:
            self._relayed(call, permit, relayed)
        self._credit_from_till(call_id, call, emptied, emptied.measured - call.amount)
        return call_id

    def recover(self, sender: str, call: DirectCall) -> None:
        if self.time <= call.deadline:
            self._require_payer(sender, call.payer)
        if call.asset == NATIVE:
            raise Refusal("Escrow_NotAToken", call.asset)
        call_id = call.call_id(self.domain)
        emptied = self.purses.empty(call.asset, call_id)
        if emptied.measured == 0:
            raise Refusal("Escrow_NothingToWithdraw", call.payer, call.asset)
        self._credit_from_till(call_id, call, emptied, emptied.measured)

    def relay(self, call: DirectCall, permit: Permit) -> None:
        """Not the escrow's: somebody hands the authorisation to the token before it is asked to open the call."""
        self._relayed(call, permit, self.purses.relay(permit, call, call.call_id(self.domain), self.time))

    def fulfil(self, sender: str, call: DirectCall, outcome: Outcome) -> None:
        self._require_oracle(sender, call.oracle)
        call_id, state = self._require_open(call)
        if self.time > call.deadline:
            raise Refusal("Escrow_DeadlinePassed", self.time, call.deadline)
        if outcome.result_hash == EMPTY:
            raise Refusal("Escrow_EmptyResult")
        terms = self.catalogue.revision(call.listing_id, call.revision)
        assert terms is not None, "a call was opened for a revision that is none"
        maximum = min(call.amount, self.price_of(terms, outcome.units, call.payer, call.listing_id))
        if outcome.charge > maximum:
            raise Refusal("Escrow_ChargeTooHigh", outcome.charge, maximum)
        if terms.tiers:
            self.calls_of[call.payer, call.listing_id] += 1
        state.status, state.amount = CallStatus.FULFILLED, outcome.charge
        rest = call.amount - outcome.charge
        self.owed[call.payer, call.asset] += rest
        owner = self.catalogue.listing(call.listing_id).owner
        self._note_logged(
            call_id,
            call.listing_id,
            call.payer,
            call.request_commitment,
            outcome.result_hash,
            LoggedOutcome(call.revision, Mode.DIRECT, outcome.units, outcome.charge),
        )
        self._note("CallFulfilled", callId=call_id, earner=owner, refund=rest, receiptDigest=outcome.receipt_digest)
        self._earn(call_id, call.asset, outcome.charge, owner, call.oracle, terms.oracle_share_bps, state.fee_bps)

    def decline(self, sender: str, call: DirectCall) -> None:
        self._require_oracle(sender, call.oracle)
        call_id, state = self._require_open(call)
        self._give_back(call_id, state, CallStatus.DECLINED, "CallDeclined")

    def refund(self, call: DirectCall) -> None:
        call_id, state = self._require_open(call)
        if self.time <= call.deadline:
            raise Refusal("Escrow_DeadlineNotPassed", self.time, call.deadline)
        self._give_back(call_id, state, CallStatus.REFUNDED, "CallRefunded")

    # ---- channels

    def deposit(self, sender: str, terms: ChannelTerms, amount: int, value: int) -> bytes:
        self._require_running()
        if ZERO_ADDRESS in (terms.payer, terms.oracle):
            raise Refusal("Escrow_ChannelIncomplete")
        move = self._look_at_payment(sender, terms.asset, amount, value)
        arrived = move.measured
        channel_id, channel = self._channel(terms)
        if channel.closes_at:
            raise Refusal("Escrow_ChannelClosing", channel_id, channel.closes_at)
        room = CHANNEL_ROOM - channel.deposited
        if not 0 < arrived <= room:
            raise Refusal("Escrow_AmountOutOfRange", arrived, room)
        self._receive(terms.asset, move)
        if channel.deposited == 0:
            self._note(
                "ChannelOpened",
                channelId=channel_id,
                payer=terms.payer,
                oracle=terms.oracle,
                asset=terms.asset,
                number=terms.number,
            )
        channel.deposited += arrived
        self._note("ChannelDeposited", channelId=channel_id, amount=arrived, **{"from": sender})
        return channel_id

    def request_close(self, sender: str, terms: ChannelTerms) -> None:
        self._require_payer(sender, terms.payer)
        channel_id, channel = self._channel(terms)
        if channel.closes_at:
            raise Refusal("Escrow_ChannelClosing", channel_id, channel.closes_at)
        channel.closes_at = self.time + WINDOW
        self._note("ChannelClosing", channelId=channel_id, closesAt=channel.closes_at)

    def release(self, sender: str, terms: ChannelTerms) -> None:
        self._require_oracle(sender, terms.oracle)
        channel_id, channel = self._channel(terms)
        if channel.closes_at < self.time:
            raise Refusal("Escrow_ChannelNotClosable", channel_id, self.time, channel.closes_at)
        channel.closes_at = self.time - 1
        self._note("ChannelClosing", channelId=channel_id, closesAt=channel.closes_at)

    def close(self, terms: ChannelTerms) -> None:
        channel_id, channel = self._channel(terms)
        if not 0 < channel.closes_at < self.time:
            raise Refusal("Escrow_ChannelNotClosable", channel_id, self.time, channel.closes_at)
        rest = channel.deposited - channel.spent
        if rest == 0:
            raise Refusal("Escrow_NothingToWithdraw", terms.payer, terms.asset)
        channel.deposited = channel.spent
        self.owed[terms.payer, terms.asset] += rest
        self._note("ChannelClosed", channelId=channel_id, payer=terms.payer, amount=rest)

    def revoke_key(self, sender: str, terms: ChannelTerms, key_hash: bytes) -> None:
        self._require_payer(sender, terms.payer)
        channel_id = terms.channel_id(self.domain)
        key = self.keys.setdefault((channel_id, key_hash), Key())
        if key.revoked:
            raise Refusal("Escrow_KeyAlreadyRevoked", channel_id, key_hash)
        key.revoked = True
        self._note("KeyRevoked", channelId=channel_id, keyHash=key_hash)

    # ---- credits

    def buy_credits(self, sender: str, terms: PositionTerms, value: int) -> bytes:
        self._require_running()
        self._require_payer(sender, terms.payer)
        self.catalogue.require_on_sale(terms.listing_id, terms.revision, terms.oracle, terms.asset)
        plan = self.catalogue.plan(terms.listing_id, terms.revision, terms.plan)
        position_id = terms.position_id(self.domain)
        if position_id in self.positions:
            raise Refusal("Escrow_PositionExists", position_id)
        is_trial = plan.credit_price == 0
        if is_trial and (terms.payer, terms.listing_id) in self.trials:
            raise Refusal("Escrow_TrialUsed", terms.payer, terms.listing_id)
        self._take_exactly(sender, terms.asset, plan.tranche_price, value)
        if is_trial:
            self.trials.add((terms.payer, terms.listing_id))
        expires_at = self.time + plan.duration
        self.positions[position_id] = Position(terms, plan.credit_price, plan.credits, self.time, expires_at)
        self._note(
            "CreditsBought",
            positionId=position_id,
            listingId=terms.listing_id,
            payer=terms.payer,
            unlocked=plan.credits,
            expiresAt=expires_at,
        )
        return position_id

    def pay_instalment(self, sender: str, terms: PositionTerms, value: int) -> None:
        self._require_running()
        position_id, position = self._require_position(terms)
        plan = self.catalogue.plan(terms.listing_id, terms.revision, terms.plan)
        if position.tranches == plan.tranches:
            raise Refusal("Escrow_NothingDue", position.tranches, plan.tranches)
        if position.closes_at:
            raise Refusal("Escrow_PositionClosing", position_id, position.closes_at)
        due = position.bought_at + position.tranches * plan.interval
        if self.time > due:
            raise Refusal("Escrow_InstalmentOverdue", self.time, due)
        if not self.catalogue.is_served_by(terms.listing_id, terms.oracle):
            raise Refusal("Escrow_ListingWithdrawn", terms.listing_id)
        self._take_exactly(sender, terms.asset, plan.tranche_price, value)
        position.tranches += 1
        position.unlocked += plan.credits
        self._note("InstalmentPaid", positionId=position_id, tranches=position.tranches, unlocked=position.unlocked)

    def request_reclaim(self, sender: str, terms: PositionTerms) -> None:
        self._require_payer(sender, terms.payer)
        position_id, position = self._require_position(terms)
        if position.closes_at:
            raise Refusal("Escrow_PositionClosing", position_id, position.closes_at)
        if self.time > position.expires_at or self.catalogue.is_served_by(terms.listing_id, terms.oracle):
            raise Refusal("Escrow_NotReclaimable", self.time, position.expires_at)
        position.closes_at = self.time + WINDOW
        self._note("CreditsClosing", positionId=position_id, closesAt=position.closes_at)

    def reclaim(self, terms: PositionTerms) -> None:
        position_id, position = self._require_position(terms)
        if position.closed:
            raise Refusal("Escrow_PositionClosed", position_id)
        if self.time <= position.last:
            raise Refusal("Escrow_ReclaimTooEarly", self.time, position.last)
        amount = position.rest
        position.closed = True
        self.owed[terms.payer, terms.asset] += amount
        self._note(
            "CreditsReclaimed",
            positionId=position_id,
            payer=terms.payer,
            credits=position.unlocked - position.used,
            amount=amount,
        )

    # ---- batches

    def settle(self, sender: str, oracle: str, root: bytes, groups: Sequence[Group]) -> int:
        """`groups` in the contract's order: channels, keys, credits."""
        self._require_oracle(sender, oracle)
        if root == EMPTY:
            raise Refusal("Escrow_EmptyRoot")
        self.batches += 1
        self._note("BatchSettled", batchId=self.batches, oracle=oracle, receiptsRoot=root)
        position = dict.fromkeys(Mode, 0)
        for group in groups:
            self._settle_group(oracle, group, position[group.mode])
            position[group.mode] += 1
        return self.batches

    def price_of(self, terms: RevisionTerms, units: Units, payer: str, listing_id: int) -> int:
        """What the payer's next call of the listing costs, rounded down at each step."""
        sheet = terms.prices
        metered = (
            units.input_tokens * sheet.per_thousand_input_tokens
            + units.output_tokens * sheet.per_thousand_output_tokens
            + units.compute_ms * sheet.per_compute_second
        )
        discount = 0
        for tier in terms.tiers:
            if self.calls_of[payer, listing_id] >= tier.from_calls:
                discount = tier.discount_bps
        return (sheet.per_call + metered // 1000) * (ALL_BPS - discount) // ALL_BPS

    def id_of(self, terms: ChannelTerms | PositionTerms) -> bytes:
        if isinstance(terms, PositionTerms):
            return terms.position_id(self.domain)
        return terms.channel_id(self.domain)

    def is_signed(self, signer: str, payer: str) -> bool:
        return signer == payer or (signer != "" and self.wallets.get(payer) == signer)

    def _settle_group(self, oracle: str, group: Group, position: int) -> None:
        account = self.id_of(group.account)
        payer, asset = group.account.payer, group.account.asset
        terms = self.catalogue.revision(group.listing_id, group.revision)
        reason = self._group_problem(oracle, group, account, terms)
        if reason:
            self._note(
                "GroupSkipped",
                batchId=self.batches,
                accountId=account,
                mode=int(group.mode),
                position=position,
                reason=REASONS.index(reason),
            )
            return
        assert terms is not None
        counted_under, spent, permitted, funded = self._limits(group, account)
        by_funds = funded < permitted
        room = max(0, min(permitted, funded) - spent)
        charged = calls = 0
        for entry in group.entries:
            call_id = settled_call_id(counted_under, entry.index)
            _, result, _ = entry.as_tuple()
            commitment = entry.as_tuple()[0]
            price = 1 if group.mode is Mode.CREDITS else self.price_of(terms, entry.units, payer, group.listing_id)
            if (counted_under, entry.index) in self.charged:
                problem = "AlreadyCharged"
            elif EMPTY in (commitment, result):
                problem = "EmptyHash"
            elif entry.charge > price:
                problem = "AbovePrice"
            elif charged + entry.charge > room:
                problem = "AboveDeposit" if by_funds else "AboveAuthorisation"
            else:
                problem = ""
            if problem:
                self._note("CallSkipped", batchId=self.batches, callId=call_id, reason=REASONS.index(problem))
                continue
            self.charged.add((counted_under, entry.index))
            charged += entry.charge
            calls += 1
            if terms.tiers and group.mode is not Mode.CREDITS:
                self.calls_of[payer, group.listing_id] += 1
            self._note_logged(
                call_id,
                group.listing_id,
                payer,
                commitment,
                result,
                LoggedOutcome(group.revision, group.mode, entry.units, entry.charge),
            )
        if calls == 0:
            return
        amount = self._book(group, account, charged)
        owner = self.catalogue.listing(group.listing_id).owner
        self._note("AccountCharged", batchId=self.batches, accountId=account, earner=owner, amount=amount, calls=calls)
        self._earn(account, asset, amount, owner, oracle, terms.oracle_share_bps, self.fee_bps)

    def _group_problem(self, oracle: str, group: Group, account: bytes, terms: RevisionTerms | None) -> str:
        if group.account.oracle != oracle or terms is None or terms.oracle != oracle:
            return "WrongOracle"
        if group.mode is Mode.CREDITS:
            position = self.positions.get(account)
            if position is None or position.closed or self.time > position.last:
                return "AccountClosed"
        else:
            if terms.prices.asset != group.account.asset:
                return "WrongAsset"
            channel = self.channels.get(account)
            if channel is not None and 0 < channel.closes_at < self.time:
                return "AccountClosed"
        if group.grant is not None:
            key = self.keys.get((account, group.grant.key_hash))
            if key is not None and key.revoked:
                return "KeyRevoked"
            if self.time > group.grant.expiry:
                return "KeyExpired"
            if group.grant.listings and group.listing_id not in group.grant.listings:
                return "OutOfScope"
        return "" if self.is_signed(group.signer, group.account.payer) else "BadSignature"

    def _limits(self, group: Group, account: bytes) -> tuple[bytes, int, int, int]:
        """What calls are counted under, what was spent there, what the payer permitted, and what is there to pay with."""
        if group.mode is Mode.CREDITS:
            position = self.positions[account]
            return account, position.used, group.maximum, position.unlocked
        channel = self.channels.get(account) or Channel(group.account)
        if group.grant is None:
            return account, channel.spent, group.maximum, channel.deposited
        key = self.keys.get((account, group.grant.key_hash)) or Key()
        funded = key.spent + channel.deposited - channel.spent
        return key_account(account, group.grant.key_hash), key.spent, group.grant.cap, funded

    def _book(self, group: Group, account: bytes, charged: int) -> int:
        """Writes what a group cost to its account. Gives it in atomic units."""
        if group.mode is Mode.CREDITS:
            self.positions[account].used += charged
            return charged * self.positions[account].credit_price
        self._channel(group.account)[1].spent += charged
        if group.grant is not None:
            self.keys.setdefault((account, group.grant.key_hash), Key()).spent += charged
        return charged

    # ---- what must hold

    def liabilities(self, asset: str) -> int:
        """All that is owed or held for somebody in one asset (M1)."""
        return (
            sum(amount for (_, owed), amount in self.owed.items() if owed == asset)
            + sum(s.amount for s in self.calls.values() if s.status is CallStatus.OPEN and s.call.asset == asset)
            + sum(
                channel.deposited - channel.spent for channel in self.channels.values() if channel.terms.asset == asset
            )
            + sum(position.rest for position in self.positions.values() if position.terms.asset == asset)
        )

    # ---- parts of operations

    def _note(self, name: str, **arguments: Any) -> None:
        self.events.append((name, arguments))

    def _note_logged(
        self, call_id: bytes, listing_id: int, payer: str, commitment: bytes, result: bytes, outcome: LoggedOutcome
    ) -> None:
        self._note(
            "CallLogged",
            callId=call_id,
            listingId=listing_id,
            payer=payer,
            requestCommitment=commitment,
            resultHash=result,
            outcome=pack_outcome(outcome),
        )

    def _require_running(self) -> None:
        if self.paused:
            raise Refusal("EnforcedPause")

    def _require_administrator(self, sender: str) -> None:
        if sender != self.administrator:
            raise Refusal("OwnableUnauthorizedAccount", sender)

    def _require_payer(self, sender: str, payer: str) -> None:
        if sender != payer:
            raise Refusal("Escrow_NotPayer", sender, payer)

    def _require_oracle(self, sender: str, oracle: str) -> None:
        if not self.catalogue.acts_for(sender, oracle):
            raise Refusal("Escrow_NotOracle", sender, oracle)

    def _require_openable(self, call: DirectCall) -> bytes:
        if call.request_commitment == EMPTY:
            raise Refusal("Escrow_EmptyCommitment")
        if not self.time < call.deadline <= self.time + MAX_CALL_DURATION:
            latest = self.time + MAX_CALL_DURATION
            raise Refusal("Escrow_DeadlineOutOfRange", call.deadline, self.time + 1, latest)
        self.catalogue.require_on_sale(call.listing_id, call.revision, call.oracle, call.asset)
        call_id = call.call_id(self.domain)
        if call_id in self.calls:
            raise Refusal("Escrow_CallNotInState", call_id, self.calls[call_id].status, CallStatus.NONE)
        return call_id

    def _open(self, call_id: bytes, call: DirectCall) -> bytes:
        self.calls[call_id] = DirectState(call, CallStatus.OPEN, call.amount, self.fee_bps)
        self._note("CallOpened", callId=call_id, listingId=call.listing_id, payer=call.payer)
        return call_id

    def _require_open(self, call: DirectCall) -> tuple[bytes, DirectState]:
        call_id = call.call_id(self.domain)
        state = self.calls.get(call_id)
        status = CallStatus.NONE if state is None else state.status
        if state is None or status is not CallStatus.OPEN:
            raise Refusal("Escrow_CallNotInState", call_id, status, CallStatus.OPEN)
        return call_id, state

    def _give_back(self, call_id: bytes, state: DirectState, status: CallStatus, event: str) -> None:
        state.status, state.amount = status, 0
        self.owed[state.call.payer, state.call.asset] += state.call.amount
        self._note(event, callId=call_id, payer=state.call.payer, refund=state.call.amount)

    def _relayed(self, call: DirectCall, permit: Permit, move: Move) -> None:
        self.purses.apply(call.asset, move)
        self.purses.used.add((call.payer, permit.nonce))

    def _credit_from_till(self, call_id: bytes, call: DirectCall, emptied: Move, amount: int) -> None:
        self.purses.apply(call.asset, emptied)
        if amount:
            self.owed[call.payer, call.asset] += amount
            self._note("TillEmptied", callId=call_id, payer=call.payer, asset=call.asset, amount=amount)

    def _channel(self, terms: ChannelTerms) -> tuple[bytes, Channel]:
        channel_id = terms.channel_id(self.domain)
        return channel_id, self.channels.setdefault(channel_id, Channel(terms))

    def _require_position(self, terms: PositionTerms) -> tuple[bytes, Position]:
        position_id = terms.position_id(self.domain)
        if position_id not in self.positions:
            raise Refusal("Escrow_UnknownPosition", position_id)
        return position_id, self.positions[position_id]

    def _look_at_payment(self, sender: str, asset: str, amount: int, value: int) -> Move:
        """What paying would move. `measured` is what the books count."""
        expected = amount if asset == NATIVE else 0
        if value != expected:
            raise Refusal("Escrow_WrongValue", value, expected)
        if asset == NATIVE or amount == 0:
            return Move(amount)
        return self.purses.pull(asset, sender, amount)

    def _receive(self, asset: str, move: Move) -> None:
        if asset == NATIVE:
            self.native_held += move.measured
        else:
            self.purses.apply(asset, move)

    def _take_exactly(self, sender: str, asset: str, amount: int, value: int) -> None:
        move = self._look_at_payment(sender, asset, amount, value)
        if move.measured != amount:
            raise Refusal("Escrow_TokenShort", move.measured, amount)
        self._receive(asset, move)

    def _earn(
        self, about: bytes, asset: str, amount: int, owner: str, oracle: str, share_bps: int, fee_bps: int
    ) -> None:
        """First the fee, of the rest the oracle's share, what is left for the owner."""
        fee = amount * fee_bps // ALL_BPS
        share = (amount - fee) * share_bps // ALL_BPS
        if fee or share:
            self._note("EarningsSplit", id=about, oracle=oracle, oracleAmount=share, collector=self.collector, fee=fee)
        self.owed[self.collector, asset] += fee
        self.owed[oracle, asset] += share
        self.owed[owner, asset] += amount - fee - share
