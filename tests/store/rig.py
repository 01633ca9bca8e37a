"""What the store's tests share: rows put and counted, and other processes that use the same database."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.store.database import Database
from engine.store.tx import Tx

_PUT = "INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
ROOT = Path(__file__).resolve().parents[2]


def put(database: Database, key: str, value: str = "1") -> None:
    """Remember one value, in a transaction of its own."""
    database.write(lambda tx: tx.search(_PUT, {"key": key, "value": value}))


def get(database: Database, key: str) -> str | None:
    """Return a remembered value."""
    return database.read(lambda tx: look(tx, key))


def add(tx: Tx, key: str) -> None:
    """Count one up inside a transaction."""
    tx.search(_PUT, {"key": key, "value": str(int(look(tx, key) or 0) + 1)})


def look(tx: Tx, key: str) -> str | None:
    """Return a remembered value inside a transaction."""
    rows = tx.search("SELECT value FROM meta WHERE key = :key", {"key": key})
    return rows[0][0] if rows else None


def spawn(code: str, *arguments: object, command: tuple[str, ...] = (), **options: Any) -> subprocess.Popen[str]:
    """Start `code` in a process of its own; `sys.argv[1:]` are the arguments."""
    return subprocess.Popen(
        [*command, sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


@contextmanager
def running(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Have `code` run in a process of its own, and kill it at the end if it has not ended by itself."""
    process = spawn(code, *arguments)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def run(code: str, *arguments: object, command: tuple[str, ...] = (), **options: Any) -> Any:
    """Run `code` in a process of its own and return the JSON document that it prints."""
    process = spawn(code, *arguments, command=command, **options)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    return json.loads(out)


def answer(process: subprocess.Popen[str]) -> str:
    """Read the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], line: str = "go") -> None:
    """Give a process the line it waits for."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
