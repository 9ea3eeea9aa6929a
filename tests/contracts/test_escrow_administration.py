"""Pausing, the administrator's two-step succession, and what the escrow tells about itself."""

from __future__ import annotations

from typing import Any

import contractkit as kit
import pytest
from brownie import Escrow, accounts
from contractkit import DirectCall, refuses


def test_pause_and_unpause(escrow: Any, administrator: Any, payer: Any, terms: DirectCall) -> None:
    """M7"""
    mined = kit.accepted(escrow.pause, by=administrator)
    assert mined.events == [kit.Event(escrow.address, "Paused", {}, {"account": administrator.address})]
    assert kit.view(escrow.paused) is True
    mined = kit.accepted(escrow.unpause, by=administrator)
    assert mined.events == [kit.Event(escrow.address, "Unpaused", {}, {"account": administrator.address})]
    assert kit.view(escrow.paused) is False
    kit.accepted(escrow.open, terms, by=payer, value=terms.amount)


@refuses("Escrow.pause", "OwnableUnauthorizedAccount")
def test_pause_by_another(escrow: Any, owner: Any) -> None:
    kit.refused(escrow.pause, by=owner, error="OwnableUnauthorizedAccount", details=[owner.address])


@refuses("Escrow.pause", "EnforcedPause")
def test_pause_twice(escrow: Any, administrator: Any) -> None:
    kit.accepted(escrow.pause, by=administrator)
    kit.refused(escrow.pause, by=administrator, error="EnforcedPause")


@refuses("Escrow.unpause", "OwnableUnauthorizedAccount")
def test_unpause_by_another(escrow: Any, administrator: Any, owner: Any) -> None:
    kit.accepted(escrow.pause, by=administrator)
    kit.refused(escrow.unpause, by=owner, error="OwnableUnauthorizedAccount", details=[owner.address])


@refuses("Escrow.unpause", "ExpectedPause")
def test_unpause_what_is_not_paused(escrow: Any, administrator: Any) -> None:
    kit.refused(escrow.unpause, by=administrator, error="ExpectedPause")


def test_transfer_ownership_in_two_steps(escrow: Any, administrator: Any, stranger: Any) -> None:
    """M7: a wrong address can be named without losing the role."""
    mined = kit.accepted(escrow.transferOwnership, stranger, by=administrator)
    move = {"previousOwner": administrator.address, "newOwner": stranger.address}
    assert mined.events == [kit.Event(escrow.address, "OwnershipTransferStarted", move, {})]
    assert (kit.view(escrow.owner), kit.view(escrow.pendingOwner)) == (administrator.address, stranger.address)
    mined = kit.accepted(escrow.acceptOwnership, by=stranger)
    assert mined.events == [kit.Event(escrow.address, "OwnershipTransferred", move, {})]
    assert (kit.view(escrow.owner), kit.view(escrow.pendingOwner)) == (stranger.address, kit.NATIVE)


@refuses("Escrow.transferOwnership", "OwnableUnauthorizedAccount")
def test_transfer_ownership_by_another(escrow: Any, stranger: Any) -> None:
    kit.refused(
        escrow.transferOwnership,
        stranger,
        by=stranger,
        error="OwnableUnauthorizedAccount",
        details=[stranger.address],
    )


@refuses("Escrow.acceptOwnership", "OwnableUnauthorizedAccount")
@pytest.mark.parametrize("who", ["administrator", "owner"])
def test_accept_ownership_by_another(
    escrow: Any, administrator: Any, stranger: Any, who: str, request: pytest.FixtureRequest
) -> None:
    caller = request.getfixturevalue(who)
    kit.accepted(escrow.transferOwnership, stranger, by=administrator)
    kit.refused(escrow.acceptOwnership, by=caller, error="OwnableUnauthorizedAccount", details=[caller.address])


@refuses("Escrow.pause", "OwnableUnauthorizedAccount")
def test_pause_by_the_administrator_before(escrow: Any, administrator: Any, stranger: Any) -> None:
    kit.accepted(escrow.transferOwnership, stranger, by=administrator)
    kit.accepted(escrow.acceptOwnership, by=stranger)
    kit.refused(escrow.pause, by=administrator, error="OwnableUnauthorizedAccount", details=[administrator.address])


def test_renounce_ownership_leaves_nobody(escrow: Any, administrator: Any) -> None:
    kit.accepted(escrow.renounceOwnership, by=administrator)
    assert kit.view(escrow.owner) == kit.NATIVE


@refuses("Escrow.renounceOwnership", "OwnableUnauthorizedAccount")
def test_renounce_ownership_by_another(escrow: Any, stranger: Any) -> None:
    kit.refused(escrow.renounceOwnership, by=stranger, error="OwnableUnauthorizedAccount", details=[stranger.address])


@refuses("Escrow.constructor", "OwnableInvalidOwner")
def test_constructor_without_an_administrator(registry: Any) -> None:
    kit.refused_creation(
        Escrow, registry, kit.NATIVE, by=accounts[0], error="OwnableInvalidOwner", details=[kit.NATIVE]
    )


def test_constructor_sets_the_administrator(escrow: Any, administrator: Any) -> None:
    assert kit.view(escrow.owner) == administrator.address
    assert kit.view(escrow.paused) is False


def test_registry_is_the_one_given(escrow: Any, registry: Any) -> None:
    assert kit.view(escrow.registry) == registry.address


def test_max_call_duration_is_a_week(escrow: Any) -> None:
    assert kit.view(escrow.maxCallDuration) == kit.WEEK


def test_eip712_domain_names_chain_and_contract(escrow: Any) -> None:
    """E5: EIP-5267, for wallets that ask."""
    fields, name, version, chain_id, contract, salt, extensions = kit.view(escrow.eip712Domain)
    assert (fields, name, version, chain_id) == (b"\x0f", "Tallystick", "1", 1337)
    assert (contract, salt, extensions) == (escrow.address, bytes(32), ())
