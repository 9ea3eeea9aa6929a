"""Whatever happens, in whatever order: charged = served = logged, and no call is run twice (S1, S2, S3, S4, S5)."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tallystick.errors import CallNotOpened, ChainUnreachable, InferenceFailed
from tallystick.metering.posting import RESEND_SECONDS
from tallystick.metering.steps import Step, When
from tallystick.protocol.calls import CallStatus
from tallystick.protocol.prices import NATIVE
from tallystick.store.records import Abandoned, Completed, Finalised

from .kit import ORACLE, OWNER, PAYER, Order, Shop, null_model

FUZZ = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
BREAKS = "this breaks the model"
CONFIRMATIONS, FINALITY = 2, 3
DEEPEST = FINALITY - 1
POINTS = [(step, when) for step in Step for when in When if step is not Step.REPLIED]


class Killed(BaseException):
    """The process ended: nothing after this line ran."""


class LifeOfAnOracle:
    """One oracle, its payers, its chain, and everything that may go wrong between them; a method for each that can happen."""

    def __init__(self, home: Path) -> None:
        self.runs: Counter[str] = Counter()
        self.lost_runs: Counter[str] = Counter()
        self.last_run = ""
        self.gas_failures = 0
        self.orders: list[Order] = []
        self.replies: defaultdict[int, set[bytes]] = defaultdict(set)
        self.deadly: tuple[Step, When] | None = None
        self.shop = Shop(home, confirmations=CONFIRMATIONS, finality=FINALITY, before_run=self.before_run)
        self.shop.chain.mine(DEEPEST)
        self.models = null_model(home / "models")
        self.start()

    # ---- the process --------------------------------------------------------------------------------------------------

    def before_run(self, text: str) -> None:
        self.runs[text] += 1
        self.last_run = text
        if text.startswith(BREAKS):
            raise RuntimeError

    def checkpoint(self, step: Step, when: When) -> None:
        if (step, when) == self.deadly:
            self.deadly = None
            if (step, when) in ((Step.INFERRED, When.AFTER), (Step.RECORDED, When.BEFORE)):
                self.lost_runs[self.last_run] += 1
            raise Killed

    def start(self) -> None:
        """A new process over the same store. Until the chain answers it serves nothing, as the server does it."""
        self.shop.reopen()
        self.service, self.poster = self.shop.service(self.models, self.checkpoint)
        self.ready = False
        self.get_ready()

    def get_ready(self) -> None:
        while not self.ready:
            try:
                self.service.recover()
                self.ready = True
            except ChainUnreachable:
                return
            except Killed:
                self.shop.reopen()
                self.service, self.poster = self.shop.service(self.models, self.checkpoint)

    def send(self, number: int) -> None:
        """The payer sends the request, the first time or again."""
        order = self.orders[number]
        try:
            answer = self.service.classify(order.body(), order.header())
        except (ChainUnreachable, CallNotOpened):
            return
        except InferenceFailed:
            assert order.request.input.startswith(BREAKS)
            return
        except Killed:
            self.start()
            return
        assert not order.request.input.startswith(BREAKS)
        self.replies[number].add(answer.body)

    def post(self) -> None:
        try:
            self.poster.round()
        except Killed:
            self.start()

    # ---- what happens -------------------------------------------------------------------------------------------------

    def a_payer_orders(self, breaks: bool, deep: bool, sent: bool) -> None:
        number = len(self.orders)
        order = self.shop.order(f"{BREAKS if breaks else 'order'} {number}", number=number, seconds=7 * 24 * 3600)
        self.orders.append(order)
        self.shop.chain.open(order.call)
        if deep:
            self.shop.chain.mine(CONFIRMATIONS)
        if sent:
            self.send(number)

    def a_request_is_sent_again(self, which: int, times: int) -> None:
        for _ in range(times if self.orders else 0):
            self.send(which % len(self.orders))

    def postings_move(self) -> None:
        if self.ready:
            self.post()

    def a_request_dies(self, breaks: bool, point: tuple[Step, When]) -> None:
        self.deadly = point
        self.a_payer_orders(breaks, deep=True, sent=True)

    def a_round_dies(self, point: tuple[Step, When]) -> None:
        self.deadly = point
        self.postings_move()

    def a_kill_awaits(self, point: tuple[Step, When]) -> None:
        self.deadly = point

    def the_process_restarts(self) -> None:
        self.deadly = None
        self.start()

    def the_node_goes_away(self, calls: int, after: int) -> None:
        self.shop.chain.go_down(calls, after=after)

    def the_node_comes_back(self) -> None:
        self.shop.chain.come_back()
        self.get_ready()

    def an_answer_will_be_lost(self) -> None:
        self.shop.chain.lose_next_answer()

    def a_broadcast_will_be_dropped(self) -> None:
        self.shop.chain.drop_next_broadcast()

    def a_transaction_will_run_out_of_gas(self) -> None:
        self.shop.chain.run_out_of_gas()
        self.gas_failures += 1

    def mining_stops(self) -> None:
        self.shop.chain.hold()

    def mining_goes_on(self) -> None:
        self.shop.chain.release()

    def blocks_are_mined(self, blocks: int) -> None:
        self.shop.chain.mine(blocks)

    def time_passes(self, seconds: int) -> None:
        self.shop.pass_time(seconds)

    def the_chain_reorganises(self, depth: int) -> None:
        """As deep as the settings promise to cope with: results until they are final, payments below their confirmations."""
        if depth >= CONFIRMATIONS and self.serves_a_payment_younger_than(depth):
            depth = CONFIRMATIONS - 1
        self.shop.chain.reorganise(depth)

    def serves_a_payment_younger_than(self, depth: int) -> bool:
        ids = [order.call.call_id(self.shop.chain.domain) for order in self.orders]
        past = self.shop.chain.books_at(depth + 1).calls
        return any(call_id not in past and self.shop.store.find_call(call_id) is not None for call_id in ids)

    # ---- what holds ---------------------------------------------------------------------------------------------------

    def nothing_is_charged_that_was_not_served(self) -> None:
        """S3, at every moment: what is logged is stored as answered, with the same charge and the same result."""
        for entry in self.shop.chain.logged():
            stored = self.shop.store.find_call(entry.call_id)
            assert isinstance(stored, Completed)
            assert (entry.charge, entry.result_hash) == (
                stored.signed.receipt.charge,
                stored.signed.receipt.result_hash,
            )

    def no_reply_is_given_in_two_versions(self) -> None:
        """S2"""
        assert all(len(versions) == 1 for versions in self.replies.values())

    # ---- the end ------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Everything that was in the way goes, and nothing else happens."""
        self.deadly = None
        chain = self.shop.chain
        chain.come_back()
        chain.lose_next_answer(0)
        chain.drop_next_broadcast(0)
        chain.run_out_of_gas(0)
        chain.release()
        self.get_ready()
        for _ in range(20):
            self.shop.pass_time(RESEND_SECONDS)
            self.poster.round()
            chain.mine()
        assert self.poster.trouble is None

    def check_everything(self) -> None:
        shop, charges, escrowed, ended = self.shop, 0, 0, 0
        for number, order in enumerate(self.orders):
            stored = shop.store.find_call(order.call.call_id(shop.chain.domain))
            posting = shop.store.find_posting(order.call.call_id(shop.chain.domain))
            state, logs, text = shop.state(order), shop.logs(order), order.request.input
            if state.status is not CallStatus.NONE:
                escrowed += order.call.amount
            if isinstance(stored, Completed):
                receipt = stored.signed.receipt
                assert isinstance(posting, Finalised)
                assert (state.status, state.amount) == (CallStatus.FULFILLED, receipt.charge)
                assert [(log.charge, log.result_hash) for log in logs] == [(receipt.charge, receipt.result_hash)]
                assert stored.signed.signer(shop.chain.domain) == ORACLE.address
                assert 1 <= self.runs[text] <= 1 + self.lost_runs[text]
                self.send(number)
                assert self.replies[number] == {stored.reply}
                charges += receipt.charge
                ended += 1
            elif isinstance(stored, Abandoned):
                assert text.startswith(BREAKS)
                assert isinstance(posting, Finalised)
                assert (state.status, state.amount, logs) == (CallStatus.DECLINED, 0, [])
                ended += 1
            else:
                # Never verified, hence never run; its escrow waits for its payer.
                assert stored is None
                assert state.status in (CallStatus.NONE, CallStatus.OPEN)
                assert (logs, self.runs[text], self.replies[number]) == ([], 0, set())
        assert len(shop.chain.logged()) == shop.store.count_calls().get("completed", 0)
        assert shop.chain.owed(OWNER.address, NATIVE) == charges
        assert shop.chain.escrowed() == escrowed
        assert shop.chain.owed(PAYER.address, NATIVE) <= escrowed - charges
        # One transaction a posting, however often it was unknown what became of it (S4); another only where one reverted.
        assert ended <= shop.chain.next_nonce(ORACLE.address) <= ended + self.gas_failures


Event = tuple[str, dict[str, Any]]


def happens(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Event]:
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


BREAKING = st.sampled_from([False, False, False, True])

# What happens often stands here more than once.
EVENTS: st.SearchStrategy[Event] = st.one_of(
    *[
        happens(
            "a_payer_orders",
            breaks=BREAKING,
            deep=st.sampled_from([True, True, True, False]),
            sent=st.sampled_from([True, True, False]),
        )
    ]
    * 4,
    *[happens("postings_move")] * 5,
    *[happens("a_request_is_sent_again", which=st.integers(0, 20), times=st.integers(1, 3))] * 2,
    *[happens("a_request_dies", breaks=BREAKING, point=st.sampled_from(POINTS[:10]))] * 3,
    *[happens("a_round_dies", point=st.sampled_from(POINTS[10:]))] * 3,
    happens("a_kill_awaits", point=st.sampled_from(POINTS)),
    *[happens("blocks_are_mined", blocks=st.integers(1, 3))] * 2,
    *[happens("the_chain_reorganises", depth=st.integers(1, DEEPEST))] * 2,
    happens("the_process_restarts"),
    happens("the_node_goes_away", calls=st.sampled_from([1, 1, 2, 5, 10**9]), after=st.integers(0, 6)),
    happens("the_node_comes_back"),
    happens("an_answer_will_be_lost"),
    happens("a_broadcast_will_be_dropped"),
    happens("a_transaction_will_run_out_of_gas"),
    happens("mining_stops"),
    happens("mining_goes_on"),
    happens("time_passes", seconds=st.sampled_from([1, 5, 60, 3_600])),
)


@pytest.mark.timeout(3_600 if FUZZ else 120)
def test_random_interleavings_end_with_charged_equal_served_equal_logged(tmp_path: Path) -> None:
    """S1, S2, S3, S4, S5: the same stories in each run; `make fuzz` tells new ones."""
    numbers = count()

    @settings(
        derandomize=not FUZZ,
        max_examples=1_000 if FUZZ else 40,
        deadline=None,
        database=None,
        # A story that fails is told as it was drawn; only `make fuzz` has the time to look for a shorter one.
        phases=list(Phase) if FUZZ else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(story=st.lists(EVENTS, min_size=30, max_size=50))
    def live(story: list[Event]) -> None:
        home = tmp_path / str(next(numbers))
        home.mkdir()
        life = LifeOfAnOracle(home)
        try:
            for name, arguments in story:
                getattr(life, name)(**arguments)
                life.nothing_is_charged_that_was_not_served()
                life.no_reply_is_given_in_two_versions()
            life.settle()
            life.check_everything()
        finally:
            life.shop.close()

    live()
