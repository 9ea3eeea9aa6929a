"""What every runner promises; the null runner and the real one pass the same tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tallystick.errors import EmptyText, InferenceFailed, InputTooLong, InvalidRequest
from tallystick.inference.classifier import load_classifier
from tallystick.inference.folder import read_verified
from tallystick.inference.null import NullRunner
from tallystick.inference.runner import CHARACTERS_PER_TOKEN, Runner
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.results import differences, on_grid

TIME_LIMIT_MS = 10_000
TEXT = "where is my order ?"


class Clock:
    """A monotonic clock that moves on by a step of seconds at each reading."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.step = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["null", "real"])
def runner(request: pytest.FixtureRequest, model_folder: Path, clock: Clock) -> Runner:
    verified = read_verified(model_folder, None)
    if request.param == "null":
        return NullRunner(verified.manifest, time_limit_ms=TIME_LIMIT_MS, clock=clock)
    return load_classifier(verified, time_limit_ms=TIME_LIMIT_MS, clock=clock)


@pytest.fixture(params=["null", "real"])
def failing_runner(request: pytest.FixtureRequest, model_folder: Path) -> Iterator[Runner]:
    """Answers the first time, then breaks with an exception that quotes the input."""
    verified = read_verified(model_folder, None)

    def fail(text: object) -> None:
        raise RuntimeError(f"could not handle {text}")

    if request.param == "null":
        yield NullRunner(verified.manifest, before_run=fail)
        return
    runner = load_classifier(verified)
    handle = runner.model.register_forward_pre_hook(lambda *_: fail(TEXT))
    yield runner
    handle.remove()


def run(runner: Runner, text: Any = TEXT, **requested: Any) -> Any:
    return runner.run(text, runner.effective_parameters(requested))


def test_manifest_hash_is_the_manifests(runner: Runner) -> None:
    assert runner.manifest_hash == runner.manifest.hash()


def test_effective_parameters_fill_in_defaults_and_pin_the_numbers(runner: Runner) -> None:
    """D2: what the numbers depend on is in the hashed record."""
    parameters = runner.effective_parameters({})
    assert parameters.keys() == {"top_k", "max_tokens", "dtype", "device", "engine"}
    assert (parameters["top_k"], parameters["max_tokens"]) == (2, 32)
    assert (parameters["dtype"], parameters["device"]) == ("float32", "cpu")
    canonical_bytes(parameters)


def test_effective_parameters_take_what_is_requested(runner: Runner) -> None:
    parameters = runner.effective_parameters({"top_k": 3, "max_tokens": 8})
    assert (parameters["top_k"], parameters["max_tokens"]) == (3, 8)


@pytest.mark.parametrize("name", ["top_k", "max_tokens"])
@pytest.mark.parametrize("value", [0, -1, 10**9, 1.0, "1", None, True, [1]])
def test_effective_parameters_refuse_a_bad_value_by_name(runner: Runner, name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        runner.effective_parameters({name: value})
    assert refusal.value.details["param"] == f"parameters.{name}"


@pytest.mark.parametrize("name", ["temperature", "device", "dtype", "engine", ""])
def test_effective_parameters_refuse_an_unknown_one_by_name(runner: Runner, name: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        runner.effective_parameters({name: 1})
    assert refusal.value.details["param"] == f"parameters.{name}"
    assert repr(name) in refusal.value.message


@pytest.mark.parametrize("input", [None, 5, b"where", ["where"], {"text": "where"}, True])
def test_input_that_is_no_text_is_refused(runner: Runner, input: Any) -> None:  # noqa: A002
    with pytest.raises(InvalidRequest) as refusal:
        runner.worst_case(input, runner.effective_parameters({}))
    assert refusal.value.details["param"] == "input"


@pytest.mark.parametrize("text", ["nul \0 inside", "half a pair \ud83d"])
def test_text_that_could_not_be_committed_to_is_refused(runner: Runner, text: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        runner.worst_case(text, runner.effective_parameters({}))
    assert refusal.value.details["param"] == "input"


@pytest.mark.parametrize("text", ["", " ", "\n\t \u3000"])
def test_empty_text_is_refused(runner: Runner, text: str) -> None:
    with pytest.raises(EmptyText):
        runner.worst_case(text, runner.effective_parameters({}))


def test_longest_text_is_read_and_one_token_more_is_refused_with_both_numbers(runner: Runner) -> None:
    parameters = runner.effective_parameters({"max_tokens": 8})
    assert runner.worst_case("my order is broken where is", parameters).input_tokens == 8
    with pytest.raises(InputTooLong) as refusal:
        runner.worst_case("my order is broken where is my", parameters)
    assert (refusal.value.details["actual"], refusal.value.details["limit"]) == (9, 8)
    assert "9" in refusal.value.message
    assert "8" in refusal.value.message


def test_huge_text_is_refused_by_its_characters(runner: Runner) -> None:
    """E1: before any work that grows with the text."""
    limit = 32 * CHARACTERS_PER_TOKEN
    assert runner.worst_case("a" * limit, runner.effective_parameters({})).input_tokens == 3
    with pytest.raises(InputTooLong) as refusal:
        runner.worst_case("a" * (limit + 1), runner.effective_parameters({}))
    assert (refusal.value.details["actual"], refusal.value.details["unit"]) == (limit + 1, "characters")


@pytest.mark.parametrize("text", [None, "", "my order is broken where is my lamp ? ! " * 5])
def test_run_refuses_what_worst_case_refuses(runner: Runner, text: Any) -> None:
    with pytest.raises((InvalidRequest, EmptyText, InputTooLong)) as first:
        runner.worst_case(text, runner.effective_parameters({}))
    with pytest.raises(type(first.value)) as second:
        run(runner, text)
    assert first.value.message == second.value.message


def test_units_stay_within_the_worst_case(runner: Runner, clock: Clock) -> None:
    clock.step = 0.25
    worst = runner.worst_case(TEXT, runner.effective_parameters({}))
    units = run(runner).units
    assert (worst.input_tokens, worst.output_tokens, worst.compute_ms) == (7, 0, TIME_LIMIT_MS)
    assert (units.input_tokens, units.output_tokens) == (7, 0)
    assert units.compute_ms == 250


def test_m8_compute_time_is_rounded_down(runner: Runner, clock: Clock) -> None:
    clock.step = 0.0019
    assert run(runner).units.compute_ms == 1


def test_compute_time_is_never_negative(runner: Runner, clock: Clock) -> None:
    """E6: a clock that jumps back costs the payer nothing."""
    clock.step = -1.0
    assert run(runner).units.compute_ms == 0


def test_run_over_the_time_limit_fails(runner: Runner, clock: Clock) -> None:
    clock.step = TIME_LIMIT_MS / 1000 + 0.002
    with pytest.raises(InferenceFailed, match="longer than the limit"):
        run(runner)


def test_result_is_on_the_grid_and_best_first(runner: Runner) -> None:
    result = run(runner, top_k=3).result
    scores = [entry["score"] for entry in result["scores"]]
    assert result == on_grid(result)
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=2e-4)
    assert result["label"] == result["scores"][0]["label"]
    assert {entry["label"] for entry in result["scores"]} == set(runner.manifest.labels)
    assert json.loads(canonical_bytes(result)) == result


def test_top_k_cuts_the_list_and_changes_no_score(runner: Runner) -> None:
    assert run(runner, top_k=1).result["scores"] == run(runner, top_k=3).result["scores"][:1]


def test_results_depend_on_the_text(runner: Runner) -> None:
    results = {
        json.dumps(run(runner, text, top_k=3).result) for text in ("lovely lamp", "broken lamp", "where is my order")
    }
    assert len(results) == 3


def test_same_request_gives_the_same_result(runner: Runner) -> None:
    assert run(runner).result == run(runner).result


def test_text_is_taken_as_it_was_sent(runner: Runner) -> None:
    """D3: composed and decomposed letters are different bytes, and both are read without being rewritten."""
    for text in ("caf\u00e9", "cafe\u0301"):
        assert run(runner, text).units.input_tokens >= 3


def test_many_threads_get_what_one_gets(runner: Runner) -> None:
    texts = [f"{word} lamp {TEXT}" for word in ("broken", "lovely", "where", "thanks")] * 5
    alone = [run(runner, text).result for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: run(runner, text).result, texts))
    assert [differences(one, other) for one, other in zip(alone, together, strict=True)] == [[]] * len(texts)


def test_d5_exception_in_the_model_is_a_failure_that_does_not_quote_the_input(failing_runner: Runner) -> None:
    with pytest.raises(InferenceFailed) as refusal:
        run(failing_runner)
    assert "RuntimeError" in refusal.value.message
    assert "order" not in refusal.value.message
    assert refusal.value.__cause__ is None


def test_s7_no_refusal_repeats_the_input(runner: Runner) -> None:
    secret = "swordfish"
    refusals: list[Callable[[], object]] = [
        lambda: run(runner, f"{secret}\0"),
        lambda: run(runner, f"{secret} " * 1000),
        lambda: run(runner, [secret]),
    ]
    for attempt in refusals:
        with pytest.raises((InvalidRequest, InputTooLong)) as refusal:
            attempt()
        assert secret not in refusal.value.message + json.dumps(dict(refusal.value.details))
