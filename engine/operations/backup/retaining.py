"""Retention: says of every backup in the folder whether it stays, and removes what does not; by rules.retention alone.

First the entry and the mark in the ledger, in one transaction, then the file: whoever is killed in between leaves a
file that the next run removes, and never one that is gone and nobody wrote down.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import NotPossible, TryAgain
from engine.host.files import sync_dir
from engine.host.zone import local
from engine.operations.backup import backups
from engine.operations.backup.backups import Backup
from engine.operations.commanding import Report
from engine.operations.context import Context, writable
from engine.rules import retention
from engine.rules.backups import Proof, parse_name
from engine.rules.durations import rfc3339
from engine.rules.retention import Item, Keep
from engine.store import audit, backupkeeping
from engine.store import backups as ledger
from engine.store.tx import Tx

PRUNED = "backup.pruned"
FORGET_MS = 90 * 86_400_000
"""How long the ledger knows what retention took. The audit log knows it for longer."""

_SLICE = 100


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a backup stays, and why in words."""

    backup: Backup
    keep: bool
    reason: str


def plan(context: Context) -> list[Decision]:
    """Decide about every backup that lies in the backups folder, newest first. Those elsewhere are not looked at."""
    folder = str(backups.folder(context))
    there = {one.name: one for one in backups.listing(context) if one.folder == folder and one.gone_ms is None}
    items = [Item(one.name, one.taken_ms, one.proof is Proof.PROVEN, one.kind) for one in there.values()]
    decided = retention.decide(items, _keep(context), context.clock.now_ms(), local(context.machine.env))
    return [Decision(there[one.item.name], one.keep, one.reason) for one in decided]


def _keep(context: Context) -> Keep:
    keep = context.settings.backup["keep"]
    return Keep(**{name: keep[name] for name in Keep._fields})


def prune(context: Context, *, dry_run: bool = False, report: Report | None = None) -> list[Decision]:
    """Remove what `plan` does not keep; return every decision.

    Raises TryAgain when a backup was judged anew meanwhile, NotPossible where a file cannot be removed; what report
    raises ends it between two slices.
    """
    decisions = plan(context)
    if dry_run:
        return decisions
    writable(context)
    going = [one for one in decisions if not one.keep]
    proven = (one.backup.id for one in decisions if one.keep and one.backup.proof is Proof.PROVEN)
    safe = next((number for number in proven if number is not None), None)
    for at in range(0, len(going), _SLICE):
        part = going[at : at + _SLICE]
        if report is not None:
            report("removing old backups", at, len(going))
        context.database.write(lambda tx, part=part: _mark(tx, context, part, safe))  # type: ignore[misc]
        _remove(context)
    _remove(context)
    return decisions


def _mark(tx: Tx, context: Context, part: Iterable[Decision], safe: int | None) -> None:
    """Write down that they go. safe: a proven one that stays; without it nothing goes."""
    kept = None if safe is None else ledger.get(tx, safe)
    if safe is not None and (kept is None or kept.proof is not Proof.PROVEN or kept.pruned_ms or kept.gone_ms):
        raise TryAgain("a backup was judged anew meanwhile; nothing more was removed; look again")
    now_ms = context.clock.now_ms()
    for one in part:
        known = None if one.backup.id is None else ledger.get(tx, one.backup.id)
        if known is None or known.pruned_ms is not None:
            continue  # another process took it
        ledger.record_pruned(tx, known.id, now_ms)
        detail = {"reason": one.reason, "sha256": known.sha256, "size": known.size, "taken": rfc3339(known.taken_ms)}
        audit.append(tx, now_ms, context.actor, PRUNED, f"backup:{known.name}", detail)


def _remove(context: Context) -> None:
    """Remove the files of what was marked, now or by a run that was killed."""
    left = context.database.read(backupkeeping.leftover)
    folders, done, trouble = set(), [], ""
    ours = str(backups.folder(context))
    for one in left:
        if one.folder != ours or parse_name(one.name) is None:
            continue  # a row of a restored ledger, of another box or made up: no reason to remove anything elsewhere
        path = Path(one.folder, one.name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            trouble = f"{path}: cannot be removed: {error.strerror}; 'chronos backup prune' tries it again"
            continue
        folders.add(path.parent)
        done.append(one.id)
    for folder in folders:
        if folder.is_dir():
            sync_dir(folder)
    if done:
        context.database.write(lambda tx: _gone(tx, done, context.clock.now_ms()))
    if trouble:
        raise NotPossible(trouble)


def _gone(tx: Tx, numbers: Iterable[int], now_ms: int) -> None:
    for number in numbers:
        ledger.record_gone(tx, number, now_ms)


def forget_pruned(context: Context) -> int:
    """Delete rows of the ledger whose files retention took long ago; return how many."""
    before_ms = context.clock.now_ms() - FORGET_MS
    return context.database.write(lambda tx: backupkeeping.forget(tx, before_ms))
