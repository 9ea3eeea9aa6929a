// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {AccountId, ListingId} from "./Types.sol";

/// @notice What names a credit position. Its hash is the position's id.
struct PositionTerms {
    address payer;
    ListingId listingId;
    /// The revision whose plan was bought; credits pay calls of any revision that the same oracle runs.
    uint32 revision;
    /// Which plan of the revision, from 0.
    uint8 plan;
    address oracle;
    address asset;
    /// The payer's choice, so that a plan can be bought again.
    uint64 number;
}

/// @title Prepaid calls of one listing: free trial, subscription period, committed bundle, bundle in instalments.
/// @notice Money for unused credits stays here. It is earned as credits are used, and reclaimable after the plan's
/// time, when the listing is withdrawn, or when another oracle runs it.
interface ICredits {
    /// @notice A credit position as the books hold it.
    struct PositionState {
        /// Atomic units that one credit is worth.
        uint96 creditPrice;
        /// Credits that were paid for, and those that calls used.
        uint32 unlocked;
        uint32 used;
        /// Unix seconds; until then (inclusive) tranches can be paid.
        uint40 expiresAt;
        /// Unix seconds; until then (inclusive) the oracle may settle. Zero: until a challenge window after the expiry.
        uint32 closesAt;
        /// Tranches that were paid.
        uint8 tranches;
        bool closed;
    }

    /// @notice A plan was bought, and its first tranche paid.
    event CreditsBought(
        AccountId indexed positionId,
        ListingId indexed listingId,
        address indexed payer,
        PositionTerms terms,
        uint32 unlocked,
        uint40 expiresAt
    );
    /// @notice A further instalment was paid, which unlocked its tranche.
    event InstalmentPaid(AccountId indexed positionId, uint8 tranches, uint32 unlocked);
    /// @notice The payer asked for the money of unused credits.
    event CreditsClosing(AccountId indexed positionId, uint32 closesAt);
    /// @notice The money of unused credits is owed to the payer.
    event CreditsReclaimed(AccountId indexed positionId, address indexed payer, uint32 credits, uint128 amount);

    /// @notice The terms were bought before; another purchase has another number.
    error Escrow_PositionExists(AccountId positionId);
    /// @notice Nothing was bought under these terms.
    error Escrow_UnknownPosition(AccountId positionId);
    /// @notice The payer had a free trial of this listing before.
    error Escrow_TrialUsed(address payer, ListingId listingId);
    /// @notice All tranches of the plan are paid.
    error Escrow_NothingDue(uint8 actual, uint8 tranches);
    /// @notice The instalment is overdue: no further tranche is sold. What is unlocked stays usable.
    error Escrow_InstalmentOverdue(uint256 actual, uint256 due);
    /// @notice The position is closing, closed, or its time is over.
    error Escrow_PositionClosing(AccountId positionId, uint256 closesAt);
    /// @notice Before the plan's time is over, money comes back only if the listing is withdrawn or run by another oracle.
    error Escrow_NotReclaimable(uint256 actual, uint256 expiresAt);
    /// @notice The challenge window is still open, or nobody asked.
    error Escrow_ReclaimTooEarly(uint256 actual, uint256 closesAt);
    /// @notice The money of unused credits was paid back before.
    error Escrow_PositionClosed(AccountId positionId);

    /// @notice Buys the plan that `terms` name, of the revision for sale, and pays its first tranche, `amount` in all:
    /// sent along, or pulled by the token's allowance. Only the payer; not while paused.
    function buyCredits(PositionTerms calldata terms) external payable returns (AccountId positionId);

    /// @notice Pays the next tranche, by its due time. Anyone may, for any payer; not while paused.
    function payInstalment(PositionTerms calldata terms) external payable;

    /// @notice Asks for the money of unused credits where the listing is withdrawn or run by another oracle. The oracle
    /// has `challengeWindow` seconds to settle. Only the payer.
    function requestReclaim(PositionTerms calldata terms) external;

    /// @notice After that window, or after the one that follows the plan's time, anyone may give the payer what is left.
    function reclaim(PositionTerms calldata terms) external;

    /// @notice The id that these terms have.
    function positionIdOf(PositionTerms calldata terms) external view returns (AccountId);

    /// @notice The state of a position; all zero where nothing was bought.
    function positionState(AccountId positionId) external view returns (PositionState memory);

    /// @notice Whether a payer had a free trial of a listing.
    function trialUsed(address payer, ListingId listingId) external view returns (bool);
}
