"""EIP-712 words and the domain."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from hypothesis import given
from tallystick.protocol.encoding import Domain, address_bytes, address_word, bytes32_word, uint_word

from .strategies import addresses, domains, unsigned, words

ADDRESS = "0x5FbDB2315678afecb367f032d93F642f64180aa3"


@pytest.mark.parametrize("bits", [8, 32, 40, 64, 128, 256])
def test_uint_word_at_its_limits(bits: int) -> None:
    assert uint_word(0, bits) == bytes(32)
    assert int.from_bytes(uint_word(2**bits - 1, bits), "big") == 2**bits - 1


@pytest.mark.parametrize("bits", [8, 32, 40, 64, 128, 256])
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_uint_word_out_of_range(bits: int, beyond: int) -> None:
    value = -1 if beyond < 0 else 2**bits + beyond
    with pytest.raises(ValueError, match=f"uint{bits}"):
        uint_word(value, bits)


@given(unsigned(256))
def test_uint_word_is_big_endian(value: int) -> None:
    assert uint_word(value).hex() == f"{value:064x}"


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS.lower(), "0x" + ADDRESS[2:].upper()])
def test_address_word_of_any_case(address: str) -> None:
    assert address_word(address) == bytes(12) + bytes.fromhex(ADDRESS[2:])
    assert address_bytes(address) == bytes.fromhex(ADDRESS[2:])


@pytest.mark.parametrize(
    "address",
    [
        "",
        "0x",
        ADDRESS[2:],
        ADDRESS[:-1],
        ADDRESS[:-2],
        ADDRESS + "0",
        ADDRESS + "00",
        "0X" + ADDRESS[2:],
        "0x" + "zz" * 20,
        "0x" + " " * 40,
        "0x" + "00" * 19 + "  ",  # bytes.fromhex skips white space
        "0x" + "٠" * 40,  # digits, but not ASCII
    ],
)
def test_address_word_of_no_address(address: str) -> None:
    with pytest.raises(ValueError, match=r"hex string|expected 20 bytes"):
        address_word(address)


@given(addresses)
def test_address_word_has_32_bytes(address: str) -> None:
    assert len(address_word(address)) == 32


@given(words)
def test_bytes32_word_is_itself(word: bytes) -> None:
    assert bytes32_word(word) is word


@pytest.mark.parametrize("size", [0, 31, 33])
def test_bytes32_word_of_another_length(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        bytes32_word(bytes(size))


def _typed(domain: Domain) -> dict[str, Any]:
    fields = [("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address")]
    return {
        "types": {
            "EIP712Domain": [{"name": name, "type": kind} for name, kind in fields],
            "Word": [{"name": "word", "type": "bytes32"}],
        },
        "domain": {
            "name": "Tallystick",
            "version": "1",
            "chainId": domain.chain_id,
            "verifyingContract": domain.escrow,
        },
        "primaryType": "Word",
        "message": {"word": bytes(32)},
    }


@given(domains)
def test_separator_as_generic_encoding(domain: Domain) -> None:
    """E5"""
    assert domain.separator == encode_typed_data(full_message=_typed(domain)).header


def test_separator_binds_chain_and_contract() -> None:
    other = "0x0000000000000000000000000000000000000001"
    domains = [Domain(1, ADDRESS), Domain(2, ADDRESS), Domain(1, other), Domain(2, other)]
    assert len({domain.separator for domain in domains}) == 4


def test_digest_binds_domain_and_struct() -> None:
    one, two = Domain(1, ADDRESS), Domain(2, ADDRESS)
    digests = {domain.digest(struct) for domain in (one, two) for struct in (bytes(32), b"\1" * 32)}
    assert len(digests) == 4
