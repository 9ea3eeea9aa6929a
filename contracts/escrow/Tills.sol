// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {DirectCall, IDirectCalls, TokenAuthorisation} from "../interfaces/IDirectCalls.sol";
import {IERC3009} from "../interfaces/IERC3009.sol";
import {CallId} from "../interfaces/Types.sol";
import {Books} from "./Books.sol";
import {Till} from "./Till.sol";

/// @title Tokens that are paid to the till of a call.
/// @dev A stock client signs nothing of the call, so the recipient has to name it: with one shared recipient anybody
/// who sees an authorisation could open a call of his own with it. Nor could a shared recipient tell whose money came
/// when somebody relayed a transfer first: a used nonce may also be a cancelled one, and what lies there another's. A
/// till's address is made from the call's id, and so from all of its terms: what comes there is for this call alone.
abstract contract Tills is Books, IDirectCalls {
    bytes32 private constant TRANSFER_TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    /// @inheritdoc IDirectCalls
    function tillOf(DirectCall calldata call) public view override returns (address) {
        bytes32 codeHash = keccak256(abi.encodePacked(type(Till).creationCode, abi.encode(call.asset)));
        bytes32 salt = CallId.unwrap(callIdOf(call));
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, codeHash)))));
    }

    /// @inheritdoc IDirectCalls
    function callIdOf(DirectCall calldata call) public view virtual override returns (CallId);

    /// @dev Relays an authorisation where nobody has, and empties the till. Gives what arrived.
    function _collect(DirectCall calldata call, CallId callId, TokenAuthorisation calldata authorisation)
        internal
        nonReentrant
        returns (uint128)
    {
        if (call.asset == NATIVE) revert Escrow_NotAToken(call.asset);
        IERC3009 token = IERC3009(call.asset);
        if (token.authorizationState(call.payer, authorisation.nonce)) {
            // Relayed or cancelled before: the token checks nothing any more, and a call needs its payer's will.
            _requireSigned(token, call, authorisation);
        } else {
            token.transferWithAuthorization(
                call.payer,
                tillOf(call),
                call.amount,
                authorisation.validAfter,
                authorisation.validBefore,
                authorisation.nonce,
                authorisation.v,
                authorisation.r,
                authorisation.s
            );
        }
        return _emptied(callId, call.asset);
    }

    /// @dev Empties the till of a call. Gives what arrived.
    function _empty(CallId callId, address asset) internal nonReentrant returns (uint128) {
        if (asset == NATIVE) revert Escrow_NotAToken(asset);
        return _emptied(callId, asset);
    }

    function _emptied(CallId callId, address asset) private returns (uint128) {
        uint256 before = _balanceOf(asset);
        new Till{salt: CallId.unwrap(callId)}(IERC20(asset));
        return _arrived(asset, before, type(uint128).max);
    }

    function _requireSigned(IERC3009 token, DirectCall calldata call, TokenAuthorisation calldata authorisation)
        private
        view
    {
        bytes32 structHash = keccak256(
            abi.encode(
                TRANSFER_TYPEHASH,
                call.payer,
                tillOf(call),
                uint256(call.amount),
                authorisation.validAfter,
                authorisation.validBefore,
                authorisation.nonce
            )
        );
        bytes32 digest = MessageHashUtils.toTypedDataHash(token.DOMAIN_SEPARATOR(), structHash);
        // slither-disable-next-line unused-return (the third value only details the problem)
        (address recovered, ECDSA.RecoverError problem,) =
            ECDSA.tryRecover(digest, authorisation.v, authorisation.r, authorisation.s);
        if (problem != ECDSA.RecoverError.NoError || recovered != call.payer) {
            revert Escrow_AuthorisationInvalid(call.payer, authorisation.nonce);
        }
    }
}
