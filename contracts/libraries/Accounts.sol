// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ChannelTerms} from "../interfaces/IChannels.sol";
import {PositionTerms} from "../interfaces/ICredits.sol";
import {Authorisation, KeyGrant} from "../interfaces/ISettlement.sol";
import {AccountId} from "../interfaces/Types.sol";

/// @title EIP-712 hashing of what names an account, and of what its payer signs. Its twin is
/// `tallystick.protocol.accounts`.
library Accounts {
    bytes32 private constant CHANNEL_TYPEHASH =
        keccak256("Channel(address payer,address oracle,address asset,uint64 number)");
    bytes32 private constant POSITION_TYPEHASH = keccak256(
        "Position(address payer,uint256 listingId,uint32 revision,uint8 plan,address oracle,address asset,uint64 number)"
    );
    bytes32 private constant AUTHORISATION_TYPEHASH =
        keccak256("Authorisation(bytes32 account,uint128 maximum,uint40 index,bytes32 requestCommitment)");
    bytes32 private constant GRANT_TYPEHASH =
        keccak256("KeyGrant(bytes32 account,bytes32 keyHash,uint128 cap,uint40 expiry,uint256[] listings)");

    function structHash(ChannelTerms calldata terms) internal pure returns (bytes32) {
        return keccak256(abi.encode(CHANNEL_TYPEHASH, terms.payer, terms.oracle, terms.asset, terms.number));
    }

    function structHash(PositionTerms calldata terms) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                POSITION_TYPEHASH,
                terms.payer,
                terms.listingId,
                terms.revision,
                terms.plan,
                terms.oracle,
                terms.asset,
                terms.number
            )
        );
    }

    function structHash(Authorisation calldata given, AccountId account) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(AUTHORISATION_TYPEHASH, account, given.maximum, given.index, given.requestCommitment)
        );
    }

    function structHash(KeyGrant calldata grant, AccountId account) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                GRANT_TYPEHASH,
                account,
                grant.keyHash,
                grant.cap,
                grant.expiry,
                keccak256(abi.encodePacked(grant.listings))
            )
        );
    }
}
