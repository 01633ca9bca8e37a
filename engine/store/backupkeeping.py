"""What schedule, retention and health ask of the ledger of backups, and the words they keep. Decides nothing."""

from __future__ import annotations

from typing import NamedTuple

from engine.store.tx import Tx

SCHEDULE = "backup_schedule"
"""Up to when the schedule was looked at, and which one it was."""

RETAINED = "backup_retained"
"""The newest scheduled backup after which retention ran."""


class Lying(NamedTuple):
    """Where a backup is to lie. gone_ms: since when it was missing at the last look."""

    id: int
    folder: str
    name: str
    gone_ms: int | None


class Proven(NamedTuple):
    """A backup that a drill restored."""

    name: str
    taken_ms: int
    proven_ms: int


def lying(tx: Tx) -> list[Lying]:
    """Return what retention has not taken, newest first."""
    return [Lying(*row) for row in tx.rows("backupkeeping.lying")]


def proven(tx: Tx, now_ms: int) -> Proven | None:
    """Return the newest one that was proven; nothing that is dated ahead of now."""
    row = tx.row("backupkeeping.proven", {"now_ms": now_ms})
    return None if row is None else Proven(*row)


def newest(tx: Tx) -> tuple[str, str, str] | None:
    """Return (name, proof, detail) of the newest one that was made here to be kept."""
    row = tx.row("backupkeeping.newest")
    return None if row is None else (row[0], row[1], row[2])


def damaged(tx: Tx) -> list[tuple[str, str]]:
    """Return (name, what is wrong) of the files that are there and not what was written."""
    return [(name, detail) for name, detail in tx.rows("backupkeeping.damaged")]


def proofs(tx: Tx) -> dict[str, int]:
    """Return how many there are of each proof."""
    return dict(tx.rows("backupkeeping.proofs"))


def copy_states(tx: Tx) -> dict[str, int]:
    """Return how many copies there are of each state, of backups that retention has not taken."""
    return dict(tx.rows("backupkeeping.copies"))


class Behind(NamedTuple):
    """A place that lacks backups. since_ms: when the oldest was taken that was tried in vain. detail: its last word."""

    destination: str
    since_ms: int
    detail: str


def behind(tx: Tx) -> list[Behind]:
    """Return the places whose newest copy is older than a backup that was tried in vain."""
    return [Behind(*row) for row in tx.rows("backupkeeping.behind")]


def size_bytes(tx: Tx) -> int:
    """Return how many bytes the backups take that lie here."""
    return int(tx.value("backupkeeping.size"))


def newest_scheduled(tx: Tx) -> int | None:
    """Return the number of the newest backup that the schedule made."""
    found: int | None = tx.value("backupkeeping.scheduled")
    return found


def leftover(tx: Tx) -> list[Lying]:
    """Return what retention has taken, and whose files nobody has seen gone yet."""
    return [Lying(number, folder, name, None) for number, folder, name in tx.rows("backupkeeping.leftover")]


def forget(tx: Tx, before_ms: int) -> int:
    """Delete a slice of what retention took before; return how many went."""
    return tx.run("backupkeeping.forget", {"before_ms": before_ms})


def since_ms(tx: Tx) -> int:
    """Return since when this database can be backed up."""
    return int(tx.value("backupkeeping.since") or 0)


def noted(tx: Tx, key: str) -> str | None:
    found: str | None = tx.value("backupkeeping.noted", {"key": key})
    return found


def note(tx: Tx, key: str, value: str) -> None:
    tx.run("backupkeeping.note", {"key": key, "value": value})


def strike(tx: Tx, key: str) -> None:
    tx.run("backupkeeping.strike", {"key": key})
