"""`tallystick demo`: one marketplace from training to audit, on a chain that lives as long as the demo.

Nothing here is staged: the same client, oracle process, contracts and auditor as everywhere else, in order.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tallystick.cli.auditing import run_audit
from tallystick.cli.context import Context, show_amount
from tallystick.cli.local import DEMO_MODEL, example_prices, oracle_environment
from tallystick.cli.models import publish_folder, train_if_needed
from tallystick.errors import StartFailed, TallystickError

QUESTION = "Hi, I ordered a kettle ten days ago and the tracking hasn't moved since Monday. Where is it??"
OTHER_QUESTION = "Please cancel my order, I found it cheaper elsewhere."
UNANSWERED_QUESTION = "I was charged twice for the same order!"
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AUDIT_FAILED = "the demo's own audit did not pass"


class Interrupts:
    """Ctrl-C, SIGTERM and SIGHUP end the demo in one way, so that it always cleans up.

    Ctrl-C is among them because a shell starts what runs in its background with that signal ignored.
    """

    def __init__(self) -> None:
        self.noticed = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._interrupt) for number in INTERRUPTS}
        return self

    def __exit__(self, *_raised: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise again what came before: Python swallows an interrupt that falls inside a finaliser."""
        if self.noticed:
            raise KeyboardInterrupt

    def _interrupt(self, _number: int, _frame: object) -> None:
        self.noticed = True
        raise KeyboardInterrupt


class Demo:
    """The parts that the chapters share."""

    def __init__(self, options: Context, folder: Path, interrupts: Interrupts) -> None:
        from tallystick.devnet.marketplace import Checkout
        from tallystick.devnet.processes import free_port

        self.out = options.out
        self.checkout = Checkout.find()
        self.folder = folder
        self.interrupts = interrupts
        self.started = time.monotonic()
        self.rpc_port, self.oracle_port = free_port(), free_port()
        self.processes: dict[str, Any] = {}
        self.listing_id = 0

    def context(self, role: str | None = None, state: str = "payer") -> Context:
        """The command line's context for one role, each with its own state folder, all on the demo's chain."""
        from tallystick.settings import load_settings

        context = Context(key=f"dev:{role}" if role else None, json=True, out=self.out)
        context.__dict__["settings"] = load_settings(
            {},
            rpc_url=f"http://127.0.0.1:{self.rpc_port}",
            oracle_url=f"http://127.0.0.1:{self.oracle_port}",
            port=self.oracle_port,
            deployment_file=self.folder / "deployment.json",
            state_dir=self.folder / state,
            models_dir=self.checkout.models,
            call_duration=60,
        )
        return context

    def chapter(self, title: str) -> None:
        self.interrupts.check()
        self.out.print()
        self.out.print(f"[bold]{title}[/bold]  [dim]{time.monotonic() - self.started:.1f} s[/dim]", soft_wrap=True)

    def fact(self, name: str, value: object) -> None:
        self.interrupts.check()
        self.out.print(f"  [dim]{name:<16}[/dim] ", end="")
        self.out.print(str(value), markup=False, soft_wrap=True)

    def refusal(self, title: str, attempt: Callable[[], object]) -> TallystickError:
        """Run something that must be refused, and show how."""
        try:
            attempt()
        except TallystickError as error:
            self.fact(title, f"{error.code} (HTTP {error.status}): {error.message}")
            return error
        raise StartFailed(f"The demo expected a refusal and got an answer: {title}.")


def run_demo(options: Context, *, again: bool) -> None:
    """All chapters. Processes and files are gone when this returns, however it returns."""
    with Interrupts() as interrupts, ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tallystick-demo-")))
        # torch makes this folder as soon as it is imported: here it goes with the rest.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "torch")
        demo = Demo(options, folder, interrupts)
        stack.callback(_stop_all, demo)
        _train(demo, again)
        _start(demo)
        _list(demo)
        before = _balances(demo)
        _pay(demo)
        _refusals(demo)
        _refund(demo)
        _withdraw(demo)
        _show_balances(demo, before, _balances(demo))
        _audit(demo)


def _train(demo: Demo, again: bool) -> None:
    demo.chapter("1. Train a model: customer-service intents, from a pretrained encoder")
    context = demo.context()
    context.json, context.notes = False, demo.out
    folder = demo.checkout.models / DEMO_MODEL
    report = train_if_needed(context, folder, folder / "artifacts" / "model", again=again)
    demo.fact(
        "held-out accuracy", f"{report['accuracy']} (TF-IDF and logistic regression: {report['baseline_accuracy']})"
    )
    demo.fact("manifest hash", report["manifest_hash"])


def _start(demo: Demo) -> None:
    from tallystick.devnet import marketplace as devnet

    demo.chapter("2. Start a chain and deploy the contracts: Ganache, Brownie")
    context = demo.context("owner")
    demo.processes["chain"] = devnet.start_chain(demo.checkout, demo.rpc_port, demo.folder / "chain.log")
    devnet.deploy(demo.checkout, context.settings.rpc_url, context.settings.deployment_file)
    demo.fact("registry", context.deployment.registry.address)
    demo.fact("escrow", context.deployment.escrow.address)


def _list(demo: Demo) -> None:
    from tallystick.devnet import marketplace as devnet

    demo.chapter("3. List the model, and start the oracle that runs it")
    entry = publish_folder(
        demo.context("owner"), demo.checkout.models / DEMO_MODEL / "artifacts" / "model", example_prices()
    )
    demo.listing_id = int(entry["listing"])
    prices = example_prices()
    demo.fact("listing", f"{entry['listing']}, revision {entry['revision']} ({entry['gas_used']} gas)")
    demo.fact(
        "price",
        f"{show_amount(prices.per_call)} a call + {show_amount(prices.per_thousand_input_tokens)} per 1,000 tokens read",
    )
    context = demo.context(state="oracle")
    demo.processes["oracle"] = devnet.start_oracle(
        oracle_environment(context, demo.checkout), context.settings.oracle_url, demo.folder / "oracle.log"
    )
    demo.fact("oracle", context.settings.oracle_url)


def _pay(demo: Demo) -> None:
    from tallystick.protocol.hexes import to_hex

    demo.chapter("4. Pay for a query: escrow on chain, inference, receipt, result hash on chain")
    demo.fact("question", QUESTION)
    client = demo.context("payer").client
    answer = client.query(demo.listing_id, QUESTION)
    receipt = answer.entry.signed.receipt
    best = answer.result["scores"][0]
    demo.fact("answer", f"{best['label']} ({best['score']:.4f})")
    demo.fact("units", f"{receipt.units.input_tokens} tokens read, {receipt.units.compute_ms} ms of computing")
    demo.fact("escrowed", show_amount(answer.call.amount))
    demo.fact("charge", show_amount(receipt.charge))
    demo.fact("call id", to_hex(receipt.call_id))
    demo.fact("request", f"{to_hex(receipt.request_commitment)} (salted: the text is not on chain)")
    demo.fact("result", to_hex(receipt.result_hash))
    settlement = _settled(client, receipt.call_id)
    demo.fact("opened", f"block {answer.opening.block}, {answer.opening.gas_used} gas")
    demo.fact("posted", f"block {settlement['block']}, {settlement['gas_used']} gas, {settlement['transaction']}")
    demo.fact("receipt", "signature, terms, price and hashes verified by the payer, kept in the payer's archive")


def _settled(client: Any, call_id: bytes) -> dict[str, Any]:
    """Wait until the chain has the result; the reply does not wait for that."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        settlement: dict[str, Any] = client.settlement(call_id)
        if "block" in settlement:
            return settlement
        time.sleep(0.05)
    raise StartFailed("The oracle did not post the result within 30 s.")


def _refusals(demo: Demo) -> None:
    from tallystick.client.remote import RemoteOracle
    from tallystick.protocol.payments import DirectPayment

    demo.chapter("5. What is refused, and what is free")
    client = demo.context("payer").client
    oracle = RemoteOracle(demo.context().settings.oracle_url)
    body = {"listing": str(demo.listing_id), "revision": 1, "input": OTHER_QUESTION, "parameters": {}}
    demo.refusal("unpaid", lambda: oracle.classify(body, None))

    pending, _opening = client.open(client.quote(demo.listing_id, QUESTION))
    payment = DirectPayment(pending.call, pending.salt).to_header()
    demo.refusal("other question", lambda: oracle.classify(body, payment))

    first = client.fetch(pending)
    owed = client.owed()
    again = client.fetch(pending)
    same = first.entry == again.entry and again.replayed and client.owed() == owed
    if not same:
        raise StartFailed("A repeated request was not answered from the store.")
    demo.fact("paid, sent twice", f"the stored answer ({again.result['label']}), byte for byte; charged nothing")


def _refund(demo: Demo) -> None:
    from tallystick.chain.rpc import connect

    demo.chapter("6. An oracle that never answers: the escrow comes back after the deadline")
    context = demo.context("payer")
    client = context.client
    quote = client.quote(demo.listing_id, UNANSWERED_QUESTION)
    demo.processes.pop("oracle").stop()
    pending, _opening = client.open(quote)
    demo.fact("oracle", "stopped; the call is opened all the same")
    demo.fact("escrowed", show_amount(pending.call.amount))
    demo.refusal("too early", lambda: client.refund(pending.call))
    web3 = connect(context.settings.rpc_url, 10.0)
    seconds = pending.call.deadline - web3.eth.get_block("latest")["timestamp"] + 1
    for method, parameters in (("evm_increaseTime", [seconds]), ("evm_mine", [])):
        web3.provider.make_request(method, parameters)  # type: ignore[arg-type]
    demo.fact("deadline", f"{seconds} s pass on the development chain")
    mined = client.refund(pending.call)
    demo.fact("refunded", f"{show_amount(pending.call.amount)} ({mined.gas_used} gas), without the oracle")


def _withdraw(demo: Demo) -> None:
    demo.chapter("7. Pull what is owed: the owner's earnings, the payer's change and refund")
    for role in ("owner", "payer"):
        amount, mined = demo.context(role).client.withdraw()
        demo.fact(role, f"{show_amount(amount)} ({mined.gas_used} gas)")


def _balances(demo: Demo) -> dict[str, tuple[int, int]]:
    """Role to (own balance, owed by the escrow), in wei; for the escrow (balance, 0)."""
    context = demo.context("payer")
    market = context.market
    rows = {
        role: (market.native_balance(address), market.owed(address, "0x" + "0" * 40))
        for role, address in (
            ("payer", context.wallet().address),
            ("owner", demo.context("owner").wallet().address),
        )
    }
    return {**rows, "escrow": (market.native_balance(context.deployment.escrow.address), 0)}


def _show_balances(demo: Demo, before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> None:
    demo.chapter("8. Balances before and after (gas included)")
    for role, (balance, owed) in before.items():
        then, now = balance + owed, sum(after[role])
        sign = "-" if now < then else "+"
        demo.fact(role, f"{show_amount(then)} -> {show_amount(now)} ({sign}{show_amount(abs(now - then))})")


def _audit(demo: Demo) -> None:
    demo.chapter("9. Audit: replay the chain, check every receipt, run the model again")
    context = demo.context("payer")
    context.notes = demo.out
    report = run_audit(context, archives=[context.settings.archive], models=demo.checkout.models)
    report.render(demo.out)
    if not report.passed:
        raise StartFailed(AUDIT_FAILED)


def _stop_all(demo: Demo) -> None:
    for name in ("oracle", "chain"):
        process = demo.processes.pop(name, None)
        if process is not None:
            process.stop()
