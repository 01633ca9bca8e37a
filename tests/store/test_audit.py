"""The head that is kept beside the audit log: in step with it whatever is committed; the next entry follows it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.rules.canonical import GENESIS, verify_chain
from engine.store import audit
from engine.store.database import Database
from engine.store.tx import Tx
from tests.support import START_MS, open_database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = open_database(tmp_path)
    yield made
    made.close()


def append(tx: Tx, n: int = 1) -> None:
    for _ in range(n):
        audit.append(tx, START_MS, "cli:1", "hold.started", "hold:all", {})


def heads(database: Database) -> tuple[tuple[int, str], tuple[int, str] | None]:
    return database.read(lambda tx: (audit.head(tx), audit.recorded(tx)))


class _RefusedError(Exception):
    pass


def test_a_new_log_has_its_head_recorded(database: Database) -> None:
    assert heads(database) == ((0, GENESIS), (0, GENESIS))


def test_the_head_is_written_once_a_part_and_fits(database: Database) -> None:
    written: list[str] = []
    database.outside_transaction(lambda writer: writer.set_trace_callback(written.append))
    database.write(lambda tx: append(tx, 50))
    assert sum("UPDATE counts SET n" in one for one in written) == 1
    actual, recorded = heads(database)
    assert actual == recorded
    assert actual[0] == 50


def test_a_part_that_fails_takes_its_entries_and_its_head_with_it(database: Database) -> None:
    """Many threads share a transaction: each part's head is recorded, or rolled back, with its entries."""

    def work(number: int) -> None:
        def part(tx: Tx) -> None:
            if number % 5 != 1:  # some parts have no entry, and must not write a head of another's
                append(tx, 1 + number % 3)
            if number % 4 == 0:
                raise _RefusedError

        try:
            database.write(part)
        except _RefusedError:
            assert number % 4 == 0

    def works(first: int) -> None:
        for number in range(first, first + 20):
            work(number)

    threads = [threading.Thread(target=works, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    actual, recorded = heads(database)
    assert actual == recorded
    rows = database.read(lambda tx: audit.walk(tx, audit.Span(0, 10_000), [], upwards=True))
    assert verify_chain(rows, prev=GENESIS, first_seq=1).ok
    assert len(rows) == actual[0] > 100


def test_alone_and_refused_nothing_is_recorded(database: Database) -> None:
    database.write(append)
    before = heads(database)

    def refused(tx: Tx) -> None:
        append(tx, 3)
        raise _RefusedError

    with pytest.raises(_RefusedError):
        database.write(refused)
    assert heads(database) == before
    database.write(append)
    assert heads(database)[0][0] == 2


@pytest.mark.parametrize("cut", [1, 4])
def test_a_tail_that_was_cut_off_stays_a_gap(database: Database, cut: int) -> None:
    database.write(lambda tx: append(tx, 10))
    _, recorded = heads(database)
    assert recorded is not None
    _raw(database, f"DELETE FROM audit WHERE seq > {10 - cut}")
    database.write(append)
    rows = database.read(lambda tx: audit.walk(tx, audit.Span(0, 10_000), [], upwards=True))
    assert rows[-1].seq == 11
    assert f'"prev":"{recorded[1]}"' in rows[-1].body
    assert verify_chain(rows, prev=GENESIS, first_seq=1).bad_seq == 11 - cut


def test_rows_that_were_put_in_do_not_stop_the_log(database: Database) -> None:
    database.write(lambda tx: append(tx, 3))
    _raw(database, "INSERT INTO audit (seq, body, hash) VALUES (4, '{}', 'x')")
    database.write(append)
    assert heads(database)[0][0] == 5


def test_a_recorded_head_that_was_taken_away_is_recorded_anew(database: Database) -> None:
    database.write(lambda tx: append(tx, 3))
    _raw(database, "DELETE FROM counts WHERE name = 'audit_head'")
    assert heads(database)[1] is None
    database.write(append)
    actual, recorded = heads(database)
    assert actual == recorded
    assert actual[0] == 4


def _raw(database: Database, sql: str) -> None:
    connection = sqlite3.connect(database.path, isolation_level=None)
    connection.execute("DROP TRIGGER IF EXISTS audit_is_append_only_delete")
    connection.execute(sql)
    connection.close()
