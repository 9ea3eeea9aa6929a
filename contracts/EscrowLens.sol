// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {IChannels} from "./interfaces/IChannels.sol";
import {ICredits} from "./interfaces/ICredits.sol";
import {IDirectCalls} from "./interfaces/IDirectCalls.sol";
import {IEscrow} from "./interfaces/IEscrow.sol";
import {AccountId, CallId, ListingId, Mode, SettlementTerms, Units} from "./interfaces/Types.sol";
import {Outcomes} from "./libraries/Outcomes.sol";
import {Pricing} from "./libraries/Pricing.sol";
import {Tiers} from "./libraries/Tiers.sol";

/// @title Reading the escrow many values at a time, for pages and auditors. Holds nothing and changes nothing.
contract EscrowLens {
    IEscrow public immutable escrow;

    /// @notice No such batch: they count from 1.
    error Lens_UnknownBatch(uint256 actual, uint256 count);

    constructor(IEscrow escrow_) {
        escrow = escrow_;
    }

    /// @notice The states of direct calls, in the order asked for; all zero for one that was never opened.
    function callStates(CallId[] calldata callIds) external view returns (IDirectCalls.CallState[] memory states) {
        states = new IDirectCalls.CallState[](callIds.length);
        for (uint256 i; i < callIds.length; ++i) {
            states[i] = escrow.callState(callIds[i]);
        }
    }

    /// @notice The states of channels, in the order asked for.
    function channelStates(AccountId[] calldata ids) external view returns (IChannels.ChannelState[] memory states) {
        states = new IChannels.ChannelState[](ids.length);
        for (uint256 i; i < ids.length; ++i) {
            states[i] = escrow.channelState(ids[i]);
        }
    }

    /// @notice The states of one channel's keys, in the order asked for.
    function keyStates(AccountId channelId, bytes32[] calldata keyHashes)
        external
        view
        returns (IChannels.KeyState[] memory states)
    {
        states = new IChannels.KeyState[](keyHashes.length);
        for (uint256 i; i < keyHashes.length; ++i) {
            states[i] = escrow.keyState(channelId, keyHashes[i]);
        }
    }

    /// @notice The states of credit positions, in the order asked for.
    function positionStates(AccountId[] calldata ids) external view returns (ICredits.PositionState[] memory states) {
        states = new ICredits.PositionState[](ids.length);
        for (uint256 i; i < ids.length; ++i) {
            states[i] = escrow.positionState(ids[i]);
        }
    }

    /// @notice What accounts can withdraw of one asset, in the order asked for. Atomic units.
    function owed(address[] calldata accounts, address asset) external view returns (uint256[] memory amounts) {
        amounts = new uint256[](accounts.length);
        for (uint256 i; i < accounts.length; ++i) {
            amounts[i] = escrow.owed(accounts[i], asset);
        }
    }

    /// @notice Up to `count` receipts roots, from batch `first` on.
    function receiptsRoots(uint256 first, uint256 count) external view returns (bytes32[] memory roots) {
        if (first == 0) first = 1;
        uint256 last = escrow.batchCount();
        uint256 rest = first > last ? 0 : last - first + 1;
        if (count > rest) count = rest;
        roots = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            roots[i] = escrow.receiptsRoot(first + i);
        }
    }

    /// @notice Whether a receipt of this digest is in a batch, by its Merkle proof (docs/SPEC.md).
    function isReceiptOf(uint256 batchId, bytes32 receiptDigest, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        bytes32 root = escrow.receiptsRoot(batchId);
        if (root == bytes32(0)) revert Lens_UnknownBatch(batchId, escrow.batchCount());
        // Leaves are hashed once more, so that no inner node can pass for a receipt.
        return MerkleProof.verifyCalldata(proof, root, keccak256(abi.encode(receiptDigest)));
    }

    /// @notice What a revision asks for `units` from a payer who was charged for `callsBefore` calls of the listing, in
    /// atomic units; zero for a revision that does not exist.
    function priceOf(ListingId listingId, uint32 revision, Units calldata units, uint256 callsBefore)
        external
        view
        returns (uint128)
    {
        SettlementTerms memory terms = escrow.registry().settlementTerms(listingId, revision);
        uint128 price = Pricing.priceOf(terms.priceWord, terms.rateWord, Outcomes.pack(0, Mode.Direct, units, 0));
        return Tiers.discounted(terms.packedTiers, price, callsBefore);
    }

    /// @notice Takes the last word of a `CallLogged` apart.
    function unpackOutcome(uint256 outcome)
        external
        pure
        returns (uint32 revision, Mode mode, Units memory units, uint128 charge)
    {
        return Outcomes.unpack(outcome);
    }
}
