"""Every refusal has a test: which errors each function can give, and that a test provokes each of them."""

from __future__ import annotations

import ast
from pathlib import Path

import contractkit as kit
import pytest

CONTRACTS = ("Escrow", "ListingRegistry", "EscrowLens")
PREFIXES = ("Directory_", "Escrow_", "Lens_", "Registry_")
HERE = Path(__file__).parent
IN_PROCESS = kit.ROOT / "tests" / "evm"

OWNER_ONLY = {"OwnableUnauthorizedAccount"}
TRANSFER = {
    "ERC721IncorrectOwner",
    "ERC721InsufficientApproval",
    "ERC721InvalidReceiver",
    "ERC721NonexistentToken",
}
LISTING = {"Registry_UnknownListing"}
REVISION = {"Registry_UnknownListing", "Registry_UnknownRevision"}
TERMS = {
    "Registry_EmptyManifest",
    "Registry_PlanUnusable",
    "Registry_ShareTooHigh",
    "Registry_TierOutOfOrder",
    "Registry_TooManyPlans",
    "Registry_TooManyTiers",
    "Registry_URITooLong",
    "Registry_ZeroOracle",
}
ON_SALE = {
    "EnforcedPause",
    "Escrow_ListingWithdrawn",
    "Escrow_RevisionNotForSale",
    "Escrow_WrongAsset",
    "Escrow_WrongOracle",
    "Registry_UnknownListing",
}
OPENING = ON_SALE | {"Escrow_CallNotInState", "Escrow_DeadlineOutOfRange", "Escrow_EmptyCommitment"}
REFUSALS: dict[str, set[str]] = {
    "Escrow.constructor": {"OwnableInvalidOwner"},
    "Escrow.open": OPENING | {"Escrow_NotPayer", "Escrow_WrongValue"},
    "Escrow.fulfil": {
        "Escrow_CallNotInState",
        "Escrow_ChargeTooHigh",
        "Escrow_DeadlinePassed",
        "Escrow_EmptyResult",
        "Escrow_NotOracle",
    },
    "Escrow.decline": {"Escrow_CallNotInState", "Escrow_NotOracle"},
    "Escrow.refund": {"Escrow_CallNotInState", "Escrow_DeadlineNotPassed"},
    "Escrow.withdraw": {
        "Escrow_NothingToWithdraw",
        "Escrow_TransferFailed",
        "Escrow_ZeroReceiver",
        "ReentrancyGuardReentrantCall",
    },
    "Escrow.setFee": OWNER_ONLY | {"Escrow_FeeTooHigh", "Escrow_ZeroCollector"},
    "Escrow.pause": OWNER_ONLY | {"EnforcedPause"},
    "Escrow.unpause": OWNER_ONLY | {"ExpectedPause"},
    "Escrow.transferOwnership": OWNER_ONLY,
    "Escrow.acceptOwnership": OWNER_ONLY,
    "Escrow.renounceOwnership": OWNER_ONLY,
    "EscrowLens.isReceiptOf": {"Lens_UnknownBatch"},
    "ListingRegistry.publish": TERMS,
    "ListingRegistry.revise": TERMS | LISTING | {"Registry_NotOwner"},
    "ListingRegistry.withdrawListing": LISTING | {"Registry_NotOwner", "Registry_SaleStateUnchanged"},
    "ListingRegistry.relist": LISTING | {"Registry_NotOwner", "Registry_SaleStateUnchanged"},
    "ListingRegistry.getListing": LISTING,
    "ListingRegistry.getRevisions": LISTING,
    "ListingRegistry.saleTerms": LISTING,
    "ListingRegistry.tokenURI": LISTING,
    "ListingRegistry.getRevision": REVISION,
    "ListingRegistry.planOf": REVISION | {"Registry_UnknownPlan"},
    "ListingRegistry.setEndpoint": {"Directory_EndpointTooLong"},
    "ListingRegistry.rotateSigner": {"Directory_GraceTooLong"},
    "ListingRegistry.transferFrom": TRANSFER,
    "ListingRegistry.safeTransferFrom": TRANSFER,
    "ListingRegistry.approve": {"ERC721InvalidApprover", "ERC721NonexistentToken"},
    "ListingRegistry.setApprovalForAll": {"ERC721InvalidOperator"},
    "ListingRegistry.ownerOf": {"ERC721NonexistentToken"},
    "ListingRegistry.getApproved": {"ERC721NonexistentToken"},
    "ListingRegistry.balanceOf": {"ERC721InvalidOwner"},
}
"""What is provoked on a real node, in this folder: direct calls in the native asset, and the catalogue."""

REFUSALS_IN_PROCESS: dict[str, set[str]] = {
    "Escrow.openWithAuthorisation": OPENING | {"Escrow_AuthorisationInvalid", "Escrow_NotAToken", "Escrow_TokenShort"},
    "Escrow.recover": {"Escrow_NotAToken", "Escrow_NothingToWithdraw", "Escrow_NotPayer"},
    "Escrow.deposit": {
        "EnforcedPause",
        "Escrow_AmountOutOfRange",
        "Escrow_ChannelClosing",
        "Escrow_ChannelIncomplete",
        "Escrow_WrongValue",
    },
    "Escrow.requestClose": {"Escrow_ChannelClosing", "Escrow_NotPayer"},
    "Escrow.release": {"Escrow_ChannelNotClosable", "Escrow_NotOracle"},
    "Escrow.close": {"Escrow_ChannelNotClosable", "Escrow_NothingToWithdraw"},
    "Escrow.revokeKey": {"Escrow_KeyAlreadyRevoked", "Escrow_NotPayer"},
    "Escrow.buyCredits": ON_SALE
    | {
        "Escrow_NotPayer",
        "Escrow_PositionExists",
        "Escrow_TrialUsed",
        "Escrow_WrongValue",
        "Registry_UnknownPlan",
    },
    "Escrow.payInstalment": {
        "EnforcedPause",
        "Escrow_InstalmentOverdue",
        "Escrow_ListingWithdrawn",
        "Escrow_NothingDue",
        "Escrow_PositionClosing",
        "Escrow_UnknownPosition",
        "Escrow_WrongValue",
    },
    "Escrow.requestReclaim": {
        "Escrow_NotPayer",
        "Escrow_NotReclaimable",
        "Escrow_PositionClosing",
        "Escrow_UnknownPosition",
    },
    "Escrow.reclaim": {"Escrow_PositionClosed", "Escrow_ReclaimTooEarly", "Escrow_UnknownPosition"},
    "Escrow.settle": {"Escrow_EmptyRoot", "Escrow_NotOracle"},
}
"""What is provoked in tests/evm: channels, credits, settlement, tills."""

TOKENS: dict[str, set[str]] = {
    "Escrow_TokenShort": {"Escrow.open", "Escrow.openWithAuthorisation", "Escrow.buyCredits", "Escrow.payInstalment"},
    "Escrow_TransferFailed": {"Escrow.withdraw"},
    "ReentrancyGuardReentrantCall": {
        "Escrow.open",
        "Escrow.openWithAuthorisation",
        "Escrow.recover",
        "Escrow.deposit",
        "Escrow.buyCredits",
        "Escrow.payInstalment",
        "Escrow.withdraw",
    },
    "SafeERC20FailedOperation": {
        "Escrow.open",
        "Escrow.openWithAuthorisation",
        "Escrow.recover",
        "Escrow.deposit",
        "Escrow.buyCredits",
        "Escrow.payInstalment",
        "Escrow.withdraw",
    },
}
"""What a token that does not do its part can provoke, from any of these. One way in is tested in tests/evm; they share it."""

REFUSE_NOTHING = {
    "Escrow.batchCount",
    "Escrow.callIdOf",
    "Escrow.callState",
    "Escrow.callsOf",
    "Escrow.challengeWindow",
    "Escrow.channelIdOf",
    "Escrow.channelState",
    "Escrow.chargedCalls",
    "Escrow.eip712Domain",
    "Escrow.fee",
    "Escrow.keyAccountOf",
    "Escrow.keyState",
    "Escrow.maxCallDuration",
    "Escrow.owed",
    "Escrow.owner",
    "Escrow.paused",
    "Escrow.pendingOwner",
    "Escrow.positionIdOf",
    "Escrow.positionState",
    "Escrow.receiptsRoot",
    "Escrow.registry",
    "Escrow.settledCallIdOf",
    "Escrow.tillOf",
    "Escrow.trialUsed",
    "EscrowLens.callStates",
    "EscrowLens.channelStates",
    "EscrowLens.constructor",
    "EscrowLens.escrow",
    "EscrowLens.keyStates",
    "EscrowLens.owed",
    "EscrowLens.positionStates",
    "EscrowLens.priceOf",
    "EscrowLens.receiptsRoots",
    "EscrowLens.unpackOutcome",
    "ListingRegistry.MAX_ENDPOINT_BYTES",
    "ListingRegistry.MAX_GRACE",
    "ListingRegistry.MAX_PLANS",
    "ListingRegistry.MAX_PLAN_DURATION",
    "ListingRegistry.MAX_URI_BYTES",
    "ListingRegistry.actsFor",
    "ListingRegistry.constructor",
    "ListingRegistry.getListings",
    "ListingRegistry.getOracle",
    "ListingRegistry.isApprovedForAll",
    "ListingRegistry.listingCount",
    "ListingRegistry.name",
    "ListingRegistry.oracleOf",
    "ListingRegistry.settlementTerms",
    "ListingRegistry.supportsInterface",
    "ListingRegistry.symbol",
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


def pairs_of(refusals: dict[str, set[str]]) -> set[tuple[str, str]]:
    return {(function, error) for function, errors in refusals.items() for error in errors}


def marked(folder: Path) -> set[tuple[str, str]]:
    """The (function, error) pairs of all `refuses` marks in a folder. A mark whose test does not provoke its pair fails
    there.
    """
    pairs: set[tuple[str, str]] = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or len(node.args) != 2:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name == "refuses" and all(isinstance(argument, ast.Constant) for argument in node.args):
                function, error = (ast.literal_eval(argument) for argument in node.args)
                pairs.add((function, error))
    return pairs


def test_refusals_name_every_function() -> None:
    """A function that is added has to say here what it refuses."""
    refusing = REFUSALS.keys() | REFUSALS_IN_PROCESS.keys()
    assert not refusing & REFUSE_NOTHING
    assert refusing | REFUSE_NOTHING == named("function") | named("constructor")


def test_refusals_name_every_error() -> None:
    """An error that is added has to be given by some function here."""
    declared = {name.split(".")[1] for name in named("error")}
    given = set().union(*REFUSALS.values(), *REFUSALS_IN_PROCESS.values()) | TOKENS.keys()
    assert declared == given | NEVER.keys()


def test_refusals_are_each_provoked_on_a_node() -> None:
    assert marked(HERE) == pairs_of(REFUSALS)


def test_refusals_are_each_provoked_in_process() -> None:
    """Channels, credits, settlement and tills, and tokens that mean harm."""
    there = marked(IN_PROCESS)
    if not there:
        pytest.skip("tests/evm has no refusals yet")
    by_tokens = {(function, error) for error, functions in TOKENS.items() for function in functions}
    assert pairs_of(REFUSALS_IN_PROCESS) <= there
    assert there <= pairs_of(REFUSALS) | pairs_of(REFUSALS_IN_PROCESS) | by_tokens
    assert {error for function, error in there & by_tokens} == TOKENS.keys()


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
    "name", [error for error in sorted(named("error")) if error.split(".")[1].startswith(PREFIXES)]
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
