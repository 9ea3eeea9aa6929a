"""Every refusal has a test: which errors each function can give, and that a test provokes each of them."""

from __future__ import annotations

import ast
from pathlib import Path

import contractkit as kit
import pytest

CONTRACTS = ("Escrow", "ListingRegistry")

OWNER_ONLY = {"OwnableUnauthorizedAccount"}
TRANSFER = {
    "ERC721IncorrectOwner",
    "ERC721InsufficientApproval",
    "ERC721InvalidReceiver",
    "ERC721NonexistentToken",
}
LISTING = {"Registry_UnknownListing"}
REVISION = {"Registry_UnknownListing", "Registry_UnknownRevision"}
REFUSALS: dict[str, set[str]] = {
    "Escrow.constructor": {"OwnableInvalidOwner"},
    "Escrow.open": {
        "EnforcedPause",
        "Escrow_AssetUnsupported",
        "Escrow_CallNotInState",
        "Escrow_DeadlineOutOfRange",
        "Escrow_EmptyCommitment",
        "Escrow_ListingWithdrawn",
        "Escrow_NotPayer",
        "Escrow_RevisionNotForSale",
        "Escrow_WrongAsset",
        "Escrow_WrongOracle",
        "Escrow_WrongValue",
        "Registry_UnknownListing",
    },
    "Escrow.fulfil": {
        "Escrow_CallNotInState",
        "Escrow_ChargeTooHigh",
        "Escrow_DeadlinePassed",
        "Escrow_EmptyResult",
        "Escrow_NotOracle",
    },
    "Escrow.decline": {"Escrow_CallNotInState", "Escrow_NotOracle"},
    "Escrow.refund": {"Escrow_CallNotInState", "Escrow_DeadlineNotPassed"},
    "Escrow.withdraw": {"Escrow_NothingToWithdraw", "Escrow_TransferFailed", "ReentrancyGuardReentrantCall"},
    "Escrow.pause": OWNER_ONLY | {"EnforcedPause"},
    "Escrow.unpause": OWNER_ONLY | {"ExpectedPause"},
    "Escrow.transferOwnership": OWNER_ONLY,
    "Escrow.acceptOwnership": OWNER_ONLY,
    "Escrow.renounceOwnership": OWNER_ONLY,
    "Escrow.priceOf": REVISION,
    "Escrow.callIdOf": set(),
    "Escrow.callState": set(),
    "Escrow.eip712Domain": set(),
    "Escrow.maxCallDuration": set(),
    "Escrow.owed": set(),
    "Escrow.owner": set(),
    "Escrow.paused": set(),
    "Escrow.pendingOwner": set(),
    "Escrow.registry": set(),
    "ListingRegistry.constructor": set(),
    "ListingRegistry.publish": {"Registry_EmptyManifest", "Registry_URITooLong", "Registry_ZeroOracle"},
    "ListingRegistry.revise": LISTING | {"Registry_EmptyManifest", "Registry_NotOwner", "Registry_URITooLong"},
    "ListingRegistry.setOracle": LISTING | {"Registry_NotOwner", "Registry_ZeroOracle"},
    "ListingRegistry.withdrawListing": LISTING | {"Registry_NotOwner", "Registry_SaleStateUnchanged"},
    "ListingRegistry.relist": LISTING | {"Registry_NotOwner", "Registry_SaleStateUnchanged"},
    "ListingRegistry.getListing": LISTING,
    "ListingRegistry.saleTerms": LISTING,
    "ListingRegistry.tokenURI": LISTING,
    "ListingRegistry.getRevision": REVISION,
    "ListingRegistry.settlementTerms": REVISION,
    "ListingRegistry.transferFrom": TRANSFER,
    "ListingRegistry.safeTransferFrom": TRANSFER,
    "ListingRegistry.approve": {"ERC721InvalidApprover", "ERC721NonexistentToken"},
    "ListingRegistry.setApprovalForAll": {"ERC721InvalidOperator"},
    "ListingRegistry.ownerOf": {"ERC721NonexistentToken"},
    "ListingRegistry.getApproved": {"ERC721NonexistentToken"},
    "ListingRegistry.balanceOf": {"ERC721InvalidOwner"},
    "ListingRegistry.MAX_URI_BYTES": set(),
    "ListingRegistry.isApprovedForAll": set(),
    "ListingRegistry.listingCount": set(),
    "ListingRegistry.name": set(),
    "ListingRegistry.supportsInterface": set(),
    "ListingRegistry.symbol": set(),
}

NEVER = {
    "ERC721InvalidSender": "minting an id that exists: ids are a counter",
    "InvalidShortString": "reading a name longer than 31 bytes: ours are constants",
    "StringTooLong": "storing a name longer than 31 bytes: ours are constants",
}


def named(kind: str) -> set[str]:
    """`Contract.name` of each entry of a kind in the two ABIs."""
    entries = {
        (contract, entry.get("name", kind))
        for contract in CONTRACTS
        for entry in kit.ABIS[contract]
        if entry["type"] == kind
    }
    return {f"{contract}.{name}" for contract, name in entries}


def marked() -> set[tuple[str, str]]:
    """The (function, error) pairs of all `refuses` marks. A mark whose test does not provoke its pair fails there."""
    pairs: set[tuple[str, str]] = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "refuses":
                function, error = (ast.literal_eval(argument) for argument in node.args)
                pairs.add((function, error))
    return pairs


def test_refusals_name_every_function() -> None:
    """A function that is added has to say here what it refuses."""
    assert set(REFUSALS) == named("function") | named("constructor")


def test_refusals_name_every_error() -> None:
    """An error that is added has to be given by some function here."""
    declared = {name.split(".")[1] for name in named("error")}
    assert declared == set().union(*REFUSALS.values()) | NEVER.keys()


def test_refusals_are_each_provoked_by_a_test() -> None:
    assert marked() == {(function, error) for function, errors in REFUSALS.items() for error in errors}


def test_errors_have_selectors_of_their_own() -> None:
    """Clients tell errors apart by four bytes, whichever contract gave them."""
    signatures = {
        (entry["name"], tuple(item["type"] for item in entry["inputs"]))
        for abi in kit.ABIS.values()
        for entry in abi
        if entry["type"] == "error"
    }
    assert len(kit.ERRORS) == len(signatures)


@pytest.mark.parametrize(
    "name", [error for error in sorted(named("error")) if "Escrow_" in error or "Registry_" in error]
)
def test_errors_carry_actual_then_expected(name: str) -> None:
    """S7: a refusal says what was there and what was needed."""
    (entry,) = (
        entry
        for entry in kit.ABIS[name.split(".")[0]]
        if entry["type"] == "error" and entry["name"] == name.split(".")[1]
    )
    names = [item["name"] for item in entry["inputs"]]
    assert all(names)
    for bound in ("expected", "maximum", "deadline", "count", "latest"):
        if bound in names:
            assert names.index(bound) > names.index("actual")
