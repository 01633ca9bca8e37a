"""`chronos status`: the situation at a glance."""

from __future__ import annotations

from typing import Any

from chronos_tui import bridge
from chronos_tui.commands import times
from chronos_tui.commands.output import Painted
from chronos_tui.commands.parsing import Arguments, Verb
from chronos_tui.commands.session import Session


def status(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found, backups = engine.status(), engine.backup_standing()
    if session.out.json:
        session.out.document({**found, "backups": bridge.standing_shape(backups)})
        return 0
    _say(session, "engine", _engine_words(found["engine"]), "" if found["engine"]["running"] else "warning")
    if found["engine"]["running"]:
        _say(session, "http", found["engine"]["http"] or "off", "")
    if found["degraded"]:
        _say(session, "database", "DEGRADED: nothing is taken; run 'chronos doctor --fix'", "failed")
    counts = ", ".join(f"{number} {state}" for state, number in found["counts"].items() if number)
    _say(session, "outbox", counts or "empty", "")
    if found["oldest_due"]:
        _say(session, "oldest due", found["oldest_due"], "")
    for hold in found["holds"]:
        reason = f" ({hold['reason']})" if hold["reason"] else ""
        _say(session, "held", f"{hold['scope']} until {hold['until']} by {hold['by']}{reason}", "held")
    for name, words in found["targets_in_trouble"].items():
        _say(session, "target", f"{name}: {words}", "failed")
    for incident in found["incidents"]:
        words = (
            f"#{incident['id']} {incident['severity']}, {incident['state']}: {incident['kind']} {incident['subject']}"
        )
        style = "failed" if incident["severity"] in {"high", "critical"} else "warning"
        often = "once" if incident["count"] == 1 else f"{incident['count']} times"
        _say(session, "incident", f"{words}, {often}: {incident['detail']}", style)
    _say(session, "audit", f"{found['audit']['seq']} entries", "")
    _say_backups(session, backups)
    return 0


def _say_backups(session: Session, found: bridge.BackupStanding) -> None:
    now_ms = times.now_ms()
    proven = "never" if found.proven_ms is None else times.relative(found.proven_ms, now_ms)
    coming = "none is scheduled" if found.next_ms is None else f"the next {times.relative(found.next_ms, now_ms)}"
    late = found.proven_ms is None or now_ms - found.proven_ms > found.warning_ms
    _say(session, "backups", f"last proven restore: {proven}; {coming}", "warning" if late else "")
    for act in found.under_way:
        part = f" {min(100 * act.done // act.total, 100)} %" if act.total > 0 else ""
        _say(session, "under way", f"{act.kind} asked by {act.actor}: {act.stage or act.state}{part}", "")


def _engine_words(engine: dict[str, Any]) -> str:
    if not engine["running"]:
        return "nobody delivers; start 'chronos-tui --engine-only'"
    if engine["mode"] == "restore":
        return f"nobody delivers: pid {engine['pid']} restores a backup"
    since = f" since {engine['started']}" if engine["started"] else ""
    return f"pid {engine['pid']} ({engine['mode']}){since}, {engine['state']}"


def _say(session: Session, title: str, words: str, style: str) -> None:
    session.out.line(Painted(f"{title:<11}", "dim"), Painted(words, style))


VERBS = (
    Verb(
        "status",
        "show the situation: who delivers, what waits, what is wrong",
        status,
        ("chronos status", "chronos status --json"),
    ),
)
