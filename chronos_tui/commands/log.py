"""`chronos log`: what the engine logged, from its files."""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from typing import Any

from chronos_tui import bridge
from chronos_tui.commands import times
from chronos_tui.commands.output import Painted
from chronos_tui.commands.parsing import Arguments, Verb, count, text
from chronos_tui.commands.session import Session

_STYLES = {"WARNING": "warning", "ERROR": "failed", "CRITICAL": "failed", "DEBUG": "dim"}
_POLL_S = 0.25
_HEAD = frozenset({"at", "level", "event", "channel", "pid", "thread"})


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--follow", "-f", action="store_true", help="go on with what is written from now on")
    parser.add_argument(
        "--level", metavar="L", type=text, default="DEBUG", help="the least to show: INFO, WARNING, ERROR"
    )
    parser.add_argument(
        "--channel", metavar="C", type=text, default="chronos", help="chronos (default), security or performance"
    )
    parser.add_argument("--since", metavar="T", type=text, help="only from then on: 2h, 2026-11-23, '14:00'")
    parser.add_argument(
        "--limit", "-n", metavar="N", type=count(1, 1_000_000), default=100, help="the last so many (default: 100)"
    )


def log(session: Session, given: Arguments) -> int:
    out = session.out
    if given.follow and out.json and not out.jsonl:
        raise bridge.BadInput("log --follow has no end, so it is no JSON document; use --jsonl")
    logs = session.paths().logs
    since_ms = None if given.since is None else times.parse_since(given.since, session.env)
    choice = {"level": given.level, "channel": given.channel, "since_ms": since_ms}
    if given.follow:
        return _follow(session, given.limit, choice)
    last = deque(bridge.read_log(logs, **choice), given.limit)
    if out.json and not out.jsonl:
        out.document({"lines": list(last)})
        return 0
    if not last:
        out.note(f"nothing is logged in {logs}" + ("" if since_ms is None else " since then"))
    for record in last:
        _show(session, record)
    return 0


def _follow(session: Session, limit: int, choice: dict[str, Any]) -> int:
    """Show the last lines once all that is there was read, and from then on each as it comes, until Ctrl-C."""
    waiting: deque[dict[str, Any]] = deque(maxlen=limit)

    def caught_up() -> bool:
        while waiting:
            _show(session, waiting.popleft())
        sys.stdout.flush()
        time.sleep(_POLL_S)
        return True

    for record in bridge.read_log(session.paths().logs, follow=True, wait=caught_up, **choice):
        waiting.append(record)
    return 0


def _show(session: Session, record: dict[str, Any]) -> None:
    if session.out.jsonl:
        session.out.record(record)
    else:
        fields = " ".join(f"{key}={_word(value)}" for key, value in record.items() if key not in _HEAD)
        level = record["level"]
        session.out.line(
            Painted(record["at"], "dim"),
            " ",
            Painted(f"{level:<8}", _STYLES.get(level, "")),
            f" {record['event']} {fields}",
        )


def _word(value: Any) -> str:
    if isinstance(value, dict) and "text" in value:
        return str(value["text"])
    return str(value)


VERBS = (
    Verb(
        "log",
        "show the engine's log",
        log,
        ("chronos log --level WARNING --since 24h", "chronos log --follow --jsonl"),
        arguments,
        lines=True,
    ),
)
