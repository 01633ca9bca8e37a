"""The leader row: whose epoch it is."""

from __future__ import annotations

from dataclasses import dataclass

from engine.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Leader:
    """Who delivers, or who did last. `state`: running, draining or stopped. http: where it listens; "": nowhere."""

    epoch: int
    pid: int
    host: str
    mode: str
    version: str
    started_ms: int
    heartbeat_ms: int
    state: str
    http: str = ""


def read(tx: Tx) -> Leader:
    """Return the leader row."""
    row = tx.row("leader.read")
    assert row is not None, "the first migration inserts it and nothing deletes it"
    return Leader(*row)


def take_over(tx: Tx, *, pid: int, host: str, mode: str, version: str, now_ms: int) -> int:
    """Begin a new epoch; return it."""
    params = {"pid": pid, "host": host, "mode": mode, "version": version, "now_ms": now_ms}
    return int(tx.rows("leader.take_over", params)[0][0])


def beat(tx: Tx, *, epoch: int, state: str, now_ms: int) -> bool:
    """Say that this epoch is alive; False when somebody took over."""
    return tx.run("leader.beat", {"epoch": epoch, "state": state, "now_ms": now_ms}) == 1


def note_http(tx: Tx, *, epoch: int, http: str) -> bool:
    """Say where this epoch's HTTP door listens, "": nowhere; False when somebody took over."""
    return tx.run("leader.note_http", {"epoch": epoch, "http": http}) == 1
