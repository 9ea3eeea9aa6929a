#!/usr/bin/env python3
"""Write tests/vectors/protocol.json, the golden vectors that Python, JavaScript and Solidity tests share (rule E5).

    .venv/bin/python scripts/make_vectors.py            write
    .venv/bin/python scripts/make_vectors.py --check    exit 1 if the committed file differs; writes nothing

A vector that changes breaks every receipt signed before: change one only together with its version tag.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coincurve import PrivateKey
from eth_hash.auto import keccak
from tallystick.protocol.calls import DirectCall, Mode
from tallystick.protocol.canonical import canonical_bytes
from tallystick.protocol.commitments import manifest_hash, parameters_hash, request_commitment, result_hash
from tallystick.protocol.encoding import Domain
from tallystick.protocol.hexes import ZERO_ADDRESS, checksum_address, to_hex
from tallystick.protocol.prices import NATIVE, PriceSheet, Units
from tallystick.protocol.receipts import Receipt
from tallystick.protocol.requests import InferenceRequest
from tallystick.protocol.results import on_grid
from tallystick.protocol.signatures import address_of

VECTORS = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "protocol.json"

# The first two accounts of `ganache --wallet.deterministic`: known to everybody, never to hold anything.
KEYS = (
    "0x4f3edf983ac636a65a842ce7c78d9aa706d3b113bce9c46f30d7d21715b23b1d",
    "0x6cbed15c793ce57650b9877cf6fa156fbef513c4e6134f022a85b1ffdd59b2a1",
)
ESCROW = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
DOMAINS = (Domain(1337, ESCROW), Domain(1, ESCROW), Domain(1337, "0x00000000000000000000000000000000DeaDBeef"))
PAYER = "0xFFcf8FDEE72ac11b5c542428B35EEF5769C409f0"
STABLECOIN = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
SALTS = (bytes(32), bytes(range(32)), b"\xff" * 32)
UINT32, UINT40, LAST_SECOND = 2**32 - 1, 2**40 - 1, 2**53 - 1
UINT80, UINT96, UINT128, UINT256 = 2**80 - 1, 2**96 - 1, 2**128 - 1, 2**256 - 1

# JSON texts as somebody might send them: white space, escapes and number forms that the canonical form drops.
TEXTS: Mapping[str, str] = {
    "empty object": "{ }",
    "empty array": "[ ]",
    "empty string": '""',
    "null": " null ",
    "true": "true",
    "white space": '{ "b" : 1 ,\t"a" : [ 1 ,\n 2 ] }',
    "keys by UTF-16 code unit (RFC 8785, 3.2.3)": (
        r'{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",'
        r'"\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}'
    ),
    "RFC 8785, 3.2.2": (
        r'{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],'
        r'"string":"\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}'
    ),
    "short escapes": r'"\b\t\n\f\r\"\\\/"',
    "control characters": r'"\u0000\u0001\u000b\u001f\u007f"',
    "separators that are not escaped": '"\u2028\u2029\u00a0"',
    "surrogate pair": r'"\ud83e\udd16"',
    "no normalisation": r'["\u00e9","e\u0301"]',
    "right to left, combining, wide": '"שלום مرحبا 你好 안녕 z̴"',
    "integers": "[0,-0,1,-1,10,9007199254740991,-9007199254740991]",
    "fractions": "[0.1,-0.1,0.5,1.0,100.0,1.5,0.30000000000000004,123456.789]",
    "exponents": "[1e0,1E+2,1e15,1e21,1e-6,1e-7,-1.5e300,5e-324,1.7976931348623157e308]",
    "minus zero": "[-0.0,-0e10]",
    "nested": '[[[[{"a":[{"b":{"c":[[],{},[{}]]}}]}]]]]',
    "key order is by name, not by depth": '{"z":{"b":1,"a":2},"a":{"z":1,"aa":2,"a":3},"A":0,"_":1,"10":1,"9":2}',
    "empty key": '{"":{"":""}}',
}

REQUESTS: Mapping[str, InferenceRequest] = {
    "short": InferenceRequest("classify", 1, 1, "A tally stick was notched, then split.", {}),
    "parameters": InferenceRequest("classify", 7, 3, ["one", "two"], {"top_k": 3, "temperature": 0.7, "labels": None}),
    "messages": InferenceRequest(
        "chat",
        UINT256,
        UINT32,
        [{"role": "user", "content": 'Grüße, "Welt" \U0001f30d\n'}],
        {"max_tokens": 64, "stop": []},
    ),
    "empty": InferenceRequest("embed", 0, 0, "", {}),
}

RESULTS: Mapping[str, Any] = {
    "labels": {"labels": [{"label": "positive", "score": 0.987654321}, {"label": "negative", "score": 0.012345679}]},
    "vector": {"embedding": [0.12345, -0.99995, 1e-9, -1e-9, 1.0, -0.0]},
    "ties go to the even digit": [0.03125, 0.09375, -0.03125, 0.15625, 2.5],
    "large numbers": [123456789.987654321, 1e15, 4503599627370497.5, 1e300],
    "no number": {"text": "fünf", "finish_reason": "stop", "logprobs": None, "tokens": 5, "cut": False},
}

PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "sampling": {"temperature": 0.7, "top_p": 0.95, "top_k": 40, "seed": 9007199254740991, "greedy": False},
}

MANIFESTS: Mapping[str, Any] = {
    "small": {
        "v": 1,
        "task": "text-classification",
        "files": [{"name": "model.safetensors", "size": 0, "sha256": "00"}],
    },
    "unicode": {"name": "Modell für Größe", "licence": "Apache-2.0", "decoding": {"temperature": 0.0}},
}

PRICES: Mapping[str, tuple[PriceSheet, Units]] = {
    "free": (PriceSheet(NATIVE, 0, 0, 0, 0), Units(UINT32, UINT32, UINT32)),
    "per call only": (PriceSheet(NATIVE, 10**15, 0, 0, 0), Units(1, 2, 3)),
    "no units": (PriceSheet(NATIVE, 5, 10, 20, 30), Units(0, 0, 0)),
    "each rate": (PriceSheet(NATIVE, 1, 1_000, 2_000, 3_000), Units(7, 11, 13)),
    "999 thousandths are dropped": (PriceSheet(NATIVE, 3, 1, 0, 0), Units(999, 0, 0)),
    "1000 thousandths are one": (PriceSheet(NATIVE, 3, 1, 0, 0), Units(1_000, 0, 0)),
    "rounded once, not per rate": (PriceSheet(NATIVE, 0, 1, 1, 1), Units(500, 400, 100)),
    "rounded down": (PriceSheet(NATIVE, 0, 7, 13, 17), Units(333, 777, 999)),
    "a token": (PriceSheet(STABLECOIN, 2_500, 40, 120, 9), Units(812, 64, 1_534)),
    "largest call price": (PriceSheet(NATIVE, UINT96, 0, 0, 0), Units(0, 0, 0)),
    "largest rates": (PriceSheet(NATIVE, 0, UINT80, UINT80, UINT80), Units(UINT32, UINT32, UINT32)),
    "largest everything": (PriceSheet(NATIVE, UINT96, UINT80, UINT80, UINT80), Units(UINT32, UINT32, UINT32)),
    "largest rate, one unit": (PriceSheet(NATIVE, 0, UINT80, 0, 0), Units(1, 0, 0)),
}

CALLS: Mapping[str, DirectCall] = {
    "ordinary": DirectCall(
        PAYER, 1, 1, address_of(PrivateKey.from_hex(KEYS[0][2:])), NATIVE, 10**15, 1_800_000_000, keccak(b"request")
    ),
    "token": DirectCall(PAYER, 42, 7, ESCROW, STABLECOIN, 2_500, 1_900_000_000, b"\x01" * 32),
    "smallest": DirectCall(ZERO_ADDRESS, 0, 0, ZERO_ADDRESS, NATIVE, 0, 0, bytes(32)),
    "largest": DirectCall(
        checksum_address("0x" + "ff" * 20),
        UINT256,
        UINT32,
        checksum_address("0x" + "ff" * 20),
        checksum_address("0x" + "ff" * 20),
        UINT128,
        UINT40,
        b"\xff" * 32,
    ),
}


def _receipts() -> Mapping[str, Receipt]:
    ordinary = CALLS["ordinary"]
    return {
        "ordinary": Receipt(
            call_id=ordinary.call_id(DOMAINS[0]),
            mode=Mode.DIRECT,
            payer=PAYER,
            oracle=ordinary.oracle,
            listing_id=1,
            revision=1,
            manifest_hash=manifest_hash(MANIFESTS["small"]),
            request_commitment=request_commitment(SALTS[1], REQUESTS["short"].canonical()),
            parameters_hash=parameters_hash(SALTS[1], canonical_bytes(PARAMETERS["sampling"])),
            result_hash=result_hash(SALTS[1], canonical_bytes(on_grid(RESULTS["labels"]))),
            units=Units(9, 0, 41),
            asset=NATIVE,
            charge=10**15,
            cumulative_spend=10**15,
            issued_at=1_800_000_000,
        ),
        "smallest": Receipt(
            call_id=bytes(32),
            mode=Mode.CHANNEL,
            payer=ZERO_ADDRESS,
            oracle=ZERO_ADDRESS,
            listing_id=0,
            revision=0,
            manifest_hash=bytes(32),
            request_commitment=bytes(32),
            parameters_hash=bytes(32),
            result_hash=bytes(32),
            units=Units(0, 0, 0),
            asset=NATIVE,
            charge=0,
            cumulative_spend=0,
            issued_at=0,
        ),
        "largest": Receipt(
            call_id=b"\xff" * 32,
            mode=Mode.CREDITS,
            payer=STABLECOIN,
            oracle=ESCROW,
            listing_id=UINT256,
            revision=UINT32,
            manifest_hash=b"\xfe" * 32,
            request_commitment=b"\xfd" * 32,
            parameters_hash=b"\xfc" * 32,
            result_hash=b"\xfb" * 32,
            units=Units(UINT32, UINT32 - 1, UINT32 - 2),
            asset=STABLECOIN,
            charge=UINT128 - 1,
            cumulative_spend=UINT128,
            issued_at=LAST_SECOND,
        ),
    }


def build() -> dict[str, Any]:
    """All vectors. What a test starts from stands before what it has to arrive at."""
    return {
        "v": 1,
        "canonical_json": [_canonical(name, text) for name, text in TEXTS.items()],
        "request_commitments": [
            {
                "name": f"{name}, salt {index}",
                "salt": to_hex(salt),
                "request": request.to_dict(),
                "canonical": request.canonical().decode(),
                "commitment": to_hex(request_commitment(salt, request.canonical())),
            }
            for name, request in REQUESTS.items()
            for index, salt in enumerate(SALTS)
        ],
        "parameters_hashes": [
            {
                "name": name,
                "salt": to_hex(SALTS[1]),
                "parameters": dict(parameters),
                "canonical": canonical_bytes(dict(parameters)).decode(),
                "hash": to_hex(parameters_hash(SALTS[1], canonical_bytes(dict(parameters)))),
            }
            for name, parameters in PARAMETERS.items()
        ],
        "result_hashes": [
            {
                "name": name,
                "salt": to_hex(SALTS[1]),
                "result": result,
                "canonical": canonical_bytes(on_grid(result)).decode(),
                "hash": to_hex(result_hash(SALTS[1], canonical_bytes(on_grid(result)))),
            }
            for name, result in RESULTS.items()
        ],
        "manifest_hashes": [
            {
                "name": name,
                "manifest": manifest,
                "canonical": canonical_bytes(manifest).decode(),
                "hash": to_hex(manifest_hash(manifest)),
            }
            for name, manifest in MANIFESTS.items()
        ],
        "prices": [
            {"name": name, "prices": sheet.to_dict(), "units": units.to_dict(), "price": str(sheet.price_of(units))}
            for name, (sheet, units) in PRICES.items()
        ],
        "call_ids": [
            {
                "name": f"{name}, domain {index}",
                "domain": _domain(domain),
                "call": call.to_dict(),
                "struct_hash": to_hex(call.struct_hash()),
                "call_id": to_hex(call.call_id(domain)),
            }
            for name, call in CALLS.items()
            for index, domain in enumerate(DOMAINS)
        ],
        "receipts": [
            _receipt(f"{name}, key {index}", receipt, DOMAINS[index], key)
            for name, receipt in _receipts().items()
            for index, key in enumerate(KEYS)
        ],
    }


def _canonical(name: str, text: str) -> dict[str, str]:
    canonical = canonical_bytes(json.loads(text))
    return {"name": name, "text": text, "canonical": canonical.decode(), "keccak256": to_hex(keccak(canonical))}


def _domain(domain: Domain) -> dict[str, str | int]:
    return {"chain_id": domain.chain_id, "escrow": domain.escrow}


def _receipt(name: str, receipt: Receipt, domain: Domain, key: str) -> dict[str, Any]:
    private = PrivateKey.from_hex(key[2:])
    return {
        "name": name,
        "domain": _domain(domain),
        "private_key": key,
        "receipt": receipt.to_dict(),
        "digest": to_hex(receipt.digest(domain)),
        "signer": address_of(private),
        "signature": to_hex(receipt.signed(domain, private).signature),
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Write the golden vectors of the protocol.")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 if they differ")
    text = json.dumps(build(), indent=2, ensure_ascii=True) + "\n"
    if not parser.parse_args(arguments).check:
        VECTORS.parent.mkdir(parents=True, exist_ok=True)
        VECTORS.write_text(text, encoding="utf-8")
    elif VECTORS.read_text(encoding="utf-8") != text:
        print("make_vectors: tests/vectors/protocol.json is not what the code gives.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
