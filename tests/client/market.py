"""What a client needs of a marketplace, over the null chain; and ways to an oracle without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httpx
from fastapi import FastAPI
from tallystick.chain.marketplace import Marketplace
from tallystick.chain.null import NullChain
from tallystick.chain.types import Block, Listing, Mined, Revision, SignedTransaction
from tallystick.chain.wallet import Wallet
from tallystick.errors import TallystickError
from tallystick.protocol.calls import CallState, DirectCall
from tallystick.protocol.encoding import Domain

Function = Callable[[str, int], bytes]
"""A contract's function with its arguments: from sender and value to the hash of the transaction that ran it."""


class NullTransactions:
    """Sends at once. Notes what was sent; `on_send` is called before that, `fail_prepare` and `fail_wait` raise."""

    def __init__(self, chain: NullChain) -> None:
        self.sent: list[SignedTransaction] = []
        self.on_send: Callable[[], object] = lambda: None
        self.fail_prepare: TallystickError | None = None
        self.fail_wait: TallystickError | None = None
        self._chain = chain
        self._prepared: dict[int, tuple[Function, str, int]] = {}

    def prepare(self, wallet: Wallet, function: Function, *, value: int = 0) -> SignedTransaction:
        if self.fail_prepare is not None:
            raise self.fail_prepare
        number = len(self._prepared)
        self._prepared[number] = function, wallet.address, value
        return SignedTransaction(wallet.address, number, b"", bytes(32))

    def send_and_wait(self, transaction: SignedTransaction) -> Mined:
        self.on_send()
        function, sender, value = self._prepared[transaction.nonce]
        mined = self._chain.outcome(function(sender, value))
        self.sent.append(transaction)
        if self.fail_wait is not None:
            raise self.fail_wait
        assert isinstance(mined, Mined)
        return mined


class NullMarket:
    """`Marketplace` as far as a payer uses it."""

    def __init__(self, chain: NullChain, balance: int = 10**18) -> None:
        self.chain = chain
        self.balance = balance
        self.transactions = NullTransactions(chain)

    @property
    def domain(self) -> Domain:
        return self.chain.domain

    def head(self) -> Block:
        return self.chain.head()

    def listing(self, listing_id: int) -> Listing:
        return self.chain.listing(listing_id)

    def revision(self, listing_id: int, revision: int) -> Revision:
        return self.chain.revision(listing_id, revision)

    def call_state(self, call_id: bytes, confirmations: int = 1) -> CallState:
        return self.chain.call_state(call_id, confirmations)

    def owed(self, account: str, asset: str) -> int:
        return self.chain.owed(account, asset)

    def native_balance(self, _address: str) -> int:
        return self.balance

    def open_call(self, call: DirectCall) -> Function:
        return lambda sender, value: self.chain.open(call, sender=sender, value=value)

    def refund_call(self, call: DirectCall) -> Function:
        return lambda sender, _value: self.chain.refund(call, sender)

    def withdraw_owed(self, asset: str, _to: str) -> Function:
        return lambda sender, _value: self.chain.withdraw_owed(sender, asset)

    def as_marketplace(self) -> Marketplace:
        """It has every method that a client calls, and none of the rest."""
        return cast(Marketplace, self)


class AppTransport(httpx.BaseTransport):
    """Requests go to an application in this process, each in an event loop of its own."""

    def __init__(self, app: FastAPI) -> None:
        self.requests: list[httpx.Request] = []
        self.lose_answers = 0
        """The next so many requests are worked on, and their answers lost."""
        self.unreachable = 0
        """The next so many requests don't arrive."""
        self._app = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.unreachable:
            self.unreachable -= 1
            raise httpx.ConnectError("refused")
        response = asyncio.run(self._ask(request))
        if self.lose_answers:
            self.lose_answers -= 1
            raise httpx.ReadError("reset")
        return response

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self._app)) as client:
            headers = {name: value for name, value in request.headers.items() if name != "content-length"}
            response = await client.request(request.method, request.url, headers=headers, content=request.read())
            return httpx.Response(response.status_code, headers=response.headers, content=response.content)
