// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {Books} from "./escrow/Books.sol";
import {Settlement} from "./escrow/Settlement.sol";
import {IEscrow} from "./interfaces/IEscrow.sol";
import {IListingRegistry} from "./interfaces/IListingRegistry.sol";

/// @title The one contract that holds funds. The interfaces are its specification.
/// @dev Books: what comes in, what is owed, what goes out. Tills and DirectEscrow: calls with an escrow each. Channels
/// and Credits: what many calls are charged to. Settlement: charging them in batches.
contract Escrow is IEscrow, Settlement {
    constructor(IListingRegistry registry_, address administrator)
        EIP712("Tallystick", "1")
        Books(registry_, administrator)
    {}
}
