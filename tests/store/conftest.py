"""A store in a folder of its own, and a second look at its file that does not go through it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tallystick.store.store import Store

ANSWERED_AT = 1_800_000_123.9


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "oracle.sqlite3"


@pytest.fixture
def store(database: Path) -> Iterator[Store]:
    opened = Store.open(database, clock=lambda: ANSWERED_AT)
    yield opened
    opened.close()


@pytest.fixture
def reopened(store: Store, database: Path) -> Iterator[Callable[[], Store]]:
    """The same file after a restart of the process, as far as a test can tell."""
    others: list[Store] = []

    def reopen() -> Store:
        store.close()
        others.append(Store.open(database))
        return others[-1]

    yield reopen
    for other in others:
        other.close()


@pytest.fixture
def execute(database: Path) -> Callable[[str], list[Any]]:
    """Run one statement on the file, past the store."""

    def run(statement: str) -> list[Any]:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()

    return run


@pytest.fixture
def content(execute: Callable[[str], list[Any]]) -> Callable[[], dict[str, list[Any]]]:
    """Every row of every table, to see that nothing changed."""
    return lambda: {table: execute(f"SELECT * FROM {table}") for table in ("identity", "calls", "postings")}  # noqa: S608
