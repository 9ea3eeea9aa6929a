// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IOracleDirectory} from "./interfaces/IOracleDirectory.sol";
import {CHALLENGE_WINDOW, MAX_CALL_DURATION} from "./libraries/Limits.sol";

/// @title Endpoints and keys of oracles. The interface is its specification.
abstract contract OracleDirectory is IOracleDirectory {
    /// @notice The most bytes that an endpoint may have.
    uint256 public constant MAX_ENDPOINT_BYTES = 512;
    /// @notice The longest, in seconds, that a call can be in flight: a direct call's duration and a challenge window.
    uint40 public constant MAX_GRACE = uint40(MAX_CALL_DURATION + CHALLENGE_WINDOW);

    mapping(address oracle => OracleRecord) private _oracles;

    /// @inheritdoc IOracleDirectory
    function setEndpoint(string calldata endpoint) external override {
        if (bytes(endpoint).length > MAX_ENDPOINT_BYTES) {
            revert Directory_EndpointTooLong(bytes(endpoint).length, MAX_ENDPOINT_BYTES);
        }
        _oracles[msg.sender].endpoint = endpoint;
        emit EndpointChanged(msg.sender, endpoint);
    }

    /// @inheritdoc IOracleDirectory
    function rotateSigner(address signer, uint40 grace) external override {
        if (grace > MAX_GRACE) revert Directory_GraceTooLong(grace, MAX_GRACE);
        OracleRecord storage oracle = _oracles[msg.sender];
        address previous = oracle.signer;
        uint40 until = grace == 0 ? 0 : uint40(block.timestamp) + grace;
        (oracle.signer, oracle.previousSigner, oracle.previousUntil) = (signer, previous, until);
        emit SignerRotated(msg.sender, signer, previous, until);
    }

    /// @inheritdoc IOracleDirectory
    function getOracle(address oracle) external view override returns (OracleRecord memory) {
        return _oracles[oracle];
    }

    /// @inheritdoc IOracleDirectory
    function actsFor(address key, address oracle) external view override returns (bool) {
        if (key == oracle) return true;
        if (key == address(0)) return false;
        OracleRecord storage found = _oracles[oracle];
        return key == found.signer || (key == found.previousSigner && block.timestamp <= found.previousUntil);
    }
}
