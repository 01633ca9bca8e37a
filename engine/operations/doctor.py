"""The slow examination: the database read through, and what can be mended safely. Not for the engine's own turn."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from engine.errors import ChronosError, NotPossible
from engine.host.locks import EngineLock
from engine.host.paths import Paths
from engine.operations import health, vaulthealth, verifying
from engine.operations.context import Context, writable
from engine.operations.health import Check, Level

_MOST_FINDINGS = 10


def examine(context: Context, paths: Paths, lock: EngineLock, env: Mapping[str, str], *, fix: bool) -> list[Check]:
    """Make every check, the slow ones too. With `fix`: permissions, and a rewrite after a failed disk.

    Raises NotPossible when a rewrite is needed and an engine runs, or to fix anything where opened read-only.
    """
    if fix:
        writable(context)
    mended = _fix(context, paths, lock) if fix else []
    return [*mended, *_deep(context), *health.checks(context, paths, lock.owner(), env)]


def _deep(context: Context) -> list[Check]:
    try:
        return [
            Check(*context.database.inspect(_quick_check)),
            Check(*context.database.inspect(_foreign_keys)),
            Check(*context.database.outside_transaction(_settings)),
            _audit_chain(context),
            *vaulthealth.deep(context),
        ]
    except ChronosError as error:
        return [Check("quick_check", Level.CRITICAL, str(error), "see 'chronos health'")]


def _quick_check(connection: sqlite3.Connection) -> tuple[str, Level, str, str]:
    rows = [row[0] for row in connection.execute(f"PRAGMA quick_check({_MOST_FINDINGS})").fetchall()]
    if rows == ["ok"]:
        return "quick_check", Level.OK, "ok", ""
    return "quick_check", Level.CRITICAL, "; ".join(rows)[:500], "stop the engine and restore a backup"


def _foreign_keys(connection: sqlite3.Connection) -> tuple[str, Level, str, str]:
    rows = connection.execute("PRAGMA foreign_key_check").fetchmany(_MOST_FINDINGS)
    if not rows:
        return "foreign_key_check", Level.OK, "ok", ""
    tables = ", ".join(sorted({str(row[0]) for row in rows}))
    return "foreign_key_check", Level.CRITICAL, f"rows without their parent in {tables}", "restore a backup"


def _settings(connection: sqlite3.Connection) -> tuple[str, Level, str, str]:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "page_size": 4096}
    found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted}
    value = ", ".join(f"{name}={found[name]}" for name in wanted)
    if found == wanted:
        return "settings", Level.OK, value, ""
    return "settings", Level.CRITICAL, value, "another program changed the file; 'chronos doctor --fix' rewrites it"


def _audit_chain(context: Context) -> Check:
    result = verifying.verify(context)
    if result.ok:
        return Check("audit_chain", Level.OK, f"{result.entries} entries, head {result.head_seq}")
    return Check("audit_chain", Level.CRITICAL, result.why, "compare with an exported copy: 'chronos audit export'")


def _fix(context: Context, paths: Paths, lock: EngineLock) -> list[Check]:
    done = [Check("fix", Level.OK, f"chmod go= {path}") for path in _tighten(paths)]
    if context.database.degraded:
        done.append(Check("fix", Level.OK, _rewrite(context, paths, lock)))
    return done


def _tighten(paths: Paths) -> list[Path]:
    """Take from group and others what they have on our files; return what was changed."""
    changed = []
    for path in (paths.data_dir, *paths.data_dir.rglob("*")):
        with suppress(FileNotFoundError):  # an engine that runs removes files of its own
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid() or not found.st_mode & 0o077:
                continue
            path.chmod(found.st_mode & 0o700)
            changed.append(path)
    return changed


def _rewrite(context: Context, paths: Paths, lock: EngineLock) -> str:
    """Write the database to a fresh file, prove it, and put it in place of the one whose disk pages are in doubt."""
    if not lock.acquire({"pid": os.getpid(), "mode": "doctor"}):
        owner = lock.owner() or {}
        raise NotPossible(f"the engine (pid {owner.get('pid', '?')}) runs; stop it, then 'chronos doctor --fix' again")
    try:
        context.database.rewrite()
    finally:
        lock.release()
    return f"{paths.database.name} was rewritten to a fresh file and proved sound; messages are taken again"
