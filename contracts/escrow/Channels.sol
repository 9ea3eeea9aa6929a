// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {ChannelTerms, IChannels} from "../interfaces/IChannels.sol";
import {AccountId} from "../interfaces/Types.sol";
import {Accounts} from "../libraries/Accounts.sol";
import {CHALLENGE_WINDOW} from "../libraries/Limits.sol";
import {Books} from "./Books.sol";

/// @title Deposits towards an oracle. The interface is its specification.
abstract contract Channels is Books, EIP712, IChannels {
    using Accounts for ChannelTerms;

    mapping(AccountId channelId => ChannelState) internal _channels;
    mapping(AccountId channelId => mapping(bytes32 keyHash => KeyState)) internal _keys;

    /// @inheritdoc IChannels
    function deposit(ChannelTerms calldata terms, uint128 amount)
        external
        payable
        override
        whenNotPaused
        returns (AccountId channelId)
    {
        if (terms.payer == address(0) || terms.oracle == address(0)) revert Escrow_ChannelIncomplete();
        channelId = channelIdOf(terms);
        uint128 arrived = _take(terms.asset, amount);

        ChannelState storage channel = _channels[channelId];
        if (channel.closesAt != 0) revert Escrow_ChannelClosing(channelId, channel.closesAt);
        uint256 deposited = channel.deposited;
        uint256 room = type(uint112).max - deposited;
        // Not a balance: what arrived is a difference, and one of zero is worth no entry.
        // slither-disable-next-line incorrect-equality
        if (arrived == 0 || arrived > room) revert Escrow_AmountOutOfRange(arrived, room);
        channel.deposited = uint112(deposited + arrived);
        if (deposited == 0) emit ChannelOpened(channelId, terms.payer, terms.oracle, terms.asset, terms.number);
        emit ChannelDeposited(channelId, msg.sender, arrived);
    }

    /// @inheritdoc IChannels
    function requestClose(ChannelTerms calldata terms) external override {
        _requirePayer(terms.payer);
        (AccountId channelId, ChannelState storage channel) = _find(terms);
        if (channel.closesAt != 0) revert Escrow_ChannelClosing(channelId, channel.closesAt);
        channel.closesAt = uint32(block.timestamp + CHALLENGE_WINDOW);
        emit ChannelClosing(channelId, channel.closesAt);
    }

    /// @inheritdoc IChannels
    function release(ChannelTerms calldata terms) external override {
        _requireOracle(terms.oracle);
        (AccountId channelId, ChannelState storage channel) = _find(terms);
        uint32 closesAt = channel.closesAt;
        if (closesAt < block.timestamp) revert Escrow_ChannelNotClosable(channelId, block.timestamp, closesAt);
        channel.closesAt = uint32(block.timestamp - 1);
        emit ChannelClosing(channelId, channel.closesAt);
    }

    /// @inheritdoc IChannels
    function close(ChannelTerms calldata terms) external override {
        (AccountId channelId, ChannelState storage channel) = _find(terms);
        uint32 closesAt = channel.closesAt;
        if (closesAt == 0 || block.timestamp <= closesAt) {
            revert Escrow_ChannelNotClosable(channelId, block.timestamp, closesAt);
        }
        uint128 rest = channel.deposited - channel.spent;
        if (rest == 0) revert Escrow_NothingToWithdraw(terms.payer, terms.asset);
        channel.deposited = channel.spent;
        _credit(terms.payer, terms.asset, rest);
        emit ChannelClosed(channelId, terms.payer, rest);
    }

    /// @inheritdoc IChannels
    function revokeKey(ChannelTerms calldata terms, bytes32 keyHash) external override {
        _requirePayer(terms.payer);
        AccountId channelId = channelIdOf(terms);
        KeyState storage key = _keys[channelId][keyHash];
        if (key.revoked) revert Escrow_KeyAlreadyRevoked(channelId, keyHash);
        key.revoked = true;
        emit KeyRevoked(channelId, keyHash);
    }

    /// @inheritdoc IChannels
    function challengeWindow() external pure override returns (uint256) {
        return CHALLENGE_WINDOW;
    }

    /// @inheritdoc IChannels
    function channelState(AccountId channelId) external view override returns (ChannelState memory) {
        return _channels[channelId];
    }

    /// @inheritdoc IChannels
    function keyState(AccountId channelId, bytes32 keyHash) external view override returns (KeyState memory) {
        return _keys[channelId][keyHash];
    }

    /// @inheritdoc IChannels
    function channelIdOf(ChannelTerms calldata terms) public view override returns (AccountId) {
        return AccountId.wrap(_hashTypedDataV4(terms.structHash()));
    }

    function _find(ChannelTerms calldata terms) private view returns (AccountId id, ChannelState storage channel) {
        id = channelIdOf(terms);
        channel = _channels[id];
    }
}
