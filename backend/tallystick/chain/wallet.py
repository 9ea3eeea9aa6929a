"""Keys: from an encrypted keystore, from the environment, or a development chain's well-known accounts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from coincurve import PrivateKey
from eth_account import Account

from tallystick.errors import KeyInvalid, KeyMissing
from tallystick.protocol.signatures import address_of

DEVELOPMENT_CHAIN_ID = 1337
DEVELOPMENT_MNEMONIC = "myth like bonus scare over problem client lizard pioneer submit female collect"
"""Ganache's published one. Everybody knows these keys: they are accepted on the development chain only."""

DEVELOPMENT_ROLES = {"administrator": 0, "owner": 1, "oracle": 2, "payer": 3, "payer2": 4}
"""Which of the mnemonic's accounts plays which part on the development chain."""


@dataclass(frozen=True)
class Wallet:
    """A key that signs. Its repr shows the address only."""

    key: PrivateKey = field(repr=False)
    address: str

    @classmethod
    def from_key(cls, key: PrivateKey) -> Wallet:
        return cls(key, address_of(key))


def wallet_from_hex(text: str, source: str) -> Wallet:
    """Raises KeyInvalid, naming `source` and never the key, unless it is 32 bytes of 0x-hex within the curve's order."""
    digits = text.strip().removeprefix("0x")
    try:
        secret = bytes.fromhex(digits)
        if len(secret) != 32:
            raise ValueError("wrong length")
        return Wallet.from_key(PrivateKey(secret))
    except ValueError:
        raise KeyInvalid(f"The private key in {source} is not a secp256k1 key: give 32 bytes as 0x-hex.") from None


def wallet_from_keystore(path: Path, password: str | None) -> Wallet:
    """Decrypt a Web3 Secret Storage file (version 3). Raises KeyMissing or KeyInvalid."""
    if password is None:
        raise KeyMissing(f"The keystore {path} needs its password; give it in TALLYSTICK_PASSWORD.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Wallet.from_key(PrivateKey(bytes(Account.decrypt(content, password))))
    except FileNotFoundError:
        raise KeyMissing(f"There is no keystore at {path}.") from None
    except OSError as error:
        raise KeyInvalid(f"The keystore {path} can't be read: {error.strerror}.") from None
    except Exception:  # eth_keyfile has another kind for every damage
        raise KeyInvalid(
            f"The keystore {path} can't be opened: the password is wrong or the file is damaged."
        ) from None


def development_wallet(role: str, chain_id: int) -> Wallet:
    """One of the well-known accounts. Raises KeyInvalid on any chain but the development chain, or for another role."""
    if chain_id != DEVELOPMENT_CHAIN_ID:
        raise KeyInvalid(
            f"dev:{role} is a key that everybody knows; it is refused on chain {chain_id}. Use a keystore.",
            actual=chain_id,
            expected=DEVELOPMENT_CHAIN_ID,
        )
    index = DEVELOPMENT_ROLES.get(role)
    if index is None:
        raise KeyInvalid(f"There is no development account {role!r}; known: {', '.join(DEVELOPMENT_ROLES)}.")
    Account.enable_unaudited_hdwallet_features()
    account = Account.from_mnemonic(DEVELOPMENT_MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")
    return Wallet.from_key(PrivateKey(bytes(account.key)))
