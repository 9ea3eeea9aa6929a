// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {CallId, ListingId, Mode, Units} from "./Types.sol";

/// @notice The terms of one directly paid call. Its hash is the call's id, so no term can change later.
struct DirectCall {
    /// Pays, and is owed what is not charged.
    address payer;
    ListingId listingId;
    /// The revision whose model is run and whose prices hold.
    uint32 revision;
    /// It, or a key that acts for it, alone may fulfil or decline the call.
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

/// @notice An EIP-3009 `TransferWithAuthorization` of a call's amount to the call's till, as its payer signed it.
struct TokenAuthorisation {
    uint256 validAfter;
    uint256 validBefore;
    bytes32 nonce;
    uint8 v;
    bytes32 r;
    bytes32 s;
}

/// @title Calls that are each paid by an escrow of their own.
interface IDirectCalls {
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
        /// The protocol's fee when it was opened, in hundredths of a per cent.
        uint16 feeBps;
    }

    /// @notice A direct call's escrow was paid in.
    event CallOpened(CallId indexed callId, ListingId indexed listingId, address indexed payer, DirectCall call);
    /// @notice One paid call, in any mode: the public half of its receipt.
    /// @param outcome From the highest bit: revision (32 bits), mode (8), input tokens (32), output tokens (32), compute
    /// milliseconds (32), charge (120). `EscrowLens.unpackOutcome` takes it apart. The charge is in atomic units, in credits for
    /// `Mode.Credits`.
    event CallLogged(
        CallId indexed callId,
        ListingId indexed listingId,
        address indexed payer,
        bytes32 requestCommitment,
        bytes32 resultHash,
        uint256 outcome
    );
    /// @notice A directly paid call ended with a charge: who owned the listing, what went back, its receipt's digest.
    event CallFulfilled(CallId indexed callId, address indexed earner, uint128 refund, bytes32 receiptDigest);
    /// @notice The oracle gave the call up; all of its escrow is owed to the payer.
    event CallDeclined(CallId indexed callId, address indexed payer, uint128 refund);
    /// @notice The deadline passed without a result; all of the call's escrow is owed to the payer.
    event CallRefunded(CallId indexed callId, address indexed payer, uint128 refund);
    /// @notice Tokens that came to a till, beyond its call's amount or for a call that was not opened, are owed to the
    /// payer.
    event TillEmptied(CallId indexed callId, address indexed payer, address indexed asset, uint128 amount);

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
    /// @notice The native asset has no token authorisations.
    error Escrow_NotAToken(address asset);
    /// @notice The payer did not sign this token authorisation.
    error Escrow_AuthorisationInvalid(address payer, bytes32 nonce);

    /// @notice Opens a direct call and escrows `call.amount`: sent along, or pulled by the token's allowance. Only the
    /// payer; not while paused.
    function open(DirectCall calldata call) external payable returns (CallId callId);

    /// @notice Opens a direct call with a token authorisation whose recipient is `tillOf(call)`; the payer sends no
    /// transaction. Anyone may, because the recipient names the call with all of its terms. What somebody relayed before,
    /// or paid there by a transfer, counts as well; what came beyond the call's amount is owed to the payer.
    function openWithAuthorisation(DirectCall calldata call, TokenAuthorisation calldata authorisation)
        external
        returns (CallId callId);

    /// @notice Owes the payer what lies in a call's till: paid there for a call that was never opened, or twice. The
    /// payer at any time; anyone after the call's deadline.
    function recover(DirectCall calldata call) external;

    /// @notice Ends an open call with its result: the charge is earned, the rest is owed to the payer.
    function fulfil(DirectCall calldata call, Outcome calldata outcome) external;

    /// @notice Ends an open call without a result: all of its escrow is owed to the payer.
    function decline(DirectCall calldata call) external;

    /// @notice After its deadline anyone may end an open call: all of its escrow is owed to the payer.
    function refund(DirectCall calldata call) external;

    /// @notice The longest time, in seconds, that a deadline may lie ahead.
    function maxCallDuration() external view returns (uint256);

    /// @notice The id that these terms have, opened or not.
    function callIdOf(DirectCall calldata call) external view returns (CallId);

    /// @notice Where a token authorisation for this call has to pay to: an address that only this contract can empty.
    /// No two calls have the same.
    function tillOf(DirectCall calldata call) external view returns (address);

    /// @notice The state of a direct call; all zero if it was never opened.
    function callState(CallId callId) external view returns (CallState memory);

    /// @notice The calls of a listing that a payer was charged for, as far as its revisions have volume tiers.
    function callsOf(address payer, ListingId listingId) external view returns (uint256);
}
