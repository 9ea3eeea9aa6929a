"""What the model's books hold, and what a batch is made of."""

from __future__ import annotations

from dataclasses import dataclass

from tallystick.protocol.accounts import ChannelTerms, KeyGrant, PositionTerms
from tallystick.protocol.calls import CallStatus, DirectCall, Mode

from tests.evm.model_world import DAY
from tests.evm.scene import Call

WINDOW = DAY
MAX_CALL_DURATION = 7 * DAY
MAX_FEE_BPS = 500
CHANNEL_ROOM = 2**112 - 1
EMPTY = bytes(32)
REASONS = (
    "None",
    "WrongOracle",
    "WrongAsset",
    "BadSignature",
    "AccountClosed",
    "KeyRevoked",
    "KeyExpired",
    "OutOfScope",
    "AlreadyCharged",
    "EmptyHash",
    "AbovePrice",
    "AboveAuthorisation",
    "AboveDeposit",
)


@dataclass
class DirectState:
    call: DirectCall
    status: CallStatus
    amount: int
    fee_bps: int


@dataclass
class Channel:
    terms: ChannelTerms
    deposited: int = 0
    spent: int = 0
    closes_at: int = 0


@dataclass
class Key:
    spent: int = 0
    revoked: bool = False


@dataclass
class Position:
    terms: PositionTerms
    credit_price: int
    unlocked: int
    bought_at: int
    expires_at: int
    used: int = 0
    closes_at: int = 0
    tranches: int = 1
    closed: bool = False

    @property
    def last(self) -> int:
        """Until when, inclusive, the oracle may settle."""
        after_expiry = self.expires_at + WINDOW
        return min(self.closes_at, after_expiry) if self.closes_at else after_expiry

    @property
    def rest(self) -> int:
        """The money of unused credits."""
        return 0 if self.closed else (self.unlocked - self.used) * self.credit_price


@dataclass(frozen=True)
class Group:
    """Calls of one account in a batch. `account`: channel or position terms. `maximum` where there is no grant."""

    account: ChannelTerms | PositionTerms
    listing_id: int
    revision: int
    signer: str
    entries: tuple[Call, ...]
    maximum: int = 0
    grant: KeyGrant | None = None

    @property
    def mode(self) -> Mode:
        if isinstance(self.account, PositionTerms):
            return Mode.CREDITS
        return Mode.CHANNEL if self.grant is None else Mode.KEY
