"""`chronos target`: where messages can go, how each target fares, and whether it can be reached."""

from __future__ import annotations

import argparse
from typing import Any

from chronos_tui import bridge
from chronos_tui.commands import asking, times
from chronos_tui.commands.output import Painted, Part
from chronos_tui.commands.parsing import Arguments, Verb, text
from chronos_tui.commands.session import Session
from chronos_tui.commands.table import Column
from chronos_tui.commands.table import show as show_table

PROBLEM_FOUND = 3
_COLUMNS = (
    Column("target"),
    Column("channel"),
    Column("state"),
    Column("last success", right=True),
    Column("trouble", flexible=True),
)


def show_list(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.targets()
        routes = engine.settings.routes
    if session.out.json:
        session.out.document(
            {
                "targets": [_document(one) for one in found],
                "routes": [
                    {"name": name, "steps": [{"target": step.target, "after_ms": step.after_ms} for step in steps]}
                    for name, steps in routes.items()
                ],
            }
        )
        return 0
    if not found:
        session.out.note("no target is configured; 'chronos config path' names the file")
        return 0
    now_ms = times.now_ms()
    show_table(session.out, _COLUMNS, [_row(one, now_ms) for one in found])
    for name, steps in routes.items():
        words = ", then ".join(
            step.target + (f" after {bridge.format_duration(step.after_ms)}" if step.after_ms else "") for step in steps
        )
        session.out.line(Painted(f"route {name}: ", "dim"), words)
    return 0


def _document(one: bridge.TargetState) -> dict[str, Any]:
    return {
        "name": one.spec.name,
        "channel": one.spec.channel,
        "open": one.trouble is None,
        "trouble": one.trouble,
        "breaker": one.lane.breaker.state.value,
        "disabled_reason": one.lane.disabled_reason or None,
        "last_success_at": times.stamp(one.lane.last_success_ms),
        "last_failure_at": times.stamp(one.lane.last_failure_ms),
        "last_word": one.lane.last_word,
    }


def _row(one: bridge.TargetState, now_ms: int) -> list[Part]:
    success = one.lane.last_success_ms
    return [
        one.spec.name,
        one.spec.channel,
        Painted("open", "ok") if one.trouble is None else Painted("closed", "failed"),
        "never" if success is None else times.relative(success, now_ms),
        one.trouble or "",
    ]


def test_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", type=text, help="a target, a route, or an ad hoc address")
    parser.add_argument("--send", action="store_true", help="also send one test message, past the outbox")


def test(session: Session, given: Arguments) -> int:
    bridge.harden()
    redactor = bridge.Redactor()
    with session.engine(on_secret=redactor.register) as engine:
        steps = _probe(engine, given)
    good = bool(steps) and all(step.ok for step in steps)
    if session.out.json:
        session.out.document(
            {
                "target": given.name,
                "ok": good,
                "steps": [
                    {"name": s.name, "ok": s.ok, "detail": redactor.redact(s.detail), "took_ms": s.took_ms}
                    for s in steps
                ],
            }
        )
    else:
        for step in steps:
            mark = Painted("ok     ", "ok") if step.ok else Painted("failed ", "failed")
            session.out.line(mark, f"{step.name:<9}{step.took_ms:>6} ms  {redactor.redact(step.detail)}")
    return 0 if good else PROBLEM_FOUND


def _probe(engine: bridge.Engine, given: Arguments) -> list[bridge.ProbeStep]:
    """Try the target; ask for the vault's passphrase where its secret needs it."""
    try:
        return engine.probe(given.name, send=given.send)
    except bridge.VaultLocked:
        if asking.unlock(engine) is None:
            raise
        return engine.probe(given.name, send=given.send)


def enable_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", type=text, help="a target")


def enable(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        lifted = engine.enable_target(given.name)
    if session.out.json:
        session.out.document({"target": given.name, "lifted": lifted})
    else:
        session.out.done(f"{given.name} is open" + ("" if lifted else "; it was before"))
    return 0


VERBS = (
    Verb(
        "target list",
        "list targets and how they fare",
        show_list,
        ("chronos target list", "chronos target list --json"),
    ),
    Verb(
        "target test",
        "try a target: resolve, connect, TLS, login",
        test,
        ("chronos target test ops", "chronos target test me --send"),
        test_arguments,
        "Sends nothing unless --send is given. Ends with 3 when a step fails.",
    ),
    Verb(
        "target enable",
        "open a target that was disabled or whose breaker is open",
        enable,
        ("chronos target enable ops", "chronos target enable ops --json"),
        enable_arguments,
    ),
)
