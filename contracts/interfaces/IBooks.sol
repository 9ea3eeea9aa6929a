// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IListingRegistry} from "./IListingRegistry.sol";
import {ListingId} from "./Types.sol";

/// @title What is owed to whom, and the only way out for it.
/// @notice Nobody, the administrator included, can move what is owed to another. Per asset, all that is owed never
/// exceeds what is held: what comes in counts as it measurably arrived, and is kept in books, never inferred from a
/// balance.
interface IBooks {
    /// @notice `account` pulled all it was owed of one asset.
    event Withdrawn(address indexed account, address indexed asset, address indexed to, uint256 amount);
    /// @notice Of what calls earn from now on, `feeBps` hundredths of a per cent go to `collector`.
    event FeeChanged(uint16 feeBps, address indexed collector);
    /// @notice Parts of an earning that did not go to the listing's owner. `id` is a call's or an account's.
    event EarningsSplit(
        bytes32 indexed id, address indexed oracle, uint128 oracleAmount, address indexed collector, uint128 fee
    );

    /// @notice The value sent along is not the amount to be paid; for a token it is zero.
    error Escrow_WrongValue(uint256 actual, uint256 expected);
    /// @notice Less of the token arrived than the amount to be paid.
    error Escrow_TokenShort(uint256 actual, uint256 expected);
    /// @notice An amount of zero, or above what the books can hold.
    error Escrow_AmountOutOfRange(uint256 actual, uint256 maximum);
    /// @notice The account is owed nothing of this asset.
    error Escrow_NothingToWithdraw(address account, address asset);
    /// @notice What is withdrawn has to go somewhere.
    error Escrow_ZeroReceiver();
    /// @notice The receiver or the token did not do its part of the transfer; what is owed stays owed.
    error Escrow_TransferFailed(address to, uint256 amount);
    /// @notice The fee is above the cap that the contract is deployed with for ever.
    error Escrow_FeeTooHigh(uint16 actual, uint16 maximum);
    /// @notice A fee needs somebody who collects it.
    error Escrow_ZeroCollector();
    /// @notice Only the oracle named in the terms, or a key that acts for it, may do this.
    error Escrow_NotOracle(address actual, address expected);
    /// @notice Only the payer named in the terms may do this.
    error Escrow_NotPayer(address actual, address expected);
    /// @notice The listing is off sale.
    error Escrow_ListingWithdrawn(ListingId listingId);
    /// @notice The terms name a revision that is not the one for sale.
    error Escrow_RevisionNotForSale(uint32 actual, uint32 expected);
    /// @notice The terms name an oracle that does not run this revision.
    error Escrow_WrongOracle(address actual, address expected);
    /// @notice The terms name an asset that the revision is not priced in.
    error Escrow_WrongAsset(address actual, address expected);

    /// @notice Pays out everything that the caller is owed of `asset`, to an address of the caller's choice.
    function withdraw(address asset, address to) external returns (uint256 amount);

    /// @notice Stops new openings, deposits and purchases. Settlement, refunds and withdrawals go on.
    function pause() external;

    /// @notice Allows them again.
    function unpause() external;

    /// @notice Sets the protocol's fee on future earnings; a direct call keeps the fee of its opening.
    function setFee(uint16 feeBps, address collector) external;

    /// @notice The catalogue that prices and owners are read from.
    function registry() external view returns (IListingRegistry);

    /// @notice The fee in hundredths of a per cent, who collects it, and the most that it can ever be.
    function fee() external view returns (uint16 feeBps, address collector, uint16 maximum);

    /// @notice What `account` can withdraw of `asset` now: earnings and refunds together, in atomic units.
    function owed(address account, address asset) external view returns (uint256);
}
