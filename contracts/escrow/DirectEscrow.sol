// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {DirectCall, IDirectCalls, Outcome, TokenAuthorisation} from "../interfaces/IDirectCalls.sol";
import {CallId, ListingId, Mode, SettlementTerms} from "../interfaces/Types.sol";
import {DirectCalls} from "../libraries/DirectCalls.sol";
import {MAX_CALL_DURATION} from "../libraries/Limits.sol";
import {Outcomes} from "../libraries/Outcomes.sol";
import {Pricing} from "../libraries/Pricing.sol";
import {Tiers} from "../libraries/Tiers.sol";
import {Tills} from "./Tills.sol";

/// @title Calls that are each paid by an escrow of their own. The interface is its specification.
abstract contract DirectEscrow is Tills, EIP712 {
    using DirectCalls for DirectCall;

    mapping(CallId callId => CallState) private _calls;
    mapping(address payer => mapping(ListingId listingId => uint256)) internal _callsOf;

    /// @inheritdoc IDirectCalls
    function open(DirectCall calldata call) external payable override whenNotPaused returns (CallId callId) {
        _requirePayer(call.payer);
        callId = _open(call);
        _takeExactly(call.asset, call.amount);
    }

    /// @inheritdoc IDirectCalls
    function openWithAuthorisation(DirectCall calldata call, TokenAuthorisation calldata authorisation)
        external
        override
        whenNotPaused
        returns (CallId callId)
    {
        callId = _open(call);
        uint128 arrived = _collect(call, callId, authorisation);
        if (arrived < call.amount) revert Escrow_TokenShort(arrived, call.amount);
        if (arrived > call.amount) _creditFromTill(callId, call, arrived - call.amount);
    }

    /// @inheritdoc IDirectCalls
    function recover(DirectCall calldata call) external override {
        if (block.timestamp <= call.deadline) _requirePayer(call.payer);
        CallId callId = callIdOf(call);
        uint128 arrived = _empty(callId, call.asset);
        // Not a balance: what arrived is a difference.
        // slither-disable-next-line incorrect-equality
        if (arrived == 0) revert Escrow_NothingToWithdraw(call.payer, call.asset);
        _creditFromTill(callId, call, arrived);
    }

    /// @inheritdoc IDirectCalls
    function fulfil(DirectCall calldata call, Outcome calldata outcome) external override {
        (CallId callId, uint256 feeBps) = _closeByOracle(call, CallStatus.Fulfilled, outcome.charge);
        if (block.timestamp > call.deadline) revert Escrow_DeadlinePassed(block.timestamp, call.deadline);
        if (outcome.resultHash == bytes32(0)) revert Escrow_EmptyResult();

        SettlementTerms memory terms = registry.settlementTerms(call.listingId, call.revision);
        uint256 packed = Outcomes.pack(call.revision, Mode.Direct, outcome.units, outcome.charge);
        uint128 maximum = Pricing.priceOf(terms.priceWord, terms.rateWord, packed);
        if (terms.packedTiers != 0) {
            maximum = Tiers.discounted(terms.packedTiers, maximum, _callsOf[call.payer][call.listingId]++);
        }
        if (maximum > call.amount) maximum = call.amount;
        if (outcome.charge > maximum) revert Escrow_ChargeTooHigh(outcome.charge, maximum);

        uint128 rest = call.amount - outcome.charge;
        emit CallLogged(
            callId,
            call.listingId,
            call.payer,
            call.requestCommitment,
            outcome.resultHash,
            packed
        );
        emit CallFulfilled(callId, terms.owner, rest, outcome.receiptDigest);
        _credit(call.payer, call.asset, rest);
        _earn(
            CallId.unwrap(callId), call.asset, outcome.charge, terms.owner, call.oracle, terms.oracleShareBps, feeBps
        );
    }

    /// @inheritdoc IDirectCalls
    function decline(DirectCall calldata call) external override {
        (CallId callId,) = _closeByOracle(call, CallStatus.Declined, 0);
        _credit(call.payer, call.asset, call.amount);
        emit CallDeclined(callId, call.payer, call.amount);
    }

    /// @inheritdoc IDirectCalls
    function refund(DirectCall calldata call) external override {
        (CallId callId,) = _close(call, CallStatus.Refunded, 0);
        if (block.timestamp <= call.deadline) revert Escrow_DeadlineNotPassed(block.timestamp, call.deadline);
        _credit(call.payer, call.asset, call.amount);
        emit CallRefunded(callId, call.payer, call.amount);
    }

    /// @inheritdoc IDirectCalls
    function maxCallDuration() external pure override returns (uint256) {
        return MAX_CALL_DURATION;
    }

    /// @inheritdoc IDirectCalls
    function callState(CallId callId) external view override returns (CallState memory) {
        return _calls[callId];
    }

    /// @inheritdoc IDirectCalls
    function callsOf(address payer, ListingId listingId) external view override returns (uint256) {
        return _callsOf[payer][listingId];
    }

    /// @inheritdoc IDirectCalls
    function callIdOf(DirectCall calldata call) public view override returns (CallId) {
        return CallId.wrap(_hashTypedDataV4(call.structHash()));
    }

    /// @dev The call is open before its escrow is taken: a token that calls back finds it so, and can't open it twice.
    function _open(DirectCall calldata call) private returns (CallId callId) {
        if (call.requestCommitment == bytes32(0)) revert Escrow_EmptyCommitment();
        if (call.deadline <= block.timestamp || call.deadline > block.timestamp + MAX_CALL_DURATION) {
            revert Escrow_DeadlineOutOfRange(call.deadline, block.timestamp + 1, block.timestamp + MAX_CALL_DURATION);
        }
        _requireOnSale(call.listingId, call.revision, call.oracle, call.asset);

        callId = callIdOf(call);
        CallStatus status = _calls[callId].status;
        if (status != CallStatus.None) revert Escrow_CallNotInState(callId, status, CallStatus.None);
        _calls[callId] = CallState(CallStatus.Open, call.amount, call.deadline, _feeBps);
        emit CallOpened(callId, call.listingId, call.payer, call);
    }

    function _creditFromTill(CallId callId, DirectCall calldata call, uint128 amount) private {
        _credit(call.payer, call.asset, amount);
        emit TillEmptied(callId, call.payer, call.asset, amount);
    }

    function _closeByOracle(DirectCall calldata call, CallStatus to, uint128 charge)
        private
        returns (CallId, uint256)
    {
        _requireOracle(call.oracle);
        return _close(call, to, charge);
    }

    /// @dev The one way out of `Open`. The terms are authentic because their hash is the key.
    function _close(DirectCall calldata call, CallStatus to, uint128 charge)
        private
        returns (CallId callId, uint256 feeBps)
    {
        callId = callIdOf(call);
        CallState storage state = _calls[callId];
        if (state.status != CallStatus.Open) revert Escrow_CallNotInState(callId, state.status, CallStatus.Open);
        (state.status, state.amount) = (to, charge);
        feeBps = state.feeBps;
    }
}
