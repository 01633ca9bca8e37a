"""The table commands: one-off acts that a front end asks the owner for. Does none of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.store.tx import Row, Tx


@dataclass(frozen=True, slots=True)
class Command:
    """One act. state: waiting, running, done, failed, expired, cancelled. done, total: in the unit of its stage.

    epoch: whose owner took it. result: what it answered; None before, and where it failed. error_kind: its class in
    engine.errors.
    """

    id: int
    kind: str
    arguments: dict[str, Any]
    actor: str
    asked_ms: int
    expires_ms: int
    state: str
    epoch: int | None
    started_ms: int | None
    finished_ms: int | None
    stage: str
    done: int
    total: int
    cancel_requested: bool
    result: dict[str, Any] | None
    error: str
    error_kind: str

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.finished_ms is not None


def ask(tx: Tx, now_ms: int, kind: str, arguments: Mapping[str, Any], *, actor: str, expires_ms: int) -> int:
    """Insert one; return its number."""
    params = {"kind": kind, "arguments": json.dumps(arguments), "actor": actor}
    return tx.insert("commands.ask", {**params, "now_ms": now_ms, "expires_ms": expires_ms})


def get(tx: Tx, number: int) -> Command | None:
    row = tx.row("commands.get", {"id": number})
    return None if row is None else _command(row)


def unfinished(tx: Tx) -> list[Command]:
    """Return what waits or runs, the oldest first."""
    return [_command(row) for row in tx.rows("commands.open")]


def _command(row: Row) -> Command:
    fields = list(row)
    fields[2] = json.loads(row[2])
    fields[13] = bool(row[13])
    fields[14] = None if row[14] is None else json.loads(row[14])
    return Command(*fields)


def take(tx: Tx, now_ms: int, number: int, epoch: int) -> bool:
    """Begin it; False when somebody else did, or nobody wants it any more."""
    return tx.run("commands.take", {"id": number, "epoch": epoch, "now_ms": now_ms}) == 1


def progress(tx: Tx, number: int, stage: str, done: int, total: int) -> bool:
    """Say how far it is; return whether it may go on."""
    tx.run("commands.progress", {"id": number, "stage": stage, "done": done, "total": total})
    return not tx.value("commands.cancel_requested", {"id": number})


def finish(
    tx: Tx, now_ms: int, number: int, *, state: str, result: Mapping[str, Any] | None, error: str, error_kind: str
) -> None:
    """Record how it ended."""
    stored = None if result is None else json.dumps(result)
    params = {"state": state, "result": stored, "error": error, "error_kind": error_kind}
    tx.run("commands.finish", {"id": number, "now_ms": now_ms, **params})


def cancel(tx: Tx, now_ms: int, number: int) -> bool:
    """Ask it to end; False when it has."""
    return tx.run("commands.cancel", {"id": number, "now_ms": now_ms}) == 1


def expire(tx: Tx, now_ms: int, number: int) -> None:
    """Nobody took it in time."""
    tx.run("commands.expire", {"id": number, "now_ms": now_ms})


def give_up(tx: Tx, now_ms: int, number: int, error: str) -> None:
    """Whoever did it is gone. It is done where its result is there: a restore brings that along with the rows."""
    tx.run("commands.give_up", {"id": number, "now_ms": now_ms, "error": error})


def forget(tx: Tx, before_ms: int) -> int:
    """Delete some that ended long ago; return how many."""
    return tx.run("commands.forget", {"before_ms": before_ms})


def revision(tx: Tx) -> object:
    """Return what moves whenever one is asked for, goes on or ends."""
    return tx.row("commands.revision")
