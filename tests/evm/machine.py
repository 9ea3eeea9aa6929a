"""An EVM inside the test process (pyrevm), with the contracts as Brownie compiled them.

A transaction here is a call from an account without code: what reverts is undone, and gas is not paid for. Time passes
only when a test says so. The same tests' calls on a real node are in tests/contracts.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyrevm
from eth_abi.abi import decode, encode
from eth_hash.auto import keccak
from tallystick.chain.abi import canonical_type, event_arguments, named_value, signature
from tallystick.protocol.hexes import checksum_address

COMPILED = Path(
    os.environ.get("TALLYSTICK_COMPILED", Path(__file__).resolve().parents[2] / "build" / "brownie" / "contracts")
)
"""scripts/mutate_contracts.py names another folder."""

CHAIN_ID = 1337
START = 1_800_000_000
"""Unix seconds at which every machine begins."""
RICH = 10**30
GAS = 30_000_000
"""Of a transaction: what a block of the development chain has."""


class Reverted(Exception):
    """A transaction that was undone. `name` and `values` of the custom error; for others name is empty, `data` is all."""

    def __init__(self, name: str, values: tuple[Any, ...], data: bytes) -> None:
        super().__init__(f"{name or data.hex()}{values}")
        self.name, self.values, self.data = name, values, data


@dataclass(frozen=True)
class Event:
    address: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Mined:
    """What a transaction gave: its return values, its events in order, its gas with the 21,000 and the calldata's."""

    values: tuple[Any, ...]
    events: tuple[Event, ...]
    gas_used: int

    @property
    def value(self) -> Any:
        (single,) = self.values
        return single

    def named(self, name: str) -> list[Mapping[str, Any]]:
        return [event.arguments for event in self.events if event.name == name]


@cache
def artifact(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((COMPILED / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _entries(kind: str) -> Iterator[tuple[bytes, dict[str, Any]]]:
    for path in COMPILED.glob("*.json"):
        for entry in artifact(path.stem)["abi"]:
            if entry["type"] == kind:
                yield keccak(signature(entry).encode()), entry


@cache
def errors() -> dict[bytes, dict[str, Any]]:
    """All custom errors of all contracts, by selector."""
    return {digest[:4]: entry for digest, entry in _entries("error")}


@cache
def events() -> dict[tuple[bytes, int], dict[str, Any]]:
    """All events of all contracts, by first topic and number of topics: ERC-20 and ERC-721 have one name for two."""
    return {
        (digest, 1 + sum(parameter["indexed"] for parameter in entry["inputs"])): entry
        for digest, entry in _entries("event")
    }


def creation_code(name: str, arguments: Sequence[Any], libraries: Mapping[str, str] | None = None) -> bytes:
    """Code and arguments that create a contract. `libraries`: name to address, for what it links."""
    made = artifact(name)
    text = made["bytecode"]
    for library, address in (libraries or {}).items():
        text = text.replace(f"__{library}".ljust(40, "_"), address.removeprefix("0x").lower())
    assert "_" not in text, f"{name} links a library that was not given"
    inputs = next((entry["inputs"] for entry in made["abi"] if entry["type"] == "constructor"), [])
    return bytes.fromhex(text) + encode([canonical_type(parameter) for parameter in inputs], list(arguments))


class Machine:
    """One chain."""

    def __init__(self) -> None:
        self.time = START
        self._evm = pyrevm.EVM(
            env=pyrevm.Env(cfg=pyrevm.CfgEnv(chain_id=CHAIN_ID, limit_contract_code_size=2**20)), spec_id="SHANGHAI"
        )
        self._number = 1
        self.set_time(START)

    def set_time(self, time: int) -> None:
        self.time = time
        self._number += 1
        self._evm.set_block_env(pyrevm.BlockEnv(number=self._number, timestamp=time, gas_limit=2**63))

    def pass_time(self, seconds: int) -> None:
        self.set_time(self.time + seconds)

    def fund(self, address: str, amount: int = RICH) -> None:
        self._evm.set_balance(address, amount)

    def balance(self, address: str) -> int:
        return self._evm.get_balance(address)

    def code(self, address: str) -> bytes:
        return bytes(self._evm.get_code(address) or b"")

    def deploy(self, name: str, *arguments: Any, libraries: Mapping[str, str] | None = None) -> Contract:
        """Deploys a contract by its name. `libraries`: name to address, for what it links."""
        self.fund(DEPLOYER)
        code = creation_code(name, arguments, libraries)
        return Contract(self, name, checksum_address(self._evm.deploy(DEPLOYER, code)))

    def at(self, name: str, address: str) -> Contract:
        return Contract(self, name, address)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What happens inside never happened afterwards."""
        time, number = self.time, self._number
        checkpoint = self._evm.snapshot()
        try:
            yield
        finally:
            self._evm.revert(checkpoint)
            self._number = number
            self.set_time(time)

    def message(
        self, sender: str, to: str, data: bytes, value: int = 0, gas: int = GAS, *, static: bool = False
    ) -> tuple[bytes, Mined]:
        """Raises Reverted."""
        checkpoint = self._evm.snapshot()
        try:
            answer = self._evm.message_call(sender, to, calldata=data, value=value, gas=gas, is_static=static)
        except RuntimeError as error:
            self._evm.revert(checkpoint)
            raise _reverted(str(error)) from None
        # Without it each transaction would lie one level deeper, and an EVM has 1,024.
        self._evm.commit()
        result = self._evm.result
        logged = tuple(event_of(log) for log in result.logs)
        for event in logged:
            if event.name == "Transfer":
                self.end_of(event.arguments["from"])
        return answer, Mined((), logged, result.gas_used)

    def end_of(self, address: str) -> None:
        """Does what the end of a transaction does to a till, which destroyed itself: pyrevm's transactions don't end."""
        account = self._evm.basic(address)
        if account.nonce == 1 and not bytes(account.code or b"").strip(b"\0"):
            self._evm.insert_account_info(address, pyrevm.AccountInfo(nonce=0))


class Contract:
    """A contract at an address. `send` is a transaction, `view` a call that changes nothing."""

    def __init__(self, machine: Machine, name: str, address: str) -> None:
        self.machine, self.name, self.address = machine, name, address
        self._functions: dict[str, dict[str, Any]] = {
            entry["name"]: entry for entry in artifact(name)["abi"] if entry["type"] == "function"
        }

    def data(self, function: str, *arguments: Any) -> bytes:
        entry = self._functions[function]
        types = [canonical_type(parameter) for parameter in entry["inputs"]]
        return keccak(signature(entry).encode())[:4] + encode(types, list(arguments))

    def send(self, function: str, *arguments: Any, by: str, value: int = 0, gas: int = GAS) -> Mined:
        answer, mined = self.machine.message(by, self.address, self.data(function, *arguments), value, gas)
        return Mined(self._values(function, answer), mined.events, mined.gas_used)

    def view(self, function: str, *arguments: Any, by: str = "0x" + "00" * 20) -> Any:
        """One value alone, several as a tuple."""
        with self.machine.undone():
            answer, _ = self.machine.message(by, self.address, self.data(function, *arguments))
        values = self._values(function, answer)
        return values[0] if len(values) == 1 else values

    def decoded(self, function: str, answer: bytes) -> tuple[Any, ...]:
        """What a function's answer says."""
        return self._values(function, answer)

    def peek(self, function: str, *arguments: Any) -> Any:
        """As `view`, for functions that can't change anything: several times faster."""
        answer, _ = self.machine.message("0x" + "00" * 20, self.address, self.data(function, *arguments), static=True)
        values = self._values(function, answer)
        return values[0] if len(values) == 1 else values

    def _values(self, function: str, answer: bytes) -> tuple[Any, ...]:
        outputs = self._functions[function]["outputs"]
        values = decode([canonical_type(parameter) for parameter in outputs], bytes(answer))
        return tuple(named_value(parameter, value) for parameter, value in zip(outputs, values, strict=True))


def event_of(log: Any) -> Event:
    """A log, decoded."""
    data = log.data[1] if isinstance(log.data, tuple) else log.data
    topics = [
        bytes.fromhex(topic.removeprefix("0x")) if isinstance(topic, str) else bytes(topic) for topic in log.topics
    ]
    entry = events()[topics[0], len(topics)]
    return Event(checksum_address(log.address), entry["name"], event_arguments(entry, topics[1:], bytes(data)))


def _reverted(text: str) -> Reverted:
    found = re.search(r"output: (?:Bytes\()?0x([0-9a-f]*)", text)
    return reverted_with(bytes.fromhex(found[1]) if found else b"", text)


def reverted_with(data: bytes, text: str) -> Reverted:
    """What revert data says; `text` where it is no custom error of ours."""
    entry = errors().get(data[:4])
    if entry is None:
        return Reverted("", (text,), data)
    values = decode([canonical_type(parameter) for parameter in entry["inputs"]], data[4:])
    return Reverted(
        entry["name"], tuple(named_value(p, value) for p, value in zip(entry["inputs"], values, strict=True)), data
    )


def address_of(label: str) -> str:
    """An address without code, by what it is called."""
    return checksum_address("0x" + keccak(label.encode())[-20:].hex())


DEPLOYER = address_of("deployer")
