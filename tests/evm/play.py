"""Random operations: the catalogue, roles, direct calls, tokens. Mostly right, with a share of everything that is wrong.

`play_accounts` has the operations on channels, keys, credits, and batches.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from eth_hash.auto import keccak
from tallystick.protocol.accounts import ChannelTerms, PositionTerms
from tallystick.protocol.calls import CallStatus, DirectCall, Outcome
from tallystick.protocol.encoding import address_word, uint_word
from tallystick.protocol.hexes import ZERO_ADDRESS
from tallystick.protocol.plans import Plan
from tallystick.protocol.prices import NATIVE, PriceSheet, Units
from tallystick.protocol.revisions import RevisionTerms
from tallystick.protocol.tiers import Tier

from tests.evm.model_states import EMPTY
from tests.evm.model_world import DAY, MANNERS, Permit, Refusal
from tests.evm.scene import TRANSFER_TYPEHASH, Person, revision_terms
from tests.evm.stage import Sight, Stage

T = TypeVar("T")
Focus = DirectCall | ChannelTerms | PositionTerms | None
"""What the next step is about, where it is not left to chance."""
CANCEL_TYPEHASH = keccak(b"CancelAuthorization(address authorizer,bytes32 nonce)")
WALLET_MANNERS = 7


class Play:
    """Operations on one stage. Every method is one step."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.rng: random.Random = stage.rng
        self.books, self.catalogue = stage.books, stage.catalogue
        self.escrow = stage.escrow
        self.calls: list[DirectCall] = []
        self.permits: list[tuple[DirectCall, Permit, tuple[Any, ...]]] = []
        self.tills: dict[bytes, str] = {}
        self.separator = stage.token.view("DOMAIN_SEPARATOR")
        self.made = 0
        self.focus: Focus = None

    # ---- choosing

    @property
    def now(self) -> int:
        return self.stage.machine.time

    def odds(self, chance: float) -> bool:
        return self.rng.random() < chance

    def pick(self, among: Sequence[T]) -> T:
        return among[self.rng.randrange(len(among))]

    def late(self, among: Sequence[T]) -> T:
        """Mostly one of the last."""
        return self.pick(among[-8:]) if self.odds(0.8) else self.pick(among)

    def by(self, expected: str) -> str:
        """Mostly who should."""
        return self.pick(self.stage.actors) if self.odds(0.08) else expected

    def by_oracle(self, oracle: str) -> str:
        """Mostly the oracle, or a key that acts for it, or did."""
        signer, previous, _ = self.catalogue.signers.get(oracle, (ZERO_ADDRESS, ZERO_ADDRESS, 0))
        keys = [key for key in (signer, previous) if key != ZERO_ADDRESS]
        return self.by(self.pick(keys) if keys and self.odds(0.4) else oracle)

    def fresh(self) -> bytes:
        """32 bytes that nothing else has."""
        self.made += 1
        return keccak(b"fresh %d" % self.made)

    def units(self) -> Units:
        return Units(*(self.rng.choice((0, self.rng.randrange(2_000))) for _ in range(3)))

    def listing(self) -> int:
        """A listing's id; now and then of none."""
        return self.rng.randint(0, 99) if self.odds(0.02) else 1 + self.rng.randrange(len(self.catalogue.listings))

    def latest(self, listing_id: int) -> tuple[int, RevisionTerms]:
        """The number and the terms of what is for sale."""
        if not 1 <= listing_id <= len(self.catalogue.listings):
            return 1, revision_terms(self.stage.market.oracle)
        revisions = self.catalogue.listings[listing_id - 1].revisions
        return len(revisions), revisions[-1]

    def person(self, address: str) -> Person:
        """Who signs for a payer."""
        return self.stage.wallet_key if address == self.stage.wallet.address else self.stage.people[address]

    def charge(self, price: int) -> int:
        chance = self.rng.random()
        if chance < 0.75:
            return price
        return price + 1 if chance < 0.83 else self.rng.randint(0, price)

    def attempt(self, name: str, arguments: Sequence[Any], by: str, act: Callable[[], Any], **more: Any) -> bool:
        return self.stage.attempt(name, more.pop("contract", self.escrow), arguments, by, act, **more)

    # ---- the catalogue

    def terms(self) -> RevisionTerms:
        rng = self.rng
        asset = rng.choice((*self.stage.assets, NATIVE, self.stage.token.address))
        prices = PriceSheet(asset, *(rng.choice((0, rng.randrange(3_000))) for _ in range(4)))
        tiers = [Tier(3, 1_000), Tier(7, 2_500), Tier(20, 10_000)][: rng.choice((0, 0, 1, 2, 3))]
        plans = [
            Plan(0, rng.randint(1, 4)),
            Plan(rng.randint(1, 500), rng.randint(1, 20), 1, 60 * DAY),
            Plan(rng.randint(1, 500), rng.randint(1, 8), 3, 90 * DAY, rng.choice((7 * DAY, 30 * DAY))),
        ][: rng.choice((0, 1, 3, 3))]
        made = revision_terms(
            self.pick(self.stage.oracles),
            oracle_share_bps=rng.choice((0, 0, 1_500, 3_333, 10_000)),
            manifest_hash=self.fresh(),
            prices=prices,
            tiers=tuple(tiers),
            plans=tuple(plans),
        )
        if self.odds(0.88):
            return made
        wrong: dict[str, Any] = rng.choice(
            (
                {"oracle": ZERO_ADDRESS},
                {"oracle_share_bps": 10_001},
                {"manifest_hash": EMPTY},
                {"tiers": (Tier(5, 100), Tier(5, 200))},
                {"tiers": (Tier(0, 100),)},
                {"tiers": (Tier(1, 10_001),)},
                {"tiers": tuple(Tier(number, number) for number in range(1, 6))},
                {"plans": (Plan(1, 1, 2, DAY, DAY),)},
                {"plans": (Plan(0, 1, 2, DAY, 1),)},
                {"plans": (Plan(1, 1, 1, 367 * DAY),)},
            )
        )
        return replace(made, **wrong)

    def publish(self) -> None:
        owner, terms = self.pick([*self.stage.owners, self.stage.refuser.address]), self.terms()
        self._catalogue("publish", (terms.as_tuple(),), owner, lambda: self.catalogue.publish(owner, terms))

    def revise(self) -> None:
        listing_id, terms = self.listing(), self.terms()
        sender = self._by_owner(listing_id)
        revise = lambda: self.catalogue.revise(sender, listing_id, terms)  # noqa: E731
        self._catalogue("revise", (listing_id, terms.as_tuple()), sender, revise)

    def transfer(self) -> None:
        listing_id = self.listing()
        sender, receiver = self._by_owner(listing_id), self.pick([*self.stage.owners, self.stage.refuser.address])
        giver = self.pick(self.stage.owners) if self.odds(0.1) else self._owner(listing_id)
        arguments = (giver, receiver, listing_id)
        transfer = lambda: self.catalogue.transfer(sender, giver, receiver, listing_id)  # noqa: E731
        self._catalogue("transferFrom", arguments, sender, transfer)

    def withdraw_listing(self) -> None:
        self._set_withdrawn("withdrawListing", True)

    def relist(self) -> None:
        self._set_withdrawn("relist", False)

    def _set_withdrawn(self, name: str, withdrawn: bool) -> None:
        listing_id = self.listing()
        fitting = [n for n, one in enumerate(self.catalogue.listings, 1) if one.withdrawn != withdrawn]
        if fitting and self.odds(0.7):
            listing_id = self.pick(fitting)
        sender = self._by_owner(listing_id)
        change = lambda: self.catalogue.set_withdrawn(sender, listing_id, withdrawn)  # noqa: E731
        self._catalogue(name, (listing_id,), sender, change)

    def rotate_signer(self) -> None:
        oracle = self.pick(self.stage.oracles)
        signer = self.pick([*self.stage.oracle_keys, ZERO_ADDRESS])
        grace = self.rng.choice((0, 3_600, DAY, 8 * DAY, 8 * DAY + 1))

        def act() -> None:
            self.catalogue.rotate_signer(oracle, signer, grace)

        self._catalogue("rotateSigner", (signer, grace), oracle, act)

    def _owner(self, listing_id: int) -> str:
        known = 1 <= listing_id <= len(self.catalogue.listings)
        return self.catalogue.listings[listing_id - 1].owner if known else self.stage.owners[0]

    def _by_owner(self, listing_id: int) -> str:
        return self.by(self._owner(listing_id))

    def _catalogue(self, name: str, arguments: Sequence[Any], by: str, act: Callable[[], Any]) -> None:
        self.attempt(name, arguments, by, act, contract=self.stage.registry)

    # ---- roles and surroundings

    def pause(self) -> None:
        sender = self.by(self.stage.market.administrator)
        self.attempt("pause", (), sender, lambda: self.books.set_paused(sender, True))

    def unpause(self) -> None:
        sender = self.by(self.stage.market.administrator)
        self.attempt("unpause", (), sender, lambda: self.books.set_paused(sender, False))

    def set_fee(self) -> None:
        sender = self.by(self.stage.market.administrator)
        fee = self.rng.choice((0, 0, 1, 100, 500, 501))
        collector = ZERO_ADDRESS if self.odds(0.2) else self.stage.market.collector
        self.attempt("setFee", (fee, collector), sender, lambda: self.books.set_fee(sender, fee, collector))

    def force(self) -> None:
        """Assets that come without the escrow's knowing."""
        asset, amount = self.pick(self.stage.assets), self.rng.randint(1, 1_000)
        if asset == NATIVE:
            machine = self.stage.machine
            machine.fund(self.escrow.address, machine.balance(self.escrow.address) + amount)
        else:
            contract = self.stage.token if asset == self.stage.token.address else self.stage.hostile
            contract.send("mint", self.escrow.address, amount, by=self.stage.market.stranger)
            self.stage.purses.balances[asset, self.escrow.address] += amount
        self.stage.forced[asset] += amount
        self.stage.coverage["force", True] += 1

    def behave(self) -> None:
        """Another manner for the hostile token, or for the wallet."""
        stranger = self.stage.market.stranger
        self.stage.coverage["behave", True] += 1
        if self.odds(0.3):
            manner = self.rng.choice((0, 0, 0, *range(1, WALLET_MANNERS)))
            self.stage.wallet.send("behave", manner, by=stranger)
            self.books.wallets[self.stage.wallet.address] = None if manner else self.stage.wallet_key.address
            return
        manner = self.rng.choice((0, 0, *range(len(MANNERS))))
        self.stage.purses.manner = MANNERS[manner]
        if MANNERS[manner] == "CallsBack":
            again = self.escrow.data("withdraw", self.stage.hostile.address, stranger)
            self.stage.hostile.send("callBack", self.escrow.address, again, by=stranger)
        else:
            self.stage.hostile.send("behave", manner, by=stranger)

    def withdraw(self) -> None:
        sender, asset = self.pick(self.stage.actors), self.pick(self.stage.assets)
        owing = [key for key, amount in self.books.owed.items() if amount and key[0] in self.stage.actors]
        if owing and self.odds(0.85):
            sender, asset = self.pick(owing)
        to = self.pick(self.stage.receivers) if self.odds(0.5) else sender
        sights: list[Sight] = [("owed", sender, asset)]
        if asset != NATIVE:
            sights += [("holding", asset, self.escrow.address), ("holding", asset, to)]
        self.attempt("withdraw", (asset, to), sender, lambda: self.books.withdraw(sender, asset, to), sights=sights)

    # ---- direct calls

    def direct(self, *, token: bool = False) -> DirectCall:
        """The terms of a new call, mostly good ones."""
        listing_id = self.listing()
        sold = [
            n
            for n, one in enumerate(self.catalogue.listings, 1)
            if one.revisions[-1].prices.asset == self.stage.token.address
        ]
        if token and sold and self.odds(0.9):
            listing_id = self.pick(sold)
        number, terms = self.latest(listing_id)
        payer = self.pick(self.stage.payers[:2]) if token and self.odds(0.95) else self.pick(self.stage.payers)
        call = DirectCall(
            payer,
            listing_id,
            number,
            terms.oracle,
            terms.prices.asset,
            self.rng.choice((self.rng.randint(0, 12_000), 0, 30_000)),
            self.now + self.rng.choice((self.rng.randint(1, 3_600), self.rng.randint(1, 7 * DAY))),
            self.fresh(),
        )
        if self.odds(0.9):
            return call
        wrong: dict[str, Any] = self.rng.choice(
            (
                {"request_commitment": EMPTY},
                {"deadline": self.now},
                {"deadline": self.now + 7 * DAY + 5},
                {"revision": number + 1},
                {"revision": max(0, number - 1)},
                {"oracle": self.pick([*self.stage.oracles, ZERO_ADDRESS])},
                {"asset": self.pick(self.stage.assets)},
                {"amount": 2**90},
            )
        )
        return replace(call, **wrong)

    def open(self) -> None:
        call = self.late(self.calls) if self.calls and self.odds(0.05) else self.direct()
        sender = self.by(call.payer)
        value = call.amount if call.asset == NATIVE else 0
        if self.odds(0.03):
            value += 1
        opened = self.attempt(
            "open",
            (call.as_tuple(),),
            sender,
            lambda: self.books.open(sender, call, value),
            value=value,
            sights=self._sights(call, moved=True),
        )
        if opened or self.odds(0.1):
            self.calls.append(call)

    def fulfil(self) -> None:
        call = self._some_call()
        if call is None:
            return
        units = self.units()
        terms = self.catalogue.revision(call.listing_id, call.revision) or revision_terms(call.oracle)
        charge = self.charge(min(call.amount, self.books.price_of(terms, units, call.payer, call.listing_id)))
        outcome = Outcome(EMPTY if self.odds(0.02) else self.fresh(), self.fresh(), units, charge)
        sender = self.by_oracle(call.oracle)
        sights = self._sights(call)
        sights.append(("owed", self._owner(call.listing_id), call.asset))
        sights.append(("owed", call.oracle, call.asset))
        sights.append(("owed", self.books.collector, call.asset))
        arguments = (call.as_tuple(), outcome.as_tuple())
        self.attempt("fulfil", arguments, sender, lambda: self.books.fulfil(sender, call, outcome), sights=sights)

    def decline(self) -> None:
        call = self._some_call()
        if call is not None:
            sender = self.by_oracle(call.oracle)
            decline = lambda: self.books.decline(sender, call)  # noqa: E731
            self.attempt("decline", (call.as_tuple(),), sender, decline, sights=self._sights(call))

    def refund(self) -> None:
        call = self._some_call(overdue=True)
        if call is not None:
            sender = self.pick(self.stage.actors)
            refund = lambda: self.books.refund(call)  # noqa: E731
            self.attempt("refund", (call.as_tuple(),), sender, refund, sights=self._sights(call))

    def _some_call(self, *, overdue: bool = False) -> DirectCall | None:
        if isinstance(self.focus, DirectCall):
            return self.focus
        if not self.calls:
            return None
        if self.odds(0.85):
            states = [state for state in self.books.calls.values() if state.status is CallStatus.OPEN]
            fitting = [state.call for state in states if not overdue or state.call.deadline < self.now]
            if fitting:
                return self.pick(fitting)
        return self.late(self.calls)

    def _sights(self, call: DirectCall, *, moved: bool = False) -> list[Sight]:
        sights: list[Sight] = [
            ("call", call.call_id(self.books.domain)),
            ("owed", call.payer, call.asset),
            ("counter", call.payer, call.listing_id),
        ]
        if moved and call.asset != NATIVE:
            sights.append(("holding", call.asset, self.escrow.address))
        return sights

    # ---- token authorisations

    def open_with_authorisation(self) -> None:
        call, permit, signed = self._some_permit()
        if self.odds(0.05) and self.calls:
            call = self.late(self.calls)
        sender = self.pick(self.stage.actors)
        opened = self.attempt(
            "openWithAuthorisation",
            (call.as_tuple(), signed),
            sender,
            lambda: self.books.open_with_authorisation(call, permit),
            sights=self._sights(call, moved=True),
        )
        if opened:
            self.stage.machine.end_of(self._till(call))
            self.calls.append(call)

    def recover(self) -> None:
        call = self._some_call() if self.odds(0.1) else self._some_permit(old=0.9)[0]
        full = [one for one, _, _ in self.permits if self.stage.purses.balances[one.asset, self._id(one)]]
        if full and self.odds(0.75):
            call = self.pick(full)
        if isinstance(self.focus, DirectCall):
            call = self.focus
        if call is None:
            return
        sender = self.by(call.payer)
        recover = lambda: self.books.recover(sender, call)  # noqa: E731
        if self.attempt("recover", (call.as_tuple(),), sender, recover, sights=self._sights(call, moved=True)):
            self.stage.machine.end_of(self._till(call))

    def pay_till(self) -> None:
        """Tokens come to a till without any authorisation."""
        call, amount = self._some_permit(old=0.8)[0], self.rng.randint(1, 5_000)
        if call.asset in self.stage.assets[1:]:
            contract = self.stage.token if call.asset == self.stage.token.address else self.stage.hostile
            contract.send("mint", self._till(call), amount, by=self.stage.market.stranger)
            self.stage.purses.balances[call.asset, self._id(call)] += amount
            self.stage.coverage["pay_till", True] += 1

    def _id(self, call: DirectCall) -> bytes:
        return call.call_id(self.books.domain)

    def relay(self) -> None:
        """Somebody relays an authorisation before the oracle does."""
        call, permit, signed = self._some_permit()
        if call.asset != self.stage.token.address:
            return
        arguments = (call.payer, self._till(call), call.amount, *signed)
        self.attempt(
            "transferWithAuthorization",
            arguments,
            self.pick(self.stage.actors),
            lambda: self.books.relay(call, permit),
            contract=self.stage.token,
        )

    def cancel(self) -> None:
        """The payer ends an authorisation; its nonce is used from then on, and nothing came."""
        call, permit, _ = self._some_permit()
        if call.asset != self.stage.token.address or call.payer == self.stage.wallet.address:
            return
        digest = keccak(
            b"\x19\x01" + self.separator + keccak(CANCEL_TYPEHASH + address_word(call.payer) + permit.nonce)
        )
        signature = self.person(call.payer).sign(digest)

        def act() -> None:
            if (call.payer, permit.nonce) in self.stage.purses.used:
                raise Refusal("TestStablecoin_AuthorisationUsed", call.payer, permit.nonce)
            self.stage.purses.used.add((call.payer, permit.nonce))

        arguments = (call.payer, permit.nonce, signature[64], signature[:32], signature[32:64])
        self.attempt("cancelAuthorization", arguments, self.pick(self.stage.actors), act, contract=self.stage.token)

    def _some_permit(self, old: float = 0.4) -> tuple[DirectCall, Permit, tuple[Any, ...]]:
        mine = [permit for permit in self.permits if permit[0] == self.focus]
        if mine:
            return self.pick(mine)
        if self.permits and self.odds(old):
            return self.late(self.permits)
        if self.permits and self.odds(0.1):
            return self._permit(self.late(self.permits)[0])
        return self._permit(self.direct(token=self.odds(0.85)))

    def _permit(self, call: DirectCall) -> tuple[DirectCall, Permit, tuple[Any, ...]]:
        signer = self.person(call.payer)
        if self.odds(0.04):
            signer = self.pick(list(self.stage.people.values()))
        nonce = call.call_id(self.books.domain) if self.odds(0.3) else self.fresh()
        after = self.now + 5 if self.odds(0.03) else 0
        before = self.now + self.rng.choice((600, 3_600, DAY))
        permit = Permit(signer.address, call, after, before, nonce)
        words = address_word(call.payer) + address_word(self._till(call)) + uint_word(call.amount)
        struct = keccak(TRANSFER_TYPEHASH + words + uint_word(after) + uint_word(before) + nonce)
        signature = signer.sign(keccak(b"\x19\x01" + self.separator + struct))
        made = (call, permit, (after, before, nonce, signature[64], signature[:32], signature[32:64]))
        self.permits.append(made)
        return made

    def _till(self, call: DirectCall) -> str:
        call_id = call.call_id(self.books.domain)
        if call_id not in self.tills:
            self.tills[call_id] = self.escrow.peek("tillOf", call.as_tuple())
        return self.tills[call_id]
