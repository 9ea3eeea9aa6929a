// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IBooks} from "../interfaces/IBooks.sol";
import {ICredits, PositionTerms} from "../interfaces/ICredits.sol";
import {IListingRegistry} from "../interfaces/IListingRegistry.sol";
import {AccountId, ListingId, Plan} from "../interfaces/Types.sol";
import {CHALLENGE_WINDOW} from "./Limits.sol";

/// @title The rules of credit positions. `Credits` takes and owes the money.
/// @dev Linked, not inlined: the escrow would be over the size that a contract may have.
library CreditPlans {
    /// @notice Books a purchase of the plan that `terms` name. Gives the price of its first tranche.
    function buy(
        mapping(AccountId positionId => ICredits.PositionState) storage positions,
        mapping(address payer => mapping(ListingId listingId => bool)) storage trialUsed,
        IListingRegistry registry,
        AccountId positionId,
        PositionTerms calldata terms
    ) external returns (uint128) {
        Plan memory plan = registry.planOf(terms.listingId, terms.revision, terms.plan);
        if (positions[positionId].expiresAt != 0) revert ICredits.Escrow_PositionExists(positionId);
        if (plan.creditPrice == 0) {
            if (trialUsed[terms.payer][terms.listingId]) {
                revert ICredits.Escrow_TrialUsed(terms.payer, terms.listingId);
            }
            trialUsed[terms.payer][terms.listingId] = true;
        }
        uint40 expiresAt = uint40(block.timestamp + plan.duration);
        positions[positionId] = ICredits.PositionState(plan.creditPrice, plan.credits, 0, expiresAt, 0, 1, false);
        emit ICredits.CreditsBought(positionId, terms.listingId, terms.payer, terms, plan.credits, expiresAt);
        return _priceOfTranche(plan);
    }

    /// @notice Books the next tranche. Gives its price.
    function payInstalment(
        ICredits.PositionState storage position,
        IListingRegistry registry,
        AccountId positionId,
        PositionTerms calldata terms
    ) external returns (uint128) {
        _requireExists(position, positionId);
        Plan memory plan = registry.planOf(terms.listingId, terms.revision, terms.plan);
        uint8 paid = position.tranches;
        if (paid == plan.tranches) revert ICredits.Escrow_NothingDue(paid, plan.tranches);
        if (position.closesAt != 0) revert ICredits.Escrow_PositionClosing(positionId, position.closesAt);
        // The plan's last tranche is due before the plan's time is over, so no other check of time is needed.
        uint256 due = position.expiresAt - plan.duration + uint256(paid) * plan.interval;
        if (block.timestamp > due) revert ICredits.Escrow_InstalmentOverdue(block.timestamp, due);
        if (!_isServed(registry, terms)) revert IBooks.Escrow_ListingWithdrawn(terms.listingId);
        position.tranches = ++paid;
        position.unlocked += plan.credits;
        emit ICredits.InstalmentPaid(positionId, paid, position.unlocked);
        return _priceOfTranche(plan);
    }

    /// @notice Starts the challenge window where the listing is not served any more as it was sold.
    function requestReclaim(
        ICredits.PositionState storage position,
        IListingRegistry registry,
        AccountId positionId,
        PositionTerms calldata terms
    ) external {
        _requireExists(position, positionId);
        if (position.closesAt != 0) revert ICredits.Escrow_PositionClosing(positionId, position.closesAt);
        if (block.timestamp > position.expiresAt || _isServed(registry, terms)) {
            revert ICredits.Escrow_NotReclaimable(block.timestamp, position.expiresAt);
        }
        position.closesAt = uint32(block.timestamp + CHALLENGE_WINDOW);
        emit ICredits.CreditsClosing(positionId, position.closesAt);
    }

    /// @notice Closes a position whose window is over. Gives the money of its unused credits.
    function reclaim(ICredits.PositionState storage position, AccountId positionId, address payer)
        external
        returns (uint128 amount)
    {
        _requireExists(position, positionId);
        if (position.closed) revert ICredits.Escrow_PositionClosed(positionId);
        uint256 last = closesAt(position);
        if (block.timestamp <= last) revert ICredits.Escrow_ReclaimTooEarly(block.timestamp, last);
        position.closed = true;
        uint32 unused = position.unlocked - position.used;
        amount = uint128(unused) * position.creditPrice;
        emit ICredits.CreditsReclaimed(positionId, payer, unused, amount);
    }

    /// @notice Until when the oracle may settle, inclusive.
    function closesAt(ICredits.PositionState storage position) internal view returns (uint256) {
        uint256 last = position.expiresAt + CHALLENGE_WINDOW;
        uint256 asked = position.closesAt;
        return asked == 0 || asked > last ? last : asked;
    }

    function _requireExists(ICredits.PositionState storage position, AccountId positionId) private view {
        if (position.expiresAt == 0) revert ICredits.Escrow_UnknownPosition(positionId);
    }

    function _isServed(IListingRegistry registry, PositionTerms calldata terms) private view returns (bool) {
        // slither-disable-next-line unused-return (the latest revision and its asset do not matter to what was sold)
        (address oracle,, bool withdrawn,) = registry.saleTerms(terms.listingId);
        return !withdrawn && oracle == terms.oracle;
    }

    function _priceOfTranche(Plan memory plan) private pure returns (uint128) {
        return uint128(plan.creditPrice) * plan.credits;
    }
}
