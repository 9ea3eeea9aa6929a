// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DirectCall} from "../interfaces/IDirectCalls.sol";
import {Mode, PriceSheet, Units} from "../interfaces/Types.sol";
import {DirectCalls} from "../libraries/DirectCalls.sol";
import {Outcomes} from "../libraries/Outcomes.sol";
import {Pricing} from "../libraries/Pricing.sol";

/// @notice A receipt as its EIP-712 type has it.
struct ReceiptTerms {
    bytes32 callId;
    uint8 mode;
    address payer;
    address oracle;
    uint256 listingId;
    uint32 revision;
    bytes32 manifestHash;
    bytes32 requestCommitment;
    bytes32 parametersHash;
    bytes32 resultHash;
    uint32 inputTokens;
    uint32 outputTokens;
    uint32 computeMs;
    address asset;
    uint128 charge;
    uint128 cumulativeSpend;
    uint64 issuedAt;
}

/// @title The protocol's hashes and prices in Solidity, for tests/contracts/test_vectors.py (rule E5).
contract VectorsHarness {
    bytes32 private constant RECEIPT_TYPEHASH = keccak256(
        "Receipt(bytes32 callId,uint8 mode,address payer,address oracle,uint256 listingId,uint32 revision,bytes32 manifestHash,bytes32 requestCommitment,bytes32 parametersHash,bytes32 resultHash,uint32 inputTokens,uint32 outputTokens,uint32 computeMs,address asset,uint128 charge,uint128 cumulativeSpend,uint64 issuedAt)"
    );

    /// @notice The library's price.
    function priceOf(PriceSheet calldata sheet, Units calldata units) external pure returns (uint128) {
        (uint256 priceWord, uint256 rateWord) = Pricing.pack(sheet);
        return Pricing.priceOf(priceWord, rateWord, Outcomes.pack(0, Mode.Direct, units, 0));
    }

    /// @notice The library's struct hash of a call's terms.
    function structHashOf(DirectCall calldata call) external pure returns (bytes32) {
        return DirectCalls.structHash(call);
    }

    /// @notice keccak256 of the tag's hash, the salt and the canonical bytes.
    function commitmentOf(string calldata tag, bytes32 salt, bytes calldata content) external pure returns (bytes32) {
        return keccak256(abi.encodePacked(keccak256(bytes(tag)), salt, content));
    }

    /// @notice keccak256 of the bytes alone.
    function hashOf(bytes calldata content) external pure returns (bytes32) {
        return keccak256(content);
    }

    /// @notice What is signed, or used as an id, under the domain of this chain id and escrow.
    function digestOf(uint256 chainId, address escrow, bytes32 structHash) public pure returns (bytes32) {
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Tallystick"),
                keccak256("1"),
                chainId,
                escrow
            )
        );
        return keccak256(abi.encodePacked(hex"1901", separator, structHash));
    }

    /// @notice The EIP-712 digest of a receipt: all of its fields are static, so its encoding is the type's.
    function receiptDigestOf(uint256 chainId, address escrow, ReceiptTerms calldata receipt)
        external
        pure
        returns (bytes32)
    {
        return digestOf(chainId, escrow, keccak256(abi.encode(RECEIPT_TYPEHASH, receipt)));
    }

    /// @notice Who signed `digest`, as the chain recovers it.
    function signerOf(bytes32 digest, uint8 v, bytes32 r, bytes32 s) external pure returns (address) {
        return ecrecover(digest, v, r, s);
    }
}
