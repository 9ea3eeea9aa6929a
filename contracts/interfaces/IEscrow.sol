// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IListingRegistry, ListingId} from "./IListingRegistry.sol";

/// @dev The EIP-712 digest of a `DirectCall` under the escrow's domain: unique per chain and contract.
type CallId is bytes32;

/// @notice What one call consumed, as the oracle posts it.
struct Units {
    uint32 inputTokens;
    uint32 outputTokens;
    /// Compute time in milliseconds.
    uint32 computeMs;
}

/// @notice The terms of one directly paid call. Its hash is the call's id, so no term can change later.
struct DirectCall {
    /// Pays, and is owed what is not charged.
    address payer;
    ListingId listingId;
    /// The revision whose model is run and whose prices hold.
    uint32 revision;
    /// Alone may fulfil or decline the call.
    address oracle;
    /// What is escrowed; the zero address is the native asset.
    address asset;
    /// The most that the call may cost, in atomic units.
    uint128 amount;
    /// Unix seconds. Until then (inclusive) the oracle may fulfil; after it anyone may trigger the refund.
    uint40 deadline;
    /// keccak256(tag, salt, canonical request); the salt is the payer's secret (docs/SPEC.md).
    bytes32 requestCommitment;
}

/// @notice What the oracle posts for a call it has run.
struct Outcome {
    /// keccak256(tag, salt, canonical result).
    bytes32 resultHash;
    /// The EIP-712 digest of the receipt that the oracle signed before it replied.
    bytes32 receiptDigest;
    Units units;
    /// Atomic units; never above the escrowed amount, nor above the pinned revision's price for `units`.
    uint128 charge;
}

/// @title The one contract that holds funds.
/// @notice Escrows directly paid calls, logs every one that is charged, and owes earnings and refunds until they are
/// pulled. Nobody, its administrator included, can move what it owes to another.
interface IEscrow {
    /// @notice How a call was paid.
    enum Mode {
        Direct,
        Channel,
        Key,
        Credits
    }

    /// @notice The states of a direct call. `Open` is left exactly once.
    enum CallStatus {
        None,
        Open,
        Fulfilled,
        Declined,
        Refunded
    }

    /// @notice A direct call as the books hold it.
    struct CallState {
        CallStatus status;
        /// While open the escrowed amount, afterwards what was charged. Atomic units.
        uint128 amount;
        uint40 deadline;
    }

    /// @notice A direct call's escrow was paid in.
    event CallOpened(CallId indexed callId, ListingId indexed listingId, address indexed payer, DirectCall call);
    /// @notice One paid call, in any mode: the public half of its receipt.
    event CallLogged(
        CallId indexed callId,
        ListingId indexed listingId,
        address indexed payer,
        uint32 revision,
        Mode mode,
        bytes32 requestCommitment,
        bytes32 resultHash,
        Units units,
        uint128 charge
    );
    /// @notice A directly paid call ended with a charge: who earned it, what went back, and its receipt's digest.
    event CallFulfilled(CallId indexed callId, address indexed earner, uint128 refund, bytes32 receiptDigest);
    /// @notice The oracle gave the call up; all of its escrow is owed to the payer.
    event CallDeclined(CallId indexed callId, address indexed payer, uint128 refund);
    /// @notice The deadline passed without a result; all of the call's escrow is owed to the payer.
    event CallRefunded(CallId indexed callId, address indexed payer, uint128 refund);
    /// @notice `account` pulled all it was owed of one asset.
    event Withdrawn(address indexed account, address indexed asset, address indexed to, uint256 amount);

    /// @notice Only the payer named in the terms may open a call.
    error Escrow_NotPayer(address actual, address expected);
    /// @notice Only the oracle named in the terms may fulfil or decline a call.
    error Escrow_NotOracle(address actual, address expected);
    /// @notice The value sent with the opening is not the amount in the terms.
    error Escrow_WrongValue(uint256 actual, uint256 expected);
    /// @notice The listing is off sale.
    error Escrow_ListingWithdrawn(ListingId listingId);
    /// @notice The terms name a revision that is not the one for sale.
    error Escrow_RevisionNotForSale(uint32 actual, uint32 expected);
    /// @notice The terms name an oracle that does not run this listing.
    error Escrow_WrongOracle(address actual, address expected);
    /// @notice The terms name an asset that the revision is not priced in.
    error Escrow_WrongAsset(address actual, address expected);
    /// @notice This asset can't be escrowed.
    error Escrow_AssetUnsupported(address actual);
    /// @notice A call needs a request commitment other than zero.
    error Escrow_EmptyCommitment();
    /// @notice A result hash of zero stands for no result.
    error Escrow_EmptyResult();
    /// @notice The deadline is not in the future, or further away than funds may be locked.
    error Escrow_DeadlineOutOfRange(uint40 actual, uint256 earliest, uint256 latest);
    /// @notice The call is not in the state that this step starts from.
    error Escrow_CallNotInState(CallId callId, CallStatus actual, CallStatus expected);
    /// @notice The oracle's time for this call is over.
    error Escrow_DeadlinePassed(uint256 actual, uint40 deadline);
    /// @notice The oracle still has time for this call.
    error Escrow_DeadlineNotPassed(uint256 actual, uint40 deadline);
    /// @notice The charge is above what the terms and the pinned price sheet allow for these units.
    error Escrow_ChargeTooHigh(uint128 actual, uint128 maximum);
    /// @notice The account is owed nothing of this asset.
    error Escrow_NothingToWithdraw(address account, address asset);
    /// @notice The receiver refused the transfer; what is owed stays owed.
    error Escrow_TransferFailed(address to, uint256 amount);

    /// @notice Opens a direct call and escrows `call.amount`, sent along. Only the payer; not while paused.
    function open(DirectCall calldata call) external payable returns (CallId callId);

    /// @notice Ends an open call with its result: the charge is owed to the listing's owner, the rest to the payer.
    function fulfil(DirectCall calldata call, Outcome calldata outcome) external;

    /// @notice Ends an open call without a result: all of its escrow is owed to the payer.
    function decline(DirectCall calldata call) external;

    /// @notice After its deadline anyone may end an open call: all of its escrow is owed to the payer.
    function refund(DirectCall calldata call) external;

    /// @notice Pays out everything that the caller is owed of `asset`, to an address of the caller's choice.
    function withdraw(address asset, address to) external returns (uint256 amount);

    /// @notice Stops new openings. Fulfilment, refunds and withdrawals go on.
    function pause() external;

    /// @notice Allows openings again.
    function unpause() external;

    /// @notice The catalogue that prices and owners are read from.
    function registry() external view returns (IListingRegistry);

    /// @notice The longest time, in seconds, that a deadline may lie ahead.
    function maxCallDuration() external view returns (uint256);

    /// @notice What `account` can withdraw of `asset` now: earnings and refunds together, in atomic units.
    function owed(address account, address asset) external view returns (uint256);

    /// @notice The id that these terms have, opened or not.
    function callIdOf(DirectCall calldata call) external view returns (CallId);

    /// @notice The state of a direct call; all zero if it was never opened.
    function callState(CallId callId) external view returns (CallState memory);

    /// @notice What the pinned revision's price sheet gives for `units`, in atomic units.
    function priceOf(ListingId listingId, uint32 revision, Units calldata units) external view returns (uint128);
}
