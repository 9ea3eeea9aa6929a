"""The payer: asks for a price, opens a call, sends the request, checks the receipt, keeps it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tallystick.chain.marketplace import Marketplace
from tallystick.chain.types import Mined, Revision
from tallystick.chain.wallet import Wallet
from tallystick.client.archive import Archive
from tallystick.client.journal import Journal, PendingCall
from tallystick.client.remote import RemoteOracle
from tallystick.client.verify import checked_entry
from tallystick.errors import (
    BudgetExceeded,
    CallClosed,
    InsufficientFunds,
    InvalidRequest,
    ListingWithdrawn,
    OracleAnswerInvalid,
    PaymentRequired,
    QuoteTooHigh,
    ReceiptInvalid,
    TallystickError,
    TransactionUnknown,
    UnknownCall,
    WrongOracle,
)
from tallystick.protocol.bounds import most_units
from tallystick.protocol.calls import CallStatus, DirectCall
from tallystick.protocol.commitments import new_salt, request_commitment
from tallystick.protocol.disclosure import ArchiveEntry
from tallystick.protocol.hexes import from_decimal, to_hex
from tallystick.protocol.payments import DirectPayment
from tallystick.protocol.prices import NATIVE
from tallystick.protocol.requests import InferenceRequest

CONFIRMATION_POLL = 0.2
LONGEST_WISH = 3600
"""Most seconds, or confirmations, that an oracle may ask for."""


@dataclass(frozen=True)
class Quote:
    """What a request costs at most, in atomic units of `asset`. The oracle's word, but a harmless one: what is escrowed
    above the price of the units used comes back, and more units than the request can have are refused.

    `least_seconds`: the time until its deadline that the oracle asks for. `confirmations`: the depth that it waits for.
    """

    request: InferenceRequest
    oracle: str
    asset: str
    maximum: int
    least_seconds: int = 0
    confirmations: int = 1


@dataclass(frozen=True)
class PaidAnswer:
    """A verified answer. `opening` is the transaction that escrowed the call, None if it was fetched again.

    `settlement`: how far its posting had come when the reply left (`settlement`), and its `transaction` once signed.
    """

    call: DirectCall
    entry: ArchiveEntry
    opening: Mined | None
    settlement: Mapping[str, str]
    replayed: bool

    @property
    def result(self) -> Any:
        assert self.entry.disclosure is not None  # noqa: S101
        return self.entry.disclosure.result


class Client:
    """One payer at one oracle. Whatever fails, the journal still holds what is needed to go on or to be refunded."""

    def __init__(
        self,
        market: Marketplace,
        oracle: RemoteOracle,
        wallet: Wallet,
        state_dir: Path,
        *,
        archive: Path | None = None,
        call_duration: int = 300,
        confirmations: int = 1,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._market = market
        self._oracle = oracle
        self.wallet = wallet
        self.archive = Archive(archive or state_dir / "receipts.jsonl")
        self.journal = Journal(state_dir / "pending")
        self._call_duration = call_duration
        self._confirmations = confirmations
        self._clock = clock
        self._sleep = sleep

    def close(self) -> None:
        """Close the connections to the oracle; the marketplace is the caller's."""
        self._oracle.close()

    def quote(self, listing_id: int, input: Any, parameters: Mapping[str, Any] | None = None) -> Quote:  # noqa: A002
        """Ask what this request costs at most. Sends the request, unpaid. Raises what the oracle refuses it with."""
        listing = self._market.listing(listing_id)
        if listing.withdrawn:
            raise ListingWithdrawn(f"Listing {listing_id} is off sale; choose another.", listing=str(listing_id))
        revision = self._market.revision(listing_id, listing.latest_revision)
        request = InferenceRequest("classify", listing_id, revision.revision, input, dict(parameters or {}))
        try:
            request.canonical()
        except ValueError as error:
            raise InvalidRequest(f"The input can't be sent: {error}. Nothing was paid.", param="input") from None
        try:
            self._oracle.classify(_body(request), None)
        except PaymentRequired as answer:
            if answer.details.get("oracle") != listing.oracle:
                raise WrongOracle(
                    f"The oracle at {self._oracle.url} is {answer.details.get('oracle')}, but the listing names "
                    f"{listing.oracle}. Nothing was paid.",
                    actual=answer.details.get("oracle"),
                    expected=listing.oracle,
                ) from None
            return _plausible(
                Quote(request, listing.oracle, revision.prices.asset, _required(answer)), revision, answer
            )
        raise ReceiptInvalid("The oracle answered an unpaid request; nothing was paid, and its answer proves nothing.")

    def query(
        self,
        listing_id: int,
        input: Any,  # noqa: A002
        parameters: Mapping[str, Any] | None = None,
        *,
        budget: int | None = None,
        on_step: Callable[[str], None] = lambda _step: None,
    ) -> PaidAnswer:
        """One paid answer. `budget`: the most it may cost, in atomic units; raises BudgetExceeded before anything is paid."""
        on_step("asking the price")
        quote = self.quote(listing_id, input, parameters)
        unanswered = self._unanswered(quote)
        if unanswered is not None:
            on_step("fetching the answer of a call that is open already")
            return self.fetch(unanswered)
        on_step("opening the call")
        pending, opening = self.open(quote, budget=budget)
        on_step("waiting for the answer")
        return self.fetch(pending, opening=opening)

    def _unanswered(self, quote: Quote) -> PendingCall | None:
        """A call for this very request that was paid and not answered: asking again must not pay again."""
        for pending in self.journal.all():
            same = pending.request == quote.request and pending.call.oracle == quote.oracle
            if same and pending.call.payer == self.wallet.address:
                status = self._market.call_state(pending.call_id).status
                if status is CallStatus.FULFILLED or (
                    status is CallStatus.OPEN and self._now() + quote.least_seconds <= pending.call.deadline
                ):
                    return pending
        return None

    def open(self, quote: Quote, *, budget: int | None = None) -> tuple[PendingCall, Mined]:
        """Escrow a quoted request. Raises BudgetExceeded, InsufficientFunds, ContractRefused or TransactionUnknown."""
        if budget is not None and quote.maximum > budget:
            raise BudgetExceeded(
                f"The call can cost {quote.maximum}, your budget is {budget}. Nothing was paid.",
                required=str(quote.maximum),
                available=str(budget),
            )
        pending = self._terms(quote)
        transaction = self._market.transactions.prepare(
            self.wallet, self._market.open_call(pending.call), value=pending.call.amount
        )
        # Before the money moves: the salt is the only key to the answer.
        self.journal.write(pending)
        with _naming(pending):
            opening = self._market.transactions.send_and_wait(transaction)
            self._wait_until_deep(pending, opening, max(self._confirmations, quote.confirmations))
        return pending, opening

    def _wait_until_deep(self, pending: PendingCall, opening: Mined, confirmations: int) -> None:
        while self._market.call_state(pending.call_id, confirmations).status is CallStatus.NONE:
            if self._now() > pending.call.deadline:
                raise TransactionUnknown(
                    f"Call {to_hex(pending.call_id)} was opened in {to_hex(opening.transaction)}, but was not "
                    f"{confirmations} block(s) deep by its deadline. Look the transaction up; `tallystick refund` gets "
                    "the escrow back.",
                    call_id=to_hex(pending.call_id),
                    transaction=to_hex(opening.transaction),
                )
            self._sleep(CONFIRMATION_POLL)

    def fetch(self, pending: PendingCall, *, opening: Mined | None = None) -> PaidAnswer:
        """Send an opened call's request, again as often as needed; verify the reply and move it to the archive."""
        payment = DirectPayment(pending.call, pending.salt)
        with _naming(pending):
            reply, headers = self._oracle.classify(_body(pending.request), payment.to_header())
        revision = self._market.revision(pending.call.listing_id, pending.call.revision)
        try:
            entry = checked_entry(reply, pending, revision, self._market.domain)
        except ReceiptInvalid:
            self.journal.keep_evidence(pending.call_id, reply)
            raise
        if self.archive.find(pending.call_id) is None:
            self.archive.append(entry)
        self.journal.mark_answered(pending.call_id)
        settlement = {
            name: headers[f"tallystick-{name}"]
            for name in ("settlement", "transaction")
            if f"tallystick-{name}" in headers
        }
        return PaidAnswer(pending.call, entry, opening, settlement, headers.get("tallystick-replayed") == "true")

    def settlement(self, call_id: bytes) -> Mapping[str, Any]:
        """How far the oracle says the call's posting has come: state, and once there are, transaction, block and gas."""
        settlement: Mapping[str, Any] = self._oracle.get(f"/v1/calls/{to_hex(call_id)}", "settlement")["settlement"]
        return settlement

    def owed(self, asset: str = NATIVE) -> int:
        """What this payer could withdraw of `asset` now, in atomic units."""
        return self._market.owed(self.wallet.address, asset)

    def pending(self, call_id: bytes) -> PendingCall:
        """A call that was opened and not answered yet, by its id. Raises UnknownCall."""
        found = self.journal.find(call_id)
        if found is not None:
            return found
        raise UnknownCall(
            f"There is no pending call {to_hex(call_id)} here. `tallystick receipt` lists the calls there are.",
            call_id=to_hex(call_id),
        )

    def refund(self, call: DirectCall) -> Mined:
        """Trigger the refund of an open call whose deadline has passed. Raises ContractRefused, CallClosed or UnknownCall."""
        call_id = call.call_id(self._market.domain)
        status = self._market.call_state(call_id).status
        if status is CallStatus.NONE:
            # The journal keeps it: a node that lags behind says the same of a call that is open.
            raise UnknownCall(
                f"Call {to_hex(call_id)} is not on this chain: no money is in it.", call_id=to_hex(call_id)
            )
        if status is not CallStatus.OPEN:
            if status is not CallStatus.FULFILLED or self.archive.find(call_id) is not None:
                self.journal.remove(call_id)
            raise CallClosed(
                f"Call {to_hex(call_id)} is {status.name.lower()} already; what you are owed can be withdrawn.",
                call_id=to_hex(call_id),
                status=status.name.lower(),
            )
        transactions = self._market.transactions
        mined = transactions.send_and_wait(transactions.prepare(self.wallet, self._market.refund_call(call)))
        self.journal.remove(call_id)
        return mined

    def withdraw(self, asset: str = NATIVE, to: str | None = None) -> tuple[int, Mined]:
        """Pull everything owed of `asset`. Returns the amount in atomic units. Raises ContractRefused if it is nothing."""
        amount = self._market.owed(self.wallet.address, asset)
        transactions = self._market.transactions
        function = self._market.withdraw_owed(asset, to or self.wallet.address)
        return amount, transactions.send_and_wait(transactions.prepare(self.wallet, function))

    def _now(self) -> int:
        """The contract reads the chain's clock, which an idle development chain may have ahead of ours or behind."""
        return max(int(self._clock()), self._market.head().timestamp)

    def _terms(self, quote: Quote) -> PendingCall:
        request, salt = quote.request, new_salt()
        call = DirectCall(
            payer=self.wallet.address,
            listing_id=request.listing_id,
            revision=request.revision,
            oracle=quote.oracle,
            asset=quote.asset,
            amount=quote.maximum,
            deadline=self._now() + max(self._call_duration, 2 * quote.least_seconds),
            request_commitment=request_commitment(salt, request.canonical()),
        )
        balance = self._market.native_balance(self.wallet.address)
        if quote.asset == NATIVE and balance < quote.maximum:
            raise InsufficientFunds(
                f"The call needs {quote.maximum} wei and gas, but {self.wallet.address} has {balance}. Fund it and try "
                "again; nothing was paid.",
                required=str(quote.maximum),
                available=str(balance),
            )
        return PendingCall(call.call_id(self._market.domain), call, salt, request)


def _required(answer: PaymentRequired) -> int:
    try:
        return from_decimal(answer.details.get("required"), 128)
    except ValueError as error:
        raise OracleAnswerInvalid(f"The oracle's price can't be read ({error}). Nothing was paid.") from None


def _body(request: InferenceRequest) -> dict[str, Any]:
    return {
        "listing": str(request.listing_id),
        "revision": request.revision,
        "input": request.input,
        "parameters": dict(request.parameters),
    }


def _plausible(quote: Quote, revision: Revision, answer: PaymentRequired) -> Quote:
    """The quote with what the oracle asks for, if an honest run could cost that much. Raises QuoteTooHigh."""
    limit = revision.prices.price_of(most_units(quote.request.input))
    if quote.maximum > limit:
        raise QuoteTooHigh(
            f"The oracle asks for {quote.maximum}, but by the price sheet on chain this request can't cost more than "
            f"{limit}. Nothing was paid.",
            required=str(quote.maximum),
            limit=str(limit),
        )
    return dataclasses.replace(
        quote, least_seconds=_wish(answer, "least_seconds", 0), confirmations=_wish(answer, "confirmations", 1)
    )


def _wish(answer: PaymentRequired, name: str, default: int) -> int:
    """A number that the oracle asks for, if it is one that can be met."""
    value = answer.details.get(name)
    return value if type(value) is int and default <= value <= LONGEST_WISH else default


@contextmanager
def _naming(pending: PendingCall) -> Iterator[None]:
    """From here on money is in the call: every error says which, and how to go on without paying again."""
    try:
        yield
    except TallystickError as error:
        call_id = to_hex(pending.call_id)
        error.message += f" `tallystick receipt {call_id}` asks for the answer again at no cost."
        error.details = {**error.details, "call_id": call_id}
        raise
