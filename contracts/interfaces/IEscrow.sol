// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IBooks} from "./IBooks.sol";
import {IChannels} from "./IChannels.sol";
import {ICredits} from "./ICredits.sol";
import {IDirectCalls} from "./IDirectCalls.sol";
import {ISettlement} from "./ISettlement.sol";

/// @title The one contract that holds funds: every way to pay for a call, and every way to be paid.
interface IEscrow is IBooks, IDirectCalls, IChannels, ICredits, ISettlement {}
