// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A contract wallet that does as it is told, so that tests can make a hostile contract pay, own or earn.
abstract contract ActorMock {
    /// @notice Calls `target` as this contract, passing its revert data on.
    function execute(address target, uint256 value, bytes calldata data) external payable returns (bytes memory) {
        (bool done, bytes memory returned) = target.call{value: value}(data);
        if (!done) {
            assembly {
                revert(add(returned, 32), mload(returned))
            }
        }
        return returned;
    }
}
