"""Tells of an incident through the outbox, once, by `monitoring.alert_route`. Never keeps the incident from being."""

from __future__ import annotations

from engine.errors import ChronosError, IdempotencyConflict
from engine.model import NewMessage, Priority
from engine.operations import enqueue
from engine.operations.context import Context, recorded
from engine.rules import playbook
from engine.rules.durations import rfc3339
from engine.rules.incidents import Kind, Severity
from engine.rules.playbook import Page
from engine.rules.text import safe_line
from engine.store import incidents as store
from engine.store.incidents import Incident
from engine.store.tx import Tx

_CALM_MS = 15 * 60_000
"""What ended by itself and comes again within this time is not told again at once: a login that fails every other
minute is one trouble. If it is still there afterwards, the chore tells of it."""

_SLICE = 10
_MOST_UNTOLD = 500
_REFUSED = "alerting.refused"
_ABOUT_A_TARGET = frozenset({Kind.TARGET_MISCONFIGURED.value, Kind.TARGET_DISABLED.value})
_PRIORITIES = {
    Severity.LOW: Priority.LOW,
    Severity.MEDIUM: Priority.NORMAL,
    Severity.HIGH: Priority.HIGH,
    Severity.CRITICAL: Priority.URGENT,
}


def tell(tx: Tx, context: Context, incident: Incident) -> bool:
    """Queue the message that tells of an incident, in the transaction that opened it; return whether it was queued.

    Not without `monitoring.alert_route`; not by a target that the incident itself is about, where the route has no
    other; not again for what ended by itself a moment ago. A message that is refused is logged, never raised.
    """
    route = context.settings.monitoring.get("alert_route")
    if not route or context.read_only or _is_calm(tx, context, incident):
        return False
    try:
        if not _another_way(context, incident, route):
            return False
        uid = _queue(tx, context.acting_as(store.ENGINE), incident, route)
    except ChronosError as error:
        _note(context, incident, route, str(error))
        return False
    context.kept.pop(_REFUSED, None)
    store.alerted(tx, incident.id, uid)
    return True


def _note(context: Context, incident: Incident, route: str, reason: str) -> None:
    """Log why an alert was refused, once until another reason or a success comes."""
    if context.kept.get(_REFUSED) == reason:
        return
    context.kept[_REFUSED] = reason
    context.log.event("ERROR", "alert_not_queued", channel="security", incident=incident.id, route=route, reason=reason)


def tell_untold(context: Context) -> int:
    """Queue what could not be told when it happened; return how many. A slice at a time, oldest first."""
    if not context.settings.monitoring.get("alert_route"):
        return 0
    if not context.database.read(lambda tx: store.untold(tx, 1)):
        return 0

    def work(tx: Tx) -> int:
        told = 0
        for incident in store.untold(tx, _MOST_UNTOLD):
            told += tell(tx, context, incident)
            if told == _SLICE:
                break
        return told

    return context.database.write(work)


def _is_calm(tx: Tx, context: Context, incident: Incident) -> bool:
    now_ms = context.clock.now_ms()
    return store.told_lately(tx, now_ms, incident.id, incident.kind, incident.subject, within_ms=_CALM_MS)


def _another_way(context: Context, incident: Incident, route: str) -> bool:
    """Whether the route has a target that the incident is not about."""
    if incident.kind not in _ABOUT_A_TARGET:
        return True
    spec, steps = enqueue.resolve(context.settings, route)
    names = [step.target for step in steps] or [spec.name]
    specs = [context.settings.targets.get(name) for name in names]
    lanes = {one.lane or one.name if one else name for one, name in zip(specs, names, strict=True)}
    return lanes != {incident.subject}


def _queue(tx: Tx, context: Context, incident: Incident, route: str) -> str:
    key = f"incident:{incident.id}"
    if incident.alert_uid is not None:  # it got worse
        key = f"{key}:{incident.severity}"
    try:
        return _put(tx, context, incident, route, key)
    except IdempotencyConflict:
        # Who may send may use any key; one that was taken beforehand must not silence an alarm.
        return _put(tx, context, incident, route, f"{key}:{context.entropy(8).hex()}")


def _put(tx: Tx, context: Context, incident: Incident, route: str, key: str) -> str:
    page = playbook.page(incident.kind)
    assert page is not None, "a test sees to it that every kind has a page"
    new = NewMessage(
        route,
        subject=_subject(context, incident, page.title),
        text=_text(context, incident, page),
        priority=_PRIORITIES[Severity(incident.severity)],
        idempotency_key=key,
        tags=("incident",),
    )
    return enqueue.store(tx, context, enqueue.prepare(context, new)).message.uid


def _subject(context: Context, incident: Incident, title: str) -> str:
    what = f"{title} ({recorded(incident.subject)})"
    return safe_line(f"[{incident.severity}] {context.settings.instance}: {what}", 200)


def _text(context: Context, incident: Incident, page: Page) -> str:
    lines = (
        f"{page.title}: {safe_line(recorded(incident.subject), 200)}",
        safe_line(incident.detail, 500),
        "",
        page.means,
        "",
        "What to do",
        *(f"- {line}" for line in page.act),
        "",
        f"On {context.settings.instance}, since {rfc3339(incident.first_ms)}, {incident.kind}, {incident.severity}.",
        f"More: 'chronos incident show {incident.id}'",
    )
    return "\n".join(lines)
