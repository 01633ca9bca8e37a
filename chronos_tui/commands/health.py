"""`chronos health` and `chronos doctor`: every check with its value and what to do about it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from chronos_tui import bridge
from chronos_tui.commands import shapes
from chronos_tui.commands.output import Painted
from chronos_tui.commands.parsing import Arguments, Verb
from chronos_tui.commands.session import Session

PROBLEM_FOUND = 3
_STYLES = {"ok": "ok", "warning": "warning", "critical": "failed", "unknown": "warning"}


def health(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.health()
    return _report(session, found)


def doctor_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fix", action="store_true", help="mend permissions, and a database after a failed write")


def doctor(session: Session, given: Arguments) -> int:
    try:
        with session.engine() as engine:
            found = engine.doctor(fix=given.fix)
    except bridge.DatabaseUnusable as error:
        advice = "restore a backup; or move the file away, and the next start begins an empty one"
        found = [bridge.Check("database", bridge.Level.CRITICAL, str(error), advice)]
    return _report(session, found)


def overall(found: Sequence[bridge.Check]) -> str:
    """Return the worst: critical, warning, ok. What could not be checked counts as a warning."""
    levels = {one.level for one in found}
    if bridge.Level.CRITICAL in levels:
        return "critical"
    return "ok" if levels <= {bridge.Level.OK} else "warning"


def _report(session: Session, found: Sequence[bridge.Check]) -> int:
    worst = overall(found)
    if session.out.json:
        session.out.document({"status": worst, "checks": [shapes.check(one) for one in found]})
    else:
        width = max(len(one.name) for one in found)
        for one in found:
            mark = Painted(f"{one.level.value:<9}", _STYLES[one.level.value])
            session.out.line(mark, f"{one.name:<{width}}  {one.value}")
            if one.advice:
                session.out.line(Painted(f"{'':<{width + 11}}→ {one.advice}", "dim"))
        session.out.line(Painted(worst, _STYLES[worst]))
    return PROBLEM_FOUND if worst == "critical" else 0


_CODES = "Ends with 3 when a check is critical; warnings, such as that nobody delivers, end with 0."

VERBS = (
    Verb(
        "health",
        "make every quick check and say what to do",
        health,
        ("chronos health", "chronos health --json"),
        details=_CODES,
    ),
    Verb(
        "doctor",
        "make the slow checks too: the whole database and the audit chain",
        doctor,
        ("chronos doctor", "chronos doctor --fix"),
        doctor_arguments,
        _CODES,
    ),
)
