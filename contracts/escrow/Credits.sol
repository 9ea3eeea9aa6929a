// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICredits, PositionTerms} from "../interfaces/ICredits.sol";
import {AccountId, ListingId} from "../interfaces/Types.sol";
import {Accounts} from "../libraries/Accounts.sol";
import {CreditPlans} from "../libraries/CreditPlans.sol";
import {Channels} from "./Channels.sol";

/// @title The money of prepaid calls. The interface is its specification; the rules are in `CreditPlans`.
abstract contract Credits is Channels, ICredits {
    using Accounts for PositionTerms;
    using CreditPlans for ICredits.PositionState;

    mapping(AccountId positionId => PositionState) internal _positions;
    mapping(address payer => mapping(ListingId listingId => bool)) private _trialUsed;

    /// @inheritdoc ICredits
    function buyCredits(PositionTerms calldata terms)
        external
        payable
        override
        whenNotPaused
        returns (AccountId positionId)
    {
        _requirePayer(terms.payer);
        _requireOnSale(terms.listingId, terms.revision, terms.oracle, terms.asset);
        positionId = positionIdOf(terms);
        _takeExactly(terms.asset, CreditPlans.buy(_positions, _trialUsed, registry, positionId, terms));
    }

    /// @inheritdoc ICredits
    function payInstalment(PositionTerms calldata terms) external payable override whenNotPaused {
        AccountId id = positionIdOf(terms);
        _takeExactly(terms.asset, _positions[id].payInstalment(registry, id, terms));
    }

    /// @inheritdoc ICredits
    function requestReclaim(PositionTerms calldata terms) external override {
        _requirePayer(terms.payer);
        AccountId id = positionIdOf(terms);
        _positions[id].requestReclaim(registry, id, terms);
    }

    /// @inheritdoc ICredits
    function reclaim(PositionTerms calldata terms) external override {
        AccountId id = positionIdOf(terms);
        _credit(terms.payer, terms.asset, _positions[id].reclaim(id, terms.payer));
    }

    /// @inheritdoc ICredits
    function positionState(AccountId positionId) external view override returns (PositionState memory) {
        return _positions[positionId];
    }

    /// @inheritdoc ICredits
    function trialUsed(address payer, ListingId listingId) external view override returns (bool) {
        return _trialUsed[payer][listingId];
    }

    /// @inheritdoc ICredits
    function positionIdOf(PositionTerms calldata terms) public view override returns (AccountId) {
        return AccountId.wrap(_hashTypedDataV4(terms.structHash()));
    }
}
