// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Units} from "../interfaces/IEscrow.sol";
import {PriceSheet} from "../interfaces/IListingRegistry.sol";

/// @title The one place on chain where a price is computed. Its twin is `tallystick.protocol.prices`.
library Pricing {
    /// @notice The charge for `units`, in atomic units, rounded down once: rounding favours the payer.
    function priceOf(PriceSheet memory sheet, Units memory units) internal pure returns (uint128) {
        // Can't overflow: each product is below 2^(80+32), their sum below 2^114, and 2^96 + 2^114 below 2^128.
        unchecked {
            uint256 metered = uint256(units.inputTokens) * sheet.perThousandInputTokens + uint256(units.outputTokens)
                * sheet.perThousandOutputTokens + uint256(units.computeMs) * sheet.perComputeSecond;
            return uint128(uint256(sheet.perCall) + metered / 1000);
        }
    }
}
