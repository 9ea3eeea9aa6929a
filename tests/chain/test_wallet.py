"""Keys: where they come from, what is refused, and that none is ever shown (S7, E9)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey
from eth_account import Account
from tallystick.chain.wallet import (
    DEVELOPMENT_ROLES,
    Wallet,
    development_wallet,
    wallet_from_hex,
    wallet_from_keystore,
)
from tallystick.errors import KeyInvalid, KeyMissing

KEY = "4f3edf983ac636a65a842ce7c78d9aa706d3b113bce9c46f30d7d21715b23b1d"
ADDRESS = "0x90F8bf6A479f320ead074411a4B0e7944Ea8c9C1"
"""The first account of Ganache's published mnemonic."""


@pytest.fixture(scope="module")
def keystore_json() -> dict[str, Any]:
    """Weak on purpose: the strength of the derivation is not what is tested."""
    encrypted: dict[str, Any] = Account.encrypt("0x" + KEY, "right", kdf="scrypt", iterations=2)
    return encrypted


@pytest.fixture
def keystore(tmp_path: Path, keystore_json: dict[str, Any]) -> Path:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(keystore_json))
    return path


@pytest.mark.parametrize("text", ["0x" + KEY, KEY, KEY.upper(), f"  0x{KEY}\n"])
def test_wallet_from_hex_gives_the_address_of_the_key(text: str) -> None:
    wallet = wallet_from_hex(text, "TALLYSTICK_PRIVATE_KEY")
    assert wallet.address == ADDRESS
    assert wallet.key.secret.hex() == KEY


ORDER = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"


@pytest.mark.parametrize(
    "text",
    ["", "0x", "secret words", KEY[:-2], KEY + "00", KEY[:-1] + "g", "0x" + "00" * 32, ORDER, "ff" * 32, "é" * 64],
)
def test_wallet_from_hex_of_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(KeyInvalid, match="TALLYSTICK_PRIVATE_KEY is not a secp256k1 key") as refused:
        wallet_from_hex(text, "TALLYSTICK_PRIVATE_KEY")
    assert len(text) <= 2 or text not in refused.value.message
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_wallet_from_keystore_opens_what_eth_account_wrote(keystore: Path) -> None:
    assert wallet_from_keystore(keystore, "right").address == ADDRESS


def test_wallet_from_keystore_with_a_wrong_password_is_refused(keystore: Path) -> None:
    with pytest.raises(KeyInvalid, match="the password is wrong or the file is damaged") as refused:
        wallet_from_keystore(keystore, "wrong")
    assert "wrong" not in refused.value.message.replace("the password is wrong", "")


def test_wallet_from_keystore_without_a_password_says_where_to_give_it(keystore: Path) -> None:
    with pytest.raises(KeyMissing, match="TALLYSTICK_PASSWORD"):
        wallet_from_keystore(keystore, None)


def test_wallet_from_keystore_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyMissing, match="no keystore at"):
        wallet_from_keystore(tmp_path / "none.json", "right")


def test_wallet_from_keystore_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyInvalid, match="can't be read"):
        wallet_from_keystore(tmp_path, "right")


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "a list": lambda _: [],
    "a text": lambda _: "text",
    "null": lambda _: None,
    "empty": lambda _: {},
    "version 1": lambda value: {**value, "version": 1},
    "version 9": lambda value: {**value, "version": 9},
    "no crypto": lambda value: {key: item for key, item in value.items() if key != "crypto"},
    "another derivation": lambda value: {**value, "crypto": {**value["crypto"], "kdf": "none"}},
    "derivation without its parameters": lambda value: {**value, "crypto": {**value["crypto"], "kdfparams": {}}},
    "a wrong checksum": lambda value: {**value, "crypto": {**value["crypto"], "mac": "00" * 32}},
    "pbkdf2 with another hash": lambda value: {
        **value,
        "crypto": {
            **value["crypto"],
            "kdf": "pbkdf2",
            "kdfparams": {"c": 1, "prf": "hmac-none", "dklen": 32, "salt": "00"},
        },
    },
}


@pytest.mark.parametrize("case", DAMAGE)
def test_wallet_from_keystore_that_is_damaged_is_refused(
    tmp_path: Path, keystore_json: dict[str, Any], case: str
) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(DAMAGE[case](keystore_json)))
    with pytest.raises(KeyInvalid, match="can't be opened"):
        wallet_from_keystore(path, "right")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"\x00"])
def test_wallet_from_keystore_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(content)
    with pytest.raises(KeyInvalid, match="can't be opened"):
        wallet_from_keystore(path, "right")


def test_development_wallet_roles_are_the_mnemonic_s_accounts() -> None:
    addresses = {role: development_wallet(role, 1337).address for role in DEVELOPMENT_ROLES}
    assert addresses["administrator"] == ADDRESS
    assert len(set(addresses.values())) == len(DEVELOPMENT_ROLES)


@pytest.mark.parametrize("chain_id", [1, 5777, 31337, 11155111])
def test_development_wallet_on_another_chain_is_refused(chain_id: int) -> None:
    """Everybody knows these keys."""
    with pytest.raises(KeyInvalid, match="everybody knows") as refused:
        development_wallet("oracle", chain_id)
    assert refused.value.details == {"actual": chain_id, "expected": 1337}


def test_development_wallet_of_an_unknown_role_lists_those_there_are() -> None:
    with pytest.raises(KeyInvalid, match="administrator, owner, oracle, payer, payer2"):
        development_wallet("nobody", 1337)


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{0!r}".format, lambda wallet: repr([wallet])])
def test_wallet_never_shows_its_key(show: Callable[[Wallet], str]) -> None:
    wallet = wallet_from_hex(KEY, "here")
    shown = show(wallet)
    assert ADDRESS in shown
    assert KEY not in shown.lower()
    assert "PrivateKey" not in shown


def test_wallet_in_a_log_line_never_shows_its_key(caplog: pytest.LogCaptureFixture) -> None:
    wallet = Wallet.from_key(PrivateKey(bytes.fromhex(KEY)))
    with caplog.at_level(logging.INFO):
        logging.getLogger("tallystick.test").info("signing with %s", wallet)
    assert ADDRESS in caplog.text
    assert KEY not in caplog.text
