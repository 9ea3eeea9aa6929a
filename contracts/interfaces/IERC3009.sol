// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title What is used of a token with transfer authorisations (https://eips.ethereum.org/EIPS/eip-3009).
interface IERC3009 {
    /// @notice Transfers what `from` signed away. Anybody may relay it, once.
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
    ) external;

    /// @notice Whether a nonce was used, by a transfer or by a cancellation.
    function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);

    /// @notice The token's EIP-712 domain separator.
    // solhint-disable-next-line func-name-mixedcase
    function DOMAIN_SEPARATOR() external view returns (bytes32);
}
