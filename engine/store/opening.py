"""Connections with the settings that the promises rest on, and a proven copy of a doubtful file. Begins nothing."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from engine.errors import DatabaseBusy, DatabaseUnusable
from engine.store import faults

APPLICATION_ID = 0x4368726F  # "Chro": tells our file from any other SQLite database
PAGE_BYTES = 4096  # fixed, because the backup API can only overwrite a database of the same page size


def connect(path: Path, *, wait_ms: int = 0) -> sqlite3.Connection:
    """Open a connection that leaves the WAL alone and waits `wait_ms` for a lock."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        if wait_ms:
            connection.execute(f"PRAGMA busy_timeout = {wait_ms}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path, *, wait_ms: int) -> sqlite3.Connection:
    """Open a connection that cannot write."""
    connection = connect(path, wait_ms=wait_ms)
    connection.execute("PRAGMA query_only = ON")
    return connection


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open the connection that writes, making the file where there is none: WAL and synchronous=FULL, or nothing.

    The caller has the turn to write: two processes that make the file at once would take each other's for foreign.
    Raises DatabaseUnusable when the file is another program's or cannot be made durable.
    """
    connection = connect(path)
    try:
        application_id = connection.execute("PRAGMA application_id").fetchone()[0]
        if application_id != APPLICATION_ID:
            _claim_file(connection, path, application_id)
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA recursive_triggers = OFF")
        connection.execute("PRAGMA temp_store = MEMORY")
        synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
        if mode != "wal" or synchronous != 2:
            raise DatabaseUnusable(
                f"{path}: SQLite gave journal_mode={mode}, synchronous={synchronous} instead of wal, 2; "
                "a network file system? put the data directory on a local disk"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _claim_file(connection: sqlite3.Connection, path: Path, application_id: int) -> None:
    if application_id or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise DatabaseUnusable(f"{path}: a database of another program; choose another data directory")
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def identity(path: Path) -> tuple[int, int]:
    """Return which file stands at `path` (device, inode). Raises DatabaseUnusable when none does."""
    try:
        status = os.stat(path)  # noqa: PTH116 - on the hot path
    except FileNotFoundError:
        raise DatabaseUnusable(f"{path}: the database is gone; put it back or restore a backup") from None
    return status.st_dev, status.st_ino


def copy_afresh(path: Path, fresh: Path) -> None:
    """Write every page of a database that nobody else has open to a new file; prove and sync it.

    Exclusive, because whoever still had the old file open would fold its log, which goes by the name of the file,
    into the wrong one and delete it.

    Raises DatabaseBusy while any other connection is open, DatabaseUnusable when the copy is not sound.
    """
    fresh.unlink(missing_ok=True)
    source = connect(path)
    try:
        source.execute("PRAGMA locking_mode = EXCLUSIVE")
        busy = source.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise DatabaseBusy(_IN_USE.format(path))
        source.execute("VACUUM INTO ?", (str(fresh),))
    except sqlite3.OperationalError as error:
        if faults.is_busy(error):
            raise DatabaseBusy(_IN_USE.format(path)) from error
        raise
    finally:
        source.close()
    _prove(fresh)


_IN_USE = "{}: another chronos has it open; stop every one (engine, cockpit, 'chronos log --follow') and try again"


def _prove(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    finally:
        connection.close()
    if found != "ok":
        raise DatabaseUnusable(f"{path}: the copy is not sound ({found}); restore a backup")
    with path.open("rb") as file:
        os.fsync(file.fileno())
