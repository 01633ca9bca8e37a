"""Incidents: raised once and counted, told through the outbox, looked after, resolved. Looks for nothing by itself."""

from __future__ import annotations

import threading
from typing import NamedTuple

from engine.errors import BadInput, ChronosError, NotFound, NotPossible, TryAgain
from engine.operations import alerting
from engine.operations.context import Context, writable
from engine.rules.incidents import MANY, MOST_SUBJECTS, SEVERITIES, Kind, Severity, worse
from engine.rules.text import safe_line
from engine.store import audit
from engine.store import incidents as store
from engine.store.incidents import Incident as Incident  # noqa: PLC0414 - what callers know it by
from engine.store.tx import Tx

_MOST_DETAIL_CHARS = 500
_MOST_SUBJECT_CHARS = 200
_MOST_NOTE_CHARS = 500
_WRITE_EVERY_MS = 1_000
_MOST_REMEMBERED = 1_000
KEEP_MS = 90 * 86_400_000
"""How long a resolved incident is kept. The audit log tells its story for as long as it is kept itself."""

_KEPT = "incidents.reported"


# Raising and settling


def raise_incident(
    tx: Tx,
    context: Context,
    kind: Kind,
    subject: str,
    detail: str,
    *,
    severity: Severity | None = None,
    times: int = 1,
) -> None:
    """Open an incident or count its repeat, in the caller's transaction; an opened one is audited and told.

    One that was acknowledged stays so, unless it got worse than it was: then it is open again and is told again. A
    subject beyond rules.incidents.MOST_SUBJECTS of its kind is counted under MANY.
    severity: instead of what is usual for the kind. times: how many repeats this stands for.
    """
    subject, detail = _subject(subject), said(detail)
    severity = severity or SEVERITIES[kind]
    now_ms = context.clock.now_ms()
    known = store.active(tx, kind, subject)
    if known is None and subject != MANY and _crowded(tx, kind):
        subject, detail = MANY, said(f"{subject}: {detail}")
        known = store.active(tx, kind, subject)
    told = {"kind": kind.value, "of": subject, "severity": severity.value, "detail": detail}
    if known is None:
        number = store.open_new(tx, now_ms, kind, subject, detail=detail, severity=severity, times=times)
        audit.append(tx, now_ms, store.ENGINE, "incident.opened", f"incident:{number}", told)
    else:
        number = known.id
        if not worse(severity, Severity(known.severity)):
            store.repeat(tx, now_ms, known, detail=detail, times=times)
            return
        store.repeat(tx, now_ms, known._replace(state="open", severity=severity), detail=detail, times=times)
        worsened = {**told, "was": known.severity}
        audit.append(tx, now_ms, store.ENGINE, "incident.worsened", f"incident:{number}", worsened)
    name = "incident_opened" if known is None else "incident_worsened"
    context.log.event("WARNING", name, channel="security", incident=number, kind=kind.value, of=subject, detail=detail)
    alerting.tell(tx, context, _incident(tx, number))


def settle(tx: Tx, context: Context, kind: Kind, subject: str, note: str) -> bool:
    """Resolve an incident whose cause is gone, in the caller's transaction; return whether there was one."""
    known = store.active(tx, kind, _subject(subject))
    if known is None:
        return False
    now_ms = context.clock.now_ms()
    note = safe_line(note, _MOST_NOTE_CHARS)
    store.change(tx, now_ms, known.id, state="resolved", note=note, by=store.ENGINE)
    detail = {"kind": kind.value, "of": _subject(subject), "note": note}
    audit.append(tx, now_ms, store.ENGINE, "incident.settled", f"incident:{known.id}", detail)
    return True


def clear(context: Context, kind: Kind, subject: str, note: str) -> bool:
    """Settle in a transaction of its own, the counterpart of `report`: writes nothing where there is nothing, and never
    raises what the database says; the next look settles it then.
    """
    if context.read_only or context.database.read(lambda tx: store.active(tx, kind, _subject(subject))) is None:
        return False
    try:
        return context.database.write(lambda tx: settle(tx, context, kind, subject, note))
    except TryAgain as error:
        context.log.event("WARNING", "incident_not_settled", channel="security", kind=kind.value, reason=str(error))
        return False


def said(detail: str) -> str:
    """Return a detail as it is stored: one printable line."""
    return safe_line(detail, _MOST_DETAIL_CHARS)


def _crowded(tx: Tx, kind: Kind) -> bool:
    return store.active_subjects(tx, kind, many=MANY, most=MOST_SUBJECTS) >= MOST_SUBJECTS


def _subject(subject: str) -> str:
    """The same for raising and settling: without half characters, which neither the database nor JSON can hold."""
    return subject.encode(errors="replace").decode()[:_MOST_SUBJECT_CHARS]


# Reporting without a transaction


class _Report(NamedTuple):
    written_ms: int
    waiting: int
    detail: str


class _Reported:
    """What was reported lately, by kind and subject; times of the monotonic clock. One per process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reports: dict[tuple[Kind, str], _Report] = {}

    def forget(self, now_ms: int) -> None:
        """Drop what was silent for a while and is written."""
        self.reports = {
            key: one for key, one in self.reports.items() if one.waiting or now_ms - one.written_ms < _WRITE_EVERY_MS
        }


def report(context: Context, kind: Kind, subject: str, detail: str) -> None:
    """Raise an incident in a transaction of its own. For threads that have none, and as often as they like.

    Repeats within a second are counted in memory and written with the next one, or by `flush`. What the database says
    against it is logged and not raised; the count waits for the next time.
    """
    if context.read_only:
        return
    subject = _subject(subject)
    now_ms = context.clock.monotonic_ms()
    reported = _reported(context)
    with reported.lock:
        subject, detail = _bounded(reported, kind, subject, detail, now_ms)
        known = reported.reports.pop((kind, subject), _Report(now_ms - _WRITE_EVERY_MS, 0, ""))
        times = known.waiting + 1
        if now_ms - known.written_ms < _WRITE_EVERY_MS:
            reported.reports[kind, subject] = _Report(known.written_ms, times, detail)
            return
        reported.reports[kind, subject] = _Report(now_ms, 0, detail)
    _write(context, reported, kind, subject, detail, times)


def flush(context: Context) -> int:
    """Write what `report` still counts in memory; return how many rows that were. Cheap when there is nothing."""
    reported = _reported(context)
    now_ms = context.clock.monotonic_ms()
    with reported.lock:
        due = {key: one for key, one in reported.reports.items() if one.waiting}
        reported.forget(now_ms)
        for key, one in due.items():
            reported.reports[key] = one._replace(written_ms=now_ms, waiting=0)
    for (kind, subject), one in due.items():
        _write(context, reported, kind, subject, one.detail, one.waiting)
    return len(due)


def _reported(context: Context) -> _Reported:
    found: _Reported = context.kept.setdefault(_KEPT, _Reported())
    return found


def _bounded(reported: _Reported, kind: Kind, subject: str, detail: str, now_ms: int) -> tuple[str, str]:
    """Count new subjects of a kind under MANY once there are many in one second: a flood is one write a second."""
    reports = reported.reports
    if (kind, subject) in reports:
        return subject, detail
    if len(reports) >= _MOST_REMEMBERED:
        reported.forget(now_ms)
        reports = reported.reports
    lately = [1 for (of, _), one in reports.items() if of is kind and now_ms - one.written_ms < _WRITE_EVERY_MS]
    if len(lately) > MOST_SUBJECTS or len(reports) >= _MOST_REMEMBERED:
        return MANY, f"{subject}: {detail}"
    return subject, detail


def _write(context: Context, reported: _Reported, kind: Kind, subject: str, detail: str, times: int) -> None:
    try:
        context.database.write(lambda tx: raise_incident(tx, context, kind, subject, detail, times=times))
    except ChronosError as error:
        with reported.lock:
            known = reported.reports.get((kind, subject), _Report(context.clock.monotonic_ms(), 0, detail))
            reported.reports[kind, subject] = known._replace(waiting=known.waiting + times)
        context.log.event(
            "ERROR",
            "incident_not_recorded",
            channel="security",
            kind=kind.value,
            of=subject,
            detail=said(detail),
            reason=str(error),
        )


# Looking and deciding


def listing(context: Context, *, everything: bool = False, limit: int = 200) -> list[Incident]:
    """Return what is not resolved, the worst first; with `everything` the newest of all."""
    work = store.newest if everything else store.unsettled
    return context.database.read(lambda tx: work(tx, limit))


def get(context: Context, number: int) -> Incident:
    """Return one. Raises NotFound."""
    return context.database.read(lambda tx: _incident(tx, number))


def _incident(tx: Tx, number: int) -> Incident:
    found = store.get(tx, number)
    if found is None:
        raise NotFound(f"no incident {number}; 'chronos incident list --all' shows every one that is kept")
    return found


def acknowledge(context: Context, number: int) -> Incident:
    """Say that somebody looks after it. Raises NotFound; NotPossible where that was said, or it is resolved."""
    return _change(context, number, "acknowledged", "")


def resolve(context: Context, number: int, note: str) -> Incident:
    """Say that it is over, and why. Raises NotFound, NotPossible where it is resolved, BadInput without a note."""
    note = safe_line(note.strip(), _MOST_NOTE_CHARS)
    if not note:
        raise BadInput("a note is missing: say in a few words what it was and what was done")
    return _change(context, number, "resolved", note)


def _change(context: Context, number: int, state: str, note: str) -> Incident:
    writable(context)

    def act(tx: Tx) -> Incident:
        now_ms = context.clock.now_ms()
        known = _incident(tx, number)
        if known.state in {"resolved", state}:
            raise NotPossible(f"incident {number}: {known.state} already, by {known.changed_by}")
        store.change(tx, now_ms, number, state=state, note=note, by=context.actor)
        detail = {"kind": known.kind, "of": known.subject} | ({"note": note} if note else {})
        audit.append(tx, now_ms, context.actor, f"incident.{state}", f"incident:{number}", detail)
        return _incident(tx, number)

    return context.database.write(act)


# What time does


def retain(context: Context) -> int:
    """Delete a slice of what was resolved long enough ago; return how many went."""
    before_ms = context.clock.now_ms() - KEEP_MS
    numbers = context.database.read(lambda tx: store.old(tx, before_ms))
    if numbers:
        context.database.write(lambda tx: store.delete(tx, numbers))
    return len(numbers)
