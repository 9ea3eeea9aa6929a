// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {AccountId} from "./Types.sol";

/// @notice What names a channel. Its hash is the channel's id.
struct ChannelTerms {
    address payer;
    address oracle;
    /// The zero address is the native asset.
    address asset;
    /// The payer's choice; a channel that was closed stays closed, the next one has another number.
    uint64 number;
}

/// @title Deposits towards an oracle, from which many calls are paid.
/// @notice A deposit falls only by what the payer's signatures cover. The payer can always leave: a close request, a
/// challenge window that nothing lengthens, and the rest is owed to the payer.
interface IChannels {
    /// @notice A channel as the books hold it. Amounts in atomic units, the total over its life.
    struct ChannelState {
        uint112 deposited;
        uint112 spent;
        /// Unix seconds; until then (inclusive) the oracle may settle. Zero while nobody asked to close.
        uint32 closesAt;
    }

    /// @notice A key of a channel as the books hold it.
    struct KeyState {
        uint128 spent;
        bool revoked;
    }

    /// @notice A channel got its first deposit.
    event ChannelOpened(
        AccountId indexed channelId, address indexed payer, address indexed oracle, address asset, uint64 number
    );
    /// @notice `amount` arrived for a channel.
    event ChannelDeposited(AccountId indexed channelId, address indexed from, uint128 amount);
    /// @notice The payer asked to close, or the oracle said that it has nothing left to settle.
    event ChannelClosing(AccountId indexed channelId, uint32 closesAt);
    /// @notice What was left of the deposit is owed to the payer.
    event ChannelClosed(AccountId indexed channelId, address indexed payer, uint128 amount);
    /// @notice The payer took a key back.
    event KeyRevoked(AccountId indexed channelId, bytes32 indexed keyHash);

    /// @notice A channel needs a payer and an oracle.
    error Escrow_ChannelIncomplete();
    /// @notice The channel is closing or closed.
    error Escrow_ChannelClosing(AccountId channelId, uint32 closesAt);
    /// @notice The channel is not closing, or its challenge window is still open.
    error Escrow_ChannelNotClosable(AccountId channelId, uint256 actual, uint32 closesAt);
    /// @notice The key was revoked before.
    error Escrow_KeyAlreadyRevoked(AccountId channelId, bytes32 keyHash);

    /// @notice Adds to a channel's deposit; anyone may, for any payer. Counts what arrives. Not while paused, nor once
    /// the channel is closing.
    function deposit(ChannelTerms calldata terms, uint128 amount) external payable returns (AccountId channelId);

    /// @notice Asks to close. The oracle has `challengeWindow` seconds to settle. Only the payer.
    function requestClose(ChannelTerms calldata terms) external;

    /// @notice Says that nothing is left to settle: a closing channel can be closed at once. Only the oracle.
    function release(ChannelTerms calldata terms) external;

    /// @notice After the window anyone may close: what is left is owed to the payer.
    function close(ChannelTerms calldata terms) external;

    /// @notice Takes a key back: from this transaction on, nothing more is charged through it. Only the payer.
    function revokeKey(ChannelTerms calldata terms, bytes32 keyHash) external;

    /// @notice How long, in seconds, an oracle can settle after a payer asked to leave.
    function challengeWindow() external view returns (uint256);

    /// @notice The id that these terms have.
    function channelIdOf(ChannelTerms calldata terms) external view returns (AccountId);

    /// @notice The state of a channel; all zero where nothing was ever deposited.
    function channelState(AccountId channelId) external view returns (ChannelState memory);

    /// @notice The state of a channel's key; all zero for one that was never charged through.
    function keyState(AccountId channelId, bytes32 keyHash) external view returns (KeyState memory);
}
