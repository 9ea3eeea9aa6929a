"""What each step costs in gas, against docs/gas.json. scripts/gas_report.py rewrites that file."""

from __future__ import annotations

import json
import os
from typing import Any

import contractkit as kit
import pytest
from brownie import TestStablecoin
from contractkit import DirectCall, Mined, Outcome, PriceSheet, RevisionTerms
from eth_abi import encode
from eth_account import Account

FILE = kit.ROOT / "docs" / "gas.json"
UPDATE = "TALLYSTICK_UPDATE_GAS"
TOLERANCE = 0.01
URI = "https://example.com/listings/0123456789abcdef/manifest.json"
ETHER = 10**18
UNITS = kit.Units(512, 128, 850)
MNEMONIC = "myth like bonus scare over problem client lizard pioneer submit female collect"
"""Of the test chain (scripts/test_contracts.py); the payer is its account 4."""
PRICES = PriceSheet(
    per_call=ETHER // 10**4,
    per_thousand_input_tokens=ETHER // 10**5,
    per_thousand_output_tokens=ETHER // 10**4,
    per_compute_second=ETHER // 10**6,
)


def measured(registry: Any, escrow: Any, owner: Any, oracle: Any, payer: Any, terms: DirectCall) -> dict[str, Mined]:
    """Each step in steady state: whoever is credited is already owed something, and other calls are open."""
    number = 0

    def fresh_call() -> DirectCall:
        nonlocal number
        number += 1
        call = terms._replace(
            listing_id=2, amount=ETHER // 1000, request_commitment=kit.keccak(number.to_bytes(32, "big"))
        )
        kit.accepted(escrow.open, call, by=payer, value=call.amount)
        return call

    outcome = Outcome(units=UNITS, charge=kit.price_of(PRICES, UNITS))
    revision = RevisionTerms(oracle.address, prices=PRICES, metadata_uri=URI)
    publish = (registry.publish, revision)
    kit.accepted(*publish, by=owner)
    kit.accepted(escrow.fulfil, fresh_call(), outcome, by=oracle)
    steps = {"publish": kit.accepted(*publish, by=owner)}

    call = terms._replace(listing_id=2, amount=ETHER // 1000, request_commitment=kit.keccak(b"measured"))
    steps["open"] = kit.accepted(escrow.open, call, by=payer, value=call.amount)
    steps["fulfil"] = kit.accepted(escrow.fulfil, call, outcome, by=oracle)
    exact = terms._replace(listing_id=2, amount=outcome.charge, request_commitment=kit.keccak(b"exact"))
    kit.accepted(escrow.open, exact, by=payer, value=exact.amount)
    steps["fulfil, nothing left over"] = kit.accepted(escrow.fulfil, exact, outcome, by=oracle)
    steps["decline"] = kit.accepted(escrow.decline, fresh_call(), by=oracle)
    late = fresh_call()
    steps["refund"] = kit.accepted(escrow.refund, late, by=payer, at=late.deadline + 1)
    steps["withdraw"] = kit.accepted(escrow.withdraw, kit.NATIVE, owner, by=owner)
    steps["revise"] = kit.accepted(registry.revise, 2, revision, by=owner)
    return steps


class Signer:
    """The payer's key, and what it signs for batches and token authorisations."""

    def __init__(self, escrow: Any) -> None:
        Account.enable_unaudited_hdwallet_features()
        self.escrow = escrow
        self.key = Account.from_mnemonic(MNEMONIC, account_path="m/44'/60'/0'/0/4")
        domain = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        kinds = ["bytes32", "bytes32", "bytes32", "uint256", "address"]
        names = (kit.keccak(domain.encode()), kit.keccak(b"Tallystick"), kit.keccak(b"1"))
        self.separator = kit.keccak(encode(kinds, [*names, 1337, escrow.address]))

    def sign(self, separator: bytes, kinds: str, type_name: str, *values: Any) -> bytes:
        struct = encode(["bytes32", *kinds.split()], [kit.keccak(type_name.encode()), *values])
        digest = kit.keccak(b"\x19\x01" + separator + kit.keccak(struct))
        return bytes(Account.unsafe_sign_hash(digest, self.key.key).signature)

    def authorised(self, account: bytes, maximum: int, entries: list[Any]) -> tuple[Any, bytes]:
        given = (maximum, entries[-1][2] >> 216, kit.keccak(b"request"))
        named = "Authorisation(bytes32 account,uint128 maximum,uint40 index,bytes32 requestCommitment)"
        return given, self.sign(self.separator, "bytes32 uint128 uint40 bytes32", named, account, *given)

    def granted(self, account: bytes, expiry: int) -> tuple[Any, bytes]:
        given = (kit.keccak(b"secret"), ETHER, expiry)
        named = "KeyGrant(bytes32 account,bytes32 keyHash,uint128 cap,uint40 expiry,uint256[] listings)"
        kinds = "bytes32 bytes32 uint128 uint40 bytes32"
        return (*given, []), self.sign(self.separator, kinds, named, account, *given, kit.keccak(b""))


def entries_of(first: int, count: int, charge: int) -> list[tuple[bytes, bytes, int]]:
    body = UNITS.input_tokens << 184 | UNITS.output_tokens << 152 | UNITS.compute_ms << 120 | charge
    return [
        (kit.keccak(b"in %d" % index), kit.keccak(b"out %d" % index), index << 216 | body)
        for index in range(first, first + count)
    ]


def settled(registry: Any, escrow: Any, owner: Any, oracle: Any, payer: Any) -> dict[str, float]:
    """Gas a call of settlements in steady state: the account was charged before, and its earner is owed something."""
    signer, price, gas = Signer(escrow), kit.price_of(PRICES, UNITS), {}
    plan = kit.Plan(credit_price=price // 2, credits=10_000)
    kit.accepted(registry.publish, RevisionTerms(oracle.address, prices=PRICES, plans=(plan,)), by=owner)
    listing = int(kit.view(registry.listingCount))
    channel = (payer.address, oracle.address, kit.NATIVE, 1)
    kit.accepted(escrow.deposit, channel, 10 * ETHER, by=payer, value=10 * ETHER)
    position = (payer.address, listing, 1, 0, oracle.address, kit.NATIVE, 1)
    kit.accepted(escrow.buyCredits, position, by=payer, value=10_000 * (price // 2))
    channel_id, position_id = kit.view(escrow.channelIdOf, channel), kit.view(escrow.positionIdOf, position)
    grant, grant_signature = signer.granted(channel_id, kit.now() + 86_400)
    root = kit.keccak(b"root")

    def batch(mode: str, entries: list[Any]) -> tuple[Any, ...]:
        if mode == "key":
            group = (channel, listing, 1, grant, grant_signature, entries)
            return (oracle.address, [], [group], [], root)
        if mode == "channel":
            given, signature = signer.authorised(channel_id, 10 * ETHER, entries)
            return (oracle.address, [(channel, listing, 1, given, signature, entries)], [], [], root)
        given, signature = signer.authorised(position_id, 10_000, entries)
        return (oracle.address, [], [], [(position, 1, given, signature, entries)], root)

    for mode, charge in (("channel", price), ("key", price), ("credits", 1)):
        kit.accepted(escrow.settle, batch(mode, entries_of(0, 256, charge)), by=oracle)
        for turn, count in enumerate((1, 16, 64, 256), start=1):
            mined = kit.accepted(escrow.settle, batch(mode, entries_of(256 * turn, count, charge)), by=oracle)
            gas[f"{mode}, a call of {count}"] = round(mined.gas_used / count)
    return gas


def opened_by_token(registry: Any, escrow: Any, owner: Any, oracle: Any, payer: Any, terms: DirectCall) -> int:
    """An opening by a stock client's EIP-3009 authorisation, the second of its payer, relayed by the oracle."""
    signer, token = Signer(escrow), kit.create(TestStablecoin, by=owner)
    prices = PRICES._replace(asset=token.address)
    kit.accepted(registry.publish, RevisionTerms(oracle.address, prices=prices), by=owner)
    kit.accepted(token.mint, payer, 10**12, by=owner)
    separator = bytes(kit.view(token.DOMAIN_SEPARATOR))
    named = (
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,"
        "bytes32 nonce)"
    )
    used = 0
    for salt in (b"first", b"second"):
        call = terms._replace(
            listing_id=int(kit.view(registry.listingCount)),
            asset=token.address,
            amount=10**6,
            deadline=kit.now() + 3_600,
            request_commitment=kit.keccak(salt),
        )
        values = (payer.address, kit.view(escrow.tillOf, call), call.amount, 0, 2**40, kit.keccak(b"nonce" + salt))
        kinds = "address address uint256 uint256 uint256 bytes32"
        signature = signer.sign(separator, kinds, named, *values)
        authorisation = (*values[3:], signature[64], signature[:32], signature[32:64])
        used = kit.accepted(escrow.openWithAuthorisation, call, authorisation, by=oracle).gas_used
    return used


@pytest.mark.other_books
def test_gas_as_documented(registry: Any, escrow: Any, owner: Any, oracle: Any, payer: Any, terms: DirectCall) -> None:
    """A change of more than one per cent, to either side, is to be seen in a commit."""
    gas = {name: mined.gas_used for name, mined in measured(registry, escrow, owner, oracle, payer, terms).items()}
    gas["open with a token authorisation"] = opened_by_token(registry, escrow, owner, oracle, payer, terms)
    gas |= settled(registry, escrow, owner, oracle, payer)
    if os.environ.get(UPDATE):
        report = {"evm": "shanghai", "unit": "gas", "transactions": gas}
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    documented = json.loads(FILE.read_text(encoding="utf-8"))["transactions"]
    assert gas == {name: pytest.approx(value, rel=TOLERANCE) for name, value in documented.items()}


def test_gas_within_its_limits() -> None:
    """What was promised: the figures are measured by the test above."""
    gas = json.loads(FILE.read_text(encoding="utf-8"))["transactions"]
    assert gas["open"] + gas["fulfil, nothing left over"] <= 120_000
    assert gas["open with a token authorisation"] <= 165_000
    assert gas["channel, a call of 256"] <= 6_000
    assert gas["key, a call of 256"] <= 6_000
    assert gas["credits, a call of 256"] <= 6_500
