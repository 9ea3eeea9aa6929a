// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {ActorMock} from "./ActorMock.sol";

/// @title A wallet that is a contract (EIP-1271), honest or not: for tests only.
contract WalletMock is IERC1271, ActorMock {
    enum Manner {
        Honest,
        Refuses,
        Reverts,
        BurnsGas,
        ReturnBomb,
        ShortAnswer,
        OtherWord
    }

    address public immutable signer;
    Manner public manner;

    error Wallet_Refused();

    constructor(address signer_) {
        signer = signer_;
    }

    receive() external payable {}

    function behave(Manner manner_) external {
        manner = manner_;
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 hash, bytes calldata signature) external view override returns (bytes4) {
        if (manner == Manner.Refuses) return 0xffffffff;
        if (manner == Manner.Reverts) revert Wallet_Refused();
        if (manner == Manner.BurnsGas) while (true) {}
        if (manner == Manner.ReturnBomb) {
            assembly ("memory-safe") {
                return(0, 10000000)
            }
        }
        if (manner == Manner.ShortAnswer) {
            bytes4 magic = IERC1271.isValidSignature.selector;
            assembly ("memory-safe") {
                mstore(0, magic)
                return(0, 4)
            }
        }
        if (manner == Manner.OtherWord) {
            assembly ("memory-safe") {
                mstore(0, 1)
                return(0, 32)
            }
        }
        (address recovered, ECDSA.RecoverError problem,) = ECDSA.tryRecover(hash, signature);
        bool signed = problem == ECDSA.RecoverError.NoError && recovered == signer;
        return signed ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}
