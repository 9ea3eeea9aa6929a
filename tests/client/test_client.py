"""The payer's client against a real oracle service, over a null chain: what it pays, keeps, and gets back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from tallystick.chain.null_books import refusal
from tallystick.chain.wallet import development_wallet
from tallystick.client.client import Client, Quote
from tallystick.client.journal import PendingCall
from tallystick.client.remote import RemoteOracle
from tallystick.errors import (
    ArchiveInvalid,
    BudgetExceeded,
    CallClosed,
    ContractRefused,
    EmptyText,
    InsufficientFunds,
    InvalidRequest,
    ListingWithdrawn,
    OracleAnswerInvalid,
    OracleUnreachable,
    PaymentRequired,
    QuoteTooHigh,
    ReceiptInvalid,
    TransactionUnknown,
    UnknownCall,
    UnknownListing,
    WrongOracle,
)
from tallystick.oracle.edge import error_response
from tallystick.protocol.bounds import most_units
from tallystick.protocol.calls import CallStatus
from tallystick.protocol.prices import NATIVE

from tests.client.market import AppTransport, NullMarket
from tests.oracle.serving import PRICES, Stand, stand
from tests.support.world import eventually

TEXT = "Where is my parcel?"
BREAKING = "this breaks the model"
OWNER = development_wallet("owner", 1337).address


def breaks(text: str) -> None:
    if text == BREAKING:
        raise RuntimeError("broken")


@dataclass
class Clock:
    """The time of day, so many seconds ahead."""

    ahead: float = 0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Scene:
    """A payer, an oracle, and everything that can go wrong between them."""

    oracle: Stand
    market: NullMarket
    way: AppTransport
    folder: Path
    clock: Clock
    pauses: list[float] = field(default_factory=list)

    def client(
        self,
        transport: httpx.BaseTransport | None = None,
        *,
        attempts: int = 3,
        confirmations: int = 1,
        sleep: Callable[[float], object] | None = None,
    ) -> Client:
        remote = RemoteOracle(
            "http://127.0.0.1:8402", transport=transport or self.way, attempts=attempts, sleep=self.pauses.append
        )
        return Client(
            self.market.as_marketplace(),
            remote,
            self.oracle.payer,
            self.folder,
            confirmations=confirmations,
            clock=self.clock,
            sleep=sleep or self.pauses.append,
        )

    def settled(self) -> None:
        """Wait until every posting is final, so that nothing changes behind a test's back."""
        eventually(lambda: set(self.oracle.store.count_postings()) <= {"finalised", "rejected"})

    def pass_deadline(self, pending: PendingCall) -> None:
        self.clock.ahead = pending.call.deadline + 1 - self.oracle.chain.head().timestamp
        self.oracle.chain.mine()

    def kept(self) -> tuple[list[PendingCall], list[Any]]:
        client = self.client()
        return list(client.journal.all()), list(client.archive.entries())

    def books(self) -> tuple[object, ...]:
        """Everything that a refusal before the payment leaves as it is."""
        chain = self.oracle.chain
        return len(self.market.transactions.sent), chain.escrowed(), chain.head(), self.kept(), self.oracle.runner.runs


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    clock = Clock()
    with stand(tmp_path / "oracle", breaks, clock=clock, post_wait=0) as oracle:
        yield Scene(oracle, NullMarket(oracle.chain), AppTransport(oracle.app()), tmp_path / "payer", clock)


def refused(error: Exception) -> httpx.MockTransport:
    response = error_response(error)  # type: ignore[arg-type]
    return httpx.MockTransport(lambda _: httpx.Response(response.status_code, content=bytes(response.body)))


def replying(scene: Scene, change: Callable[[dict[str, Any]], object]) -> httpx.MockTransport:
    """The oracle's answers, changed on their way."""

    def handle(request: httpx.Request) -> httpx.Response:
        response = scene.way.handle_request(request)
        if response.status_code != 200:
            return response
        reply = json.loads(response.content)
        change(reply)
        return httpx.Response(200, content=json.dumps(reply).encode())

    return httpx.MockTransport(handle)


# ---- the whole way ----------------------------------------------------------------------------------------------------


def test_query_gives_a_verified_answer_and_keeps_its_receipt(scene: Scene) -> None:
    answer = scene.client().query(1, TEXT, {"top_k": 2})
    scene.settled()
    receipt = answer.entry.signed.receipt
    assert len(answer.result["scores"]) == 2
    assert scene.kept() == ([], [answer.entry])
    assert scene.oracle.chain.logged()[0].charge == receipt.charge
    assert scene.oracle.chain.owed(OWNER, NATIVE) == receipt.charge
    assert scene.client().owed() == answer.call.amount - receipt.charge
    assert answer.opening is not None
    assert answer.replayed is False


def test_query_tells_its_steps(scene: Scene) -> None:
    steps: list[str] = []
    scene.client().query(1, TEXT, on_step=steps.append)
    assert steps == ["asking the price", "opening the call", "waiting for the answer"]


def test_query_escrows_what_the_quote_says(scene: Scene) -> None:
    quote = scene.client().quote(1, TEXT)
    answer = scene.client().query(1, TEXT)
    assert answer.call.amount == quote.maximum
    assert answer.call.revision == quote.request.revision == 1


def test_query_twice_is_two_calls(scene: Scene) -> None:
    """Salts are new for each call, so that equal requests can't be told apart on chain (E4)."""
    one, two = scene.client().query(1, TEXT), scene.client().query(1, TEXT)
    assert one.entry.signed.receipt.call_id != two.entry.signed.receipt.call_id
    assert one.call.request_commitment != two.call.request_commitment
    assert one.result == two.result


def test_journal_is_written_before_the_transaction_is_sent(scene: Scene) -> None:
    """S3: the salt is the only key to the answer, so it is on disk before the money moves."""
    seen: list[PendingCall] = []
    client = scene.client()
    scene.market.transactions.on_send = lambda: seen.extend(client.journal.all())
    pending, _ = client.open(client.quote(1, TEXT))
    assert seen == [pending]


def test_journal_and_archive_are_never_both_without_a_paid_call(scene: Scene) -> None:
    """S3: at any step of a query a paid call is in the journal or in the archive."""
    client = scene.client()
    found: list[int] = []

    class Watching(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            found.append(len(scene.kept()[0]) + len(scene.kept()[1]))
            return scene.way.handle_request(request)

    client = scene.client(Watching())
    client.query(1, TEXT)
    assert found == [0, 1]
    assert len(scene.kept()[1]) == 1


# ---- refused before anything is paid ----------------------------------------------------------------------------------


def test_query_above_its_budget_is_refused_before_anything_is_paid(scene: Scene) -> None:
    maximum = scene.client().quote(1, TEXT).maximum
    before = scene.books()
    with pytest.raises(BudgetExceeded) as caught:
        scene.client().query(1, TEXT, budget=maximum - 1)
    assert caught.value.details == {"required": str(maximum), "available": str(maximum - 1)}
    assert scene.books() == before


def test_query_at_its_budget_is_paid(scene: Scene) -> None:
    maximum = scene.client().quote(1, TEXT).maximum
    assert scene.client().query(1, TEXT, budget=maximum).call.amount == maximum


def test_query_without_the_funds_is_refused_before_anything_is_paid(scene: Scene) -> None:
    maximum = scene.client().quote(1, TEXT).maximum
    scene.market.balance = maximum - 1
    before = scene.books()
    with pytest.raises(InsufficientFunds) as caught:
        scene.client().query(1, TEXT)
    assert caught.value.details == {"required": str(maximum), "available": str(maximum - 1)}
    assert scene.books() == before


def test_query_at_another_oracle_is_refused_before_anything_is_paid(scene: Scene) -> None:
    """The listing names one oracle; another that offers to answer gets no money."""
    other = "0x" + "00" * 20
    before = scene.books()
    with pytest.raises(WrongOracle) as caught:
        scene.client(refused(PaymentRequired("Pay me.", oracle=other, required="1"))).query(1, TEXT)
    assert caught.value.details == {"actual": other, "expected": scene.oracle.oracle.address}
    assert scene.books() == before


@pytest.mark.parametrize("required", [None, "", "-1", "1.5", "1e3", "x", str(2**128), True])
def test_query_for_a_price_that_can_not_be_read_is_refused_before_anything_is_paid(scene: Scene, required: Any) -> None:
    error = PaymentRequired("Pay me.", oracle=scene.oracle.oracle.address, required=required)
    before = scene.books()
    with pytest.raises(OracleAnswerInvalid):
        scene.client(refused(error)).query(1, TEXT)
    assert scene.books() == before


def test_query_for_more_than_an_honest_run_could_cost_is_refused_before_anything_is_paid(scene: Scene) -> None:
    """M3: units are the oracle's word, so the payer bounds them by the request: no text has more tokens than bytes."""
    limit = PRICES.price_of(most_units(TEXT))
    before = scene.books()
    error = PaymentRequired("Pay me.", oracle=scene.oracle.oracle.address, required=str(limit + 1))
    with pytest.raises(QuoteTooHigh) as caught:
        scene.client(refused(error)).query(1, TEXT)
    assert caught.value.details == {"required": str(limit + 1), "limit": str(limit)}
    assert scene.books() == before


def test_quote_at_what_an_honest_run_could_cost_is_accepted(scene: Scene) -> None:
    limit = PRICES.price_of(most_units(TEXT))
    error = PaymentRequired("Pay me.", oracle=scene.oracle.oracle.address, required=str(limit))
    assert scene.client(refused(error)).quote(1, TEXT).maximum == limit


def test_query_of_a_listing_off_sale_is_refused_before_anything_is_asked(scene: Scene) -> None:
    scene.oracle.chain.withdraw_listing(OWNER, 1)
    before = scene.books()
    with pytest.raises(ListingWithdrawn):
        scene.client().query(1, TEXT)
    assert scene.way.requests == []
    assert scene.books() == before


def test_query_of_a_listing_that_is_not_there_is_refused(scene: Scene) -> None:
    with pytest.raises(UnknownListing):
        scene.client().query(2, TEXT)
    assert scene.way.requests == []


@pytest.mark.parametrize("text", ["\udcff", "half a pair: \ud800"])
def test_query_of_what_is_no_text_is_refused_before_anything_is_asked(scene: Scene, text: str) -> None:
    """What a shell hands over where an argument is not UTF-8."""
    with pytest.raises(InvalidRequest) as caught:
        scene.client().query(1, text)
    assert caught.value.details["param"] == "input"
    assert scene.way.requests == []


def test_query_that_the_oracle_refuses_is_refused_with_its_error(scene: Scene) -> None:
    before = scene.books()
    with pytest.raises(EmptyText):
        scene.client().query(1, " ")
    assert scene.books() == before


def test_query_answered_without_payment_is_refused(scene: Scene) -> None:
    before = scene.books()
    with pytest.raises(ReceiptInvalid, match="nothing was paid"):
        scene.client(httpx.MockTransport(lambda _: httpx.Response(200, content=b"{}"))).query(1, TEXT)
    assert scene.books() == before


def test_open_that_the_contract_would_refuse_leaves_no_trace(scene: Scene) -> None:
    client = scene.client()
    quote = client.quote(1, TEXT)
    scene.market.transactions.fail_prepare = refusal("Escrow_RevisionNotForSale", 1, 2)
    before = scene.books()
    with pytest.raises(ContractRefused):
        client.open(quote)
    assert scene.books() == before


def test_open_with_a_quote_of_a_superseded_revision_is_refused_by_the_contract(scene: Scene) -> None:
    """M9: a price that changed between quote and call is never paid."""
    client = scene.client()
    quote = client.quote(1, TEXT)
    scene.oracle.chain.revise(OWNER, 1, scene.oracle.runner.manifest_hash, scene.oracle.chain.revision(1, 1).prices)
    with pytest.raises(ContractRefused, match="Escrow_RevisionNotForSale"):
        client.open(quote)
    assert scene.oracle.chain.escrowed() == 0


# ---- what may get lost after the payment ------------------------------------------------------------------------------


def test_opening_whose_fate_is_unknown_stays_in_the_journal_and_is_answered_later(scene: Scene) -> None:
    """S4: unknown is not failed. The call is fetched when it turns out to be there."""
    client = scene.client()
    scene.market.transactions.fail_wait = TransactionUnknown("Not seen.", transaction="0x")
    with pytest.raises(TransactionUnknown):
        client.query(1, TEXT)
    (pending,), _ = scene.kept()
    answer = client.fetch(client.pending(pending.call_id))
    assert answer.call == pending.call
    assert scene.kept() == ([], [answer.entry])


def test_answer_that_is_lost_is_sent_again_and_charged_once(scene: Scene) -> None:
    """S1, S2, S3."""
    client = scene.client()
    quote = client.quote(1, TEXT)
    pending, _ = client.open(quote)
    scene.way.lose_answers = 2
    answer = client.fetch(pending)
    scene.settled()
    assert answer.replayed is True
    assert scene.oracle.runner.runs == 1
    assert len(scene.oracle.chain.logged()) == 1
    assert scene.oracle.chain.owed(OWNER, NATIVE) == answer.entry.signed.receipt.charge


def test_answer_that_is_lost_for_good_stays_in_the_journal_and_can_be_fetched(scene: Scene) -> None:
    """S3: served means charged, and a lost reply can be had again."""
    client = scene.client(attempts=2)
    pending, _ = client.open(client.quote(1, TEXT))
    scene.way.lose_answers = 2
    with pytest.raises(OracleUnreachable):
        client.fetch(pending)
    assert scene.kept() == ([pending], [])
    answer = client.fetch(client.pending(pending.call_id))
    assert scene.oracle.runner.runs == 1
    assert scene.kept() == ([], [answer.entry])


def test_oracle_that_can_not_be_reached_for_a_while_is_asked_again(scene: Scene) -> None:
    client = scene.client()
    pending, _ = client.open(client.quote(1, TEXT))
    scene.way.unreachable = 2
    assert client.fetch(pending).replayed is False
    assert len(scene.pauses) == 2


def test_fetch_twice_keeps_one_entry(scene: Scene) -> None:
    client = scene.client()
    pending, _ = client.open(client.quote(1, TEXT))
    first, second = client.fetch(pending), client.fetch(pending)
    assert first.entry == second.entry
    assert scene.kept() == ([], [first.entry])


def test_fetch_into_an_archive_that_can_not_be_read_keeps_the_journal(scene: Scene) -> None:
    client = scene.client()
    pending, _ = client.open(client.quote(1, TEXT))
    client.archive.path.write_bytes(b'{"receipt":{"call_id":"0x' + pending.call_id.hex().encode() + b'"}}\n')
    with pytest.raises(ArchiveInvalid, match="line 1"):
        client.fetch(pending)
    assert list(client.journal.all()) == [pending]
    client.archive.path.unlink()
    assert client.fetch(pending).replayed is True


def test_fetch_into_an_archive_with_a_broken_line_of_another_call_is_kept(scene: Scene) -> None:
    """What was paid is not held up by what went wrong before."""
    client = scene.client()
    pending, _ = client.open(client.quote(1, TEXT))
    client.archive.path.write_bytes(b"broken\n")
    answer = client.fetch(pending)
    assert client.archive.find(pending.call_id) == answer.entry
    assert list(client.journal.all()) == []


def test_open_waits_for_its_confirmations(scene: Scene) -> None:
    """S5: the request is not sent before the oracle would believe the payment."""

    def mine(seconds: float) -> None:
        scene.pauses.append(seconds)
        scene.oracle.chain.mine()

    client = scene.client(confirmations=3, sleep=mine)
    pending, opening = client.open(client.quote(1, TEXT))
    assert len(scene.pauses) == 2
    assert scene.oracle.chain.head().number == opening.block + 2
    assert scene.oracle.chain.call_state(pending.call_id, 3).status is CallStatus.OPEN


def test_open_that_is_never_deep_enough_gives_up_at_its_deadline(scene: Scene) -> None:
    """S4: not a failure; the call stays in the journal, with its refund."""

    def pass_time(_seconds: float) -> None:
        scene.clock.ahead += 100

    client = scene.client(confirmations=2, sleep=pass_time)
    with pytest.raises(TransactionUnknown, match="refund") as caught:
        client.open(client.quote(1, TEXT))
    (pending,), _ = scene.kept()
    assert caught.value.details["call_id"] == "0x" + pending.call_id.hex()


# ---- asking again -----------------------------------------------------------------------------------------------------


def lost_query(scene: Scene, text: str = TEXT) -> PendingCall:
    """A query whose answer never came, and that the oracle may have answered or not."""
    scene.way.lose_answers = 2
    client = scene.client(attempts=1)
    pending, _ = client.open(_quote_of(scene, text))
    with pytest.raises(OracleUnreachable):
        client.fetch(pending)
    scene.way.lose_answers = 0
    return pending


def _quote_of(scene: Scene, text: str) -> Quote:
    lost, scene.way.lose_answers = scene.way.lose_answers, 0
    quote = scene.client().quote(1, text)
    scene.way.lose_answers = lost
    return quote


def test_query_again_after_a_lost_answer_pays_nothing_more(scene: Scene) -> None:
    """S2, S3: the same question again is the same call, not another one."""
    pending = lost_query(scene)
    steps: list[str] = []
    answer = scene.client().query(1, TEXT, on_step=steps.append)
    scene.settled()
    assert answer.call == pending.call
    assert answer.opening is None
    assert steps == ["asking the price", "fetching the answer of a call that is open already"]
    assert len(scene.market.transactions.sent) == 1
    assert len(scene.oracle.chain.logged()) == 1


def test_query_again_with_another_text_opens_another_call(scene: Scene) -> None:
    pending = lost_query(scene)
    assert scene.client().query(1, "Another question").call != pending.call


def test_query_again_too_late_for_the_open_call_opens_another(scene: Scene) -> None:
    """An open call whose deadline is near would be refused by the oracle; its escrow comes back by the refund."""
    scene.way.unreachable = 1
    client = scene.client(attempts=1)
    quote = _quote_of_reachable(scene)
    pending, _ = client.open(quote)
    scene.way.unreachable = 1
    with pytest.raises(OracleUnreachable):
        client.fetch(pending)
    scene.clock.ahead = pending.call.deadline - scene.oracle.chain.head().timestamp - quote.least_seconds + 1
    scene.oracle.chain.mine()
    assert scene.client().query(1, TEXT).call != pending.call
    assert scene.kept()[0] == [pending]


def _quote_of_reachable(scene: Scene) -> Quote:
    scene.way.unreachable = 0
    return scene.client().quote(1, TEXT)


def test_query_again_after_a_refund_opens_another(scene: Scene) -> None:
    client, pending = unanswered(scene)
    scene.pass_deadline(pending)
    client.refund(pending.call)
    assert scene.client().query(1, TEXT).call != pending.call


def test_error_after_the_payment_names_the_call_and_how_to_go_on(scene: Scene) -> None:
    """S7: from there on money is in the call, and the payer is told where."""
    client = scene.client(attempts=1)
    pending, _ = client.open(client.quote(1, TEXT))
    scene.way.unreachable = 1
    with pytest.raises(OracleUnreachable, match="tallystick receipt 0x") as caught:
        client.fetch(pending)
    call_id = "0x" + pending.call_id.hex()
    assert call_id in caught.value.message
    assert caught.value.details["call_id"] == call_id


def test_error_while_opening_names_the_call(scene: Scene) -> None:
    """S4, S7."""
    scene.market.transactions.fail_wait = TransactionUnknown("Not seen.", transaction="0x")
    with pytest.raises(TransactionUnknown) as caught:
        scene.client().query(1, TEXT)
    (pending,), _ = scene.kept()
    assert caught.value.details == {"transaction": "0x", "call_id": "0x" + pending.call_id.hex()}


# ---- what an oracle may ask for ---------------------------------------------------------------------------------------


def asking(scene: Scene, **wishes: Any) -> httpx.MockTransport:
    """An oracle that asks for a price as ours does, and for these things besides."""
    price = str(PRICES.price_of(most_units(TEXT)))
    return refused(PaymentRequired("Pay me.", oracle=scene.oracle.oracle.address, required=price, **wishes))


def test_deadline_leaves_the_oracle_the_time_that_it_asks_for(scene: Scene) -> None:
    client = scene.client(asking(scene, least_seconds=1000))
    pending, _ = client.open(client.quote(1, TEXT))
    assert pending.call.deadline >= scene.oracle.chain.head().timestamp + 2000


def test_open_waits_for_as_many_confirmations_as_the_oracle_asks_for(scene: Scene) -> None:
    """S5."""

    def mine(seconds: float) -> None:
        scene.pauses.append(seconds)
        scene.oracle.chain.mine()

    client = scene.client(asking(scene, confirmations=3), sleep=mine)
    client.open(client.quote(1, TEXT))
    assert len(scene.pauses) == 2


@pytest.mark.parametrize("wish", [None, True, "5", "x", -1, 3601, 10**9])
def test_wish_that_can_not_be_met_is_passed_over(scene: Scene, wish: Any) -> None:
    """A hostile oracle can't lock an escrow for as long as it likes."""
    quote = scene.client(asking(scene, least_seconds=wish, confirmations=wish)).quote(1, TEXT)
    assert (quote.least_seconds, quote.confirmations) == (0, 1)


# ---- replies that do not hold -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda reply: reply["result"].update(label="forged"),
        lambda reply: reply["receipt"].update(charge="1"),
        lambda reply: reply.update(signature="0x" + "11" * 65),
        lambda reply: reply.pop("receipt"),
        lambda reply: reply.update(parameters=5),
    ],
    ids=["result", "charge", "signature", "no receipt", "no parameters"],
)
def test_reply_that_does_not_hold_is_kept_as_evidence_and_the_call_stays(
    scene: Scene, change: Callable[[dict[str, Any]], object]
) -> None:
    client = scene.client(replying(scene, change))
    pending, _ = client.open(client.quote(1, TEXT))
    with pytest.raises(ReceiptInvalid):
        client.fetch(pending)
    assert scene.kept() == ([pending], [])
    evidence = json.loads((scene.folder / "pending" / f"{pending.call_id.hex()}.evidence").read_text())
    honest = json.loads(scene.way.handle_request(_again(scene, pending)).content)
    change(honest)
    assert evidence == honest


def _again(scene: Scene, pending: PendingCall) -> httpx.Request:
    """The paid request once more, as the client sent it."""
    sent = scene.way.requests[-1]
    assert sent.headers["tallystick-payment"]
    assert pending.request.input in sent.read().decode()
    return sent


def test_model_that_fails_leaves_the_call_in_the_journal_until_it_is_declined(scene: Scene) -> None:
    """M4: the escrow comes back without a refund, and the journal is cleared when the payer looks."""
    client = scene.client(attempts=1)
    pending, _ = client.open(client.quote(1, BREAKING))
    with pytest.raises(Exception, match="model failed"):
        client.fetch(pending)
    scene.settled()
    assert scene.kept() == ([pending], [])
    assert client.owed() == pending.call.amount
    with pytest.raises(CallClosed, match="declined"):
        client.refund(pending.call)
    assert scene.kept() == ([], [])


# ---- refunds and withdrawals ------------------------------------------------------------------------------------------


def unanswered(scene: Scene) -> tuple[Client, PendingCall]:
    client = scene.client()
    pending, _ = client.open(client.quote(1, TEXT))
    return client, pending


def test_refund_before_the_deadline_is_refused_and_the_call_stays(scene: Scene) -> None:
    """M4."""
    client, pending = unanswered(scene)
    before = scene.books()
    with pytest.raises(ContractRefused, match="Escrow_DeadlineNotPassed"):
        client.refund(pending.call)
    assert scene.books() == before
    assert scene.kept() == ([pending], [])


def test_refund_after_the_deadline_brings_the_escrow_back(scene: Scene) -> None:
    """M4, M5, M6: a payer can always leave, without the oracle; what comes back is owed, and pulled."""
    client, pending = unanswered(scene)
    scene.pass_deadline(pending)
    client.refund(pending.call)
    assert scene.kept() == ([], [])
    assert client.owed() == pending.call.amount
    assert client.withdraw()[0] == pending.call.amount
    assert client.owed() == 0


def test_refund_twice_is_refused(scene: Scene) -> None:
    client, pending = unanswered(scene)
    scene.pass_deadline(pending)
    client.refund(pending.call)
    with pytest.raises(CallClosed, match="refunded"):
        client.refund(pending.call)
    assert client.owed() == pending.call.amount


def test_refund_of_a_call_that_was_never_opened_is_refused_and_the_journal_waits(scene: Scene) -> None:
    """S4: before its deadline the opening may still be mined, so the call is not forgotten."""
    client, pending = unanswered(scene)
    scene.oracle.chain.reorganise(1)
    with pytest.raises(UnknownCall, match="no money"):
        client.refund(pending.call)
    assert scene.kept() == ([pending], [])


def test_refund_of_a_call_that_is_not_on_chain_keeps_the_journal(scene: Scene) -> None:
    """A node that lags behind says the same of a call that is open, and the salt is the only key to it (B13)."""
    client, pending = unanswered(scene)
    scene.oracle.chain.reorganise(1)
    scene.pass_deadline(pending)
    with pytest.raises(UnknownCall, match="no money"):
        client.refund(pending.call)
    assert scene.kept() == ([pending], [])


def test_refund_of_a_call_that_was_answered_keeps_the_journal(scene: Scene) -> None:
    """S3: the call is charged, so what fetches its answer must stay."""
    client = scene.client(attempts=1)
    pending, _ = client.open(client.quote(1, TEXT))
    scene.way.lose_answers = 1
    with pytest.raises(OracleUnreachable):
        client.fetch(pending)
    scene.settled()
    with pytest.raises(CallClosed, match="fulfilled"):
        client.refund(pending.call)
    assert scene.kept() == ([pending], [])
    assert client.fetch(pending).replayed is True


def test_refund_of_a_call_that_was_answered_and_charged_clears_what_is_left(scene: Scene) -> None:
    """M4: the terms stay until the chain has ended the call; then nothing is left to keep."""
    client = scene.client()
    answer = client.query(1, TEXT)
    scene.settled()
    assert [pending.call for pending in client.journal.answered()] == [answer.call]
    with pytest.raises(CallClosed, match="fulfilled"):
        client.refund(answer.call)
    assert list(client.journal.answered()) == []


def test_refund_of_a_call_that_was_answered_and_never_posted_brings_the_escrow_back(scene: Scene) -> None:
    """M4: an oracle that answers and does not post in time gets nothing."""
    client = scene.client()
    pending, _ = client.open(client.quote(1, TEXT))
    scene.oracle.chain.hold()
    client.fetch(pending)
    scene.pass_deadline(pending)
    scene.oracle.chain.release()
    client.refund(pending.call)
    assert client.owed() == pending.call.amount
    assert list(client.journal.answered()) == []
    assert len(scene.kept()[1]) == 1


def test_refund_whose_transaction_is_not_seen_keeps_the_journal(scene: Scene) -> None:
    """S4."""
    client, pending = unanswered(scene)
    scene.pass_deadline(pending)
    scene.market.transactions.fail_wait = TransactionUnknown("Not seen.")
    with pytest.raises(TransactionUnknown):
        client.refund(pending.call)
    assert scene.kept() == ([pending], [])


def test_withdraw_of_nothing_is_refused(scene: Scene) -> None:
    before = scene.books()
    with pytest.raises(ContractRefused, match="Escrow_NothingToWithdraw"):
        scene.client().withdraw()
    assert scene.books() == before


# ---- looking ----------------------------------------------------------------------------------------------------------


def test_pending_of_a_call_that_is_not_there_is_refused(scene: Scene) -> None:
    with pytest.raises(UnknownCall, match="tallystick receipt"):
        scene.client().pending(bytes(32))


def test_settlement_tells_how_far_the_posting_is(scene: Scene) -> None:
    client = scene.client()
    answer = client.query(1, TEXT)
    scene.settled()
    assert client.settlement(answer.entry.signed.receipt.call_id)["state"] == "finalised"


def test_settlement_of_a_call_that_the_oracle_does_not_know_is_refused(scene: Scene) -> None:
    with pytest.raises(UnknownCall):
        scene.client().settlement(bytes(32))


def test_quote_pays_nothing(scene: Scene) -> None:
    before = scene.books()
    quote = scene.client().quote(1, TEXT)
    assert isinstance(quote, Quote)
    assert scene.books() == before
