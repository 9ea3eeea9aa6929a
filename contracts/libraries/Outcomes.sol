// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Mode, Units} from "../interfaces/Types.sol";

/// @title The last word of a `CallLogged`, and of a batch's entry. Its twin is `tallystick.protocol.outcomes`.
/// @dev From the highest bit: 40 bits of head, 32 of input tokens, 32 of output tokens, 32 of compute milliseconds, 120
/// of charge. The head is revision and mode in a log, and the call's index in an entry.
library Outcomes {
    uint256 internal constant HEAD_SHIFT = 216;
    uint256 private constant BODY = (1 << HEAD_SHIFT) - 1;

    /// @dev A charge of more bits is cut: no price reaches them, so it is refused before it is logged.
    function pack(uint32 revision, Mode mode, Units calldata units, uint128 charge) internal pure returns (uint256) {
        return headOf(revision, mode) | (uint256(units.inputTokens) << 184) | (uint256(units.outputTokens) << 152)
            | (uint256(units.computeMs) << 120) | uint120(charge);
    }

    /// @notice Revision and mode, in their place.
    function headOf(uint32 revision, Mode mode) internal pure returns (uint256) {
        return (uint256(revision) << 224) | (uint256(mode) << HEAD_SHIFT);
    }

    /// @notice `packed` with another head.
    function withHead(uint256 packed, uint256 head) internal pure returns (uint256) {
        return (packed & BODY) | head;
    }

    function unitsOf(uint256 packed) internal pure returns (Units memory) {
        return Units(uint32(packed >> 184), uint32(packed >> 152), uint32(packed >> 120));
    }

    function chargeOf(uint256 packed) internal pure returns (uint128) {
        return uint120(packed);
    }

    function unpack(uint256 outcome)
        internal
        pure
        returns (uint32 revision, Mode mode, Units memory units, uint128 charge)
    {
        return (uint32(outcome >> 224), Mode(uint8(outcome >> HEAD_SHIFT)), unitsOf(outcome), chargeOf(outcome));
    }
}
