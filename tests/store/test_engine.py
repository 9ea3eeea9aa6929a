"""The database file: durable, private, brought to the newest schema, and never half written (A6, F1)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, event, inspect
from tallystick.errors import StoreMismatch, StoreUnavailable
from tallystick.store.engine import open_engine
from tallystick.store.schema import metadata
from tallystick.store.store import Store

from .samples import FAILURE, completed, fulfil, mined, reservation, transaction

Content = Callable[[], dict[str, list[Any]]]
Execute = Callable[[str], list[Any]]


# ---- creation and migration -------------------------------------------------------------------------------------------


def test_open_makes_the_folder_and_a_file_that_is_its_owner_s_only(tmp_path: Path) -> None:
    """E9: requests and salts are in it."""
    database = tmp_path / "deep" / "er" / "oracle.sqlite3"
    store = Store.open(database)
    store.reserve(reservation())
    modes = {path.name: path.stat().st_mode & 0o777 for path in database.parent.iterdir()}
    store.close()
    assert modes == {f"oracle.sqlite3{suffix}": 0o600 for suffix in ("", "-wal", "-shm")}


def test_open_of_an_empty_file_makes_the_schema(database: Path) -> None:
    database.touch()
    store = Store.open(database)
    assert store.count_calls() == {}
    store.close()


def test_open_again_changes_no_schema(store: Store, database: Path, execute: Execute) -> None:
    before = execute("SELECT name, sql FROM sqlite_master ORDER BY name")
    Store.open(database).close()
    assert execute("SELECT name, sql FROM sqlite_master ORDER BY name") == before


def test_migrations_make_exactly_the_schema_that_the_code_uses(store: Store, database: Path) -> None:
    """F1: a column that is added to one and forgotten in the other fails here."""
    engine = create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "render_as_batch": True}
        )
        assert compare_metadata(context, metadata) == []
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}
    engine.dispose()


def test_migrations_and_schema_agree_on_keys_and_constraints(store: Store, database: Path) -> None:
    """What the comparison above does not look at in SQLite."""

    def facts(engine: Any, table: str) -> list[Any]:
        seen = inspect(engine)
        columns = [(column["name"], str(column["type"]), column["nullable"]) for column in seen.get_columns(table)]
        unique = [found["column_names"] for found in seen.get_unique_constraints(table)]
        foreign = [(key["constrained_columns"], key["referred_table"]) for key in seen.get_foreign_keys(table)]
        indexes = sorted((index["name"], index["column_names"]) for index in seen.get_indexes(table))
        return [columns, seen.get_pk_constraint(table)["constrained_columns"], unique, foreign, indexes]

    migrated, declared = create_engine(f"sqlite:///{database}"), create_engine("sqlite://")
    metadata.create_all(declared)
    assert {table: facts(migrated, table) for table in metadata.tables} == {
        table: facts(declared, table) for table in metadata.tables
    }
    migrated.dispose()
    declared.dispose()


def test_migration_that_fails_half_way_leaves_nothing_behind(database: Path, execute: Execute) -> None:
    """F1: all of the schema or none of it, also where a crash or an error comes in between."""
    execute("CREATE TABLE postings (in_the_way TEXT)")
    with pytest.raises(StoreUnavailable):
        Store.open(database)
    assert execute("SELECT name FROM sqlite_master") == [("postings",)]

    execute("DROP TABLE postings")
    store = Store.open(database)
    assert store.reserve(reservation()) is None
    store.close()


def test_open_writes_ahead_and_survives_a_copy_of_its_files(
    store: Store, database: Path, tmp_path: Path, execute: Execute
) -> None:
    """A7: what a method returned from is on disk, not in memory: the files alone bring it back."""
    store.reserve(reservation())
    assert execute("PRAGMA journal_mode") == [("wal",)]
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in database.parent.glob("oracle.sqlite3*"):
        (copy / path.name).write_bytes(path.read_bytes())
    restored = Store.open(copy / database.name)
    assert restored.reservations() == [reservation()]
    restored.close()


def test_engine_is_durable_and_keeps_references(database: Path) -> None:
    """A6: every commit is synced, also in write-ahead mode."""
    engine = open_engine(database)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000
    engine.dispose()


def test_writers_begin_as_writers_and_readers_as_readers(database: Path) -> None:
    """A6: a transaction that reads first and then wants to write is refused at once if another has written in between; one
    that takes the lock to read makes everybody wait."""
    engine = open_engine(database)
    begun: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("BEGIN"):
            begun.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    store = Store(engine)
    store.bind({"chain": "1"})
    store.reserve(reservation())
    assert begun == ["BEGIN IMMEDIATE"] * 2
    begun.clear()
    store.find_call(reservation().call_id)
    store.unfinished_postings()
    store.highest_nonce(transaction(0).sender)
    assert begun == ["BEGIN"] * 3
    store.close()


# ---- what can't be opened ---------------------------------------------------------------------------------------------


def test_open_of_something_else_is_refused_and_leaves_it_alone(database: Path) -> None:
    database.write_bytes(b"this is a letter to my aunt, not a database. " * 100)
    before = database.read_bytes()
    with pytest.raises(StoreUnavailable) as refused:
        Store.open(database)
    assert database.read_bytes() == before
    assert refused.value.status == 503
    assert refused.value.retryable


def test_open_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        Store.open(tmp_path)


def test_open_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable):
        Store.open(tmp_path / "file" / "oracle.sqlite3")


def test_open_of_a_newer_schema_is_refused(store: Store, database: Path, execute: Execute) -> None:
    """F5: an older oracle does not write into a newer one's store."""
    store.close()
    execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreMismatch, match="newer version"):
        Store.open(database)
    assert execute("SELECT version_num FROM alembic_version") == [("9999",)]


# ---- what goes wrong later --------------------------------------------------------------------------------------------


@pytest.fixture
def limited(store: Store, database: Path) -> Iterator[Callable[[str], Store]]:
    """The same file through connections that a PRAGMA holds back, as a disk or another process would."""
    engines = []

    def restrict(pragma: str) -> Store:
        engine = open_engine(database)
        engine.dispose()
        event.listen(engine, "connect", lambda connection, _record: connection.execute(f"PRAGMA {pragma}"))
        engines.append(engine)
        return Store(engine)

    yield restrict
    for engine in engines:
        engine.dispose()


def prepare(store: Store) -> None:
    """A call in each state that a write can start from."""
    for number in (1, 2):
        store.reserve(reservation(number))
    for number in (3, 4, 5):
        done = completed(reservation(number))
        store.reserve(done.reservation)
        store.complete(done, fulfil(done))


def posting(store: Store, number: int) -> Any:
    return store.find_posting(reservation(number).call_id)


WRITES: dict[str, Callable[[Store], object]] = {
    "bind": lambda store: store.bind({"chain": "1", "note": "x" * 20_000}),
    "reserve": lambda store: store.reserve(reservation(9, salt=b"x" * 20_000)),
    "complete": lambda store: store.complete(completed(reservation(1)), fulfil(completed(reservation(1)))),
    "abandon": lambda store: store.abandon(reservation(2), {**FAILURE, "long": "x" * 20_000}),
    "sign": lambda store: store.sign_posting(posting(store, 3), transaction(1)),
    "reject": lambda store: store.mark_rejected(posting(store, 4), FAILURE),
}


@pytest.mark.parametrize("write", WRITES)
def test_write_to_a_read_only_database_is_refused_and_changes_nothing(
    store: Store, limited: Callable[[str], Store], content: Content, write: str
) -> None:
    """A6: a write that failed is never answered as success."""
    prepare(store)
    before = content()
    with pytest.raises(StoreUnavailable, match="Nothing was charged"):
        WRITES[write](limited("query_only=ON"))
    assert content() == before


@pytest.mark.parametrize("write", ["bind", "reserve", "abandon"])
def test_write_to_a_full_disk_is_refused_and_changes_nothing(
    store: Store, limited: Callable[[str], Store], content: Content, write: str
) -> None:
    """A6: and works again once there is room."""
    prepare(store)
    before = content()
    with pytest.raises(StoreUnavailable):
        WRITES[write](limited("max_page_count=1"))
    assert content() == before
    WRITES[write](store)
    assert content() != before


@pytest.mark.parametrize("write", WRITES)
def test_write_while_another_process_holds_the_database_is_refused(
    store: Store, limited: Callable[[str], Store], database: Path, content: Content, write: str
) -> None:
    """A6: SQLITE_BUSY ends in an error after the time limit, not in a wait without end."""
    prepare(store)
    before = content()
    hurried = limited("busy_timeout=20")
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="OperationalError"):
            WRITES[write](hurried)
    assert content() == before


def test_read_of_a_damaged_database_is_refused(store: Store, database: Path) -> None:
    """A6: the header is whole, the pages are not."""
    prepare(store)
    store.close()
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xaa" * (size - 4096))
    with pytest.raises(StoreUnavailable):
        Store.open(database).count_calls()


def test_store_that_vanished_is_refused(store: Store, execute: Execute) -> None:
    execute("DROP TABLE postings")
    with pytest.raises(StoreUnavailable):
        store.unfinished_postings()


def test_store_unavailable_tells_no_secret(store: Store, execute: Execute) -> None:
    """S7, E9: the statement that failed holds a salt and a request."""
    execute("DROP TABLE calls")
    with pytest.raises(StoreUnavailable) as refused:
        store.reserve(reservation())
    shown = str(refused.value.body())
    assert reservation().salt.hex() not in shown
    assert "Paket" not in shown
    assert "INSERT" not in shown


# ---- bind -------------------------------------------------------------------------------------------------------------

FACTS = {"chain": "1337", "genesis": "0x01", "escrow": "0x02", "oracle": "0x03"}


def test_bind_at_first_use_and_again_is_silent(store: Store, execute: Execute) -> None:
    store.bind(FACTS)
    store.bind(FACTS)
    assert dict(execute("SELECT name, value FROM identity")) == FACTS


@pytest.mark.parametrize("name", FACTS)
def test_bind_to_something_else_is_refused_and_changes_nothing(store: Store, content: Content, name: str) -> None:
    """F2, A8: calls of one deployment never end up on another."""
    store.bind(FACTS)
    before = content()
    with pytest.raises(StoreMismatch, match=f"another {name}") as refused:
        store.bind({**FACTS, name: "other"})
    assert refused.value.details == {"actual": FACTS[name], "expected": "other"}
    assert content() == before


def test_bind_survives_a_restart(store: Store, reopened: Callable[[], Store]) -> None:
    store.bind(FACTS)
    with pytest.raises(StoreMismatch):
        reopened().bind({**FACTS, "oracle": "other"})


def test_bind_to_a_fact_that_is_not_known_is_refused(store: Store, content: Content) -> None:
    store.bind(FACTS)
    before = content()
    with pytest.raises(StoreMismatch) as refused:
        store.bind({**FACTS, "colour": "green"})
    assert refused.value.details == {"actual": None, "expected": "green"}
    assert content() == before


def test_mined_of_a_posting_keeps_large_fees_exact(store: Store) -> None:
    """M8: integers end to end, beyond what SQLite's own would hold."""
    done = completed(reservation())
    store.reserve(done.reservation)
    store.complete(done, fulfil(done))
    posted = store.mark_posted(store.sign_posting(posting(store, 1), transaction(0)))
    store.mark_confirmed(posted, mined(posted.transaction))
    assert posting(store, 1).mined.fee == 2**70
    assert posting(store, 1).queued.action.outcome.charge == 2**128 - 1
