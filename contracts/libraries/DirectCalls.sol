// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DirectCall} from "../interfaces/IDirectCalls.sol";

/// @title EIP-712 hashing of a direct call's terms. Its twin is `tallystick.protocol.calls`.
library DirectCalls {
    bytes32 internal constant TYPEHASH = keccak256(
        "DirectCall(address payer,uint256 listingId,uint32 revision,address oracle,address asset,uint128 amount,uint40 deadline,bytes32 requestCommitment)"
    );

    /// @notice The struct hash; the id of the call is this under the escrow's domain.
    function structHash(DirectCall calldata call) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                TYPEHASH,
                call.payer,
                call.listingId,
                call.revision,
                call.oracle,
                call.asset,
                call.amount,
                call.deadline,
                call.requestCommitment
            )
        );
    }
}
