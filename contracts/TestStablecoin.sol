// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {IERC3009} from "./interfaces/IERC3009.sol";

/// @title A dollar for development chains: six decimals, permit (EIP-2612) and transfer authorisations (EIP-3009).
/// @notice Anyone may mint. It is worth nothing, and belongs on no other chain.
contract TestStablecoin is ERC20, ERC20Permit, IERC3009 {
    bytes32 private constant TRANSFER_TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant CANCEL_TYPEHASH = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");

    mapping(address authorizer => mapping(bytes32 nonce => bool)) private _used;

    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

    error TestStablecoin_NotValidAt(uint256 actual, uint256 validAfter, uint256 validBefore);
    error TestStablecoin_AuthorisationUsed(address authorizer, bytes32 nonce);
    error TestStablecoin_InvalidSignature(address recovered, address expected);

    constructor() ERC20("Test Dollar", "TUSD") ERC20Permit("Test Dollar") {}

    /// @notice Makes tokens for anybody.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @inheritdoc IERC3009
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external override {
        if (block.timestamp <= validAfter || block.timestamp >= validBefore) {
            revert TestStablecoin_NotValidAt(block.timestamp, validAfter, validBefore);
        }
        bytes32 structHash = keccak256(abi.encode(TRANSFER_TYPEHASH, from, to, value, validAfter, validBefore, nonce));
        _use(from, nonce, structHash, v, r, s);
        emit AuthorizationUsed(from, nonce);
        _transfer(from, to, value);
    }

    /// @notice Ends an authorisation that was not used, as its signer asks.
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external {
        _use(authorizer, nonce, keccak256(abi.encode(CANCEL_TYPEHASH, authorizer, nonce)), v, r, s);
        emit AuthorizationCanceled(authorizer, nonce);
    }

    /// @inheritdoc IERC3009
    function authorizationState(address authorizer, bytes32 nonce) external view override returns (bool) {
        return _used[authorizer][nonce];
    }

    /// @inheritdoc ERC20
    function decimals() public pure override returns (uint8) {
        return 6;
    }

    /// @inheritdoc IERC3009
    // solhint-disable-next-line func-name-mixedcase
    function DOMAIN_SEPARATOR() external view override(ERC20Permit, IERC3009) returns (bytes32) {
        return _domainSeparatorV4();
    }

    function _use(address authorizer, bytes32 nonce, bytes32 structHash, uint8 v, bytes32 r, bytes32 s) private {
        if (_used[authorizer][nonce]) revert TestStablecoin_AuthorisationUsed(authorizer, nonce);
        address recovered = ECDSA.recover(_hashTypedDataV4(structHash), v, r, s);
        if (recovered != authorizer) revert TestStablecoin_InvalidSignature(recovered, authorizer);
        _used[authorizer][nonce] = true;
    }
}
