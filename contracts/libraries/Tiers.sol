// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Tier} from "../interfaces/Types.sol";
import {ALL_BPS} from "./Limits.sol";

/// @title Volume tiers in one word. Its twin is `tallystick.protocol.tiers`.
library Tiers {
    uint256 internal constant MAX_TIERS = 4;
    uint256 private constant BITS = 56;

    /// @notice Packs tiers, the last one lowest. They must have been checked.
    function pack(Tier[] calldata tiers) internal pure returns (uint256 packed) {
        for (uint256 i; i < tiers.length; ++i) {
            packed = (packed << BITS) | (uint256(tiers[i].fromCalls) << 16) | tiers[i].discountBps;
        }
    }

    /// @notice The tiers as they were given.
    function unpack(uint256 packed) internal pure returns (Tier[] memory tiers) {
        uint256 count = 0;
        for (uint256 rest = packed; rest != 0; rest >>= BITS) ++count;
        tiers = new Tier[](count);
        for (uint256 rest = packed; rest != 0; rest >>= BITS) {
            tiers[--count] = Tier(uint40(rest >> 16), uint16(rest));
        }
    }

    /// @notice `price` less the discount of the highest tier that `callsBefore` reaches; rounding favours the payer.
    function discounted(uint256 packed, uint128 price, uint256 callsBefore) internal pure returns (uint128) {
        for (; packed != 0; packed >>= BITS) {
            if (callsBefore >= uint40(packed >> 16)) {
                // Can't overflow or underflow: a price is below 2^128, and a discount is at most ALL_BPS.
                unchecked {
                    return uint128((uint256(price) * (ALL_BPS - uint16(packed))) / ALL_BPS);
                }
            }
        }
        return price;
    }
}
