"""Ways to falsify a scene's events: each is a function that alters a scene in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tallystick.chain.events import ChainEvent, Position
from tallystick.protocol.outcomes import LoggedOutcome, pack_outcome, unpack_outcome

from .scene import DOMAIN, Scene

Corrupt = Callable[[Scene], None]


def index_of(scene: Scene, name: str, nth: int = 0) -> int:
    return [index for index, event in enumerate(scene.events) if event.name == name][nth]


def event_of(scene: Scene, name: str, nth: int = 0) -> ChainEvent:
    return scene.events[index_of(scene, name, nth)]


def call_id(nth: int) -> Callable[[Scene], bytes]:
    """The id of the nth call, as a value that is looked up when the scene is altered."""
    return lambda scene: event_of(scene, "CallOpened", nth).arguments["callId"]


def alter(name: str, nth: int = 0, **changes: Any) -> Corrupt:
    """Other arguments; a mapping changes components of a tuple, a function is asked for its value."""

    def corrupt(scene: Scene) -> None:
        index = index_of(scene, name, nth)
        scene.events[index] = _altered(scene, scene.events[index], changes)

    return corrupt


def alter_outcome(nth: int, *, mode: int | None = None, charge: int | None = None, **parts: Any) -> Corrupt:
    """Another outcome in the nth CallLogged; `parts` are `revision` and fields of the units."""

    def corrupt(scene: Scene) -> None:
        outcome = unpack_outcome(event_of(scene, "CallLogged", nth).arguments["outcome"])
        revision = parts.get("revision", outcome.revision)
        units = replace(outcome.units, **{name: part for name, part in parts.items() if name != "revision"})
        changed = LoggedOutcome(revision, outcome.mode, units, outcome.charge if charge is None else charge)
        word = pack_outcome(changed) + ((mode or 0) << 216)
        alter("CallLogged", nth, outcome=word)(scene)

    return corrupt


def drop(name: str, nth: int = 0) -> Corrupt:
    def corrupt(scene: Scene) -> None:
        del scene.events[index_of(scene, name, nth)]

    return corrupt


def again(*names: str, nth: int = 0, **changes: Any) -> Corrupt:
    """The nth log of each name once more, all in one new transaction, with other arguments where they have them."""

    def corrupt(scene: Scene) -> None:
        originals = [event_of(scene, name, nth) for name in names]
        scene.administer("OwnershipTransferred")
        placeholder = scene.events.pop()
        for index, original in enumerate(originals):
            place: dict[str, Any] = {
                "position": Position(placeholder.position.block, index),
                "block_hash": placeholder.block_hash,
                "transaction": placeholder.transaction,
            }
            known = {name: value for name, value in changes.items() if name in original.arguments}
            scene.events.append(_altered(scene, replace(original, **place), known))

    return corrupt


def relocate(name: str, nth: int = 0, **changes: Any) -> Corrupt:
    """Another place for a log: block hash, transaction, position."""

    def corrupt(scene: Scene) -> None:
        index = index_of(scene, name, nth)
        scene.events[index] = replace(scene.events[index], **changes)

    return corrupt


def several(*corruptions: Corrupt) -> Corrupt:
    def corrupt(scene: Scene) -> None:
        for corruption in corruptions:
            corruption(scene)

    return corrupt


def at_deadline(name: str, nth: int, plus: int) -> Corrupt:
    """The log's block at `plus` seconds after the deadline of the log's call."""

    def corrupt(scene: Scene) -> None:
        event = event_of(scene, name, nth)
        deadline = scene.calls[event.arguments["callId"]].deadline
        number = event.position.block
        scene.headers[number] = replace(scene.headers[number], timestamp=deadline + plus)

    return corrupt


def reopen(nth: int, **terms: Any) -> Corrupt:
    """The nth opening under other terms, with the id that those have, and indexed to match."""

    def corrupt(scene: Scene) -> None:
        index = index_of(scene, "CallOpened", nth)
        event = scene.events[index]
        values = {name: value(scene) if callable(value) else value for name, value in terms.items()}
        call = replace(
            scene.calls[event.arguments["callId"]], **{_SNAKE.get(name, name): values[name] for name in values}
        )
        changes = {"call": values, "callId": call.call_id(DOMAIN), "listingId": call.listing_id, "payer": call.payer}
        scene.events[index] = _altered(scene, event, changes)

    return corrupt


def opened_at(nth: int, plus: int) -> Callable[[Scene], int]:
    """The time of the nth opening's block and `plus` seconds."""
    return lambda scene: scene.headers[event_of(scene, "CallOpened", nth).position.block].timestamp + plus


_SNAKE = {"listingId": "listing_id", "requestCommitment": "request_commitment"}


def _altered(scene: Scene, event: ChainEvent, changes: Mapping[str, Any]) -> ChainEvent:
    arguments = dict(event.arguments)
    for name, change in changes.items():
        value = change(scene) if callable(change) else change
        arguments[name] = _merged(arguments[name], value)
    if arguments.keys() != event.arguments.keys():
        raise KeyError(f"{event.name} has no such argument: {sorted(changes)}")
    return replace(event, arguments=arguments)


def _merged(value: Any, change: Any) -> Any:
    """Components of tuples, at any depth; anything else as it is given."""
    if not isinstance(change, Mapping):
        return change
    return {**value, **{name: _merged(value[name], part) for name, part in change.items()}}
