"""What calls are charged to, and what its payer signs. Its twin on chain is Accounts.sol.

A channel's and a position's id is the EIP-712 digest of its terms under the escrow's domain, so no term can change.
"""

from __future__ import annotations

from dataclasses import dataclass

from eth_hash.auto import keccak

from tallystick.protocol.encoding import Domain, address_word, bytes32_word, uint_word

_CHANNEL_TYPEHASH = keccak(b"Channel(address payer,address oracle,address asset,uint64 number)")
_POSITION_TYPEHASH = keccak(
    b"Position(address payer,uint256 listingId,uint32 revision,uint8 plan,address oracle,address asset,uint64 number)"
)
_AUTHORISATION_TYPEHASH = keccak(
    b"Authorisation(bytes32 account,uint128 maximum,uint40 index,bytes32 requestCommitment)"
)
_GRANT_TYPEHASH = keccak(b"KeyGrant(bytes32 account,bytes32 keyHash,uint128 cap,uint40 expiry,uint256[] listings)")


@dataclass(frozen=True)
class ChannelTerms:
    """What names a channel. `number` is the payer's choice; a closed channel's is never used again."""

    payer: str
    oracle: str
    asset: str
    number: int

    def channel_id(self, domain: Domain) -> bytes:
        words = (address_word(self.payer), address_word(self.oracle), address_word(self.asset))
        return domain.digest(keccak(_CHANNEL_TYPEHASH + b"".join(words) + uint_word(self.number, 64)))

    def as_tuple(self) -> tuple[str, str, str, int]:
        """In the order of the contract's struct."""
        return (self.payer, self.oracle, self.asset, self.number)


@dataclass(frozen=True)
class PositionTerms:
    """What names a credit position: plan number `plan` of `revision` of a listing, as one payer bought it."""

    payer: str
    listing_id: int
    revision: int
    plan: int
    oracle: str
    asset: str
    number: int

    def position_id(self, domain: Domain) -> bytes:
        return domain.digest(
            keccak(
                _POSITION_TYPEHASH
                + address_word(self.payer)
                + uint_word(self.listing_id)
                + uint_word(self.revision, 32)
                + uint_word(self.plan, 8)
                + address_word(self.oracle)
                + address_word(self.asset)
                + uint_word(self.number, 64)
            )
        )

    def as_tuple(self) -> tuple[str, int, int, int, str, str, int]:
        """In the order of the contract's struct."""
        return (self.payer, self.listing_id, self.revision, self.plan, self.oracle, self.asset, self.number)


@dataclass(frozen=True)
class Authorisation:
    """The payer's cumulative permission on an account, signed for one request. `maximum`: atomic units, or credits."""

    maximum: int
    index: int
    request_commitment: bytes

    def digest(self, domain: Domain, account: bytes) -> bytes:
        """What the payer signs."""
        return domain.digest(
            keccak(
                _AUTHORISATION_TYPEHASH
                + bytes32_word(account)
                + uint_word(self.maximum, 128)
                + uint_word(self.index, 40)
                + bytes32_word(self.request_commitment)
            )
        )

    def as_tuple(self) -> tuple[int, int, bytes]:
        """In the order of the contract's struct."""
        return (self.maximum, self.index, self.request_commitment)


@dataclass(frozen=True)
class KeyGrant:
    """The payer's permission for whoever knows a secret, of which `key_hash` is the keccak256.

    `cap` in atomic units over the key's life, `expiry` in Unix seconds, `listings` empty for all that the oracle runs.
    """

    key_hash: bytes
    cap: int
    expiry: int
    listings: tuple[int, ...]

    def digest(self, domain: Domain, channel_id: bytes) -> bytes:
        """What the payer signs."""
        return domain.digest(
            keccak(
                _GRANT_TYPEHASH
                + bytes32_word(channel_id)
                + bytes32_word(self.key_hash)
                + uint_word(self.cap, 128)
                + uint_word(self.expiry, 40)
                + keccak(b"".join(uint_word(listing) for listing in self.listings))
            )
        )

    def as_tuple(self) -> tuple[bytes, int, int, list[int]]:
        """In the order of the contract's struct."""
        return (self.key_hash, self.cap, self.expiry, list(self.listings))


def key_account(channel_id: bytes, key_hash: bytes) -> bytes:
    """What the calls of a key are counted under."""
    return keccak(bytes32_word(channel_id) + bytes32_word(key_hash))


def settled_call_id(account: bytes, index: int) -> bytes:
    """The id of call `index` of an account, or of a key's account."""
    return keccak(bytes32_word(account) + uint_word(index, 40))
