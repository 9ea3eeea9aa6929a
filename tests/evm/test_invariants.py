"""M1 to M3 and M5 to M9, by a machine that plays at random and compares every step with the model.

`python -m tests.evm.test_invariants SEED STEPS` plays a run again, and tells its last steps where it fails. The number
of steps of all runs together is TALLYSTICK_FUZZ_STEPS.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from tallystick.protocol.calls import CallStatus
from tallystick.protocol.hexes import ZERO_ADDRESS
from tallystick.protocol.prices import NATIVE

from tests.evm.machine import Machine
from tests.evm.model_states import REASONS
from tests.evm.model_world import DAY
from tests.evm.play import Focus
from tests.evm.play_accounts import AccountPlay
from tests.evm.stage import Stage

STEPS = int(os.environ.get("TALLYSTICK_FUZZ_STEPS", "12800"))
STEPS_A_RUN = 1_600
CHECK_ALL_EVERY = 200
WEIGHTS: dict[str, int] = {
    "publish": 4,
    "revise": 5,
    "transfer": 2,
    "withdraw_listing": 2,
    "relist": 4,
    "rotate_signer": 2,
    "pause": 1,
    "unpause": 5,
    "set_fee": 2,
    "force": 1,
    "behave": 4,
    "withdraw": 8,
    "open": 12,
    "fulfil": 10,
    "decline": 3,
    "refund": 4,
    "open_with_authorisation": 7,
    "relay": 4,
    "cancel": 2,
    "recover": 5,
    "pay_till": 3,
    "deposit": 12,
    "request_close": 2,
    "release": 2,
    "close": 3,
    "revoke_key": 2,
    "buy_credits": 8,
    "pay_instalment": 5,
    "request_reclaim": 3,
    "reclaim": 3,
    "settle": 30,
}
ATTEMPTS = tuple(
    "publish revise transferFrom withdrawListing relist rotateSigner pause unpause setFee withdraw open fulfil decline "  # noqa: SIM905
    "refund openWithAuthorisation transferWithAuthorization cancelAuthorization recover deposit requestClose release "
    "close revokeKey buyCredits payInstalment requestReclaim reclaim settle".split()
)
NEVER_REFUSED = {"force", "behave", "pay_till"}


class Run:
    """One seed's run."""

    def __init__(self, seed: int, machine: Machine | None = None) -> None:
        self.stage = Stage(seed, machine)
        self.play = AccountPlay(self.stage)
        self.steps: list[Callable[[], None]] = [getattr(self.play, name) for name in WEIGHTS]
        self.weights = list(WEIGHTS.values())

    def go(self, steps: int) -> None:
        for _ in range(6):
            self.play.publish()
        for step in range(1, steps + 1):
            self.play.focus = None
            fitting = self._let_time_pass()
            if fitting and self.stage.rng.random() < 0.8:
                getattr(self.play, self.play.pick(fitting))()
            else:
                self.stage.rng.choices(self.steps, self.weights)[0]()
            self.stage.check_sums()
            if step % CHECK_ALL_EVERY == 0:
                self.stage.check_all()
        self.leave()
        self.stage.check_all()

    def _let_time_pass(self) -> tuple[str, ...]:
        """Now and then to the last second of something, or just beyond. Gives the operations that this is of interest to."""
        rng, now = self.stage.rng, self.stage.machine.time
        if rng.random() < 0.1:
            marks = [found for found in self._marks() if now <= found[0] < now + 3 * DAY]
            if marks:
                mark, fitting, self.play.focus = self.play.pick(marks)
                self.stage.machine.set_time(mark + rng.randint(0, 1))
                return fitting
        chance = rng.random()
        if chance < 0.35:
            return ()
        longest = 60 if chance < 0.8 else 3_600 if chance < 0.94 else DAY if chance < 0.993 else 21 * DAY
        self.stage.machine.pass_time(rng.randint(1, longest))
        return ()

    def _marks(self) -> Iterator[tuple[int, tuple[str, ...], Focus]]:
        """The last seconds of things, each with the operations that it ends or begins, and on what."""
        books = self.stage.books
        for state in books.calls.values():
            if state.status is CallStatus.OPEN:
                yield state.call.deadline, ("fulfil", "refund"), state.call
        for channel in books.channels.values():
            if channel.deposited > channel.spent:
                yield channel.closes_at, ("close", "release", "settle"), channel.terms
        for position in books.positions.values():
            if not position.closed:
                yield position.expires_at, ("request_reclaim", "settle"), position.terms
                yield position.last, ("reclaim", "settle"), position.terms
                terms = position.terms
                plan = self.stage.catalogue.plan(terms.listing_id, terms.revision, terms.plan)
                yield position.bought_at + position.tranches * plan.interval, ("pay_instalment",), terms
        for grants in self.play.grants.values():
            for grant in grants:
                yield grant.expiry, ("settle",), None
        for call, permit, _ in self.play.permits[-20:]:
            yield call.deadline, ("recover", "open_with_authorisation"), call
            yield permit.valid_before - 1, ("open_with_authorisation", "relay"), call
        for _, _, until in self.stage.catalogue.signers.values():
            yield until, ("settle", "fulfil"), None

    def leave(self) -> None:
        """M4, M5, M6: whatever happened, everybody gets everything out, without any oracle, paused or not.

        What stays is what was forced, which is nobody's.
        """
        stage, books, escrow = self.stage, self.stage.books, self.stage.escrow
        admin, anybody = stage.market.administrator, stage.market.stranger
        if not books.paused:
            stage.attempt("pause", escrow, (), admin, lambda: books.set_paused(admin, True))
        stage.hostile.send("behave", 0, by=anybody)
        stage.purses.manner = "Honest"
        for channel in list(books.channels.values()):
            terms = channel.terms
            if not channel.closes_at and terms.payer != ZERO_ADDRESS:
                close = lambda terms=terms: books.request_close(terms.payer, terms)  # noqa: E731
                assert stage.attempt("requestClose", escrow, (terms.as_tuple(),), terms.payer, close)
        stage.machine.pass_time(400 * DAY)
        for state in list(books.calls.values()):
            if state.status is CallStatus.OPEN:
                refund = lambda call=state.call: books.refund(call)  # noqa: E731
                assert stage.attempt("refund", escrow, (state.call.as_tuple(),), anybody, refund)
        for channel in list(books.channels.values()):
            if channel.deposited > channel.spent:
                close = lambda terms=channel.terms: books.close(terms)  # noqa: E731
                assert stage.attempt("close", escrow, (channel.terms.as_tuple(),), anybody, close)
        for position in list(books.positions.values()):
            if not position.closed:
                reclaim = lambda terms=position.terms: books.reclaim(terms)  # noqa: E731
                assert stage.attempt("reclaim", escrow, (position.terms.as_tuple(),), anybody, reclaim)
        for (account, asset), amount in list(books.owed.items()):
            if amount:
                to = anybody if asset == NATIVE else account
                withdraw = lambda account=account, asset=asset, to=to: books.withdraw(account, asset, to)  # noqa: E731
                assert stage.attempt("withdraw", escrow, (asset, to), account, withdraw)
        for asset in stage.assets:
            assert books.liabilities(asset) == 0


def play(seed: int, steps: int, machine: Machine | None = None) -> Stage:
    """Raises AssertionError with the seed and the last steps."""
    run = Run(seed, machine)
    try:
        run.go(steps)
    except Exception as error:
        told = run.stage.told()
        raise AssertionError(f"{told}\n{error!r}\nAgain: python -m tests.evm.test_invariants {seed} {steps}") from error
    return run.stage


def test_random_play_agrees_with_the_model_and_keeps_every_money_rule() -> None:
    """M1, M2, M3, M5, M6, M7, M8, M9 over seeded random runs, and that the runs got everywhere."""
    coverage: Counter[tuple[str, bool]] = Counter()
    reasons: Counter[str] = Counter()
    for seed in range(max(1, STEPS // STEPS_A_RUN)):
        stage = play(seed, STEPS_A_RUN)
        coverage += stage.coverage
        reasons += stage.reasons
    missing = [(name, done) for name in ATTEMPTS for done in (True, False) if not coverage[name, done]]
    missing += [(name, True) for name in NEVER_REFUSED if not coverage[name, True]]
    assert not missing, f"never done (True) or never refused (False): {missing}"
    unseen = [reason for reason in REASONS[1:] if not reasons[reason]]
    assert not unseen, f"reasons that no batch had: {unseen}"


pytestmark = pytest.mark.timeout(STEPS // 12)
"""Seconds; idle cores take a thirtieth of that."""


def main(seed: int, steps: int) -> None:
    started = time.perf_counter()
    stage = play(seed, steps)
    took = time.perf_counter() - started
    for (name, done), count in sorted(stage.coverage.items()):
        print(f"{count:6} {name} {'done' if done else 'refused'}")
    for (name, refusal), count in sorted(stage.refusals.items()):
        print(f"{count:6} {name}: {refusal or 'no reason given'}")
    print(dict(stage.reasons))
    print(f"{len(stage.trail)} steps in {took:.1f} s, {len(stage.trail) / took:.0f}/s")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]))
