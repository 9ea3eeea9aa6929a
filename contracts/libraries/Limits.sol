// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev How far ahead a direct call's deadline may lie, in seconds.
uint256 constant MAX_CALL_DURATION = 7 days;

/// @dev How long an oracle can settle after a payer asked to leave, and after a plan's time, in seconds.
uint256 constant CHALLENGE_WINDOW = 1 days;

/// @dev All of something, in hundredths of a per cent.
uint256 constant ALL_BPS = 10_000;
