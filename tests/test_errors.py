"""The error tree: stable codes, statuses, exit codes, and one body."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from tallystick import errors
from tallystick.errors import ContractRefused, InvalidRequest, TallystickError

from tests.support.tree import concrete_errors, every_module, tree

CONCRETE = concrete_errors()
GROUPS = {
    "InternalError": 1,
    "SetupError": 3,
    "ChainError": 4,
    "OracleConnectionError": 4,
    "PaymentError": 5,
    "RequestError": 6,
    "InferenceFailed": 7,
    "StoreUnavailable": 1,
    "ModelError": 7,
    "EvidenceError": 8,
}
"""What docs/CLI.md promises: the exit code of each branch of the tree."""
STATUSES = {400, 402, 404, 405, 408, 409, 410, 413, 421, 422, 429, 431, 500, 502, 503}


def ids(kinds: list[type[TallystickError]]) -> list[str]:
    return [kind.__name__ for kind in kinds]


def test_tree_stands_in_one_file() -> None:
    every_module()
    elsewhere = [f"{kind.__module__}.{kind.__name__}" for kind in tree() if kind.__module__ != errors.__name__]
    assert elsewhere == []


def test_codes_are_unique() -> None:
    codes = Counter(kind.code for kind in CONCRETE)
    assert [code for code, count in codes.items() if count > 1] == []


@pytest.mark.parametrize("kind", CONCRETE, ids=ids(CONCRETE))
def test_code_is_a_word_for_programs(kind: type[TallystickError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)


@pytest.mark.parametrize("kind", CONCRETE, ids=ids(CONCRETE))
def test_concrete_error_says_what_it_is(kind: type[TallystickError]) -> None:
    assert "__doc__" in vars(kind)
    assert kind.__doc__ is not None
    assert kind.__doc__.strip().endswith(".")


@pytest.mark.parametrize("kind", CONCRETE, ids=ids(CONCRETE))
def test_status_is_a_known_one(kind: type[TallystickError]) -> None:
    assert kind.status in STATUSES


@pytest.mark.parametrize("kind", CONCRETE, ids=ids(CONCRETE))
def test_exit_code_is_that_of_its_branch(kind: type[TallystickError]) -> None:
    branch = next(base.__name__ for base in reversed(kind.__mro__) if base.__name__ in GROUPS)
    assert kind.exit_code == GROUPS[branch]


@pytest.mark.parametrize("kind", CONCRETE, ids=ids(CONCRETE))
def test_status_tells_the_same_as_retryable(kind: type[TallystickError]) -> None:
    """408 aside, what a stock client repeats by itself is what may succeed when it is repeated; the header says it too."""
    if kind.status == 429:
        assert kind.retryable
    if kind.status in (400, 404, 405, 410, 413, 421, 422, 431):
        assert not kind.retryable


def test_class_that_is_raised_has_its_own_code() -> None:
    """A leaf without one would be told apart from its branch by nothing."""
    assert [kind.__name__ for kind in tree() if not kind.__subclasses__() and kind not in CONCRETE] == []


def test_body_has_the_keys_that_clients_expect() -> None:
    body = InvalidRequest("top_k is a whole number.", param="parameters.top_k", limit=3).body()
    assert body == {
        "error": {
            "message": "top_k is a whole number.",
            "type": "invalid_request_error",
            "param": "parameters.top_k",
            "code": "invalid_request",
            "retryable": False,
            "details": {"limit": 3},
        }
    }


def test_body_without_details_has_the_same_keys() -> None:
    body = InvalidRequest("Send an object.").body()
    assert body["error"] == {
        "message": "Send an object.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_request",
        "retryable": False,
        "details": {},
    }


def test_body_is_json() -> None:
    error = InvalidRequest("Ümläut “quoted”", amount="1", block=2, final=True, hash=None)
    assert json.loads(json.dumps(error.body())) == error.body()


def test_contract_refused_carries_name_and_arguments() -> None:
    refusal = ContractRefused("Escrow_NotOracle(0x1, 0x2).", name="Escrow_NotOracle", arguments={"actual": "0x1"})
    assert refusal.body()["error"]["details"] == {"contract_error": "Escrow_NotOracle", "actual": "0x1"}  # type: ignore[index]
    assert refusal.name == "Escrow_NotOracle"


def test_contract_errors_have_no_argument_that_details_could_not_hold() -> None:
    """An ABI argument named `message` or `param` would collide with the body's own keys."""
    from tallystick.chain.abi import ABIS

    names = {
        item["name"] for abi in ABIS.values() for entry in abi if entry["type"] == "error" for item in entry["inputs"]
    }
    assert names.isdisjoint({"self", "message", "param", "contract_error"})


def test_message_is_the_text_of_the_exception() -> None:
    error = InvalidRequest("Send an object.")
    assert str(error) == error.message == "Send an object."
