"""HTTP to an oracle: its error bodies become our errors again, and what may be repeated is repeated."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from tallystick.errors import ContractRefused, Detail, NotJson, OracleAnswerInvalid, OracleUnreachable, TallystickError
from tallystick.protocol.canonical import parse_json

ATTEMPTS = 5
LONGEST_PAUSE = 5.0
DETAIL_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")


class RemoteOracle:
    """One oracle's routes. Sending a paid request again is always safe: it is answered, and charged, once."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 60.0,
        attempts: int = ATTEMPTS,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=timeout, transport=transport, trust_env=False)
        self._attempts = attempts
        self._sleep = sleep

    def close(self) -> None:
        self._http.close()

    def classify(self, body: Mapping[str, Any], payment_header: str | None) -> tuple[Any, Mapping[str, str]]:
        """The reply and its headers. Raises the error that the oracle names, or OracleUnreachable."""
        headers = {"Tallystick-Payment": payment_header} if payment_header else {}
        response = self._request("POST", "/v1/classify", json=dict(body), headers=headers)
        return _json(response), response.headers

    def get(self, path: str, *needed: str) -> Mapping[str, Any]:
        """The object that a route answers with, holding at least the fields `needed`. Raises OracleAnswerInvalid."""
        value = _json(self._request("GET", path))
        if not isinstance(value, dict) or not all(name in value for name in needed):
            raise OracleAnswerInvalid(f"{self.url}{path} does not answer as an oracle does; is this an oracle's URL?")
        return value

    def get_bytes(self, path: str) -> bytes:
        return self._request("GET", path).content

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        failure: TallystickError | None = None
        for attempt in range(self._attempts):
            if attempt:
                self._sleep(min(LONGEST_PAUSE, 0.2 * 2**attempt))
            try:
                response = self._http.request(method, path, **arguments)
            except httpx.TransportError as error:
                failure = OracleUnreachable(
                    f"The oracle at {self.url} does not answer ({type(error).__name__}). If a call is open, nothing is lost: "
                    "send the request again, or refund the call after its deadline.",
                    oracle_url=self.url,
                )
                continue
            except httpx.DecodingError:
                raise OracleAnswerInvalid(
                    f"The answer from {self.url} can't be decoded; is this an oracle's URL?"
                ) from None
            if response.is_success:
                return response
            failure = error_from(response)
            if not failure.retryable:
                break
        assert failure is not None  # noqa: S101
        raise failure


def error_from(response: httpx.Response) -> TallystickError:
    """The typed error in a response, an instance of the class that has its code."""
    body = _json(response)
    try:
        error = body["error"]
        code, message, details = str(error["code"]), str(error["message"]), _details(error)
    except (KeyError, TypeError, ValueError):
        return OracleAnswerInvalid(f"HTTP {response.status_code} without an error body; is this an oracle's URL?")
    if code == ContractRefused.code:
        return ContractRefused(message, name=str(details.pop("contract_error", "")), arguments=details)
    for kind in _subclasses(TallystickError):
        if kind.code == code:
            return kind(message, **details)
    return OracleAnswerInvalid(
        f"The oracle refused with an error unknown to this version ({code[:50]}): {message[:500]}"
    )


def _details(error: Mapping[str, Any]) -> dict[str, Detail]:
    """The details that have a name and a kind of value that ours have; the sender may not mean us well."""
    found = {**dict(error["details"]), "param": error.get("param")}
    return {
        name: value
        for name, value in found.items()
        if DETAIL_NAME.fullmatch(name) and name not in ("self", "message") and isinstance(value, str | int | bool)
    }


def _json(response: httpx.Response) -> Any:
    try:
        return parse_json(response.content)
    except NotJson:
        raise OracleAnswerInvalid(
            f"HTTP {response.status_code} that is not JSON from {response.url.host}; is this an oracle's URL?"
        ) from None


def _subclasses(kind: type[TallystickError]) -> list[type[TallystickError]]:
    return [found for child in kind.__subclasses__() for found in (child, *_subclasses(child))]
