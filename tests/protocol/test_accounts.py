"""Channels, positions, authorisations and grants: their digests are those of a generic EIP-712 encoder."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from tallystick.protocol.accounts import (
    Authorisation,
    ChannelTerms,
    KeyGrant,
    PositionTerms,
    key_account,
    settled_call_id,
)
from tallystick.protocol.encoding import Domain

from .strategies import addresses, domains, unsigned, words

channels = st.builds(ChannelTerms, addresses, addresses, addresses, unsigned(64))
positions = st.builds(
    PositionTerms, addresses, unsigned(256), unsigned(32), unsigned(8), addresses, addresses, unsigned(64)
)
authorisations = st.builds(Authorisation, unsigned(128), unsigned(40), words)
grants = st.builds(KeyGrant, words, unsigned(128), unsigned(40), st.lists(unsigned(256), max_size=4).map(tuple))
TYPES: dict[str, list[tuple[str, str]]] = {
    "Channel": [("payer", "address"), ("oracle", "address"), ("asset", "address"), ("number", "uint64")],
    "Position": [
        ("payer", "address"),
        ("listingId", "uint256"),
        ("revision", "uint32"),
        ("plan", "uint8"),
        ("oracle", "address"),
        ("asset", "address"),
        ("number", "uint64"),
    ],
    "Authorisation": [
        ("account", "bytes32"),
        ("maximum", "uint128"),
        ("index", "uint40"),
        ("requestCommitment", "bytes32"),
    ],
    "KeyGrant": [
        ("account", "bytes32"),
        ("keyHash", "bytes32"),
        ("cap", "uint128"),
        ("expiry", "uint40"),
        ("listings", "uint256[]"),
    ],
}
DOMAIN = Domain(1337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
TERMS = ChannelTerms(DOMAIN.escrow, DOMAIN.escrow, DOMAIN.escrow, 1)


def independent(domain: Domain, name: str, values: tuple[Any, ...]) -> bytes:
    types = {name: [{"name": field, "type": kind} for field, kind in TYPES[name]]}
    message = {field: value for (field, _), value in zip(TYPES[name], values, strict=True)}
    given_domain = {
        "name": "Tallystick",
        "version": "1",
        "chainId": domain.chain_id,
        "verifyingContract": domain.escrow,
    }
    signable = encode_typed_data(given_domain, types, message)
    return keccak(b"\x19\x01" + signable.header + signable.body)


@given(domains, channels)
def test_channel_id_is_the_digest_of_its_terms(domain: Domain, terms: ChannelTerms) -> None:
    assert terms.channel_id(domain) == independent(domain, "Channel", terms.as_tuple())


@given(domains, positions)
def test_position_id_is_the_digest_of_its_terms(domain: Domain, terms: PositionTerms) -> None:
    assert terms.position_id(domain) == independent(domain, "Position", terms.as_tuple())


@given(domains, words, authorisations)
def test_authorisation_digest_binds_the_account(domain: Domain, account: bytes, given_: Authorisation) -> None:
    """M2"""
    assert given_.digest(domain, account) == independent(domain, "Authorisation", (account, *given_.as_tuple()))


@given(domains, words, grants)
def test_grant_digest_binds_the_channel(domain: Domain, channel: bytes, grant: KeyGrant) -> None:
    """M2"""
    assert grant.digest(domain, channel) == independent(domain, "KeyGrant", (channel, *grant.as_tuple()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ChannelTerms("0x11", TERMS.oracle, TERMS.asset, 1).channel_id(DOMAIN),
        lambda: ChannelTerms(TERMS.payer, TERMS.oracle, TERMS.asset, 2**64).channel_id(DOMAIN),
        lambda: PositionTerms(TERMS.payer, 1, 1, 256, TERMS.oracle, TERMS.asset, 1).position_id(DOMAIN),
        lambda: Authorisation(2**128, 0, bytes(32)).digest(DOMAIN, bytes(32)),
        lambda: Authorisation(0, 2**40, bytes(32)).digest(DOMAIN, bytes(32)),
        lambda: Authorisation(0, 0, bytes(31)).digest(DOMAIN, bytes(32)),
        lambda: Authorisation(0, 0, bytes(32)).digest(DOMAIN, b""),
        lambda: KeyGrant(bytes(32), 0, 2**40, ()).digest(DOMAIN, bytes(32)),
        lambda: settled_call_id(bytes(32), 2**40),
        lambda: key_account(bytes(32), b"short"),
    ],
)
def test_digest_of_what_is_out_of_range_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"is not a uint|bytes, got"):
        make()


@given(words, unsigned(40), words)
def test_settled_call_id_hashes_account_and_index(account: bytes, index: int, key_hash: bytes) -> None:
    assert settled_call_id(account, index) == keccak(account + index.to_bytes(32, "big"))
    assert key_account(account, key_hash) == keccak(account + key_hash)
