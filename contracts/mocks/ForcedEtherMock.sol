// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Leaves its ether to an address that never agreed to it.
contract ForcedEtherMock {
    constructor(address payable heir) payable {
        selfdestruct(heir);
    }
}
