"""What the owner does for backups by itself: keeps the schedule, reads old files again, tells when none is proven.

Makes no backup: it asks for one as everybody does, and whoever does such acts makes it.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path

from engine.errors import NotFound
from engine.host.zone import local
from engine.operations import commanding
from engine.operations.backup import backuphealth
from engine.operations.commanding import Command, Report
from engine.operations.context import Context
from engine.operations.guarding import Finding, reconcile
from engine.operations.health import Level
from engine.rules.backups import Kind as Made
from engine.rules.backups import Proof
from engine.rules.cron import next_after
from engine.rules.incidents import Kind, Severity
from engine.store import audit, backupkeeping
from engine.store import backups as ledger
from engine.store import incidents as store
from engine.store.tx import Tx

COMMAND = "backup"
FAILED, CREATED = "backup.failed", "backup.created"
TICK_EVERY_S = 5
LOOK_EVERY_S = 60
COPY_EVERY_S = 15
WITHIN_MS = 3_600_000
"""How long a scheduled backup may wait for what is done before it: another one, a restore."""

COPY_LATE_MS = 6 * 3_600_000
"""How long a place may be away before somebody is told: a night's maintenance of a file server is no incident."""

_SUBJECT = "backups"


def chores() -> tuple[tuple[int, Callable[[Context], object]], ...]:
    """Return what the upkeep thread is to do, and every how many seconds."""
    from engine.operations.backup import retaining

    return (
        (TICK_EVERY_S, tick),
        (LOOK_EVERY_S, keep_backups),
        (LOOK_EVERY_S, look_for_files),
        (LOOK_EVERY_S, watch_backups),
        (3_600, retaining.forget_pruned),
        (3_600, sweep_scratch),
    )


# The schedule


def schedule(context: Context) -> str | None:
    """Return the cron expression that is in force; None where nothing is scheduled."""
    words: str = context.settings.backup["schedule"]
    return None if words == "off" or not context.settings.database["backup_enabled"] else words


def tick(context: Context) -> Command | None:
    """Ask for a backup when the schedule's time has come; one for all times that were missed.

    Up to when the schedule was looked at stands in the database, and moves in the transaction that asks: no restart,
    no second owner and no clock that is set back makes two of one. A new schedule begins now.
    """
    words = schedule(context)
    noted = context.database.read(lambda tx: backupkeeping.noted(tx, backupkeeping.SCHEDULE))
    if words is None:
        if noted is not None:
            context.database.write(lambda tx: backupkeeping.strike(tx, backupkeeping.SCHEDULE))
        return None
    now_ms = context.clock.now_ms()
    zone = local(context.machine.env)
    looked_ms = _looked_ms(noted, words, now_ms, zone)
    if looked_ms is None:
        context.database.write(lambda tx: _note(tx, words, now_ms))
        return None
    due_ms = next_after(words, looked_ms, zone)
    if due_ms > now_ms:
        return None
    return context.database.write(lambda tx: _ask(tx, context.acting_as(store.ENGINE), noted, words, due_ms))


def _looked_ms(noted: str | None, words: str, now_ms: int, zone: tzinfo) -> int | None:
    """Return up to when this schedule was looked at; None where nobody did, or it cannot be true.

    A clock that is set back waits until it is where it was, but no longer than from one time to the next: one that was
    years ahead must not stop the schedule for years.
    """
    try:
        known = json.loads(noted or "")
        looked_ms = known["until_ms"] if known["schedule"] == words else None
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(looked_ms, int) or looked_ms < 0:
        return None
    if looked_ms <= now_ms:
        return looked_ms
    # More than one time of the schedule between now and then: waiting for it would cost backups.
    second_ms = next_after(words, next_after(words, now_ms, zone), zone)
    return looked_ms if second_ms > looked_ms else None


def _note(tx: Tx, words: str, until_ms: int) -> None:
    backupkeeping.note(tx, backupkeeping.SCHEDULE, json.dumps({"schedule": words, "until_ms": until_ms}))


def _ask(tx: Tx, context: Context, noted: str | None, words: str, due_ms: int) -> Command | None:
    if backupkeeping.noted(tx, backupkeeping.SCHEDULE) != noted:
        return None  # another owner asked a moment ago
    _note(tx, words, context.clock.now_ms())
    arguments = {"kind": Made.SCHEDULED.value, "folder": None, "drill": None, "due_ms": due_ms}
    return commanding.ask_in(tx, context, COMMAND, arguments, within_ms=WITHIN_MS)


# After it


def keep_backups(context: Context) -> bool:
    """Let retention run once after each scheduled backup; return whether it did."""

    def work(tx: Tx) -> tuple[int | None, str | None]:
        return backupkeeping.newest_scheduled(tx), backupkeeping.noted(tx, backupkeeping.RETAINED)

    newest, noted = context.database.read(work)
    if newest is None or noted == str(newest):
        return False
    from engine.operations.backup import retaining

    retaining.prune(context.acting_as(store.ENGINE))
    context.database.write(lambda tx: backupkeeping.note(tx, backupkeeping.RETAINED, str(newest)))
    return True


def look_for_files(context: Context) -> int:
    """Write down which files of the ledger are gone, or are there again; return how many changed."""
    now_ms = context.clock.now_ms()
    changed: list[tuple[int, int | None]] = []
    for one in context.database.read(backupkeeping.lying):
        there = _is_file(Path(one.folder, one.name))
        if there == (one.gone_ms is not None):
            changed.append((one.id, None if there else now_ms))
    if changed:
        context.database.write(lambda tx: _gone(tx, changed))
    return len(changed)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _gone(tx: Tx, changed: list[tuple[int, int | None]]) -> None:
    for number, at_ms in changed:
        ledger.record_gone(tx, number, at_ms)


def sweep_scratch(context: Context) -> int:
    """Remove what backups, drills and restores left that were killed; return how many files and directories."""
    from engine.host import scratch
    from engine.operations.backup import backups, drilling
    from engine.operations.restore import staging

    paths = context.machine.paths
    if paths is None:
        return 0
    places = ((paths.data_dir, drilling.SCRATCH), (paths.database.parent, staging.SCRATCH))
    return backups.sweep(context) + sum(scratch.sweep(folder, prefix) for folder, prefix in places)


def verify_old(context: Context, report: Report | None = None) -> str | None:
    """Read the file again that was not read for longest, if that is backup.verify_every ago; return its name.

    One a look, so that a new setting or a box that was off does not read all of them at once.
    """
    before_ms = context.clock.now_ms() - context.settings.backup["verify_every_ms"]
    entry = context.database.read(lambda tx: ledger.longest_unread(tx, before_ms))
    if entry is None:
        return None
    from engine.operations.backup import drilling

    try:
        drilling.verify(context.acting_as(store.ENGINE), Path(entry.folder, entry.name), report=report)
    except NotFound:
        now_ms = context.clock.now_ms()
        context.database.write(lambda tx: ledger.record_gone(tx, entry.id, now_ms))
    return entry.name


# Incidents


def watch_backups(context: Context) -> None:
    """Make incidents of what is wrong with backups as a whole, and end those whose cause is gone."""
    _stale(context)
    _failed(context)
    _unproven(context)
    _behind(context)
    damaged = context.database.read(backupkeeping.damaged)
    found = {name: Finding(detail or "its last drill failed") for name, detail in damaged}
    reconcile(context, Kind.BACKUP_DAMAGED, found, "it was proven again, or is gone")


def _stale(context: Context) -> None:
    check = backuphealth.proven(context)
    found = {}
    if check.level in {Level.WARNING, Level.CRITICAL} and schedule(context) is not None:
        # Without the age in words, which is another one at each look.
        severity = None if check.level is Level.CRITICAL else Severity.MEDIUM
        found[_SUBJECT] = Finding(backuphealth.since_words(context), severity)
    reconcile(context, Kind.BACKUP_STALE, found, "a restore was proven")


def _failed(context: Context) -> None:
    def work(tx: Tx) -> tuple[audit.Stored | None, audit.Stored | None]:
        return audit.newest_of(tx, FAILED), audit.newest_of(tx, CREATED)

    failed, made = context.database.read(work)
    found = {}
    if failed is not None and (made is None or made.seq < failed.seq):
        found[_SUBJECT] = Finding(str(audit.detail_of(failed.body).get("error", "")) or "no reason was written down")
    reconcile(context, Kind.BACKUP_FAILED, found, "a backup was made")


def _unproven(context: Context) -> None:
    newest = context.database.read(backupkeeping.newest)
    found = {}
    if newest is not None and newest[1] == Proof.UNPROVEN.value and context.settings.backup["drill"]:
        found[_SUBJECT] = Finding(newest[2] or "nobody drilled it yet")
    reconcile(context, Kind.BACKUP_UNPROVEN, found, "the newest backup is proven")


def _behind(context: Context) -> None:
    now_ms, wanted = context.clock.now_ms(), context.settings.backup["copy_to"]
    found = {
        one.destination: Finding(one.detail or "it cannot be reached")
        for one in context.database.read(backupkeeping.behind)
        if one.destination in wanted and now_ms - one.since_ms > COPY_LATE_MS
    }
    reconcile(context, Kind.BACKUP_COPY_FAILED, found, "newer backups lie there, or the place is not wanted any more")
