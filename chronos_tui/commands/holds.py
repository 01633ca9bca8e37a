"""`chronos pause`, `resume`, `holds`: what waits on purpose, always with an end."""

from __future__ import annotations

import argparse

from chronos_tui import bridge
from chronos_tui.commands import shapes, times
from chronos_tui.commands.parsing import Arguments, Verb, duration_ms, text
from chronos_tui.commands.session import Session
from chronos_tui.commands.table import Column
from chronos_tui.commands.table import show as show_table

_SCOPES = "all, channel:email, target:ops or template:x"
_COLUMNS = (
    Column("scope"),
    Column("until"),
    Column("left", right=True),
    Column("by", flexible=True),
    Column("reason", flexible=True),
)


def pause_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scope", metavar="SCOPE", nargs="?", default="all", type=text, help=f"{_SCOPES} (default: all)")
    parser.add_argument(
        "--for", metavar="DURATION", dest="for_ms", type=duration_ms, required=True, help="30m, 2h, at most 7d"
    )
    parser.add_argument("--reason", metavar="R", type=text, default="", help="why, for whoever looks later")


def pause(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        hold = engine.pause(given.scope, for_ms=given.for_ms, reason=given.reason)
    if session.out.json:
        session.out.document(shapes.hold(hold))
        return 0
    session.out.done(f"{hold.scope} is held until {times.moment(hold.until_ms)}; 'chronos resume {hold.scope}' ends it")
    return 0


def resume_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scope", metavar="SCOPE", nargs="?", type=text, help=f"{_SCOPES} (default: every hold)")


def resume(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        ended = engine.resume(given.scope)
    if session.out.json:
        session.out.document({"ended": ended})
        return 0
    session.out.done(f"no longer held: {', '.join(ended)}")
    return 0


def holds(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.holds()
    if session.out.json:
        session.out.document({"holds": [shapes.hold(hold) for hold in found]})
        return 0
    if not found:
        session.out.note("nothing is held")
        return 0
    now_ms = times.now_ms()
    show_table(
        session.out,
        _COLUMNS,
        [
            (
                hold.scope,
                times.moment(hold.until_ms),
                bridge.format_duration(max(0, hold.until_ms - now_ms)),
                hold.actor,
                hold.reason,
            )
            for hold in found
        ],
    )
    return 0


VERBS = (
    Verb(
        "pause",
        "hold back everything, a channel, a target or a template for a time",
        pause,
        ("chronos pause channel:email --for 30m --reason 'mail server moves'", "chronos pause --for 2h"),
        pause_arguments,
        "Messages wait and nothing is dropped. Pausing again moves the end.",
    ),
    Verb(
        "resume",
        "end a pause before its time",
        resume,
        ("chronos resume channel:email", "chronos resume"),
        resume_arguments,
    ),
    Verb("holds", "show what is paused and until when", holds, ("chronos holds", "chronos holds --json")),
)
