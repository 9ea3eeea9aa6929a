// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

import {IBooks} from "../interfaces/IBooks.sol";
import {IListingRegistry} from "../interfaces/IListingRegistry.sol";
import {IOracleDirectory} from "../interfaces/IOracleDirectory.sol";
import {ListingId} from "../interfaces/Types.sol";
import {ALL_BPS} from "../libraries/Limits.sol";

/// @title What comes in, what is owed, and what goes out. The interface is its specification.
/// @dev The guard is on the functions that move assets: a token that calls back while it is being moved could otherwise
/// have one arrival counted twice. Everything else moves books only, and calls nobody but the catalogue.
abstract contract Books is IBooks, ReentrancyGuard, Ownable2Step, Pausable {
    using SafeERC20 for IERC20;

    address internal constant NATIVE = address(0);
    uint16 private constant MAX_FEE_BPS = 500;

    /// @dev In one slot with Pausable's flag, so that an opening reads both at once.
    uint16 internal _feeBps;
    address private _feeCollector;

    IListingRegistry public immutable override registry;

    mapping(address account => mapping(address asset => uint256)) private _owed;

    constructor(IListingRegistry registry_, address administrator) Ownable(administrator) {
        registry = registry_;
    }

    /// @inheritdoc IBooks
    function withdraw(address asset, address to) external override nonReentrant returns (uint256 amount) {
        if (to == address(0)) revert Escrow_ZeroReceiver();
        amount = _owed[msg.sender][asset];
        if (amount == 0) revert Escrow_NothingToWithdraw(msg.sender, asset);
        _owed[msg.sender][asset] = 0;
        emit Withdrawn(msg.sender, asset, to, amount);
        if (asset == NATIVE) {
            (bool sent,) = to.call{value: amount}("");
            if (!sent) revert Escrow_TransferFailed(to, amount);
        } else {
            // A token that takes more than it was told would take it from others; one that takes less has not paid.
            uint256 before = _balanceOf(asset);
            IERC20(asset).safeTransfer(to, amount);
            uint256 left = _balanceOf(asset);
            if (left > before || before - left != amount) revert Escrow_TransferFailed(to, amount);
        }
    }

    /// @inheritdoc IBooks
    function pause() external override onlyOwner {
        _pause();
    }

    /// @inheritdoc IBooks
    function unpause() external override onlyOwner {
        _unpause();
    }

    /// @inheritdoc IBooks
    function setFee(uint16 feeBps, address collector) external override onlyOwner {
        if (feeBps > MAX_FEE_BPS) revert Escrow_FeeTooHigh(feeBps, MAX_FEE_BPS);
        // Also for a fee of zero: calls opened under an earlier fee still pay that one.
        if (collector == address(0)) revert Escrow_ZeroCollector();
        (_feeBps, _feeCollector) = (feeBps, collector);
        emit FeeChanged(feeBps, collector);
    }

    /// @inheritdoc IBooks
    function fee() external view override returns (uint16 feeBps, address collector, uint16 maximum) {
        return (_feeBps, _feeCollector, MAX_FEE_BPS);
    }

    /// @inheritdoc IBooks
    function owed(address account, address asset) external view override returns (uint256) {
        return _owed[account][asset];
    }

    function _requireOracle(address oracle) internal view {
        if (msg.sender != oracle && !IOracleDirectory(address(registry)).actsFor(msg.sender, oracle)) {
            revert Escrow_NotOracle(msg.sender, oracle);
        }
    }

    function _requirePayer(address payer) internal view {
        if (msg.sender != payer) revert Escrow_NotPayer(msg.sender, payer);
    }

    /// @dev A revision is pinned while it is the one for sale; a later one never touches what was bought then (M9).
    function _requireOnSale(ListingId listingId, uint32 revision, address oracle, address asset) internal view {
        (address runs, uint32 latest, bool withdrawn, address priced) = registry.saleTerms(listingId);
        if (withdrawn) revert Escrow_ListingWithdrawn(listingId);
        if (revision != latest) revert Escrow_RevisionNotForSale(revision, latest);
        if (oracle != runs) revert Escrow_WrongOracle(oracle, runs);
        if (asset != priced) revert Escrow_WrongAsset(asset, priced);
    }

    /// @dev Takes `amount` from the caller: the value sent along, or tokens by allowance. Gives what arrived, at most
    /// `amount`. The books must have moved before, or must move by what this gives.
    function _take(address asset, uint128 amount) internal returns (uint128) {
        if (asset == NATIVE) {
            if (msg.value != amount) revert Escrow_WrongValue(msg.value, amount);
            return amount;
        }
        if (msg.value != 0) revert Escrow_WrongValue(msg.value, 0);
        return amount == 0 ? 0 : _pull(asset, amount);
    }

    /// @dev As `_take`, where nothing less than `amount` will do.
    function _takeExactly(address asset, uint128 amount) internal {
        uint128 arrived = _take(asset, amount);
        if (arrived != amount) revert Escrow_TokenShort(arrived, amount);
    }

    function _pull(address asset, uint128 amount) private nonReentrant returns (uint128) {
        uint256 before = _balanceOf(asset);
        IERC20(asset).safeTransferFrom(msg.sender, address(this), amount);
        return _arrived(asset, before, amount);
    }

    /// @dev What came since the balance was `before`, at most `most`: a token that gives more than it was asked for
    /// is not believed.
    function _arrived(address asset, uint256 before, uint128 most) internal view returns (uint128) {
        uint256 balance = _balanceOf(asset);
        uint256 more = balance > before ? balance - before : 0;
        return more < most ? uint128(more) : most;
    }

    function _balanceOf(address asset) internal view returns (uint256) {
        return IERC20(asset).balanceOf(address(this));
    }

    function _credit(address account, address asset, uint128 amount) internal {
        if (amount != 0) _owed[account][asset] += amount;
    }

    /// @dev Divides an earning: first the fee, of the rest the oracle's share, what is left for the listing's owner.
    function _earn(
        bytes32 id,
        address asset,
        uint128 amount,
        address owner,
        address oracle,
        uint256 shareBps,
        uint256 feeBps
    ) internal {
        if (feeBps == 0 && shareBps == 0) return _credit(owner, asset, amount);
        // Can't overflow or underflow: amounts are below 2^128, and both rates at most ALL_BPS.
        unchecked {
            uint128 feeAmount = uint128((uint256(amount) * feeBps) / ALL_BPS);
            uint128 oracleAmount = uint128((uint256(amount - feeAmount) * shareBps) / ALL_BPS);
            if (feeAmount | oracleAmount != 0) emit EarningsSplit(id, oracle, oracleAmount, _feeCollector, feeAmount);
            _credit(_feeCollector, asset, feeAmount);
            _credit(oracle, asset, oracleAmount);
            _credit(owner, asset, amount - feeAmount - oracleAmount);
        }
    }
}
