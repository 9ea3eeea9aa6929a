"""The oracle's durable memory. Every method is one transaction, on disk when it returns."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_ignore

from tallystick.chain.types import Mined, SignedTransaction
from tallystick.errors import StoreMismatch
from tallystick.protocol.hexes import to_hex
from tallystick.protocol.receipts import SignedReceipt
from tallystick.store import rows
from tallystick.store.engine import READING, open_engine, store_errors
from tallystick.store.records import (
    Action,
    Completed,
    Confirmed,
    Decline,
    Finalised,
    Fulfil,
    Posted,
    Posting,
    Queued,
    Rejected,
    Reservation,
    Signed,
    StoredCall,
)
from tallystick.store.schema import calls, identity, postings

UNFINISHED = ("queued", "signed", "posted", "confirmed")


class Store:
    """Calls and postings in one SQL database. Raises StoreUnavailable whenever the database does not do as told."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock

    @classmethod
    def open(cls, path: Path, clock: Callable[[], float] = time.time) -> Store:
        return cls(open_engine(path), clock)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with store_errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with (
            store_errors(),
            self._engine.connect().execution_options(**{READING: True}) as connection,
            connection.begin(),
        ):
            yield connection

    def bind(self, facts: Mapping[str, str]) -> None:
        """Tie the store to one deployment and oracle at its first use. Raises StoreMismatch if it is tied to others."""
        with self._transaction() as connection:
            known = {row.name: row.value for row in connection.execute(select(identity))}
            if not known:
                connection.execute(insert(identity), [{"name": name, "value": value} for name, value in facts.items()])
                return
        for name, value in facts.items():
            if known.get(name) != value:
                raise StoreMismatch(
                    f"The store belongs to another {name} ({known.get(name)}). Use another state folder for this one; "
                    "the calls in the store are not lost.",
                    actual=known.get(name),
                    expected=value,
                )

    # ---- calls --------------------------------------------------------------------------------------------------------

    def reserve(self, reservation: Reservation) -> StoredCall | None:
        """Claim a call for inference. None: it is yours. Otherwise what is there already, and nothing was written."""
        with self._transaction() as connection:
            written = connection.execute(
                insert_or_ignore(calls).values(rows.of_reservation(reservation)).on_conflict_do_nothing()
            )
            if written.rowcount == 1:
                return None
            return rows.to_call(self._call_row(connection, reservation.call_id))

    def complete(self, completed: Completed, action: Fulfil) -> None:
        """Record a call's answer and queue its posting, both or neither."""
        reservation = completed.reservation
        with self._transaction() as connection:
            self._leave_reserved(
                connection,
                reservation,
                state="completed",
                receipt=json.dumps(completed.signed.to_dict()),
                answer=json.dumps({"parameters": dict(completed.parameters), "result": completed.result}),
                reply=completed.reply,
            )
            self._queue(connection, reservation, action)

    def abandon(self, reservation: Reservation, failure: Mapping[str, Any]) -> None:
        """Record that a call gets no answer and queue the return of its escrow, both or neither."""
        with self._transaction() as connection:
            self._leave_reserved(connection, reservation, state="abandoned", failure=json.dumps(failure))
            self._queue(connection, reservation, Decline())

    def find_call(self, call_id: bytes) -> StoredCall | None:
        with self._reading() as connection:
            row = connection.execute(select(calls).where(calls.c.call_id == to_hex(call_id))).one_or_none()
        return rows.to_call(row) if row is not None else None

    def reservations(self) -> list[Reservation]:
        """Calls that were claimed and never ended: after a start, those that the last run left behind."""
        statement = select(calls).where(calls.c.state == "reserved").order_by(calls.c.reserved_at)
        with self._reading() as connection:
            found = connection.execute(statement).all()
        return [rows.to_reservation(row) for row in found]

    def receipts(self, *, after: int = 0, limit: int = 1000) -> list[tuple[int, SignedReceipt]]:
        """Signed receipts in the order in which their postings were queued, with the number to go on from."""
        statement = (
            select(postings.c.posting_id, calls.c.receipt)
            .join(calls, calls.c.call_id == postings.c.call_id)
            .where(calls.c.state == "completed", postings.c.posting_id > after)
            .order_by(postings.c.posting_id)
            .limit(limit)
        )
        with self._reading() as connection:
            found = connection.execute(statement).all()
        return [(row.posting_id, SignedReceipt.from_dict(json.loads(row.receipt))) for row in found]

    def completed(self) -> list[Completed]:
        """Every answered call, for the oracle's own archive."""
        with self._reading() as connection:
            found = connection.execute(select(calls).where(calls.c.state == "completed")).all()
        return [rows.to_completed(row) for row in found]

    def count_calls(self) -> dict[str, int]:
        """How many calls there are in each state."""
        statement = select(calls.c.state, func.count()).group_by(calls.c.state)
        with self._reading() as connection:
            return {str(state): int(count) for state, count in connection.execute(statement)}

    # ---- postings -----------------------------------------------------------------------------------------------------

    def find_posting(self, call_id: bytes) -> Posting | None:
        found = self._postings(postings.c.call_id == to_hex(call_id))
        return found[0] if found else None

    def unfinished_postings(self) -> list[Posting]:
        """Oldest first: everything that is not yet final or rejected."""
        return self._postings(postings.c.state.in_(UNFINISHED))

    def count_postings(self) -> dict[str, int]:
        """How many postings there are in each state."""
        statement = select(postings.c.state, func.count()).group_by(postings.c.state)
        with self._reading() as connection:
            return {str(state): int(count) for state, count in connection.execute(statement)}

    def highest_nonce(self, sender: str) -> int | None:
        """The highest nonce that a stored transaction of `sender` uses."""
        statement = select(func.max(postings.c.nonce)).where(postings.c.sender == sender)
        with self._reading() as connection:
            highest = connection.execute(statement).scalar_one()
        return None if highest is None else int(highest)

    def sign_posting(self, queued: Queued, transaction: SignedTransaction) -> Signed:
        self._set_posting(
            queued,
            state="signed",
            sender=transaction.sender,
            nonce=transaction.nonce,
            raw=transaction.raw,
            transaction_hash=to_hex(transaction.hash),
            mined=None,
        )
        return Signed(queued, transaction)

    def requeue_posting(self, queued: Queued) -> Queued:
        """Forget a transaction that can't be mined any more, so that another is signed."""
        self._set_posting(queued, state="queued", sender=None, nonce=None, raw=None, transaction_hash=None, mined=None)
        return queued

    def mark_posted(self, posting: Signed | Posted | Confirmed) -> Posted:
        self._set_posting(posting.queued, state="posted", mined=None)
        return Posted(posting.queued, posting.transaction)

    def mark_confirmed(self, posting: Posted, mined: Mined) -> Confirmed:
        self._set_posting(posting.queued, state="confirmed", mined=rows.of_mined(mined))
        return Confirmed(posting.queued, posting.transaction, mined)

    def mark_finalised(self, posting: Confirmed, mined: Mined) -> Finalised:
        self._set_posting(posting.queued, state="finalised", mined=rows.of_mined(mined))
        return Finalised(posting.queued, posting.transaction, mined)

    def mark_rejected(self, queued: Queued, failure: Mapping[str, Any]) -> Rejected:
        self._set_posting(queued, state="rejected", failure=json.dumps(failure))
        return Rejected(queued, failure)

    # ---- inside a transaction -----------------------------------------------------------------------------------------

    def _call_row(self, connection: Connection, call_id: bytes) -> Row[Any]:
        return connection.execute(select(calls).where(calls.c.call_id == to_hex(call_id))).one()

    def _leave_reserved(self, connection: Connection, reservation: Reservation, **values: Any) -> None:
        changed = connection.execute(
            update(calls)
            .where(calls.c.call_id == to_hex(reservation.call_id), calls.c.state == "reserved")
            .values(answered_at=int(self._clock()), **values)
        )
        if changed.rowcount != 1:
            raise AssertionError(f"call {to_hex(reservation.call_id)} is not reserved any more")

    def _queue(self, connection: Connection, reservation: Reservation, action: Action) -> None:
        connection.execute(
            insert(postings).values(call_id=to_hex(reservation.call_id), state="queued", action=rows.of_action(action))
        )

    def _set_posting(self, queued: Queued, **values: Any) -> None:
        with self._transaction() as connection:
            connection.execute(update(postings).where(postings.c.posting_id == queued.posting_id).values(**values))

    def _postings(self, condition: Any) -> list[Posting]:
        statement = (
            select(postings, calls.c.terms)
            .join(calls, calls.c.call_id == postings.c.call_id)
            .where(condition)
            .order_by(postings.c.posting_id)
        )
        with self._reading() as connection:
            found: Sequence[Row[Any]] = connection.execute(statement).all()
        return [rows.to_posting(row) for row in found]
