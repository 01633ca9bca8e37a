"""`chronos incident`: what went wrong, what it means and what to do; acknowledging and resolving it."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Sequence

from chronos_tui import bridge
from chronos_tui.commands import times
from chronos_tui.commands.output import Painted, Part
from chronos_tui.commands.parsing import Arguments, Verb, count, text
from chronos_tui.commands.session import Session
from chronos_tui.commands.table import Column
from chronos_tui.commands.table import show as show_table

_STYLES = {"critical": "failed", "high": "failed", "medium": "warning", "low": "dim"}
_COLUMNS = (
    Column("id", right=True),
    Column("severity"),
    Column("state"),
    Column("count", right=True),
    Column("last", right=True),
    Column("what", flexible=True),
    Column("subject", flexible=True),
)
_STORY = 100
_WIDEST = 100


def _number(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", metavar="N", type=count(1, 1 << 62), help="its number, as 'incident list' shows it")


def list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", dest="everything", help="resolved ones too, newest first")
    parser.add_argument(
        "--limit", metavar="N", type=count(1, 10_000), default=200, help="at most so many (default: 200)"
    )


def show_list(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.incidents(everything=given.everything, limit=given.limit)
    out = session.out
    if out.jsonl:
        for one in found:
            out.record(bridge.incident_shape(one))
    elif out.json:
        out.document({"incidents": [bridge.incident_shape(one) for one in found]})
    elif not found:
        out.note("there was no incident yet" if given.everything else "no incident is open")
    else:
        now_ms = times.now_ms()
        show_table(out, _COLUMNS, [_row(one, now_ms) for one in found])
        out.note("'chronos incident show N' says what it means and what to do")
    return 0


def _row(one: bridge.Incident, now_ms: int) -> list[Part]:
    page = bridge.playbook_page(one.kind)
    style = "dim" if one.state == "resolved" else _STYLES.get(one.severity, "")
    return [
        str(one.id),
        Painted(one.severity, style),
        one.state,
        str(one.count),
        times.relative(one.last_ms, now_ms),
        page.title if page else one.kind,
        one.subject,
    ]


def show(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.incident(given.number)
        story = engine.audit_page(f"subject:incident:{found.id}", limit=_STORY)[::-1]
    if session.out.json:
        session.out.document(bridge.incident_in_full_shape(found, story))
    else:
        _tell(session, found, story)
    return 0


def _tell(session: Session, found: bridge.Incident, story: Sequence[bridge.AuditEntry]) -> None:
    out = session.out
    page = bridge.playbook_page(found.kind)
    out.line(
        Painted(f"incident {found.id}  ", "dim"),
        Painted(found.severity, _STYLES.get(found.severity, "")),
        f"  {page.title if page else found.kind}: {found.subject}",
    )
    out.line(found.detail)
    often = "once" if found.count == 1 else f"{found.count} times, the last {times.moment(found.last_ms)}"
    _field(session, "state", found.state)
    _field(session, "kind", found.kind)
    _field(session, "since", f"{times.moment(found.first_ms)}, {often}")
    if found.note:
        _field(session, "note", found.note)
    told = f"by message {found.alert_uid}" if found.alert_uid else "nobody: no message was queued for it"
    _field(session, "told", told)
    for entry in story:
        _field(session, "story", f"{entry.at} {entry.action.partition('.')[2]} by {entry.actor}{_more(entry)}")
    if page is not None:
        _show_page(session, page)


def _more(entry: bridge.AuditEntry) -> str:
    note = entry.detail.get("note")
    return f": {note}" if isinstance(note, str) else ""


def _field(session: Session, title: str, words: str) -> None:
    session.out.line(Painted(f"{title:<7}", "dim"), words)


def _show_page(session: Session, page: bridge.PlaybookPage) -> None:
    _part(session, "What it means", (page.means,), mark="")
    _part(session, "How to check", page.check)
    _part(session, "What to do", page.act)
    _part(session, "The rule", (page.rule, f"Source: {page.source}."), mark="")


def _part(session: Session, title: str, lines: Iterable[str], mark: str = "- ") -> None:
    session.out.line()
    session.out.line(Painted(title, "bold"))
    width = min(session.out.width, _WIDEST)
    for line in lines:
        for words in textwrap.wrap(line, width, initial_indent=mark, subsequent_indent=" " * len(mark)):
            session.out.line(words)


def acknowledge(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        done = engine.incident_ack(given.number)
    return _done(
        session, done, f"incident {done.id}: acknowledged; 'chronos incident resolve {done.id} --note …' ends it"
    )


def resolve_arguments(parser: argparse.ArgumentParser) -> None:
    _number(parser)
    parser.add_argument(
        "--note",
        metavar="TEXT",
        type=text,
        required=True,
        help="what it was and what was done, for whoever looks later",
    )


def resolve(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        done = engine.incident_resolve(given.number, given.note)
    return _done(session, done, f"incident {done.id}: resolved")


def _done(session: Session, done: bridge.Incident, words: str) -> int:
    if session.out.json:
        session.out.document(bridge.incident_shape(done))
    else:
        session.out.done(words)
    return 0


VERBS = (
    Verb(
        "incident list",
        "list what is not resolved, the worst first",
        show_list,
        ("chronos incident list", "chronos incident list --all --json"),
        list_arguments,
        lines=True,
    ),
    Verb(
        "incident show",
        "show one with its story, what it means, how to check and what to do",
        show,
        ("chronos incident show 3", "chronos incident show 3 --json"),
        _number,
        "docs/incidents.md has every page of the playbook.",
    ),
    Verb(
        "incident ack",
        "say that somebody looks after it",
        acknowledge,
        ("chronos incident ack 3", "chronos incident ack 3 --json"),
        _number,
        "Repeats are counted and told no more, unless it gets worse. Ends with 5 where it was said, or it is resolved.",
    ),
    Verb(
        "incident resolve",
        "say that it is over, and why",
        resolve,
        (
            "chronos incident resolve 3 --note 'old key in the backup script'",
            "chronos incident resolve 3 --note x --json",
        ),
        resolve_arguments,
        "A repeat afterwards opens a new one. Ends with 5 where it is resolved already.",
    ),
)
