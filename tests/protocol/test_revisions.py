"""What a revision fixes: its prices with tiers, and its forms on chain."""

from __future__ import annotations

from tallystick.protocol.plans import Plan
from tallystick.protocol.prices import NATIVE, PriceSheet, Units
from tallystick.protocol.revisions import RevisionTerms
from tallystick.protocol.tiers import Tier

ORACLE = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
TERMS = RevisionTerms(
    ORACLE,
    b"\x21" * 32,
    PriceSheet(NATIVE, 1_000, 2, 3, 4),
    "ipfs://manifest",
    1_250,
    (Tier(1, 500), Tier(10, 2_000)),
    (Plan(5, 6, 7, 8, 9),),
)
UNITS = Units(0, 0, 0)


def test_price_of_takes_the_tier_off() -> None:
    assert [TERMS.price_of(UNITS, calls) for calls in (0, 1, 10)] == [1_000, 950, 800]
    assert TERMS.price_of(UNITS) == 1_000


def test_lowest_price_of_is_that_of_the_highest_tier() -> None:
    assert TERMS.lowest_price_of(UNITS) == 800
    assert RevisionTerms(ORACLE, bytes(32), TERMS.prices).lowest_price_of(UNITS) == 1_000


def test_terms_as_tuple_in_the_order_of_the_contract() -> None:
    assert TERMS.as_tuple() == (
        ORACLE,
        1_250,
        b"\x21" * 32,
        (NATIVE, 1_000, 2, 3, 4),
        [(1, 500), (10, 2_000)],
        [(5, 6, 7, 8, 9)],
        "ipfs://manifest",
    )


def test_terms_from_what_a_node_answers() -> None:
    assert RevisionTerms.from_tuple(TERMS.as_tuple()) == TERMS


def test_terms_from_the_arguments_of_an_event() -> None:
    arguments = {
        "oracle": ORACLE,
        "oracleShareBps": 1_250,
        "manifestHash": b"\x21" * 32,
        "prices": {
            "asset": NATIVE,
            "perCall": 1_000,
            "perThousandInputTokens": 2,
            "perThousandOutputTokens": 3,
            "perComputeSecond": 4,
        },
        "tiers": [{"fromCalls": 1, "discountBps": 500}, {"fromCalls": 10, "discountBps": 2_000}],
        "plans": [{"creditPrice": 5, "credits": 6, "tranches": 7, "duration": 8, "interval": 9}],
        "metadataURI": "ipfs://manifest",
    }
    assert RevisionTerms.from_arguments(arguments) == TERMS


def test_terms_write_one_form_of_the_oracle() -> None:
    assert RevisionTerms(ORACLE.lower(), bytes(32), TERMS.prices).oracle == ORACLE
