// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ActorMock} from "./ActorMock.sol";

/// @title Calls back while it is being paid, and remembers how that went.
contract ReenteringReceiverMock is ActorMock {
    bool public succeeded;
    bytes public returned;
    uint256 public entries;

    address private _target;
    uint256 private _value;
    bytes private _data;

    /// @notice Sets what `receive` will call, once.
    function arm(address target, uint256 value, bytes calldata data) external {
        (_target, _value, _data) = (target, value, data);
    }

    receive() external payable {
        ++entries;
        address target = _target;
        if (target == address(0)) return;
        _target = address(0);
        (succeeded, returned) = target.call{value: _value}(_data);
    }
}
