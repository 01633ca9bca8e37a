"""The table backup_copies: which backup is to lie where off the box, and what became of it. Copies nothing itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from engine.store.tx import Tx


class CopyState(StrEnum):
    """WAITING: to be made, or tried again. FAILED: given up; the file still lies on the box."""

    WAITING = "waiting"
    COPIED = "copied"
    FAILED = "failed"


class Copy(NamedTuple):
    """One copy. due_ms: when it is tried (again). verified_ms: when it was read back. detail: the last word on it."""

    destination: str
    state: CopyState
    attempts: int
    due_ms: int
    copied_ms: int | None
    verified_ms: int | None
    detail: str


class Due(NamedTuple):
    """A copy to make now. attempts: those before. folder, name, size, sha256: the backup's file."""

    backup_id: int
    destination: str
    attempts: int
    folder: str
    name: str
    size: int
    sha256: str


class Standing(NamedTuple):
    """How it stands with a destination: the newest backup that is to lie there, and what became of that.

    copied_ms: when the newest backup that does lie there was taken; None: none does.
    """

    destination: str
    name: str
    taken_ms: int
    state: CopyState
    attempts: int
    detail: str
    copied_ms: int | None


def enqueue(tx: Tx, backup_id: int, destinations: Sequence[str], now_ms: int) -> None:
    """Want a backup at these destinations (the texts of backup.copy_to); what is wanted already stays as it is."""
    tx.run_many(
        "copies.enqueue",
        [{"backup_id": backup_id, "destination": place, "now_ms": now_ms} for place in destinations],
    )


def missing(tx: Tx, backup_id: int, destinations: Sequence[str]) -> list[str]:
    """Return the destinations at which nobody wanted that backup yet."""
    return [
        place for place in destinations if tx.value("copies.missing", {"backup_id": backup_id, "destination": place})
    ]


def kept(tx: Tx) -> dict[int, tuple[Copy, ...]]:
    """Return the copies of every backup that retention has not taken, by the backup's number and then the place."""
    found: dict[int, tuple[Copy, ...]] = {}
    for number, *row in tx.rows("copies.kept"):
        found[number] = (*found.get(number, ()), _copy(tuple(row)))
    return found


def due(tx: Tx, now_ms: int, destinations: Sequence[str]) -> Due | None:
    """Return the copy to make next, of those that are configured; None when nothing is due."""
    row = tx.row("copies.due", {"now_ms": now_ms, "destinations": json.dumps(list(destinations))})
    return None if row is None else Due(*row)


def record_copied(tx: Tx, copy: Due, *, at_ms: int, detail: str) -> bool:
    """Write down that it lies there and was read back; False where somebody else did meanwhile."""
    return tx.run("copies.copied", {**_place(copy), "at_ms": at_ms, "detail": detail}) == 1


def record_failed(tx: Tx, copy: Due, state: CopyState, *, due_ms: int, detail: str) -> None:
    """Write down that it did not get there."""
    tx.run("copies.failed", {**_place(copy), "state": state.value, "due_ms": due_ms, "detail": detail})


def any_unwanted(tx: Tx, destinations: Sequence[str]) -> bool:
    """Whether a copy waits for a place that is not configured any more."""
    return bool(tx.value("copies.any_unwanted", {"destinations": json.dumps(list(destinations))}))


def forget_unwanted(tx: Tx, destinations: Sequence[str]) -> None:
    """Forget copies that were never made, to places that are not configured any more."""
    tx.run("copies.unwanted", {"destinations": json.dumps(list(destinations))})


def standing(tx: Tx) -> list[Standing]:
    """Return how it stands with each destination that a backup was meant for."""
    return [Standing(*row)._replace(state=CopyState(row[3])) for row in tx.rows("copies.standing")]


def _place(copy: Due) -> dict[str, object]:
    return {"backup_id": copy.backup_id, "destination": copy.destination, "attempts": copy.attempts + 1}


def _copy(row: tuple[object, ...]) -> Copy:
    raw = Copy(*row)  # type: ignore[arg-type]
    return raw._replace(state=CopyState(raw.state))
