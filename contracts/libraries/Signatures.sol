// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title Signatures of keys and of wallets that are contracts (EIP-1271).
/// @dev In a batch the wallet of one payer must not be able to spoil the calls of others, so a wallet has bounded gas,
/// and one word of its answer is read, however long it is. Being a static call, it can't change anything either.
library Signatures {
    uint256 internal constant WALLET_GAS = 200_000;

    /// @notice Whether `signer` signed `digest`. Only low s, and 65 bytes.
    function isSignedBy(bytes32 digest, bytes calldata signature, address signer) internal view returns (bool) {
        // slither-disable-next-line unused-return (the third value only details the problem)
        (address recovered, ECDSA.RecoverError problem,) = ECDSA.tryRecover(digest, signature);
        if (problem == ECDSA.RecoverError.NoError && recovered == signer) return true;
        return signer.code.length != 0 && _isApprovedByWallet(digest, signature, signer);
    }

    function _isApprovedByWallet(bytes32 digest, bytes calldata signature, address wallet)
        private
        view
        returns (bool approved)
    {
        bytes memory question = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        bytes32 magic = IERC1271.isValidSignature.selector;
        assembly ("memory-safe") {
            mstore(0, 0)
            let answered := staticcall(WALLET_GAS, wallet, add(question, 0x20), mload(question), 0, 0x20)
            approved := and(and(answered, gt(returndatasize(), 0x1f)), eq(mload(0), magic))
        }
    }
}
