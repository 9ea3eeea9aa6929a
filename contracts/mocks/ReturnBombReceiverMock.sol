// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ActorMock} from "./ActorMock.sol";

/// @title Accepts ether and returns a megabyte, which a careless caller would pay to copy.
contract ReturnBombReceiverMock is ActorMock {
    uint256 public constant BYTES = 1_000_000;

    receive() external payable {
        assembly {
            return(0, 1000000)
        }
    }
}
