"""Typed contract errors, decoded by the ABI, each with what to do about it."""

from __future__ import annotations

from functools import cache
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_hash.auto import keccak
from hexbytes import HexBytes
from web3.exceptions import ContractCustomError, ContractLogicError, Web3Exception, Web3RPCError

from tallystick.chain.abi import ABIS, canonical_type, signature
from tallystick.errors import ContractRefused, Detail

ADVICE: dict[str, str] = {
    "Escrow_NotPayer": "Send it from the account that the terms name as payer.",
    "Escrow_NotOracle": "Only the oracle named in the terms, or a key that acts for it, can do this.",
    "Escrow_WrongValue": "Send exactly the amount that the terms name; nothing where they name a token.",
    "Escrow_TokenShort": "Less of the token arrived than was sent; a token that takes a fee can't pay a call.",
    "Escrow_AmountOutOfRange": "Choose an amount above zero that the account still has room for.",
    "Escrow_ListingWithdrawn": "The owner took this listing off sale; choose another. Nothing was charged.",
    "Escrow_RevisionNotForSale": "The listing has a newer revision; look at its price and open the call for that one.",
    "Escrow_WrongOracle": "Ask for the terms again: the listing is run by another oracle now.",
    "Escrow_WrongAsset": "Pay in the asset that the revision is priced in.",
    "Escrow_NotAToken": "Open the call directly: the chain's native asset has no token authorisations.",
    "Escrow_AuthorisationInvalid": "Sign the token authorisation anew, as the call's payer, for the call's till.",
    "Escrow_EmptyCommitment": "Bind the call to a request: its commitment must not be zero.",
    "Escrow_EmptyResult": "A call can't be fulfilled without a result hash.",
    "Escrow_EmptyRoot": "A batch needs the root of its receipts.",
    "Escrow_DeadlineOutOfRange": "Choose a deadline in the future and at most maxCallDuration ahead.",
    "Escrow_CallNotInState": "The call has moved on or was never opened; look at its state.",
    "Escrow_DeadlinePassed": "The call's deadline is over; its escrow can be refunded.",
    "Escrow_DeadlineNotPassed": "The oracle still has time; a refund is possible once the deadline has passed.",
    "Escrow_ChargeTooHigh": "The charge is above the price of its units or the escrow.",
    "Escrow_NothingToWithdraw": "Nothing of that asset is left to this account.",
    "Escrow_ZeroReceiver": "Name the address that the money is to go to.",
    "Escrow_TransferFailed": "The receiving address refused the transfer; withdraw to another. What is owed stays owed.",
    "Escrow_FeeTooHigh": "Choose a fee up to the cap that the escrow has for ever.",
    "Escrow_ZeroCollector": "Name the account that collects the fee.",
    "Escrow_ChannelIncomplete": "Name the channel's payer and its oracle.",
    "Escrow_ChannelClosing": "This channel is closing or closed; open the next one under another number.",
    "Escrow_ChannelNotClosable": "Ask to close first, and wait until the challenge window is over.",
    "Escrow_KeyAlreadyRevoked": "The key is revoked already; nothing more is to be done.",
    "Escrow_PositionExists": "These credits were bought before; buy again under another number.",
    "Escrow_UnknownPosition": "Nothing was bought under these terms; check all of them.",
    "Escrow_TrialUsed": "A free trial is once for each payer and listing; buy a plan, or pay by the call.",
    "Escrow_NothingDue": "All instalments of this plan are paid.",
    "Escrow_InstalmentOverdue": "The instalment is overdue and can't be paid any more; buy the plan again if you want more.",
    "Escrow_PositionClosing": "These credits are being paid back, or their time is over; buy again under another number.",
    "Escrow_NotReclaimable": "Wait for the end of the plan's time: its listing is still served as it was sold.",
    "Escrow_ReclaimTooEarly": "Wait until the challenge window is over.",
    "Escrow_PositionClosed": "The money of unused credits was paid back before.",
    "Registry_NotOwner": "Only the listing's owner can do this.",
    "Registry_UnknownListing": "No such listing; `tallystick models` shows those there are.",
    "Registry_UnknownRevision": "The listing has no such revision; `tallystick models` shows those there are.",
    "Registry_UnknownPlan": "The revision has no such plan; they count from 0.",
    "Registry_EmptyManifest": "A revision needs the hash of its manifest.",
    "Registry_ZeroOracle": "Name the address of the oracle that is to run the listing.",
    "Registry_ShareTooHigh": "The oracle's share is at most 100 per cent.",
    "Registry_TooManyTiers": "Offer fewer tiers.",
    "Registry_TierOutOfOrder": "List tiers so that calls and discounts ascend, from the second call and to at most everything.",
    "Registry_TooManyPlans": "Offer fewer plans.",
    "Registry_PlanUnusable": "Give the plan credits, tranches and time, with every tranche due before its time is over.",
    "Registry_URITooLong": "Use a shorter metadata URI.",
    "Registry_SaleStateUnchanged": "The listing already is in that state.",
    "Directory_EndpointTooLong": "Use a shorter endpoint.",
    "Directory_GraceTooLong": "Choose a shorter grace: calls are in flight for eight days at most.",
    "Lens_UnknownBatch": "No such batch: they count from 1.",
    "SafeERC20FailedOperation": "The token refused the transfer; look at balance and allowance.",
    "EnforcedPause": "New openings, deposits and purchases are paused; refunds and withdrawals still work. Try again later.",
    "ExpectedPause": "The escrow is not paused.",
    "OwnableUnauthorizedAccount": "Only the escrow's administrator can do this.",
    "OwnableInvalidOwner": "The new administrator must not be the zero address.",
    "ReentrancyGuardReentrantCall": "What moves assets can't be entered a second time before it has ended.",
}
"""One sentence for each error of ours that a user can cause; a test compares it with the ABIs."""


def refusal_of(error: Web3Exception) -> ContractRefused | None:
    """The typed refusal behind an exception of web3's, or None if it is none."""
    if isinstance(error, ContractCustomError):
        return decode_revert(error.data) or _untyped(str(error))
    if isinstance(error, ContractLogicError):
        return decode_revert(_find_revert_data(error.data)) or _untyped(str(error))
    if isinstance(error, Web3RPCError) and error.rpc_response:
        return decode_revert(_find_revert_data(error.rpc_response.get("error")))
    return None


def decode_revert(data: Any) -> ContractRefused | None:
    """Decode revert data (bytes or 0x-hex) by the ABIs of our contracts; None if no error of theirs matches."""
    try:
        raw = bytes(HexBytes(data))
    except (ValueError, TypeError):
        return None
    entry = _errors_by_selector().get(raw[:4])
    if entry is None:
        return None
    types = [canonical_type(parameter) for parameter in entry["inputs"]]
    try:
        values = decode(types, raw[4:])
    except DecodingError:
        return None
    name = entry["name"]
    arguments = {
        parameter["name"] or f"argument{index}": _plain(value)
        for index, (parameter, value) in enumerate(zip(entry["inputs"], values, strict=True))
    }
    stated = ", ".join(f"{key} {value}" for key, value in arguments.items())
    advice = ADVICE.get(name, "")
    return ContractRefused(f"{name}({stated}). {advice}".strip(), name=name, arguments=arguments)


def _untyped(text: str) -> ContractRefused:
    return ContractRefused(
        f"The contract refused without saying why ({' '.join(text.split())[:120]}).", name="", arguments={}
    )


def _find_revert_data(value: Any) -> Any:
    """Nodes disagree where revert data stands: `error.data`, `error.data.result`, or one level deeper."""
    if isinstance(value, str) and value.startswith("0x") and len(value) >= 10:
        return value
    if isinstance(value, dict):
        for key in ("data", "result", "return"):
            found = _find_revert_data(value.get(key))
            if found is not None:
                return found
        for item in value.values():
            if isinstance(item, dict) and (found := _find_revert_data(item)) is not None:
                return found
    return None


@cache
def _errors_by_selector() -> dict[bytes, dict[str, Any]]:
    found: dict[bytes, dict[str, Any]] = {}
    for abi in ABIS.values():
        for entry in abi:
            if entry["type"] == "error":
                found[keccak(signature(entry).encode())[:4]] = entry
    return found


def _plain(value: Any) -> Detail:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, bool):
        return value
    return str(value)
