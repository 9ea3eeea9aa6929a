// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ChannelTerms} from "./IChannels.sol";
import {PositionTerms} from "./ICredits.sol";
import {AccountId, CallId, ListingId, Mode} from "./Types.sol";

/// @notice One call of a group.
struct Entry {
    bytes32 requestCommitment;
    bytes32 resultHash;
    /// From the highest bit: index (40 bits), input tokens (32), output tokens (32), compute milliseconds (32), charge
    /// (120, atomic units, or credits). The index is the payer's number of the call on the account, the oracle's on a key.
    uint256 packed;
}

/// @notice The payer's cumulative permission on an account, signed for one request; the highest covers all before it.
struct Authorisation {
    /// The most that may ever have been charged to the account: atomic units, or credits.
    uint128 maximum;
    /// The call it was signed for.
    uint40 index;
    bytes32 requestCommitment;
}

/// @notice The payer's permission, made in advance, for whoever knows a secret.
struct KeyGrant {
    /// keccak256 of the bearer secret.
    bytes32 keyHash;
    /// The most that may ever have been charged through the key, in atomic units.
    uint128 cap;
    /// Unix seconds; until then (inclusive) charges can be posted.
    uint40 expiry;
    /// The listings it is good for; empty for all that the oracle runs.
    ListingId[] listings;
}

struct ChannelGroup {
    ChannelTerms channel;
    ListingId listingId;
    uint32 revision;
    Authorisation authorisation;
    bytes signature;
    Entry[] entries;
}

struct KeyGroup {
    ChannelTerms channel;
    ListingId listingId;
    uint32 revision;
    KeyGrant grant;
    bytes signature;
    Entry[] entries;
}

struct CreditGroup {
    PositionTerms position;
    /// The revision that was called.
    uint32 revision;
    Authorisation authorisation;
    bytes signature;
    Entry[] entries;
}

/// @notice Calls that one oracle settles together.
struct Batch {
    address oracle;
    ChannelGroup[] channels;
    KeyGroup[] keys;
    CreditGroup[] credits;
    /// Root of the Merkle tree over the digests of the receipts of all its calls (docs/SPEC.md).
    bytes32 receiptsRoot;
}

/// @title Batch settlement: many calls of many accounts in one transaction, each checked and logged.
/// @notice What can't be charged is skipped with an event that says why; the rest of the batch is charged.
interface ISettlement {
    /// @notice Why a group or a call was not charged.
    enum Reason {
        None,
        WrongOracle,
        WrongAsset,
        BadSignature,
        AccountClosed,
        KeyRevoked,
        KeyExpired,
        OutOfScope,
        AlreadyCharged,
        EmptyHash,
        AbovePrice,
        AboveAuthorisation,
        AboveDeposit
    }


    /// @notice An oracle settled calls; their receipts' digests are under `receiptsRoot`.
    event BatchSettled(uint256 indexed batchId, address indexed oracle, bytes32 receiptsRoot);
    /// @notice `calls` calls of one account were charged together.
    event AccountCharged(
        uint256 indexed batchId, AccountId indexed accountId, address indexed earner, uint128 amount, uint32 calls
    );
    /// @notice No call of the group at `position` among those of its mode was charged.
    event GroupSkipped(
        uint256 indexed batchId, AccountId indexed accountId, Mode mode, uint256 position, Reason reason
    );
    /// @notice A call was not charged.
    event CallSkipped(uint256 indexed batchId, CallId indexed callId, Reason reason);

    /// @notice A batch needs the root of its receipts.
    error Escrow_EmptyRoot();

    /// @notice Charges and logs calls. Only the batch's oracle, or a key that acts for it.
    function settle(Batch calldata batch) external returns (uint256 batchId);

    /// @notice How many batches were settled; also the highest id.
    function batchCount() external view returns (uint256);

    /// @notice The Merkle root of a batch's receipts; zero for a batch that was not settled.
    function receiptsRoot(uint256 batchId) external view returns (bytes32);

    /// @notice The id of call `index` of an account, or of a key (`keyAccountOf`).
    function settledCallIdOf(AccountId accountId, uint40 index) external pure returns (CallId);

    /// @notice What the calls of a key are counted under.
    function keyAccountOf(AccountId channelId, bytes32 keyHash) external pure returns (AccountId);

    /// @notice Which of 256 calls of an account were charged: bit i for index `256 * word + i`.
    function chargedCalls(AccountId accountId, uint256 word) external view returns (uint256);
}
