// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title What stands at a till's address while it is emptied, and is gone within the same transaction.
/// @dev Only its creator can create it at its address (CREATE2), so only its creator can empty it; again and again,
/// because nothing stays there.
contract Till {
    using SafeERC20 for IERC20;

    constructor(IERC20 token) {
        uint256 amount = token.balanceOf(address(this));
        if (amount != 0) token.safeTransfer(msg.sender, amount);
        selfdestruct(payable(msg.sender));
    }
}
