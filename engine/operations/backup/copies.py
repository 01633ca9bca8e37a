"""Brings backups to the places of backup.copy_to and reads each back there. Deletes nothing at a place, ever.

One at a time, outside any transaction: a line that hangs holds up nobody but the next copy, and is ended in time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from engine.errors import ChronosError, NotPossible
from engine.host.copying.base import Destination, destination
from engine.model import RetryPolicy
from engine.operations.backup import untouchable
from engine.operations.commanding import Stopped
from engine.operations.context import Context, writable
from engine.rules.backoff import delay_ms, gives_up, rng_for
from engine.rules.backups import parse_name
from engine.rules.text import safe_line
from engine.store import audit, backups
from engine.store import copies as store
from engine.store.copies import CopyState, Due
from engine.store.tx import Tx

COPIED = "backup.copied"

RETRY = RetryPolicy(first_ms=60_000, cap_ms=6 * 3_600_000, attempts=36)
"""A minute doubling to six hours: a place may be away for a week before a copy is given up."""

_MOST_DETAIL_CHARS = 500

Report = Callable[[str, int, int], None]


def push_due(context: Context, report: Report | None = None) -> int:
    """Make the copies that are due, newest backup first; return how many were made. For the owner alone.

    Never raises for a copy that fails: it is tried again later, and its place is left alone until the next call. A
    place that was configured later gets the newest proven backup. report: told stage, bytes done, and of how many;
    what it raises ends the copying, and nothing is recorded of that copy.
    """
    writable(context)
    places = _places(context)
    _settle_wants(context, places)
    made = 0
    while (due := _next(context, places)) is not None:
        if _push(context, due, report):
            made += 1
        else:
            places = [place for place in places if place != due.destination]
    return made


def _next(context: Context, places: list[str]) -> Due | None:
    return context.database.read(lambda tx: store.due(tx, context.clock.now_ms(), places))


def _places(context: Context) -> list[str]:
    return list(dict.fromkeys(context.settings.backup["copy_to"]))


def _settle_wants(context: Context, places: list[str]) -> None:
    """Want the newest proven backup where nobody did yet; want nothing at a place that is not configured any more."""

    def look(tx: Tx) -> tuple[bool, int | None]:
        proven = backups.newest_proven(tx)
        if proven is None or not store.missing(tx, proven.id, places):
            return store.any_unwanted(tx, places), None
        return store.any_unwanted(tx, places), proven.id

    def work(tx: Tx) -> None:
        store.forget_unwanted(tx, places)
        if proven is not None:
            store.enqueue(tx, proven, places, context.clock.now_ms())

    unwanted, proven = context.database.read(look)
    if unwanted or proven is not None:
        context.database.write(work)


def _push(context: Context, due: Due, report: Report | None) -> bool:
    """Make one copy and record what became of it; return whether it lies there."""
    began_ms = context.clock.monotonic_ms()
    try:
        words = _made(context, due, report)
    except Stopped:
        raise
    except ChronosError as error:
        _failed(context, due, safe_line(str(error), _MOST_DETAIL_CHARS))
        return False
    took_ms = context.clock.monotonic_ms() - began_ms

    def work(tx: Tx) -> None:
        now_ms = context.clock.now_ms()
        if store.record_copied(tx, due, at_ms=now_ms, detail=words):
            detail = {"attempts": due.attempts + 1, "destination": due.destination, "sha256": due.sha256}
            audit.append(
                tx, now_ms, "engine", COPIED, f"backup:{due.name}", {**detail, "size": due.size, "took_ms": took_ms}
            )

    context.database.write(work)
    context.log.event("INFO", "backup_copied", backup=due.name, destination=due.destination, took_ms=took_ms)
    return True


def _made(context: Context, due: Due, report: Report | None) -> str:
    """Put it there unless it is there, and read it back; return in words what was done."""
    place = destination(due.destination, context.machine.env)
    path = Path(due.folder, due.name)
    # The ledger may have come with a restore: a row of it must not send any other file away, nor under another name.
    if parse_name(due.name) is None:
        raise NotPossible("the ledger names a file that is no backup's")
    untouchable.check(context, path)
    if due.attempts and _is_there(place, due, report):
        return "it lay there already, and was read back"
    words = place.put(path, due.name, _told(report, f"copying {due.name} to {due.destination}"))
    if not _is_there(place, due, report):
        if _sha256(path) != due.sha256:
            raise NotPossible(f"{path} is damaged: it has not the SHA-256 that it was made with")
        raise NotPossible("what lies there does not read back as it was written")
    return safe_line(f"{words}, and read back", _MOST_DETAIL_CHARS)


def _is_there(place: Destination, due: Due, report: Report | None) -> bool:
    told = _told(report, f"reading {due.name} back from {due.destination}")
    return place.check(due.name, due.size, due.sha256, told)


def _told(report: Report | None, stage: str) -> Callable[[int, int], None] | None:
    return None if report is None else lambda done, total: report(stage, done, total)


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _failed(context: Context, due: Due, words: str) -> None:
    now_ms = context.clock.now_ms()
    failures = due.attempts + 1
    wait_ms = delay_ms(RETRY, failures, rng_for(context.seed, due.backup_id, failures))
    why = gives_up(RETRY, failures, now_ms, now_ms + wait_ms)
    state = CopyState.WAITING if why is None else CopyState.FAILED
    detail = words if why is None else safe_line(f"given up ({why}): {words}", _MOST_DETAIL_CHARS)
    context.database.write(
        lambda tx: store.record_failed(tx, due, state, due_ms=now_ms + wait_ms, detail=detail),
    )
    context.log.event(
        "WARNING", "backup_copy_failed", backup=due.name, destination=due.destination, attempts=failures, reason=words
    )
