"""What a request carries to prove that it is paid: the `Tallystick-Payment` header."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

from tallystick.errors import NotJson, PaymentMalformed
from tallystick.protocol.calls import DirectCall
from tallystick.protocol.canonical import canonical_bytes, parse_json
from tallystick.protocol.hexes import from_hex, to_hex

PAYMENT_HEADER: Final = "Tallystick-Payment"
MAX_HEADER: Final = 4096
"""Longest header value, in characters, that is read."""


@dataclass(frozen=True)
class DirectPayment:
    """A call that its payer opened on chain. Whoever knows the salt and the request may fetch the answer."""

    call: DirectCall
    salt: bytes

    def to_header(self) -> str:
        """base64url of canonical JSON."""
        value = {"mode": "direct", "call": self.call.to_dict(), "salt": to_hex(self.salt)}
        return base64.urlsafe_b64encode(canonical_bytes(value)).decode()


def parse_payment(header: str) -> DirectPayment:
    """Raises PaymentMalformed, saying what is wrong with it."""
    if len(header) > MAX_HEADER:
        raise PaymentMalformed(f"The {PAYMENT_HEADER} header is longer than {MAX_HEADER} characters.")
    try:
        value: Any = parse_json(base64.b64decode(header.encode(), altchars=b"-_", validate=True))
        if value["mode"] != "direct":
            raise ValueError(f"unknown mode {str(value['mode'])[:20]!r}")
        return DirectPayment(DirectCall.from_dict(value["call"]), from_hex(value["salt"], 32))
    except (ValueError, KeyError, TypeError, binascii.Error, NotJson) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise PaymentMalformed(
            f"The {PAYMENT_HEADER} header can't be read ({reason}). It is base64url of JSON with mode, call and salt "
            "(docs/API.md). Nothing was charged."
        ) from None
