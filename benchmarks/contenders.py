"""Chronos and its peers, each opened on a directory of its own with the same durability: an fsync for each commit."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.engine import Engine
from engine.host.paths import paths
from engine.model import NewMessage

TEXT = "".join(f"{line:3d} the nightly backup wrote another archive and verified its sums\n" for line in range(15))
TEXT = TEXT[:1024].ljust(1024, ".")
"""1 KiB of what a cron job has to say."""

TARGET = "flow"
_CONFIG = """\
environment: development
instance: bench.example.org
outbox: {{senders: {senders}}}
targets:
  flow: {target}
{more}
"""


def open_engine(
    directory: Path, *, url: str = "http://127.0.0.1:9/", senders: int = 8, target: str = "", more: str = ""
) -> Engine:
    """Open an engine on `directory` with one target: a webhook to `url`, or what `target` says.

    `more`: further lines of its configuration.
    """
    config = directory / "config.yaml"
    if not config.exists():
        target = target or f'{{channel: webhook, url: "{url}", max_in_flight: {senders}, timeout: 10s}}'
        config.write_text(_CONFIG.format(target=target, senders=senders, more=more), encoding="utf-8")
        config.chmod(0o600)
    env = {"CHRONOS_SECRET_SMTP": "correct horse", "HOME": str(directory)}
    return Engine.open(paths(str(directory), None, env), env, actor="bench")


def message(text: str = TEXT) -> NewMessage:
    return NewMessage(target=TARGET, subject="nightly backup", text=text)


def open_owner(directory: Path) -> Engine:
    """Open an engine that folds its write-ahead log in as the one that delivers does: a peer's commits do that too."""
    engine = open_engine(directory)
    engine.context.database.allow_checkpoints()
    return engine


def open_huey(directory: Path) -> tuple[Any, Callable[[str], Any]]:
    """Return huey on SQLite with an fsync for each commit, and the function that enqueues a text."""
    from huey import SqliteHuey

    huey = SqliteHuey("bench", filename=str(directory / "huey.db"), fsync=True)

    def deliver(text: str) -> None:
        """What a worker would run."""

    return huey, huey.task()(deliver)


def open_persist_queue(directory: Path) -> Any:
    """Return persist-queue's queue with acknowledgement; WAL and SQLite's default, synchronous=FULL."""
    from persistqueue import SQLiteAckQueue

    return SQLiteAckQueue(str(directory), multithreading=True)


def open_raw(directory: Path) -> sqlite3.Connection:
    """Return a bare connection with a bare table: the floor below every queue on SQLite."""
    connection = sqlite3.connect(directory / "raw.db", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, created_ms INTEGER, text TEXT)")
    return connection


def raw_row(text: str = TEXT) -> tuple[int, str]:
    return time.time_ns() // 1_000_000, text
