"""`chronos audit`: reading, verifying and exporting the audit log. Nothing here writes it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from chronos_tui import bridge
from chronos_tui.commands import shapes, times
from chronos_tui.commands.output import Painted
from chronos_tui.commands.parsing import Arguments, Verb, count, text
from chronos_tui.commands.session import Session
from chronos_tui.commands.table import Column
from chronos_tui.commands.table import show as show_table

PROBLEM_FOUND = 3
_RISKS = {"low": "dim", "medium": "", "high": "warning", "critical": "failed"}
_COLUMNS = (
    Column("seq", right=True),
    Column("at (UTC)"),
    Column("risk"),
    Column("actor", flexible=True),
    Column("action"),
    Column("subject", flexible=True),
    Column("detail", flexible=True),
)


def list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--filter", metavar="EXPR", type=text, default="", help="such as 'action:message since:24h'")
    parser.add_argument("--limit", metavar="N", type=count(1, 10_000), default=50, help="at most so many (default: 50)")
    parser.add_argument("--before", metavar="SEQ", type=count(1, 1 << 62), help="go on behind a page: its `next`")


def show_list(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.audit_page(given.filter, limit=given.limit, before=given.before)
    cursor = found[-1].seq if len(found) == given.limit and found[-1].seq > 1 else None
    if session.out.jsonl:
        for entry in found:
            session.out.record(shapes.entry(entry))
    elif session.out.json:
        session.out.document({"entries": [shapes.entry(entry) for entry in found], "next": cursor})
    elif not found:
        session.out.note("no entry matches" if given.filter else "the audit log is empty")
    else:
        rows = [
            (str(e.seq), e.at[5:19].replace("T", " "), _risk(e), e.actor, e.action, e.subject, _words(e.detail))
            for e in found
        ]
        show_table(session.out, _COLUMNS, rows)
        if cursor is not None:
            session.out.note(f"{len(found)} shown, there may be more: --before {cursor}")
    return 0


def _risk(entry: bridge.AuditEntry) -> Painted:
    level = entry.risk.level.value
    return Painted(level, _RISKS[level])


def _words(detail: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in detail.items())


def verify_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--against", metavar="FILE", help=argparse.SUPPRESS)


def verify(session: Session, given: Arguments) -> int:
    if given.against is not None:
        raise bridge.NotPossible("audit verify --against: not available in this version")
    with session.engine() as engine:
        found = engine.audit_verify(_progress(session))
    if session.out.json:
        session.out.document(
            {
                "ok": found.ok,
                "entries": found.entries,
                "head_seq": found.head_seq,
                "head_hash": found.head_hash,
                "bad_seq": found.bad_seq,
                "why": found.why or None,
            }
        )
    elif found.ok:
        session.out.line(Painted("ok", "ok"), f": {found.entries} entries, head {found.head_seq} {found.head_hash}")
    else:
        session.out.line(Painted("failed", "failed"), f": {found.why}")
        session.out.line(f"{found.entries} entries before it are sound; compare with an exported copy")
    return 0 if found.ok else PROBLEM_FOUND


def _progress(session: Session) -> Callable[[int, int], None] | None:
    if session.out.quiet or not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        print(f"\r{done} of {total}", end="\n" if done >= total else "", file=sys.stderr, flush=True)

    return show


def export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since", metavar="T", type=text, help="only from then on: 24h, 2026-11-23, '2026-11-23 14:00'"
    )


def export(session: Session, given: Arguments) -> int:
    """Print the log as JSON Lines, whatever --json says: that is its format."""
    since_ms = None if given.since is None else times.parse_since(given.since, session.env)
    with session.engine() as engine:
        for line in engine.audit_export(since_ms):
            print(line)
    return 0


VERBS = (
    Verb(
        "audit list",
        "list entries, newest first",
        show_list,
        ("chronos audit list --filter 'since:24h'", "chronos audit list --filter 'actor:cli:root action:bulk' --json"),
        list_arguments,
        lines=True,
    ),
    Verb(
        "audit verify",
        "recompute the whole chain of hashes",
        verify,
        ("chronos audit verify", "chronos audit verify --json"),
        verify_arguments,
        "Ends with 3 and names the first bad entry when something was changed, taken out or put in.",
    ),
    Verb(
        "audit export",
        "print the audit log as JSON Lines, oldest first",
        export,
        ("chronos audit export > audit.jsonl", "chronos audit export --since 24h"),
        export_arguments,
        "docs/audit-format.md describes the lines and how to verify them elsewhere.",
        lines=True,
    ),
)
