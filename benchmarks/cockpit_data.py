"""Data directories for the rows of the cockpit, and what goes on in them while it is watched. Measures nothing."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import contenders, filling
from engine.operations.acts import Action

FEW, SOME = 100, 5_000
_HELD_MS = 6 * 86_400_000
_READY = "chronos engine ready"


def held(shared: Path, rows: int) -> Path:
    """Return the data directory with `rows` messages, nothing of it on the wire: everything is held back."""
    engine = filling.filled(shared, rows)
    if not engine.holds():
        engine.pause("all", for_ms=_HELD_MS, reason="measuring")
    home = engine.paths.data_dir
    engine.close()
    return home


def let_go(shared: Path, rows: int) -> None:
    """Take the hold off again: other rows use the same directory."""
    engine = filling.filled(shared, rows)
    engine.resume()
    engine.close()


def settled(home: Path, url: str = "http://127.0.0.1:9/") -> Path:
    """Fill a data directory with messages that are done with."""
    engine = contenders.open_engine(home, url=url)
    for one in engine.enqueue_many([contenders.message() for _ in range(FEW)]):
        engine.act(Action.CANCEL, one.message.id)
    engine.close()
    return home


def environment(home: Path) -> dict[str, str]:
    """Return what a login shell over SSH hands on, with a home of its own."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "CHRONOS_HTTP_LISTEN": "127.0.0.1:0",
    }


def open_on(home: Path, panel: str) -> list[str]:
    """Let the next visit begin on a panel; return the command line of the cockpit."""
    session = home / "cockpit.json"
    session.write_text(json.dumps({"panel": panel}), encoding="utf-8")
    session.chmod(0o600)
    return [*program(), "--data-dir", str(home)]


def program() -> list[str]:
    installed = Path(sys.executable).with_name("chronos-tui")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "chronos_tui.app"]


@contextmanager
def delivering(home: Path) -> Iterator[None]:
    """Let an engine without a cockpit deliver on `home`."""
    command = [*program(), "--engine-only", "--data-dir", str(home)]
    with subprocess.Popen(command, env=environment(home), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            if not any(_READY in line for line in process.stderr):
                raise RuntimeError(f"{command}: ended before it was ready")
            yield
        finally:
            process.terminate()
            process.stderr.close()


@contextmanager
def arriving(home: Path, rate: int) -> Iterator[None]:
    """Let another process queue `rate` messages a second."""
    command = [sys.executable, "-m", "benchmarks.cockpit_data", str(home), str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield
        finally:
            process.terminate()


class Changes:
    """Another process that changes messages under the schema's triggers, so that counts hold and the change is seen.

    Without audit entries: it is known exactly which values on the screen change.
    """

    def __init__(self, home: Path) -> None:
        self._connection = sqlite3.connect(home / "chronos.db", isolation_level=None, timeout=10.0)
        self._forth = True

    def close(self) -> None:
        self._connection.close()

    def five(self) -> None:
        """Change five of the counts: queued, held, cancelled, expired, delivered."""
        held, cancelled, expired, delivered = self._ids("queued", 4, "ASC")  # too old for the sparkline
        finished = ", finished_ms = due_ms"
        self._move(
            ("held", held, ""),
            ("cancelled", cancelled, finished),
            ("expired", expired, finished),
            ("sending", delivered, ", lease_until_ms = 0"),
            ("delivered", delivered, f"{finished}, lease_until_ms = NULL"),
        )

    def one(self) -> None:
        """Change one row that is on the screen: hold a waiting message of the newest ones, or let it go again."""
        self._move(("held" if self._forth else "queued", self._ids("queued" if self._forth else "held", 1)[0], ""))
        self._forth = not self._forth

    def _ids(self, state: str, most: int, order: str = "DESC") -> list[int]:
        sql = f"SELECT id FROM messages WHERE state = ? ORDER BY id {order} LIMIT ?"
        return [row[0] for row in self._connection.execute(sql, (state, most))]

    def _move(self, *moves: tuple[str, int, str]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for state, message_id, more in moves:
            self._connection.execute(f"UPDATE messages SET state = ?{more} WHERE id = ?", (state, message_id))
        self._connection.execute("COMMIT")


def main() -> None:
    """Queue messages at a steady rate until ended."""
    home, rate = Path(sys.argv[1]), float(sys.argv[2])
    engine = contenders.open_engine(home)
    print("begun", flush=True)
    next_s = time.monotonic()
    while True:
        engine.enqueue(contenders.message())
        next_s += 1 / rate
        time.sleep(max(0.0, next_s - time.monotonic()))


if __name__ == "__main__":
    main()
