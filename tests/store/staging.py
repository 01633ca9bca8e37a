"""Two real databases and what a restore makes of them, without archives and without an engine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from engine.rules.carrying import Relation, tag
from engine.store import adopting
from engine.store.carrying import Staged
from engine.store.database import Database
from tests.support import START_MS, Box

TAG = tag(START_MS)


def snapshot(database: Database, target: Path) -> Path:
    """Copy a database as a backup does."""

    def work(connection: sqlite3.Connection) -> None:
        with closing(sqlite3.connect(target)) as copy:
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")

    database.inspect(work)
    return target


def adopted(backup: Path, target: Path) -> Path:
    """Copy a backup's rows into our own schema."""
    adopting.adopt(backup, target, now_ms=START_MS)
    return target


@contextmanager
def staged(box: Box, backup: Path) -> Iterator[Staged]:
    """Have a backup staged, and today's database beside it."""
    made = adopted(backup, backup.with_name(f"{backup.name}.staged"))
    with closing(Staged(made)) as copy, copy.beside(box.database.path):
        yield copy


def restore(box: Box, backup: Path, *, passes: int = 2) -> Relation:
    """Put a backup in place: carry over what today's database has, hold what waits, swap."""
    made = adopted(backup, backup.with_name(f"{backup.name}.staged"))
    with closing(Staged(made)) as copy:
        with copy.beside(box.database.path):
            for _ in range(passes):
                how, here = copy.relation()
                copy.carry(how, here)
            copy.finish(how, START_MS, TAG)
        copy.guard()
        copy.prove()
        box.database.outside_transaction(copy.copy_into)
    made.unlink()
    return how


def rows(database: Database | Path, sql: str, **params: Any) -> list[tuple[Any, ...]]:
    """Read from a database or a file."""
    if isinstance(database, Path):
        with closing(sqlite3.connect(database)) as connection:
            return connection.execute(sql, params).fetchall()
    return database.read(lambda tx: tx.search(sql, params))


def change(database: Database, sql: str, **params: Any) -> None:
    """Write what no use case would."""
    database.write(lambda tx: tx.search(sql, params))
