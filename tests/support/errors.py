"""The one way in which tests assert an error body."""

from __future__ import annotations

from typing import Any

import httpx


def assert_error(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Status, shape and code of an error, and what every error must have (S7). Returns its `error` object."""
    assert response.status_code == status, response.text
    content = response.json()
    assert set(content) == {"error"}
    error = content["error"]
    assert set(error) == {"message", "type", "param", "code", "retryable", "details"}
    assert error["code"] == code, error
    assert error["message"].endswith((".", "?"))
    assert response.headers["x-should-retry"] == ("true" if error["retryable"] else "false")
    assert ("retry-after" in response.headers) == error["retryable"]
    assert "Traceback" not in response.text
    return dict(error)
