"""Opening the store: durable SQLite, brought to the newest schema in one transaction."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from tallystick.errors import StoreMismatch, StoreUnavailable

BUSY_TIMEOUT_MS = 5000
CONNECTIONS = 64
READING = "tallystick_reading"
"""Execution option of a connection that only reads."""


def open_engine(path: Path) -> Engine:
    """Create or open the database file (readable by its owner only) and migrate it.

    Raises StoreUnavailable, or StoreMismatch where a newer version of this software has written it.
    """
    with store_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        # The store holds requests and salts: created with the right mode before SQLite would create it with the umask's.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        engine = create_engine(f"sqlite:///{path}", pool_size=CONNECTIONS, max_overflow=CONNECTIONS)
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
        try:
            with engine.begin() as connection:
                _migrate(connection)
        except BaseException:
            engine.dispose()
            raise
    return engine


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what the database raises into StoreUnavailable: a write that failed is never answered as success."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise StoreUnavailable(
            f"The oracle's store is not usable ({type(error).__name__}). Nothing was charged; try again later."
        ) from error


def _configure(connection: Any, _record: Any) -> None:
    # Transactions are begun by us: the driver's own would start them late and as readers, and fail when they upgrade.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # A writer that began as a reader would fail when it upgrades; a reader that began as a writer would make all wait.
    reading = connection.get_execution_options().get(READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreMismatch(
            "The store was written by a newer version of this software. Use that version, or another state folder; the "
            "calls in the store are not lost."
        ) from error
