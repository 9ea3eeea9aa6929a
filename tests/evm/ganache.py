"""A Ganache with the surface of `Machine`, so that what plays in the process can play on a node as well.

Slow, and only as deep as the machine needs: a transaction is first asked for its answer, then sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
from tallystick.protocol.hexes import checksum_address

from tests.evm.machine import DEPLOYER, RICH, START, Contract, Machine, Mined, creation_code, reverted_with
from tests.evm.machine import event_of as decoded_event

GAS = 25_000_000


class Ganache(Machine):
    """One chain, at a URL. Whoever sends something is unlocked, and rich, from then on."""

    def __init__(self, url: str) -> None:
        self._url, self._client = url, httpx.Client(timeout=60.0)
        self._known: set[str] = set()
        self._asking = False
        self.set_time(START)

    def close(self) -> None:
        self._client.close()

    def rpc(self, method: str, *arguments: Any) -> Any:
        answer = self._client.post(
            self._url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": arguments}
        ).json()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def set_time(self, time: int) -> None:
        """The time of the next block; what is asked sees it as well, by an empty block."""
        self.time = time
        self.rpc("evm_setTime", hex(time * 1_000))
        self.rpc("evm_mine", hex(time))

    def fund(self, address: str, amount: int = RICH) -> None:
        self.rpc("evm_setAccountBalance", address, hex(amount))

    def balance(self, address: str) -> int:
        return int(self.rpc("eth_getBalance", address, "latest"), 16)

    def code(self, address: str) -> bytes:
        return bytes.fromhex(self.rpc("eth_getCode", address, "latest")[2:])

    def deploy(self, name: str, *arguments: Any, libraries: Mapping[str, str] | None = None) -> Contract:
        data = creation_code(name, arguments, libraries)
        receipt = self._sent({"from": DEPLOYER, "data": "0x" + data.hex()})
        assert receipt["status"] == "0x1", f"{name} was not deployed"
        return Contract(self, name, checksum_address(receipt["contractAddress"]))

    def end_of(self, address: str) -> None:
        """Nothing: here transactions end."""

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What happens inside is asked only."""
        self._asking = True
        try:
            yield
        finally:
            self._asking = False

    def message(
        self, sender: str, to: str, data: bytes, value: int = 0, gas: int = GAS, *, static: bool = False
    ) -> tuple[bytes, Mined]:
        """Raises Reverted."""
        wanted = {"from": sender, "to": to, "data": "0x" + data.hex(), "value": hex(value)}
        reverted = None
        answer = b""
        try:
            answer = bytes.fromhex(self.rpc("eth_call", {**wanted, "gas": hex(GAS)}, "latest")[2:])
        except RuntimeError as error:
            found = re.search(r"0x[0-9a-f]*", str(error.args[0].get("data", "")))
            reverted = reverted_with(bytes.fromhex(found[0][2:]) if found else b"", str(error))
        if static or self._asking:
            if reverted is not None:
                raise reverted
            return answer, Mined((), (), 0)
        receipt = self._sent(wanted)
        done = receipt["status"] == "0x1"
        assert done == (reverted is None), f"asked it said {reverted!r}, sent it {'went' if done else 'failed'}"
        if reverted is not None:
            raise reverted
        return answer, Mined((), tuple(_event(log) for log in receipt["logs"]), int(receipt["gasUsed"], 16))

    def _sent(self, wanted: Mapping[str, Any]) -> Any:
        sender = str(wanted["from"])
        if sender not in self._known:
            self.rpc("evm_addAccount", sender, "")
            self.rpc("personal_unlockAccount", sender, "", 0)
            self._known.add(sender)
            if self.balance(sender) < RICH:
                self.fund(sender)
        self.rpc("evm_setTime", hex(self.time * 1_000))
        receipt = self.rpc("eth_getTransactionReceipt", self.rpc("eth_sendTransaction", {**wanted, "gas": hex(GAS)}))
        mined_at = int(self.rpc("eth_getBlockByNumber", receipt["blockNumber"], False)["timestamp"], 16)
        if receipt["status"] == "0x1":
            # Later than asked for where the node took longer than a second.
            self.time = mined_at
        return receipt


class _Log:
    """A log of a receipt in the shape of pyrevm's."""

    def __init__(self, log: Mapping[str, Any]) -> None:
        self.address, self.topics = log["address"], log["topics"]
        self.data = bytes.fromhex(log["data"][2:])


def _event(log: Mapping[str, Any]) -> Any:
    return decoded_event(_Log(log))
