"""What the oracle writes to its log, and what never gets there (S7)."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from tallystick.oracle.logs import JsonFormatter, configure_logs

from tests.oracle.serving import WAIT, Paid, Stand, serving, spellings, stand
from tests.support.world import eventually

PROMPT = "my-very-secret-prompt: where is parcel 4711?"
OTHER_PROMPT = "another-secret-prompt that breaks the model"
SALT = bytes(range(101, 133))


def record(message: str, *arguments: object, level: int = logging.INFO, **extra: Any) -> logging.LogRecord:
    made = logging.getLogger("tallystick.test").makeRecord(
        "tallystick.test", level, "x.py", 1, message, arguments, None
    )
    vars(made).update(extra)
    return made


def formatted(made: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter().format(made)
    assert "\n" not in line
    value: dict[str, Any] = json.loads(line)
    return value


# ---- the formatter ----------------------------------------------------------------------------------------------------


def test_format_writes_level_logger_and_message() -> None:
    value = formatted(record("posted %s", "it", level=logging.WARNING))
    assert (value["level"], value["logger"], value["message"]) == ("warning", "tallystick.test", "posted it")


def test_format_writes_the_time_in_utc() -> None:
    made = record("now")
    made.created, made.msecs = 1_800_000_000.042, 42.0
    assert formatted(made)["time"] == "2027-01-15T08:00:00.042Z"


def test_format_writes_the_known_fields() -> None:
    value = formatted(record("x", call_id="0xab", charge="5", code="busy", listing=3, request_id="r"))
    assert {name: value[name] for name in ("call_id", "charge", "code", "listing", "request_id")} == {
        "call_id": "0xab",
        "charge": "5",
        "code": "busy",
        "listing": 3,
        "request_id": "r",
    }


@pytest.mark.parametrize("name", ["input", "request", "salt", "key", "password", "result", "headers", "body"])
def test_format_leaves_any_other_field_out(name: str) -> None:
    """S7: a careless `extra` does not put a request into the log."""
    assert PROMPT not in JsonFormatter().format(record("x", **{name: PROMPT}))


def test_format_keeps_a_forged_line_within_its_own() -> None:
    value = formatted(record('innocent\n{"level":"error","message":"forged"}\r\n\x1b[31m'))
    assert value["message"].startswith("innocent\n")


def test_format_writes_ascii_only() -> None:
    assert JsonFormatter().format(record("Grüße \u2028 😀 \ud800")).isascii()


def test_format_of_an_exception_names_its_type_and_place_and_not_its_text() -> None:
    """S7."""
    try:
        json.loads("{")
    except ValueError:
        made = record("failed")
        made.exc_info = sys.exc_info()
    value = formatted(made)
    assert value["exception"] == "JSONDecodeError"
    assert value["at"].startswith("decoder.py:")
    assert "Expecting" not in json.dumps(value)


def test_format_of_a_chained_exception_shows_neither_text() -> None:
    """S7."""
    try:
        try:
            raise KeyError(PROMPT)
        except KeyError as error:
            raise RuntimeError(PROMPT) from error
    except RuntimeError:
        made = record("failed")
        made.exc_info = sys.exc_info()
    assert PROMPT not in JsonFormatter().format(made)


# ---- a served call ----------------------------------------------------------------------------------------------------


@pytest.fixture
def output() -> Iterator[StringIO]:
    """All that is written, under the oracle's own logging; what was set up before comes back."""
    names = ["", "httpx", "urllib3", "alembic", "uvicorn.access"]
    handlers, levels = logging.getLogger().handlers[:], {name: logging.getLogger(name).level for name in names}
    stream = StringIO()
    with redirect_stdout(stream), redirect_stderr(stream):
        configure_logs()
        yield stream
    logging.getLogger().handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_served_call_leaves_neither_request_nor_salt_nor_key_in_the_log(tmp_path: Path, output: StringIO) -> None:
    """S7, E4: paid, repeated, misused, unpaid, malformed and failing requests over a real server, and all that is written."""

    def fail(text: str) -> None:
        if text == OTHER_PROMPT:
            raise RuntimeError(f"can't read {text}")

    with stand(tmp_path, fail, post_wait=0) as oracle, serving(oracle.app(), oracle.settings) as port:
        url = f"http://127.0.0.1:{port}/v1/classify"
        with httpx.Client(timeout=WAIT, trust_env=False) as client:
            paid, failing = oracle.pay(PROMPT, SALT), oracle.pay(OTHER_PROMPT, SALT)
            statuses = [
                client.post(url, content=content, headers=headers).status_code
                for content, headers in (
                    (paid.body(), paid.headers()),
                    (paid.body(), paid.headers()),
                    (failing.body(), paid.headers()),
                    (failing.body(), failing.headers()),
                    (paid.body(), {}),
                    (paid.body()[:-2], paid.headers()),
                    (paid.body(), {"tallystick-payment": paid.payment.to_header()[:-9]}),
                )
            ]
        eventually(lambda: oracle.chain.logged() and oracle.store.count_postings() == {"finalised": 2})
    written = output.getvalue()
    assert statuses == [200, 200, 402, 500, 402, 400, 400]
    assert [json.loads(line)["message"] for line in written.splitlines()].count("call answered") == 1
    for secret in _secrets(oracle, paid):
        assert secret not in written


def _secrets(oracle: Stand, paid: Paid) -> list[str]:
    keys = [spelling for wallet in (oracle.oracle, oracle.payer) for spelling in spellings(wallet.key.secret)]
    return [PROMPT, OTHER_PROMPT, PROMPT.split(":")[0], *spellings(SALT), *keys, paid.payment.to_header()]


def test_unexpected_exception_in_a_served_call_leaves_no_text_in_the_log(tmp_path: Path, output: StringIO) -> None:
    """S7: the worst case, an error that nobody foresaw and that quotes the request."""
    with stand(tmp_path, post_wait=0) as oracle:

        def break_down(*_: object) -> None:
            raise RuntimeError(f"{PROMPT} {SALT.hex()}")

        app = oracle.app()
        paid = oracle.pay(PROMPT, SALT)
        oracle.service.classify = break_down  # type: ignore[method-assign,assignment]
        with serving(app, oracle.settings) as port:
            response = httpx.post(
                f"http://127.0.0.1:{port}/v1/classify",
                content=paid.body(),
                headers=paid.headers(),
                timeout=WAIT,
                trust_env=False,
            )
    written = output.getvalue()
    assert response.status_code == 500
    assert response.headers["x-request-id"] in written
    for text in (response.text, written):
        assert PROMPT not in text
        assert SALT.hex() not in text
