"""Translates SQLite's errors into ours. Decides which of them mean that the disk can no longer be trusted."""

from __future__ import annotations

import sqlite3

from engine.errors import (
    ChronosError,
    DatabaseBusy,
    DatabaseUnusable,
    DeadlineExceeded,
    Degraded,
    StorageFull,
    TryAgain,
)

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_UNUSABLE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_SCHEMA}
_UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}

# Of the memory that the processes share (-shm): every start can make it anew, so no page is in doubt.
_SHARED_MEMORY = {
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_SHMLOCK,
}


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code (the low byte of the extended one), 0 when Python raised the error itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection holds the lock and waiting may help."""
    return primary_code(error) in _BUSY


def breaks_trust(error: sqlite3.Error) -> bool:
    """Whether a write may have been lost although SQLite goes on.

    After a failed fsync the kernel drops the dirty pages and reports success for the next one, so everything that
    says I/O error while writing ends the acknowledging.
    """
    return primary_code(error) == sqlite3.SQLITE_IOERR and error.sqlite_errorcode not in _SHARED_MEMORY


def translate(error: sqlite3.Error, path: str) -> ChronosError:
    """Return our error for SQLite's, with what to do about it."""
    code = primary_code(error)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if code in _BUSY:
        return DatabaseBusy(f"{path}: locked by another process for too long; nothing was stored, try again")
    if code == sqlite3.SQLITE_FULL:
        return StorageFull(f"{path}: the disk is full; nothing was stored, free some space and try again")
    if code == sqlite3.SQLITE_INTERRUPT:
        return DeadlineExceeded(f"{path}: the statement ran into its deadline; narrow it down and try again")
    if code == sqlite3.SQLITE_IOERR and not breaks_trust(error):
        return StorageFull(f"{path}-shm: {name}: no room for what processes share; free some space and try again")
    if code == sqlite3.SQLITE_IOERR:
        return Degraded(f"{path}: {name}: the disk did not take a write; check it (dmesg), then 'chronos doctor --fix'")
    if code in _UNUSABLE:
        return DatabaseUnusable(f"{path}: {error} ({name}); stop the engine, keep a copy and restore a backup")
    if code in _UNWRITABLE:
        return TryAgain(f"{path}: cannot be opened or written ({error}); check permissions and mount options")
    return ChronosError(f"{path}: {name}: {error}")
