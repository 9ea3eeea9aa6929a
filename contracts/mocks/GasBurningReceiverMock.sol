// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ActorMock} from "./ActorMock.sol";

/// @title Burns all the gas that it is given when it is paid.
contract GasBurningReceiverMock is ActorMock {
    receive() external payable {
        assembly {
            invalid()
        }
    }
}
