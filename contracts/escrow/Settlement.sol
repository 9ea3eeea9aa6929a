// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

import {ChannelTerms} from "../interfaces/IChannels.sol";
import {PositionTerms} from "../interfaces/ICredits.sol";
import {
    Authorisation,
    Batch,
    ChannelGroup,
    CreditGroup,
    Entry,
    ISettlement,
    KeyGrant,
    KeyGroup
} from "../interfaces/ISettlement.sol";
import {AccountId, CallId, ListingId, Mode, SettlementTerms} from "../interfaces/Types.sol";
import {Accounts} from "../libraries/Accounts.sol";
import {CreditPlans} from "../libraries/CreditPlans.sol";
import {Outcomes} from "../libraries/Outcomes.sol";
import {Pricing} from "../libraries/Pricing.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {Tiers} from "../libraries/Tiers.sol";
import {Credits} from "./Credits.sol";
import {DirectEscrow} from "./DirectEscrow.sol";

/// @title Batch settlement. The interface is its specification.
/// @dev A group goes: may it be charged at all, how much at most, each call against that and its price, then the books
/// of the group once. Nothing is called on the way but the catalogue and, statically, the wallet that signed.
abstract contract Settlement is DirectEscrow, Credits, ISettlement {
    using Accounts for Authorisation;
    using Accounts for KeyGrant;
    using Outcomes for uint256;

    uint128 private constant CREDITS_A_CALL = 1;

    /// @dev What the calls of a group have in common, and their running totals.
    struct Group {
        uint256 batchId;
        AccountId accountId;
        /// What the calls are numbered under: the account, or a key of it.
        AccountId callsOf;
        address payer;
        address oracle;
        address asset;
        ListingId listingId;
        uint256 head;
        SettlementTerms terms;
        /// Which limit `limit` is, to be told to whoever is over it.
        Reason limitReason;
        uint128 limit;
        uint128 charged;
        uint32 calls;
        /// Calls of the listing that the payer was charged for before, where that matters to the price.
        uint256 callsBefore;
    }

    uint256 public override batchCount;

    mapping(uint256 batchId => bytes32) private _receiptsRoots;
    mapping(AccountId callsOf => mapping(uint256 word => uint256)) private _charged;

    /// @inheritdoc ISettlement
    function settle(Batch calldata batch) external override returns (uint256 batchId) {
        _requireOracle(batch.oracle);
        if (batch.receiptsRoot == bytes32(0)) revert Escrow_EmptyRoot();
        batchId = ++batchCount;
        _receiptsRoots[batchId] = batch.receiptsRoot;
        emit BatchSettled(batchId, batch.oracle, batch.receiptsRoot);
        for (uint256 i; i < batch.channels.length; ++i) {
            _settleChannel(batchId, batch.oracle, i, batch.channels[i]);
        }
        for (uint256 i; i < batch.keys.length; ++i) {
            _settleKey(batchId, batch.oracle, i, batch.keys[i]);
        }
        for (uint256 i; i < batch.credits.length; ++i) {
            _settleCredits(batchId, batch.oracle, i, batch.credits[i]);
        }
    }

    /// @inheritdoc ISettlement
    function receiptsRoot(uint256 batchId) external view override returns (bytes32) {
        return _receiptsRoots[batchId];
    }

    /// @inheritdoc ISettlement
    function chargedCalls(AccountId accountId, uint256 word) external view override returns (uint256) {
        return _charged[accountId][word];
    }

    /// @inheritdoc ISettlement
    function settledCallIdOf(AccountId accountId, uint40 index) public pure override returns (CallId) {
        return CallId.wrap(Hashes.efficientKeccak256(AccountId.unwrap(accountId), bytes32(uint256(index))));
    }

    /// @inheritdoc ISettlement
    function keyAccountOf(AccountId channelId, bytes32 keyHash) public pure override returns (AccountId) {
        return AccountId.wrap(Hashes.efficientKeccak256(AccountId.unwrap(channelId), keyHash));
    }

    function _settleChannel(uint256 batchId, address oracle, uint256 position, ChannelGroup calldata given) private {
        AccountId id = channelIdOf(given.channel);
        Group memory group = _channelGroup(batchId, id, given.channel, given.listingId, given.revision, Mode.Channel);
        group.callsOf = id;
        Reason reason = _channelProblem(group, oracle, given.channel, given.revision);
        if (reason == Reason.None && !_isSigned(given.authorisation.structHash(id), given.signature, group.payer)) {
            reason = Reason.BadSignature;
        }
        if (reason != Reason.None) return _skip(group, Mode.Channel, position, reason);

        ChannelState storage channel = _channels[id];
        uint128 spent = channel.spent;
        _limit(group, spent, given.authorisation.maximum, channel.deposited);
        _chargeEntries(group, Mode.Channel, given.entries);
        channel.spent = uint112(spent + group.charged);
        _finish(group, group.charged);
    }

    function _settleKey(uint256 batchId, address oracle, uint256 position, KeyGroup calldata given) private {
        AccountId id = channelIdOf(given.channel);
        Group memory group = _channelGroup(batchId, id, given.channel, given.listingId, given.revision, Mode.Key);
        group.callsOf = keyAccountOf(id, given.grant.keyHash);
        KeyState storage key = _keys[id][given.grant.keyHash];
        Reason reason = _channelProblem(group, oracle, given.channel, given.revision);
        if (reason == Reason.None) reason = _keyProblem(key, given);
        if (reason == Reason.None && !_isSigned(given.grant.structHash(id), given.signature, group.payer)) {
            reason = Reason.BadSignature;
        }
        if (reason != Reason.None) return _skip(group, Mode.Key, position, reason);

        ChannelState storage channel = _channels[id];
        uint128 keySpent = key.spent;
        uint128 spent = channel.spent;
        uint128 left = channel.deposited - spent;
        _limit(group, keySpent, given.grant.cap, keySpent + left);
        _chargeEntries(group, Mode.Key, given.entries);
        key.spent = keySpent + group.charged;
        channel.spent = uint112(spent + group.charged);
        _finish(group, group.charged);
    }

    function _settleCredits(uint256 batchId, address oracle, uint256 position, CreditGroup calldata given) private {
        AccountId id = positionIdOf(given.position);
        Group memory group = _positionGroup(batchId, id, given.position, given.revision);
        PositionState storage state = _positions[id];
        Reason reason = _positionProblem(state, oracle, given);
        if (reason == Reason.None && !_isSigned(given.authorisation.structHash(id), given.signature, group.payer)) {
            reason = Reason.BadSignature;
        }
        if (reason != Reason.None) return _skip(group, Mode.Credits, position, reason);

        uint32 used = state.used;
        _limit(group, used, given.authorisation.maximum, state.unlocked);
        _chargeEntries(group, Mode.Credits, given.entries);
        state.used = uint32(used + group.charged);
        _finish(group, group.charged * state.creditPrice);
    }

    function _channelGroup(
        uint256 batchId,
        AccountId id,
        ChannelTerms calldata channel,
        ListingId listingId,
        uint32 revision,
        Mode mode
    ) private view returns (Group memory group) {
        (group.batchId, group.accountId) = (batchId, id);
        (group.payer, group.oracle, group.asset) = (channel.payer, channel.oracle, channel.asset);
        (group.listingId, group.head) = (listingId, Outcomes.headOf(revision, mode));
        group.terms = registry.settlementTerms(listingId, revision);
    }

    function _positionGroup(uint256 batchId, AccountId id, PositionTerms calldata position, uint32 revision)
        private
        view
        returns (Group memory group)
    {
        (group.batchId, group.accountId, group.callsOf) = (batchId, id, id);
        (group.payer, group.oracle, group.asset) = (position.payer, position.oracle, position.asset);
        (group.listingId, group.head) = (position.listingId, Outcomes.headOf(revision, Mode.Credits));
        group.terms = registry.settlementTerms(position.listingId, revision);
    }

    function _channelProblem(Group memory group, address oracle, ChannelTerms calldata channel, uint32 revision)
        private
        view
        returns (Reason)
    {
        if (channel.oracle != oracle) return Reason.WrongOracle;
        if (registry.oracleOf(group.listingId, revision) != oracle) return Reason.WrongOracle;
        if (Pricing.assetOf(group.terms.priceWord) != channel.asset) return Reason.WrongAsset;
        uint256 closesAt = _channels[group.accountId].closesAt;
        if (closesAt != 0 && block.timestamp > closesAt) return Reason.AccountClosed;
        return Reason.None;
    }

    function _keyProblem(KeyState storage key, KeyGroup calldata given) private view returns (Reason) {
        if (key.revoked) return Reason.KeyRevoked;
        if (block.timestamp > given.grant.expiry) return Reason.KeyExpired;
        ListingId[] calldata scope = given.grant.listings;
        if (scope.length == 0) return Reason.None;
        for (uint256 i; i < scope.length; ++i) {
            if (ListingId.unwrap(scope[i]) == ListingId.unwrap(given.listingId)) return Reason.None;
        }
        return Reason.OutOfScope;
    }

    function _positionProblem(PositionState storage state, address oracle, CreditGroup calldata given)
        private
        view
        returns (Reason)
    {
        if (given.position.oracle != oracle) return Reason.WrongOracle;
        if (registry.oracleOf(given.position.listingId, given.revision) != oracle) return Reason.WrongOracle;
        if (state.closed || block.timestamp > CreditPlans.closesAt(state)) return Reason.AccountClosed;
        return Reason.None;
    }

    function _isSigned(bytes32 structHash, bytes calldata signature, address payer) private view returns (bool) {
        return Signatures.isSignedBy(_hashTypedDataV4(structHash), signature, payer);
    }

    /// @dev What may still be charged now that `spent` was: up to what the payer permitted and up to what is there.
    function _limit(Group memory group, uint128 spent, uint128 permitted, uint128 funded) private pure {
        bool byFunds = funded < permitted;
        uint128 most = byFunds ? funded : permitted;
        group.limit = most > spent ? most - spent : 0;
        group.limitReason = byFunds ? Reason.AboveDeposit : Reason.AboveAuthorisation;
    }

    function _chargeEntries(Group memory group, Mode mode, Entry[] calldata entries) private {
        mapping(uint256 word => uint256) storage charged = _charged[group.callsOf];
        bool tiered = mode != Mode.Credits && group.terms.packedTiers != 0;
        if (tiered) group.callsBefore = _callsOf[group.payer][group.listingId];
        // One word of bits at a time is in memory; the last index of an account, 2^40 - 1, has a word far below this.
        uint256 word = type(uint256).max;
        uint256 bits = 0;
        for (uint256 i; i < entries.length; ++i) {
            Entry calldata entry = entries[i];
            uint256 index = entry.packed >> Outcomes.HEAD_SHIFT;
            if (index >> 8 != word) {
                if (word != type(uint256).max) charged[word] = bits;
                word = index >> 8;
                bits = charged[word];
            }
            uint256 bit = 1 << (index & 0xff);
            Reason reason = bits & bit != 0 ? Reason.AlreadyCharged : _entryProblem(group, mode, entry);
            CallId callId = settledCallIdOf(group.callsOf, uint40(index));
            if (reason != Reason.None) {
                emit CallSkipped(group.batchId, callId, reason);
                continue;
            }
            bits |= bit;
            // Can't overflow: the sum is at most the limit, and there are fewer calls than gas.
            unchecked {
                group.charged += entry.packed.chargeOf();
                ++group.calls;
                if (tiered) ++group.callsBefore;
            }
            _log(group, callId, entry);
        }
        if (word != type(uint256).max) charged[word] = bits;
        if (tiered) _callsOf[group.payer][group.listingId] = group.callsBefore;
    }

    function _log(Group memory group, CallId callId, Entry calldata entry) private {
        emit CallLogged(
            callId,
            group.listingId,
            group.payer,
            entry.requestCommitment,
            entry.resultHash,
            entry.packed.withHead(group.head)
        );
    }

    function _entryProblem(Group memory group, Mode mode, Entry calldata entry) private pure returns (Reason) {
        if (entry.requestCommitment == bytes32(0) || entry.resultHash == bytes32(0)) return Reason.EmptyHash;
        uint128 charge = entry.packed.chargeOf();
        if (charge > _priceOf(group, mode, entry.packed)) return Reason.AbovePrice;
        if (charge > group.limit - group.charged) return group.limitReason;
        return Reason.None;
    }

    function _priceOf(Group memory group, Mode mode, uint256 packed) private pure returns (uint128) {
        if (mode == Mode.Credits) return CREDITS_A_CALL;
        uint128 price = Pricing.priceOf(group.terms.priceWord, group.terms.rateWord, packed);
        uint256 tiers = group.terms.packedTiers;
        return tiers == 0 ? price : Tiers.discounted(tiers, price, group.callsBefore);
    }

    function _skip(Group memory group, Mode mode, uint256 position, Reason reason) private {
        emit GroupSkipped(group.batchId, group.accountId, mode, position, reason);
    }

    /// @dev Ends a group: what its calls cost is earned.
    function _finish(Group memory group, uint128 amount) private {
        if (group.calls == 0) return;
        emit AccountCharged(group.batchId, group.accountId, group.terms.owner, amount, group.calls);
        _earn(
            AccountId.unwrap(group.accountId),
            group.asset,
            amount,
            group.terms.owner,
            group.oracle,
            group.terms.oracleShareBps,
            _feeBps
        );
    }
}
