"""JSON-RPC over HTTP, with a time limit on every call and every failure as one of our errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from requests import Session
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from web3 import HTTPProvider, Web3
from web3.exceptions import Web3Exception, Web3RPCError
from web3.middleware import ExtraDataToPOAMiddleware

from tallystick.chain.abi import CODEC
from tallystick.chain.reverts import refusal_of
from tallystick.errors import ChainUnreachable, InsufficientFunds, NodeError

CONNECTIONS = 64
"""Most connections that are kept open to one node."""

_sessions: WeakKeyDictionary[Web3, Session] = WeakKeyDictionary()


def connect(url: str, timeout: float) -> Web3:
    """A client for the node at `url`; nothing is sent yet. `timeout` in seconds bounds each call.

    The provider's own retries are off: what may be repeated is decided where it is known whether that is safe.
    """
    session = Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))
    session.mount("https://", HTTPAdapter(pool_maxsize=CONNECTIONS))
    provider = HTTPProvider(
        url, request_kwargs={"timeout": timeout}, session=session, exception_retry_configuration=None
    )
    web3 = Web3(provider)
    web3.codec = CODEC
    # It asks for the chain id twice before every call.
    web3.middleware_onion.remove("validation")
    # Blocks of proof-of-authority chains carry more extra data than web3 takes otherwise.
    web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
    _sessions[web3] = session
    return web3


def disconnect(web3: Web3) -> None:
    """Close the connections of a client that `connect` made."""
    session = _sessions.pop(web3, None)
    if session is not None:
        session.close()


@contextmanager
def rpc_errors(url: str) -> Iterator[None]:
    """Turn whatever a call through web3 raises into ContractRefused, InsufficientFunds or ChainUnreachable.

    ChainUnreachable says nothing about the fate of a transaction that was being sent: that is unknown, not failed.
    """
    place = without_secrets(url)
    try:
        yield
    except Web3Exception as error:
        refusal = refusal_of(error)
        if refusal is not None:
            raise refusal from None
        text = str(error)
        if isinstance(error, Web3RPCError) and "insufficient funds" in text.lower():
            raise InsufficientFunds(
                "The sending account has too little of the native asset for value and gas; fund it and try again."
            ) from None
        raise NodeError(
            f"The node at {place} answered with an error: {_short(text)}. Check the node, then try again.",
            rpc_url=place,
        ) from error
    except (RequestException, OSError) as error:
        raise ChainUnreachable(
            f"The node at {place} can't be reached ({type(error).__name__}). Start it, or name another with "
            "TALLYSTICK_RPC_URL, then try again.",
            rpc_url=place,
        ) from error
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        # What web3 stumbles over where an answer is JSON, but not what a node answers to that question.
        raise ChainUnreachable(
            f"The node at {place} gave an answer that can't be read ({type(error).__name__}). Check that it is an "
            "Ethereum node, or name another with TALLYSTICK_RPC_URL, then try again.",
            rpc_url=place,
        ) from error


def without_secrets(url: str) -> str:
    """Scheme, host and port: the rest of a provider's URL often is a key, and errors reach clients and logs."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _short(text: str) -> str:
    return " ".join(text.split())[:200]
