// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

import {CallId, DirectCall, IEscrow, Outcome, Units} from "./interfaces/IEscrow.sol";
import {IListingRegistry, ListingId, PriceSheet} from "./interfaces/IListingRegistry.sol";
import {DirectCalls} from "./libraries/DirectCalls.sol";
import {Pricing} from "./libraries/Pricing.sol";

/// @title The one contract that holds funds. The interface is its specification.
/// @dev What is owed is the sum of `_owed` and of the amounts of open calls; the contract's own balance is never read,
/// so forced ether changes nothing. Every path moves the books before it calls out.
contract Escrow is IEscrow, EIP712, Ownable2Step, Pausable, ReentrancyGuard {
    using DirectCalls for DirectCall;
    using Pricing for PriceSheet;

    address private constant NATIVE = address(0);
    uint256 private constant MAX_CALL_DURATION = 7 days;

    IListingRegistry public immutable override registry;

    mapping(CallId callId => CallState) private _calls;
    mapping(address account => mapping(address asset => uint256)) private _owed;

    constructor(IListingRegistry registry_, address administrator) EIP712("Tallystick", "1") Ownable(administrator) {
        registry = registry_;
    }

    /// @inheritdoc IEscrow
    function open(DirectCall calldata call) external payable override whenNotPaused returns (CallId callId) {
        if (msg.sender != call.payer) revert Escrow_NotPayer(msg.sender, call.payer);
        if (msg.value != call.amount) revert Escrow_WrongValue(msg.value, call.amount);
        if (call.requestCommitment == bytes32(0)) revert Escrow_EmptyCommitment();
        if (call.deadline <= block.timestamp || call.deadline > block.timestamp + MAX_CALL_DURATION) {
            revert Escrow_DeadlineOutOfRange(call.deadline, block.timestamp + 1, block.timestamp + MAX_CALL_DURATION);
        }
        _requireOnSale(call);

        callId = callIdOf(call);
        CallStatus status = _calls[callId].status;
        if (status != CallStatus.None) revert Escrow_CallNotInState(callId, status, CallStatus.None);
        _calls[callId] = CallState(CallStatus.Open, call.amount, call.deadline);
        emit CallOpened(callId, call.listingId, call.payer, call);
    }

    /// @inheritdoc IEscrow
    function fulfil(DirectCall calldata call, Outcome calldata outcome) external override {
        CallId callId = _closeByOracle(call, CallStatus.Fulfilled, outcome.charge);
        if (block.timestamp > call.deadline) revert Escrow_DeadlinePassed(block.timestamp, call.deadline);
        if (outcome.resultHash == bytes32(0)) revert Escrow_EmptyResult();

        (PriceSheet memory prices, address earner) = registry.settlementTerms(call.listingId, call.revision);
        uint128 maximum = prices.priceOf(outcome.units);
        if (maximum > call.amount) maximum = call.amount;
        if (outcome.charge > maximum) revert Escrow_ChargeTooHigh(outcome.charge, maximum);

        uint128 rest = call.amount - outcome.charge;
        _credit(earner, call.asset, outcome.charge);
        _credit(call.payer, call.asset, rest);
        emit CallLogged(
            callId,
            call.listingId,
            call.payer,
            call.revision,
            Mode.Direct,
            call.requestCommitment,
            outcome.resultHash,
            outcome.units,
            outcome.charge
        );
        emit CallFulfilled(callId, earner, rest, outcome.receiptDigest);
    }

    /// @inheritdoc IEscrow
    function decline(DirectCall calldata call) external override {
        CallId callId = _closeByOracle(call, CallStatus.Declined, 0);
        _credit(call.payer, call.asset, call.amount);
        emit CallDeclined(callId, call.payer, call.amount);
    }

    /// @inheritdoc IEscrow
    function refund(DirectCall calldata call) external override {
        CallId callId = _close(call, CallStatus.Refunded, 0);
        if (block.timestamp <= call.deadline) revert Escrow_DeadlineNotPassed(block.timestamp, call.deadline);
        _credit(call.payer, call.asset, call.amount);
        emit CallRefunded(callId, call.payer, call.amount);
    }

    /// @inheritdoc IEscrow
    function withdraw(address asset, address to) external override nonReentrant returns (uint256 amount) {
        amount = _owed[msg.sender][asset];
        if (amount == 0) revert Escrow_NothingToWithdraw(msg.sender, asset);
        _owed[msg.sender][asset] = 0;
        emit Withdrawn(msg.sender, asset, to, amount);
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert Escrow_TransferFailed(to, amount);
    }

    /// @inheritdoc IEscrow
    function pause() external override onlyOwner {
        _pause();
    }

    /// @inheritdoc IEscrow
    function unpause() external override onlyOwner {
        _unpause();
    }

    /// @inheritdoc IEscrow
    function maxCallDuration() external pure override returns (uint256) {
        return MAX_CALL_DURATION;
    }

    /// @inheritdoc IEscrow
    function owed(address account, address asset) external view override returns (uint256) {
        return _owed[account][asset];
    }

    /// @inheritdoc IEscrow
    function callState(CallId callId) external view override returns (CallState memory) {
        return _calls[callId];
    }

    /// @inheritdoc IEscrow
    function priceOf(ListingId listingId, uint32 revision, Units calldata units)
        external
        view
        override
        returns (uint128)
    {
        (PriceSheet memory prices,) = registry.settlementTerms(listingId, revision);
        return prices.priceOf(units);
    }

    /// @inheritdoc IEscrow
    function callIdOf(DirectCall calldata call) public view override returns (CallId) {
        return CallId.wrap(_hashTypedDataV4(call.structHash()));
    }

    /// @dev A revision is pinned while it is the one for sale; a later one never touches this call (M9).
    function _requireOnSale(DirectCall calldata call) private view {
        (address oracle, uint32 latest, bool withdrawn, address asset) = registry.saleTerms(call.listingId);
        if (withdrawn) revert Escrow_ListingWithdrawn(call.listingId);
        if (call.revision != latest) revert Escrow_RevisionNotForSale(call.revision, latest);
        if (call.oracle != oracle) revert Escrow_WrongOracle(call.oracle, oracle);
        if (call.asset != asset) revert Escrow_WrongAsset(call.asset, asset);
        if (asset != NATIVE) revert Escrow_AssetUnsupported(asset);
    }

    function _closeByOracle(DirectCall calldata call, CallStatus to, uint128 charge) private returns (CallId) {
        if (msg.sender != call.oracle) revert Escrow_NotOracle(msg.sender, call.oracle);
        return _close(call, to, charge);
    }

    /// @dev The one way out of `Open`. The terms are authentic because their hash is the key.
    function _close(DirectCall calldata call, CallStatus to, uint128 charge) private returns (CallId callId) {
        callId = callIdOf(call);
        CallState storage state = _calls[callId];
        if (state.status != CallStatus.Open) revert Escrow_CallNotInState(callId, state.status, CallStatus.Open);
        state.status = to;
        state.amount = charge;
    }

    function _credit(address account, address asset, uint128 amount) private {
        if (amount != 0) _owed[account][asset] += amount;
    }
}
