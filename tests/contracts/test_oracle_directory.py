"""OracleDirectory: where oracles are reached, and which keys act for them."""

from __future__ import annotations

from typing import Any

import contractkit as kit
import pytest
from brownie import accounts
from contractkit import refuses

ENDPOINT = "https://oracle.example"
MAX_ENDPOINT = 512
MAX_GRACE = 8 * 24 * 3600
NOBODY = (kit.NATIVE, kit.NATIVE, 0, "")


@pytest.fixture(scope="session")
def key() -> Any:
    return accounts[6]


@pytest.fixture(scope="session")
def next_key() -> Any:
    return accounts[7]


def test_get_oracle_that_never_said_anything(registry: Any, oracle: Any) -> None:
    assert kit.view(registry.getOracle, oracle) == NOBODY


@pytest.mark.parametrize(
    "endpoint",
    ["", ENDPOINT, "x" * MAX_ENDPOINT, "é" * (MAX_ENDPOINT // 2)],
    ids=["empty", "usual", "ascii", "two-byte"],
)
def test_set_endpoint_within_its_limits(registry: Any, oracle: Any, stranger: Any, endpoint: str) -> None:
    """It is the caller's own record, and nobody else's."""
    mined = kit.accepted(registry.setEndpoint, endpoint, by=oracle)
    assert mined.events == [
        kit.Event(registry.address, "EndpointChanged", {"oracle": oracle.address}, {"endpoint": endpoint})
    ]
    assert kit.view(registry.getOracle, oracle) == (kit.NATIVE, kit.NATIVE, 0, endpoint)
    assert kit.view(registry.getOracle, stranger) == NOBODY


def test_set_endpoint_keeps_the_keys(registry: Any, oracle: Any, key: Any) -> None:
    kit.accepted(registry.rotateSigner, key, 0, by=oracle)
    kit.accepted(registry.setEndpoint, ENDPOINT, by=oracle)
    assert kit.view(registry.getOracle, oracle) == (key.address, kit.NATIVE, 0, ENDPOINT)


@refuses("ListingRegistry.setEndpoint", "Directory_EndpointTooLong")
def test_set_endpoint_that_is_too_long(registry: Any, oracle: Any) -> None:
    kit.refused(
        registry.setEndpoint,
        "é" * (MAX_ENDPOINT // 2) + "x",
        by=oracle,
        error="Directory_EndpointTooLong",
        details=[MAX_ENDPOINT + 1, MAX_ENDPOINT],
    )


def test_rotate_signer_for_the_first_time(registry: Any, oracle: Any, key: Any) -> None:
    """There is no key before it, so none stays good."""
    mined = kit.accepted(registry.rotateSigner, key, 600, by=oracle)
    assert mined.events == [
        kit.Event(
            registry.address,
            "SignerRotated",
            {"oracle": oracle.address, "signer": key.address, "previousSigner": kit.NATIVE},
            {"previousUntil": mined.second + 600},
        )
    ]
    assert kit.view(registry.actsFor, key, oracle) is True
    assert kit.view(registry.actsFor, kit.NATIVE, oracle) is False


@pytest.mark.parametrize("grace", [1, 600, MAX_GRACE])
def test_rotate_signer_with_grace(registry: Any, oracle: Any, key: Any, next_key: Any, grace: int) -> None:
    kit.accepted(registry.rotateSigner, key, 0, by=oracle)
    second = kit.now() + 100
    mined = kit.accepted(registry.rotateSigner, next_key, grace, by=oracle, at=second)
    assert mined.events == [
        kit.Event(
            registry.address,
            "SignerRotated",
            {"oracle": oracle.address, "signer": next_key.address, "previousSigner": key.address},
            {"previousUntil": second + grace},
        )
    ]
    assert kit.view(registry.getOracle, oracle) == (next_key.address, key.address, second + grace, "")


def test_rotate_signer_without_grace(registry: Any, oracle: Any, key: Any, next_key: Any) -> None:
    """A key that got into wrong hands is good for nothing from this block on."""
    kit.accepted(registry.rotateSigner, key, 0, by=oracle)
    kit.accepted(registry.rotateSigner, next_key, 0, by=oracle)
    assert kit.view(registry.getOracle, oracle) == (next_key.address, key.address, 0, "")
    assert [kit.view(registry.actsFor, each, oracle) for each in (key, next_key, oracle)] == [False, True, True]


def test_rotate_signer_twice_within_the_grace(
    registry: Any, oracle: Any, key: Any, next_key: Any, stranger: Any
) -> None:
    """Only the key before the present one stays good."""
    for signer in (key, next_key, stranger):
        kit.accepted(registry.rotateSigner, signer, MAX_GRACE, by=oracle)
    assert [kit.view(registry.actsFor, each, oracle) for each in (key, next_key, stranger)] == [False, True, True]


def test_rotate_signer_to_none(registry: Any, oracle: Any, key: Any) -> None:
    """The oracle's own address is left."""
    kit.accepted(registry.rotateSigner, key, 0, by=oracle)
    kit.accepted(registry.rotateSigner, kit.NATIVE, 0, by=oracle)
    assert [kit.view(registry.actsFor, each, oracle) for each in (kit.NATIVE, key, oracle)] == [False, False, True]


@refuses("ListingRegistry.rotateSigner", "Directory_GraceTooLong")
@pytest.mark.parametrize("grace", [MAX_GRACE + 1, kit.UINT40])
def test_rotate_signer_with_too_much_grace(registry: Any, oracle: Any, key: Any, grace: int) -> None:
    kit.refused(
        registry.rotateSigner, key, grace, by=oracle, error="Directory_GraceTooLong", details=[grace, MAX_GRACE]
    )


@pytest.mark.parametrize(("late", "good"), [(0, True), (1, False)], ids=["last second", "a second late"])
def test_acts_for_at_the_end_of_the_grace(
    registry: Any, oracle: Any, key: Any, next_key: Any, late: int, good: bool
) -> None:
    kit.accepted(registry.rotateSigner, key, 0, by=oracle)
    mined = kit.accepted(registry.rotateSigner, next_key, 600, by=oracle)
    kit.accepted(registry.setEndpoint, ENDPOINT, by=oracle, at=mined.second + 600 + late)
    assert kit.view(registry.actsFor, key, oracle) is good
    assert kit.view(registry.actsFor, next_key, oracle) is True


def test_acts_for_one_oracle_only(registry: Any, oracle: Any, stranger: Any, key: Any) -> None:
    """M7: no oracle can name a key for another."""
    kit.accepted(registry.rotateSigner, key, 0, by=oracle)
    assert kit.view(registry.actsFor, key, stranger) is False
    assert kit.view(registry.actsFor, oracle, key) is False


@pytest.mark.parametrize("name", ["setEndpoint", "rotateSigner"])
def test_directory_takes_no_ether(registry: Any, oracle: Any, key: Any, name: str) -> None:
    arguments = {"setEndpoint": [ENDPOINT], "rotateSigner": [key, 0]}[name]
    data = getattr(registry, name).encode_input(*arguments)
    kit.refused_raw(registry, data, by=oracle, value=1, function=f"ListingRegistry.{name}", error="")


def test_limits_are_published(registry: Any) -> None:
    assert (kit.view(registry.MAX_ENDPOINT_BYTES), kit.view(registry.MAX_GRACE)) == (MAX_ENDPOINT, MAX_GRACE)
