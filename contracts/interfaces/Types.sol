// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @dev An ERC-721 token id: one model for sale. Ids count from 1.
type ListingId is uint256;

/// @dev What names one call: for a direct call the EIP-712 digest of its terms, for any other the hash of who pays (an
/// account, or a key of one) and the call's index there. Unique per chain and contract.
type CallId is bytes32;

/// @dev What calls are charged to: the EIP-712 digest of a channel's or a credit position's terms.
type AccountId is bytes32;

/// @notice How a call was paid.
enum Mode {
    Direct,
    Channel,
    Key,
    Credits
}

/// @notice What one call consumed, as the oracle posts it.
struct Units {
    uint32 inputTokens;
    uint32 outputTokens;
    /// Compute time in milliseconds.
    uint32 computeMs;
}

/// @notice What a revision costs. All amounts are atomic units (wei for the native asset).
/// @dev A charge is `perCall + (inputTokens * perThousandInputTokens + outputTokens * perThousandOutputTokens +
/// computeMs * perComputeSecond) / 1000`, rounded down once; a volume tier takes its discount off that, rounded down.
struct PriceSheet {
    /// What is paid with: the zero address is the chain's native asset, anything else an ERC-20.
    address asset;
    uint96 perCall;
    uint80 perThousandInputTokens;
    uint80 perThousandOutputTokens;
    uint80 perComputeSecond;
}

/// @notice A discount for payers who call a listing often.
struct Tier {
    /// The payer's calls of the listing that were charged before this one, at least 1.
    uint40 fromCalls;
    /// Off the price, in hundredths of a per cent.
    uint16 discountBps;
}

/// @notice A way to prepay calls of one listing. One credit pays one call, whatever it consumes.
/// @dev Free trial: `creditPrice` 0, once per payer and listing. Subscription period and committed bundle: one tranche.
/// Instalments: several tranches, each of which unlocks its credits.
struct Plan {
    /// Atomic units of the revision's asset for one credit.
    uint96 creditPrice;
    /// Credits that one tranche unlocks.
    uint32 credits;
    uint8 tranches;
    /// Seconds from purchase for which credits can be used.
    uint32 duration;
    /// Seconds between the due times of two tranches; zero where there is one tranche only.
    uint32 interval;
}

/// @notice Everything that a revision fixes for ever.
struct RevisionTerms {
    /// Alone may run and settle calls of this revision.
    address oracle;
    /// The oracle's part of what a call earns, in hundredths of a per cent; the listing's owner has the rest.
    uint16 oracleShareBps;
    /// keccak256 of the manifest's canonical JSON (see docs/SPEC.md).
    bytes32 manifestHash;
    PriceSheet prices;
    /// Ascending in both fields; at most four.
    Tier[] tiers;
    /// At most eight.
    Plan[] plans;
    /// Where the manifest can be fetched; a hint, the hash decides.
    string metadataURI;
}

/// @notice What a settlement has to know of a revision, as the libraries that use it have it packed.
struct SettlementTerms {
    /// Asset and price per call (`Pricing`).
    uint256 priceWord;
    /// The other prices (`Pricing`).
    uint256 rateWord;
    /// The oracle's part, in hundredths of a per cent.
    uint256 oracleShareBps;
    /// Volume tiers (`Tiers`); zero for none.
    uint256 packedTiers;
    /// Who earns now; zero where there is no such listing.
    address owner;
}
