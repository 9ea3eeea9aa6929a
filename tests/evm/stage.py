"""One market and its model, side by side: every attempt runs in both, and both have to agree about everything.

The market may be in the process (pyrevm) or on a node (Ganache): see `Machine`, and `ganache.py`.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tallystick.protocol.accounts import settled_call_id
from tallystick.protocol.calls import CallStatus, Mode
from tallystick.protocol.hexes import ZERO_ADDRESS
from tallystick.protocol.outcomes import unpack_outcome
from tallystick.protocol.prices import NATIVE

from tests.evm.machine import RICH, Contract, Event, Machine, Mined, Reverted, address_of
from tests.evm.model import Books
from tests.evm.model_states import REASONS, Channel, Key
from tests.evm.model_world import UNKNOWN, Catalogue, Listing, Purses, Refusal
from tests.evm.scene import Market, Person, revision_terms

Sight = tuple[Any, ...]
"""Something that both sides are asked about: ("owed", account, asset), ("call", id), and so on, see `Stage.compare`."""
OPENING = {"open", "openWithAuthorisation", "deposit", "buyCredits", "payInstalment"}
PLENTY = 10**12


class Stage:
    """People, contracts, model, and what was seen so far. `attempt` is the one way to do something."""

    def __init__(self, seed: int, machine: Machine | None = None) -> None:
        self.rng = random.Random(seed)  # noqa: S311
        self.market = market = Market(machine)
        self.machine = market.machine
        self.escrow, self.registry = market.escrow, market.registry
        self.token, self.hostile = market.token, market.hostile
        self.assets = (NATIVE, self.token.address, self.hostile.address)
        self._cast()
        self.catalogue = Catalogue()
        self.catalogue.listings.append(Listing(market.owner, [revision_terms(market.oracle)]))
        self.purses = Purses(self.escrow.address, self.token.address, self.hostile.address)
        self.books = Books(market.domain, market.administrator, self.catalogue, self.purses)
        self.books.wallets = {self.wallet.address: self.wallet_key.address}
        self.books.refusing = {self.refuser.address, self.burner.address, self.escrow.address}
        self._equip()
        self.forced: dict[str, int] = defaultdict(int)
        self.trail: list[tuple[Any, ...]] = []
        self.coverage: Counter[tuple[str, bool]] = Counter()
        self.refusals: Counter[tuple[str, str]] = Counter()
        self.reasons: Counter[str] = Counter()
        self.logged: set[bytes] = set()
        self.seen_channels: dict[bytes, tuple[int, int, int]] = {}
        self.seen_owed: dict[tuple[str, str], int] = defaultdict(int)

    def _cast(self) -> None:
        market = self.market
        self.wallet_key = Person("wallet key")
        self.wallet = self.machine.deploy("WalletMock", self.wallet_key.address)
        self.refuser = self.machine.deploy("RejectingReceiverMock")
        self.burner = self.machine.deploy("GasBurningReceiverMock")
        self.bomber = self.machine.deploy("ReturnBombReceiverMock")
        self.reenterer = self.machine.deploy("ReenteringReceiverMock")
        self.people = {person.address: person for person in (market.payer, market.other_payer, self.wallet_key)}
        self.proxies: dict[str, Contract] = {self.wallet.address: self.wallet, self.refuser.address: self.refuser}
        self.payers = [market.payer.address, market.other_payer.address, self.wallet.address]
        self.owners = [market.owner, address_of("second owner")]
        self.oracles = [market.oracle, address_of("second oracle")]
        self.oracle_keys = [address_of(f"oracle key {number}") for number in range(4)]
        self.actors = [*self.payers, *self.owners, *self.oracles, *self.oracle_keys, self.refuser.address]
        self.actors += [market.stranger, market.administrator, market.collector]
        hostile = [self.refuser.address, self.burner.address, self.bomber.address, self.reenterer.address]
        self.receivers = [*hostile, *hostile, ZERO_ADDRESS, self.escrow.address, *self.actors]

    def _equip(self) -> None:
        """Everybody has ether and tokens, and lets the escrow take them; the stranger does not."""
        for actor in self.actors:
            self.machine.fund(actor, 2**119 if actor == self.payers[0] else RICH)
            for token in (self.token, self.hostile):
                token.send("mint", actor, PLENTY, by=self.market.stranger)
                self.purses.balances[token.address, actor] += PLENTY
            if actor == self.market.stranger:
                self.purses.without_allowance.add(actor)
            else:
                self._send(self.token, "approve", (self.escrow.address, 2**256 - 1), actor, 0)
        reentry = self.escrow.data("withdraw", NATIVE, self.reenterer.address)
        self.reenterer.send("arm", self.escrow.address, 0, reentry, by=self.market.stranger)

    # ---- doing something

    def attempt(
        self,
        name: str,
        contract: Contract,
        arguments: Sequence[Any],
        by: str,
        act: Callable[[], Any],
        *,
        value: int = 0,
        sights: Iterable[Sight] = (),
        function: str = "",
    ) -> bool:
        """Does it on both sides, and compares. Gives whether it was done. Raises AssertionError."""
        self.trail.append((self.machine.time, name, by, value, arguments))
        mined, reverted = None, None
        try:
            mined = self._send(contract, function or name, arguments, by, value)
        except Reverted as error:
            reverted = error
        self.books.time = self.catalogue.time = self.machine.time
        self.books.events.clear()
        owed_before = dict(self.books.owed)
        refusal, result = None, None
        try:
            result = act()
        except Refusal as error:
            refusal = error
        if refusal is not None:
            assert mined is None, f"the chain did what the model refuses with {refusal}"
            assert reverted is not None
            _agree_on_refusal(refusal, reverted)
            self.refusals[name, refusal.name] += 1
        else:
            assert reverted is None, f"the chain refuses what the model does: {reverted!r}"
            assert mined is not None
            if result is not None:
                assert mined.value == result, f"{mined.value} is not the model's {result}"
            self._agree_on_events(mined)
            assert not (self.books.paused and name in OPENING), "M7: opened while paused"
        self.coverage[name, mined is not None] += 1
        for sight in sights:
            self.compare(sight)
        self._only_the_own_falls(owed_before, by, name)
        self.check_sums()
        return mined is not None

    def _send(self, contract: Contract, function: str, arguments: Sequence[Any], by: str, value: int) -> Mined:
        proxy = self.proxies.get(by)
        if proxy is None:
            return contract.send(function, *arguments, by=by, value=value)
        data = contract.data(function, *arguments)
        mined = proxy.send("execute", contract.address, value, data, by=self.market.stranger)
        return Mined(contract.decoded(function, mined.value), mined.events, mined.gas_used)

    # ---- agreeing

    def _agree_on_events(self, mined: Mined) -> None:
        actual = [event for event in mined.events if event.address == self.escrow.address]
        expected = self.books.events
        assert [event.name for event in actual] == [name for name, _ in expected]
        for event, (_, arguments) in zip(actual, expected, strict=True):
            for key, wanted in arguments.items():
                assert event.arguments[key] == wanted, f"{event.name}.{key} is {event.arguments[key]}, not {wanted}"
            if event.name in ("GroupSkipped", "CallSkipped"):
                self.reasons[REASONS[event.arguments["reason"]]] += 1
            if event.name == "CallLogged":
                self._log(event)

    def _log(self, event: Event) -> None:
        """M3 and M9 from the log alone: once, and at most the pinned revision's price."""
        call_id = event.arguments["callId"]
        assert call_id not in self.logged, "M3: charged twice"
        self.logged.add(call_id)
        outcome = unpack_outcome(event.arguments["outcome"])
        listing = self.catalogue.listings[event.arguments["listingId"] - 1]
        pinned = listing.revisions[outcome.revision - 1]
        most = 1 if outcome.mode is Mode.CREDITS else pinned.prices.price_of(outcome.units)
        assert outcome.charge <= most, "M3: above the pinned price"

    def compare(self, sight: Sight) -> None:
        """Asks the chain and the model the same question."""
        kind, *about = sight
        actual, expected = getattr(self, f"_see_{kind}")(*about)
        assert actual == expected, f"{sight}: the chain says {actual}, the model {expected}"

    def _see_owed(self, account: str, asset: str) -> tuple[Any, Any]:
        return self.escrow.peek("owed", account, asset), self.books.owed[account, asset]

    def _see_call(self, call_id: bytes) -> tuple[Any, Any]:
        state = self.books.calls.get(call_id)
        expected = (0, 0, 0, 0) if state is None else (state.status, state.amount, state.call.deadline, state.fee_bps)
        return tuple(self.escrow.peek("callState", call_id).values()), expected

    def _see_channel(self, channel_id: bytes) -> tuple[Any, Any]:
        state = self.books.channels.get(channel_id) or Channel(None)
        actual = tuple(self.escrow.peek("channelState", channel_id).values())
        deposited, spent, closes_at = actual
        assert spent <= deposited, "M3: more was charged than deposited"
        before = self.seen_channels.get(channel_id, (0, 0, 0))
        assert spent >= before[1], "M2: something charged came back"
        if before[2] and closes_at != before[2]:
            assert closes_at < before[2], "M6: a challenge window was made longer"
        self.seen_channels[channel_id] = actual
        return actual, (state.deposited, state.spent, state.closes_at)

    def _see_key(self, channel_id: bytes, key_hash: bytes) -> tuple[Any, Any]:
        key = self.books.keys.get((channel_id, key_hash)) or Key()
        return tuple(self.escrow.peek("keyState", channel_id, key_hash).values()), (key.spent, key.revoked)

    def _see_position(self, position_id: bytes) -> tuple[Any, Any]:
        state = self.books.positions.get(position_id)
        actual = tuple(self.escrow.peek("positionState", position_id).values())
        if state is None:
            return actual, (0, 0, 0, 0, 0, 0, False)
        expected = (state.credit_price, state.unlocked, state.used, state.expires_at, state.closes_at)
        return actual, (*expected, state.tranches, state.closed)

    def _see_counter(self, payer: str, listing_id: int) -> tuple[Any, Any]:
        return self.escrow.peek("callsOf", payer, listing_id), self.books.calls_of[payer, listing_id]

    def _see_trial(self, payer: str, listing_id: int) -> tuple[Any, Any]:
        return self.escrow.peek("trialUsed", payer, listing_id), (payer, listing_id) in self.books.trials

    def _see_charged(self, counted_under: bytes, word: int) -> tuple[Any, Any]:
        bits = sum(1 << i for i in range(256) if (counted_under, 256 * word + i) in self.books.charged)
        return self.escrow.peek("chargedCalls", counted_under, word), bits

    def _see_holding(self, token: str, holder: str) -> tuple[Any, Any]:
        """`balances` of the hostile token, because its `balanceOf` lies."""
        if token == self.token.address:
            return self.token.peek("balanceOf", holder), self.purses.balances[token, holder]
        return self.hostile.peek("balances", holder), self.purses.balances[token, holder]

    def _see_listing(self, listing_id: int) -> tuple[Any, Any]:
        listing = self.catalogue.listings[listing_id - 1]
        sold = listing.revisions[-1]
        expected = (sold.oracle, len(listing.revisions), listing.withdrawn, sold.prices.asset, listing.owner)
        return (*self.registry.peek("saleTerms", listing_id), self.registry.peek("ownerOf", listing_id)), expected

    def _see_revision(self, listing_id: int, number: int) -> tuple[Any, Any]:
        """M9: a revision is for ever the same."""
        terms = self.catalogue.revision(listing_id, number)
        return _flat(self.registry.peek("getRevision", listing_id, number)), _flat(terms.as_tuple())

    # ---- what always holds

    def _only_the_own_falls(self, before: dict[tuple[str, str], int], by: str, name: str) -> None:
        """M2, M5 and M7: what somebody is owed falls only when he withdraws it, and then to zero."""
        for key, amount in before.items():
            now = self.books.owed[key]
            if now < amount:
                assert (name, key[0], now) == ("withdraw", by, 0), f"M7: {key} fell from {amount} to {now}"

    def check_sums(self) -> None:
        """M1. Native and honest token: all that is owed or held for somebody is what is there, less what was forced.

        The hostile token: never more than is really there, whatever it does or says, for no arrival counts for more
        than was measured and no departure for less. What it gives beyond that is nobody's.
        """
        held = self.machine.balance(self.escrow.address) - self.forced[NATIVE]
        assert self.books.liabilities(NATIVE) == self.books.native_held == held, "M1: native"
        there = self.purses.balances[self.token.address, self.escrow.address]
        assert self.books.liabilities(self.token.address) == there - self.forced[self.token.address], "M1: token"
        there = self.purses.balances[self.hostile.address, self.escrow.address]
        assert self.books.liabilities(self.hostile.address) <= there, "M1: hostile token"

    def check_all(self) -> None:
        """Everything that the model knows, against the chain."""
        books = self.books
        for account, asset in list(books.owed):
            self.compare(("owed", account, asset))
        for call_id in books.calls:
            self.compare(("call", call_id))
        for channel_id in list(books.channels):
            self.compare(("channel", channel_id))
        for key in list(books.keys):
            self.compare(("key", *key))
        for position_id in books.positions:
            self.compare(("position", position_id))
        for payer, listing_id in list(books.calls_of):
            self.compare(("counter", payer, listing_id))
        for payer, listing_id in books.trials:
            self.compare(("trial", payer, listing_id))
        for counted_under, word in {(account, index >> 8) for account, index in books.charged}:
            self.compare(("charged", counted_under, word))
        for token, holder in list(self.purses.balances):
            if isinstance(holder, str):
                self.compare(("holding", token, holder))
        for listing_id, listing in enumerate(self.catalogue.listings, 1):
            self.compare(("listing", listing_id))
            self.compare(("revision", listing_id, self.rng.randint(1, len(listing.revisions))))
        for account, index in books.charged:
            assert settled_call_id(account, index) in self.logged, "E1: charged without a log"
        assert len(self.logged) == len(books.charged) + sum(
            state.status is CallStatus.FULFILLED for state in books.calls.values()
        )

    def told(self, steps: int = 40) -> str:
        """The last steps, readable."""
        names = {person: label for label, person in self._labels()}

        def short(value: Any) -> str:
            if isinstance(value, bytes):
                return value.hex()[:8] if len(value) == 32 else f"<{len(value)} bytes>"
            if isinstance(value, (tuple, list)):
                return "(" + ", ".join(map(short, value)) + ")"
            return names.get(value, str(value)) if isinstance(value, str) else str(value)

        return "\n".join(
            f"{time} {name} by {short(by)} value {value}: {short(tuple(arguments))}"
            for time, name, by, value, arguments in self.trail[-steps:]
        )

    def _labels(self) -> Iterable[tuple[str, str]]:
        for kind, members in (("payer", self.payers), ("owner", self.owners), ("oracle", self.oracles)):
            for number, address in enumerate(members):
                yield f"{kind}{number}", address
        for number, address in enumerate(self.oracle_keys):
            yield f"oracleKey{number}", address
        market = self.market
        yield from (("stranger", market.stranger), ("administrator", market.administrator))
        yield from (("collector", market.collector), ("native", NATIVE), ("token", self.token.address))
        yield from (("hostileToken", self.hostile.address), ("refuser", self.refuser.address))
        yield from (("burner", self.burner.address), ("bomber", self.bomber.address))
        yield from (("reenterer", self.reenterer.address), ("escrow", self.escrow.address))


def _agree_on_refusal(refusal: Refusal, reverted: Reverted) -> None:
    assert reverted.name == refusal.name, f"refused with {reverted!r}, not with {refusal!r}"
    if not refusal.name:
        return
    for actual, expected in zip(reverted.values, refusal.values, strict=True):
        assert expected is UNKNOWN or actual == expected, f"refused with {reverted!r}, not with {refusal!r}"


def _flat(value: Any) -> Any:
    if isinstance(value, dict):
        value = list(value.values())
    return [_flat(part) for part in value] if isinstance(value, (list, tuple)) else value
