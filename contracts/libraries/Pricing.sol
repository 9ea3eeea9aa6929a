// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PriceSheet} from "../interfaces/Types.sol";

/// @title Price sheets in two words, and the one place on chain where a price is computed. Its twin is
/// `tallystick.protocol.prices`.
/// @dev A settlement hands these words from the catalogue to the price without taking them apart on the way. From the
/// lowest bit: price word: asset (160 bits), per call (96); rate word: per 1,000 input tokens (80), per 1,000 output
/// tokens (80), per compute second (80), and 16 bits that the catalogue uses.
library Pricing {
    uint256 private constant RATE = (1 << 80) - 1;

    function pack(PriceSheet memory sheet) internal pure returns (uint256 priceWord, uint256 rateWord) {
        priceWord = (uint256(sheet.perCall) << 160) | uint160(sheet.asset);
        rateWord = (uint256(sheet.perComputeSecond) << 160) | (uint256(sheet.perThousandOutputTokens) << 80)
            | sheet.perThousandInputTokens;
    }

    function unpack(uint256 priceWord, uint256 rateWord) internal pure returns (PriceSheet memory) {
        return PriceSheet(
            assetOf(priceWord),
            uint96(priceWord >> 160),
            uint80(rateWord),
            uint80(rateWord >> 80),
            uint80(rateWord >> 160)
        );
    }

    function assetOf(uint256 priceWord) internal pure returns (address) {
        return address(uint160(priceWord));
    }

    /// @notice The charge for the units in `packed` (`Outcomes`), in atomic units, rounded down once: rounding favours
    /// the payer.
    function priceOf(uint256 priceWord, uint256 rateWord, uint256 packed) internal pure returns (uint128) {
        // Can't overflow: each product is below 2^(80+32), their sum below 2^114, and 2^96 + 2^114 below 2^128.
        unchecked {
            uint256 metered = uint32(packed >> 184) * (rateWord & RATE) + uint32(packed >> 152)
                * ((rateWord >> 80) & RATE) + uint32(packed >> 120) * ((rateWord >> 160) & RATE);
            return uint128((priceWord >> 160) + metered / 1000);
        }
    }
}
