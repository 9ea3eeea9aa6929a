// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title Where oracles are found, and which keys act for them.
/// @notice An oracle is an address that listings name for ever. Keys that sign receipts and post results can change:
/// the key before the present one stays good for calls in flight, for as long as its oracle says and eight days at most.
/// The oracle's own address is always good.
interface IOracleDirectory {
    struct OracleRecord {
        /// Signs and posts for the oracle; zero while only the oracle's own address does.
        address signer;
        /// Good until `previousUntil`, Unix seconds, inclusive.
        address previousSigner;
        uint40 previousUntil;
        /// Base URL of its API.
        string endpoint;
    }

    /// @notice An oracle said where it is reached.
    event EndpointChanged(address indexed oracle, string endpoint);
    /// @notice Another key acts for an oracle from now on; the one before it until `previousUntil`.
    event SignerRotated(
        address indexed oracle, address indexed signer, address indexed previousSigner, uint40 previousUntil
    );

    /// @notice The endpoint has more bytes than a record may carry.
    error Directory_EndpointTooLong(uint256 actual, uint256 maximum);
    /// @notice The previous key would stay good for longer than calls can be in flight.
    error Directory_GraceTooLong(uint40 actual, uint40 maximum);

    /// @notice Says where the caller, an oracle, is reached.
    function setEndpoint(string calldata endpoint) external;

    /// @notice Lets `signer` act for the caller, an oracle, from now on. The key before it stays good for `grace`
    /// seconds: zero ends a key that got into wrong hands at once. A `signer` of zero leaves the oracle's own address.
    function rotateSigner(address signer, uint40 grace) external;

    /// @notice What is known of an oracle; all zero and empty for an address that never said anything.
    function getOracle(address oracle) external view returns (OracleRecord memory);

    /// @notice Whether `key` may act for `oracle` now.
    function actsFor(address key, address oracle) external view returns (bool);
}
