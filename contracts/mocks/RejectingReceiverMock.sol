// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ActorMock} from "./ActorMock.sol";

/// @title Refuses ether and, having no ERC-721 hook, safe transfers of listings.
contract RejectingReceiverMock is ActorMock {
    error Rejecting_NoThanks();

    receive() external payable {
        revert Rejecting_NoThanks();
    }
}
