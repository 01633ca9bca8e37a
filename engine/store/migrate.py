"""Brings a database to this program's schema: forward only, whole or not at all, one process at a time."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from engine.errors import DatabaseUnusable
from engine.store.database import Database


def known(folder: Path | None = None) -> list[tuple[int, str, Path]]:
    """Return (version, name, file) of every migration, oldest first."""
    folder = folder or Path(__file__).with_name("migrations")
    return [(int(path.name[:4]), path.stem[5:], path) for path in sorted(folder.glob("[0-9]*.sql"))]


def latest() -> int:
    """Return the schema version that this program needs."""
    return known()[-1][0]


def blueprint(version: int | None = None) -> sqlite3.Connection:
    """Return an empty database in memory with this program's schema, or an older version of it, to compare with."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for migration in known()[:version]:
        _apply(connection, migration, 0)
    return connection


def advance(connection: sqlite3.Connection, now_ms: int) -> None:
    """Bring a private copy, which nobody else has open, to this program's schema. The caller began a transaction, or
    throws the copy away when it fails.
    """
    for migration in known()[_version(connection) :]:
        _apply(connection, migration, now_ms)


def version(database: Database) -> int:
    """Return the schema version of the file; 0 of a new one. Only looks: a degraded database can still be shown."""
    return database.inspect(_version)


def migrate(database: Database, now_ms: int) -> int:
    """Apply what is missing; return how many migrations ran.

    Each one runs in a transaction of its own that looks at the version again, so that two processes that start at once
    cannot apply one twice.

    Raises DatabaseUnusable when the database is newer than this program.
    """
    applied = 0
    while database.change_schema(lambda connection: _step(connection, now_ms, str(database.path))):
        applied += 1
    return applied


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _step(connection: sqlite3.Connection, now_ms: int, path: str) -> bool:
    migrations = known()
    newest = migrations[-1][0]
    version = _version(connection)
    if version > newest:
        raise DatabaseUnusable(f"{path}: schema {version} is newer than this Chronos knows ({newest}); upgrade Chronos")
    if version == newest:
        return False
    _apply(connection, migrations[version], now_ms)
    return True


def _apply(connection: sqlite3.Connection, migration: tuple[int, str, Path], now_ms: int) -> None:
    version, name, file = migration
    script = file.read_text(encoding="utf-8")
    for statement in _statements(script):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO migrations (version, name, sha256, applied_ms) VALUES (?, ?, ?, ?)",
        (version, name, hashlib.sha256(script.encode()).hexdigest(), now_ms),
    )
    connection.execute(f"PRAGMA user_version = {version}")


def _statements(script: str) -> Iterator[str]:
    """Split a script. executescript() would commit the transaction that makes a migration whole."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip() and not all(line.startswith("--") for line in statement.strip().splitlines()):
        raise ValueError(f"unfinished statement at the end of a migration: {statement[:60]!r}")
