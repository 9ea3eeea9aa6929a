"""Random operations on channels, keys and credits, and batches with all that can be wrong in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eth_hash.auto import keccak
from tallystick.protocol.accounts import Authorisation, ChannelTerms, KeyGrant, PositionTerms, key_account
from tallystick.protocol.calls import Mode
from tallystick.protocol.hexes import ZERO_ADDRESS
from tallystick.protocol.prices import NATIVE
from tallystick.protocol.revisions import RevisionTerms

from tests.evm.model_states import EMPTY, Channel, Group
from tests.evm.model_world import DAY
from tests.evm.play import Play
from tests.evm.scene import ROOT, Call, revision_terms
from tests.evm.stage import Sight, Stage

LAST_INDEX = 2**40 - 1


class AccountPlay(Play):
    """Operations on one stage. Every method is one step."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.channels: list[ChannelTerms] = []
        self.positions: list[PositionTerms] = []
        self.grants: dict[bytes, list[KeyGrant]] = defaultdict(list)
        self.next_index: dict[bytes, int] = defaultdict(int)

    # ---- channels

    def deposit(self) -> None:
        payer = self.pick(self.stage.payers)
        if self.channels and self.odds(0.65):
            terms = self.late(self.channels)
        else:
            asset = self.pick((*self.stage.assets, NATIVE, self.stage.token.address))
            terms = ChannelTerms(payer, self.pick(self.stage.oracles), asset, self.rng.randrange(2**64))
            if self.odds(0.03):
                terms = replace(terms, payer=ZERO_ADDRESS)
        sender = self.pick(self.stage.actors) if self.odds(0.15) else terms.payer
        if sender == ZERO_ADDRESS:
            sender = payer
        amount = self.rng.choice((self.rng.randint(1, 20_000), self.rng.randint(1, 20_000), 100_000, 0, 1))
        if self.odds(0.01) and sender == self.stage.payers[0]:
            amount = 2**112 - self.rng.choice((1, 0))
        value = amount if terms.asset == NATIVE else 0
        if self.odds(0.03):
            value += 1
        sights: list[Sight] = [("channel", terms.channel_id(self.books.domain))]
        if terms.asset != NATIVE:
            sights.append(("holding", terms.asset, self.escrow.address))
        deposited = self.attempt(
            "deposit",
            (terms.as_tuple(), amount),
            sender,
            lambda: self.books.deposit(sender, terms, amount, value),
            value=value,
            sights=sights,
        )
        if deposited and terms not in self.channels:
            self.channels.append(terms)

    def request_close(self) -> None:
        terms = self._some_channel(closing=False)
        if terms is not None:
            sender = self.by(terms.payer)
            act = lambda: self.books.request_close(sender, terms)  # noqa: E731
            self.attempt("requestClose", (terms.as_tuple(),), sender, act, sights=self._channel_sights(terms))

    def release(self) -> None:
        terms = self._some_channel(closing=True)
        if terms is not None:
            sender = self.by_oracle(terms.oracle)
            act = lambda: self.books.release(sender, terms)  # noqa: E731
            self.attempt("release", (terms.as_tuple(),), sender, act, sights=self._channel_sights(terms))

    def close(self) -> None:
        terms = self._some_channel(closing=True)
        if terms is not None:
            sender = self.pick(self.stage.actors)
            act = lambda: self.books.close(terms)  # noqa: E731
            self.attempt("close", (terms.as_tuple(),), sender, act, sights=self._channel_sights(terms))

    def revoke_key(self) -> None:
        terms = self._some_channel(closing=False)
        if terms is None:
            return
        grants = self.grants[terms.channel_id(self.books.domain)]
        key_hash = self.pick(grants).key_hash if grants else self.fresh()
        sender = self.by(terms.payer)
        act = lambda: self.books.revoke_key(sender, terms, key_hash)  # noqa: E731
        sights = [("key", terms.channel_id(self.books.domain), key_hash)]
        self.attempt("revokeKey", (terms.as_tuple(), key_hash), sender, act, sights=sights)

    def _some_channel(self, *, closing: bool) -> ChannelTerms | None:
        if isinstance(self.focus, ChannelTerms):
            return self.focus
        if not self.channels:
            return None
        fitting = [one.terms for one in self.books.channels.values() if bool(one.closes_at) == closing]
        return self.pick(fitting) if fitting and self.odds(0.75) else self.late(self.channels)

    def _channel_sights(self, terms: ChannelTerms) -> list[Sight]:
        return [("channel", terms.channel_id(self.books.domain)), ("owed", terms.payer, terms.asset)]

    # ---- credits

    def buy_credits(self) -> None:
        listing_id = self.listing()
        with_plans = [n for n, one in enumerate(self.catalogue.listings, 1) if one.revisions[-1].plans]
        if with_plans and self.odds(0.85):
            listing_id = self.pick(with_plans)
        number, sold = self.latest(listing_id)
        plan = self.rng.randrange(len(sold.plans) + self.odds(0.05)) if sold.plans else 0
        oracle = self.pick(self.stage.oracles) if self.odds(0.03) else sold.oracle
        terms = PositionTerms(
            self.pick(self.stage.payers), listing_id, number, plan, oracle, sold.prices.asset, self.rng.randrange(2**64)
        )
        if self.positions and self.odds(0.04):
            terms = self.late(self.positions)
        sender = self.by(terms.payer)
        bought = self._pay("buyCredits", terms, sender, self.books.buy_credits)
        if bought:
            self.positions.append(terms)

    def pay_instalment(self) -> None:
        terms = self._some_position(unpaid=True)
        if terms is not None:
            sender = self.pick(self.stage.actors) if self.odds(0.2) else terms.payer
            self._pay("payInstalment", terms, sender, self.books.pay_instalment)

    def request_reclaim(self) -> None:
        terms = self._some_position(unserved=True)
        if terms is not None:
            sender = self.by(terms.payer)
            act = lambda: self.books.request_reclaim(sender, terms)  # noqa: E731
            self.attempt("requestReclaim", (terms.as_tuple(),), sender, act, sights=self._position_sights(terms))

    def reclaim(self) -> None:
        terms = self._some_position(over=True)
        if terms is not None:
            sender = self.pick(self.stage.actors)
            act = lambda: self.books.reclaim(terms)  # noqa: E731
            self.attempt("reclaim", (terms.as_tuple(),), sender, act, sights=self._position_sights(terms))

    def _pay(self, name: str, terms: PositionTerms, sender: str, act: Any) -> bool:
        revision = self.catalogue.revision(terms.listing_id, terms.revision)
        fitting = revision is not None and terms.plan < len(revision.plans)
        price = revision.plans[terms.plan].tranche_price if revision is not None and fitting else 1
        value = price if terms.asset == NATIVE else 0
        if self.odds(0.03):
            value += 1
        return self.attempt(
            name,
            (terms.as_tuple(),),
            sender,
            lambda: act(sender, terms, value),
            value=value,
            sights=[*self._position_sights(terms), ("trial", terms.payer, terms.listing_id)],
        )

    def _some_position(
        self, *, unpaid: bool = False, unserved: bool = False, over: bool = False
    ) -> PositionTerms | None:
        if isinstance(self.focus, PositionTerms):
            return self.focus
        if not self.positions:
            return None
        if self.odds(0.1):
            return replace(self.late(self.positions), number=1)
        fitting = [
            one.terms
            for one in self.books.positions.values()
            if not one.closed
            and (not unpaid or (one.terms.plan == 2 and one.tranches < 3))
            and (not unserved or not self.catalogue.is_served_by(one.terms.listing_id, one.terms.oracle))
            and (not over or self.now > one.last)
        ]
        return self.late(fitting) if fitting and self.odds(0.8) else self.late(self.positions)

    def _position_sights(self, terms: PositionTerms) -> list[Sight]:
        return [("position", terms.position_id(self.books.domain)), ("owed", terms.payer, terms.asset)]

    # ---- batches

    def settle(self) -> None:
        oracle = self.pick(self.stage.oracles) if self.focus is None else self.focus.oracle
        sender = self.by_oracle(oracle)
        root = EMPTY if self.odds(0.01) else ROOT
        groups = [self._group(oracle) for _ in range(self.rng.choice((0, 1, 1, 1, 2, 2, 3, 5)))]
        chosen = sorted((group for group in groups if group is not None), key=lambda group: group.mode)
        by_mode = [[self._signed(group) for group in chosen if group.mode is mode] for mode in list(Mode)[1:]]
        before = self._spent(chosen)
        settled = self.attempt(
            "settle",
            ((oracle, *by_mode, root),),
            sender,
            lambda: self.books.settle(sender, oracle, root, chosen),
            sights=self._batch_sights(oracle, chosen),
        )
        if settled:
            self._only_what_was_signed(chosen, before)

    def _group(self, oracle: str) -> Group | None:
        mode = self.pick((Mode.CHANNEL, Mode.CHANNEL, Mode.KEY, Mode.CREDITS))
        if mode is Mode.CREDITS:
            return self._credit_group(oracle)
        fitting = [terms for terms in self.channels if terms.oracle == oracle]
        if not fitting or self.odds(0.03):
            fitting = self.channels
        if not fitting:
            return None
        terms = self.focus if isinstance(self.focus, ChannelTerms) else self.late(fitting)
        if self.odds(0.02):
            terms = replace(terms, number=0)
        listing_id, number, revision = self._fitting_revision(terms)
        account = terms.channel_id(self.books.domain)
        channel = self.books.channels.get(account) or Channel(terms)
        if mode is Mode.CHANNEL:
            entries = self._entries(account, revision, terms.payer, listing_id)
            maximum = self._maximum(channel.spent, sum(entry.charge for entry in entries))
            return Group(terms, listing_id, number, self._signer(terms.payer), entries, maximum)
        grant = self._grant(account, listing_id)
        entries = self._entries(key_account(account, grant.key_hash), revision, terms.payer, listing_id)
        return Group(terms, listing_id, number, self._signer(terms.payer), entries, grant=grant)

    def _credit_group(self, oracle: str) -> Group | None:
        fitting = [terms for terms in self.positions if terms.oracle == oracle] or self.positions
        if not fitting:
            return None
        terms = self.focus if isinstance(self.focus, PositionTerms) else self.late(fitting)
        account = terms.position_id(self.books.domain)
        number = terms.revision
        if self.odds(0.3):
            number = self.rng.randint(0, 1 + len(self.catalogue.listings[terms.listing_id - 1].revisions))
        entries = tuple(
            replace(entry, charge=self.rng.choice((1, 1, 1, 1, 0, 2)))
            for entry in self._entries(account, revision_terms(oracle), terms.payer, terms.listing_id)
        )
        position = self.books.positions.get(account)
        maximum = self._maximum(position.used if position else 0, sum(entry.charge for entry in entries))
        return Group(terms, terms.listing_id, number, self._signer(terms.payer), entries, maximum)

    def _fitting_revision(self, terms: ChannelTerms) -> tuple[int, int, RevisionTerms]:
        """Mostly a revision that the channel's oracle runs and that is priced in its asset."""
        fitting = [
            (listing_id, number, revision)
            for listing_id, listing in enumerate(self.catalogue.listings, 1)
            for number, revision in enumerate(listing.revisions, 1)
            if revision.oracle == terms.oracle and revision.prices.asset == terms.asset
        ]
        if fitting and self.odds(0.9):
            return self.late(fitting)
        listing_id = self.listing()
        number, revision = self.latest(listing_id)
        return listing_id, number, revision

    def _entries(self, account: bytes, revision: RevisionTerms, payer: str, listing_id: int) -> tuple[Call, ...]:
        return tuple(
            self._entry(account, revision, payer, listing_id) for _ in range(self.rng.choice((0, 1, 1, 2, 2, 3, 4)))
        )

    def _entry(self, account: bytes, revision: RevisionTerms, payer: str, listing_id: int) -> Call:
        index = self.next_index[account]
        if self.odds(0.85):
            self.next_index[account] += 1
        else:
            index = self.rng.choice((self.rng.randrange(index + 1), self.rng.randrange(1_000), LAST_INDEX))
        units = self.units()
        charge = self.charge(self.books.price_of(revision, units, payer, listing_id))
        commitment = EMPTY if self.odds(0.02) else self.fresh()
        return Call(index, charge, units, commitment, EMPTY if self.odds(0.02) else keccak(commitment))

    def _grant(self, account: bytes, listing_id: int) -> KeyGrant:
        grants = self.grants[account]
        if grants and self.odds(0.7):
            return self.late(grants)
        scope = self.rng.choice(((), (), (listing_id,), (9_999, listing_id), (9_999,)))
        cap = self.rng.choice((self.rng.randint(0, 5_000), 50_000, 2**128 - 1))
        grant = KeyGrant(self.fresh(), cap, self.now + self.rng.choice((0, 3_600, 30 * DAY, -1)), scope)
        if grants and self.odds(0.2):
            grant = replace(grant, key_hash=self.late(grants).key_hash)
        grants.append(grant)
        return grant

    def _maximum(self, spent: int, more: int) -> int:
        """Mostly enough, sometimes just not, or signed for something long ago."""
        return self.rng.choice(
            (spent + more, spent + more, spent + more + 5_000, 2**128 - 1, max(0, spent + more - 1), spent // 2)
        )

    def _signer(self, payer: str) -> str:
        """Who signs, by address; empty for bytes that nobody's key made."""
        chance = self.rng.random()
        if chance < 0.04:
            return ""
        return self.pick(list(self.stage.people)) if chance < 0.08 else self.person(payer).address

    def _signed(self, group: Group) -> tuple[Any, ...]:
        """The group as the contract's struct."""
        account, domain = self.books.id_of(group.account), self.books.domain
        entries = [entry.as_tuple() for entry in group.entries]
        given = group.grant or Authorisation(group.maximum, group.entries[-1].index if entries else 0, ROOT)
        digest = given.digest(domain, account)
        if group.signer:
            signature = self.stage.people[group.signer].sign(digest)
        else:
            signature = self.rng.randbytes(self.rng.choice((0, 64, 65, 65, 200)))
        called = (group.revision,) if group.mode is Mode.CREDITS else (group.listing_id, group.revision)
        return (group.account.as_tuple(), *called, given.as_tuple(), signature, entries)

    def _batch_sights(self, oracle: str, groups: Sequence[Group]) -> list[Sight]:
        sights: set[Sight] = set()
        for group in groups:
            account, payer, asset = self.books.id_of(group.account), group.account.payer, group.account.asset
            sights.add(("position" if group.mode is Mode.CREDITS else "channel", account))
            sights.add(("owed", oracle, asset))
            sights.add(("owed", self.books.collector, asset))
            sights.add(("owed", self._owner(group.listing_id), asset))
            sights.add(("counter", payer, group.listing_id))
            under = account
            if group.grant is not None:
                sights.add(("key", account, group.grant.key_hash))
                under = key_account(account, group.grant.key_hash)
            sights.update(("charged", under, entry.index >> 8) for entry in group.entries)
        return sorted(sights, key=repr)

    # ---- M2 and M3, from the states of before and after

    def _spent(self, groups: Sequence[Group]) -> dict[bytes, int]:
        found = {}
        for group in groups:
            account = self.books.id_of(group.account)
            if group.mode is Mode.CREDITS:
                position = self.books.positions.get(account)
                found[account] = position.used if position else 0
            else:
                found[account] = (self.books.channels.get(account) or Channel(group.account)).spent
        return found

    def _only_what_was_signed(self, groups: Sequence[Group], before: dict[bytes, int]) -> None:
        """An account fell by no more than what signed groups asked for, and never beyond what they permit."""
        after = self._spent(groups)
        for account, spent in before.items():
            mine = [group for group in groups if self.books.id_of(group.account) == account]
            signed = [group for group in mine if self.books.is_signed(group.signer, group.account.payer)]
            asked = sum(entry.charge for group in signed for entry in group.entries)
            assert after[account] - spent <= asked, "M2: charged without the payer's signature"
            if after[account] > spent and all(group.grant is None for group in signed):
                assert after[account] <= max(group.maximum for group in signed), "M3: above what was authorised"
