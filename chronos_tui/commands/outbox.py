"""`chronos outbox`: looking at messages. The acts on them are in acting.py."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from chronos_tui import bridge
from chronos_tui.commands import acting, shapes, times
from chronos_tui.commands.output import Painted, Part
from chronos_tui.commands.parsing import Arguments, Verb, count, text
from chronos_tui.commands.session import Session
from chronos_tui.commands.table import Column
from chronos_tui.commands.table import show as show_table

_PAGE = 500
_MOST = 1_000_000
_STYLES = {
    "delivered": "ok",
    "sending": "bold",
    "dead": "failed",
    "expired": "failed",
    "uncertain": "warning",
    "held": "held",
    "cancelled": "dim",
}
_COLUMNS = (
    Column("#", right=True),
    Column("state"),
    Column("target", flexible=True),
    Column("subject", flexible=True),
    Column("due/age", right=True),
    Column("tries", right=True),
    Column("last word", flexible=True),
)


def list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state", metavar="S", type=text, help="queued, sending, delivered, dead … or several: dead,held"
    )
    parser.add_argument(
        "--filter", metavar="EXPR", type=text, default="", help="such as 'target:ops age>2h'; see docs/commands.md"
    )
    parser.add_argument("--limit", metavar="N", type=count(1, _MOST), default=50, help="at most so many (default: 50)")
    parser.add_argument("--after", metavar="CURSOR", type=count(1, 1 << 62), help="go on behind a page: its `next`")


def show_list(session: Session, given: Arguments) -> int:
    expression = given.filter if given.state is None else f"state:{given.state} {given.filter}".strip()
    with session.engine() as engine:
        if session.out.jsonl:
            for page in _pages(engine, expression, given.limit, given.after):
                for document in _documents(engine, page.messages):
                    session.out.record(document)
            return 0
        pages = list(_pages(engine, expression, given.limit, given.after))
        found = [one for page in pages for one in page.messages]
        cursor = pages[-1].next_cursor
        if session.out.json:
            documents = [document for page in pages for document in _documents(engine, page.messages)]
            session.out.document({"messages": documents, "next": cursor})
            return 0
        if not found:
            session.out.note("no message matches" if expression else "the outbox is empty; 'chronos send' fills it")
            return 0
        now_ms = times.now_ms()
        show_table(session.out, _COLUMNS, [_row(one, now_ms) for one in found])
        if cursor is not None:
            session.out.note(f"{len(found)} shown, there are more: --after {cursor}")
        return 0


def _documents(engine: bridge.Engine, found: Sequence[bridge.Message]) -> list[dict[str, Any]]:
    tags = engine.tags_of([one.id for one in found])
    return [shapes.message(one, tags[one.id]) for one in found]


def _pages(engine: bridge.Engine, expression: str, limit: int, cursor: int | None) -> Iterator[bridge.Page]:
    """Yield pages of at most _PAGE: no statement reads for long, and no answer grows without bound."""
    left = limit
    while True:
        page = engine.page(expression, limit=min(left, _PAGE), cursor=cursor)
        yield page
        left -= len(page.messages)
        cursor = page.next_cursor
        if cursor is None or left <= 0:
            return


def _row(one: bridge.Message, now_ms: int) -> list[Part]:
    waits = one.state == bridge.State.QUEUED and one.due_ms > now_ms
    return [
        str(one.id),
        Painted(one.state.value, _STYLES.get(one.state.value, "")),
        one.target,
        one.subject,
        times.relative(one.due_ms if waits else one.created_ms, now_ms),
        str(one.attempts),
        "" if one.state == bridge.State.DELIVERED else f"{one.last_code} {one.last_word}".strip() or one.state_reason,
    ]


def id_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", type=text, help="a message's number (1042, '#1042') or its uid")


def show_arguments(parser: argparse.ArgumentParser) -> None:
    id_argument(parser)
    parser.add_argument("--body", action="store_true", help="also what it says")


def show(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.detail(given.id)
        content = engine.content(given.id) if given.body else None
        if session.out.json:
            document = shapes.detail(found)
            if content is not None:
                document["content"] = shapes.content(content)
            session.out.document(document)
            return 0
        _print_facts(session, found)
        for attempt in found.attempts:
            _print_attempt(session, attempt)
        if content is not None:
            _print_content(session, content)
        return 0


def _print_facts(session: Session, found: bridge.Detail) -> None:
    one = found.message
    facts: list[tuple[str, Part]] = [
        ("message", f"#{one.id}  {one.uid}"),
        ("state", Painted(one.state.value, _STYLES.get(one.state.value, ""))),
        ("reason", one.state_reason),
        ("target", f"{one.target} ({one.channel})" + (f", route {one.route}" if one.route else "")),
        ("subject", one.subject),
        ("queued", f"{times.moment(one.created_ms)} by {one.queued_by}"),
        ("due", times.moment(one.due_ms) if one.state in {bridge.State.QUEUED, bridge.State.HELD} else ""),
        ("expires", "" if one.expires_ms is None else times.moment(one.expires_ms)),
        ("finished", "" if one.finished_ms is None else times.moment(one.finished_ms)),
        ("priority", shapes.priority_word(one)),
        ("tries", str(one.attempts)),
        ("last word", f"{one.last_code} {one.last_word}".strip()),
        ("size", bridge.format_size(one.size)),
        ("tags", " ".join(found.tags)),
        ("idempotency key", one.idempotency_key or ""),
        ("collapse key", one.collapse_key or ""),
        ("ordering key", one.ordering_key or ""),
    ]
    facts += [("attachment", f"{name} ({kind}, {bridge.format_size(size)})") for name, kind, size in found.attachments]
    for name, value in facts:
        if (value.text if isinstance(value, Painted) else value) != "":
            session.out.line(Painted(f"{name:<15}", "dim"), " ", value)


def _print_attempt(session: Session, attempt: bridge.Attempt) -> None:
    words = f"{attempt.code} {attempt.detail}".strip()
    outcome = attempt.outcome or ("under way" if attempt.finished_ms is None else "cut off")
    session.out.line(
        Painted(f"{f'try {attempt.attempt_no}':<15}", "dim"),
        f" {times.moment(attempt.started_ms)} to {attempt.target}: {outcome}",
        f", {words}" if words else "",
        f" → {attempt.rule}" if attempt.rule else "",
    )
    for recipient, words in attempt.refused:
        session.out.line(Painted(f"{'':<15}", "dim"), f" {recipient} refused: {words}")


def _print_content(session: Session, content: bridge.Content) -> None:
    for name, value in content.headers:
        session.out.line(Painted(f"{'header':<15}", "dim"), f" {name}: {value}")
    for title, body in (("text", content.text), ("html", content.html), ("data", content.data)):
        if body is not None:
            session.out.line(Painted(f"── {title}", "dim"))
            session.out.block(body)


def explain(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        story = engine.explain(given.id)
        if session.out.json:
            one = engine.detail(given.id).message
            session.out.document(
                {
                    "id": one.id,
                    "uid": one.uid,
                    "state": one.state.value,
                    "lines": [{"at": times.stamp(line.at_ms), "text": line.text} for line in story.lines],
                    "now": story.now,
                    "advice": story.advice,
                }
            )
            return 0
        for line in story.lines:
            when = "" if line.at_ms is None else times.moment(line.at_ms)
            session.out.line(Painted(f"{when:<24}", "dim"), line.text)
        session.out.line(Painted(f"{'now':<24}", "dim"), Painted(story.now, "bold"))
        session.out.line(Painted(f"{'what to do':<24}", "dim"), story.advice)
        return 0


def counts(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.counts()
    if session.out.json:
        session.out.document(found)
        return 0
    for state, number in found.items():
        session.out.line(Painted(f"{state:<10}", _STYLES.get(state, "") if number else "dim"), f" {number:>9}")
    return 0


VERBS = (
    Verb(
        "outbox list",
        "list messages, newest first",
        show_list,
        ("chronos outbox list --state dead", "chronos outbox list --filter 'target:ops age>2h -tag:nightly' --json"),
        list_arguments,
        lines=True,
    ),
    Verb(
        "outbox show",
        "show one message with its attempts",
        show,
        ("chronos outbox show 1042", "chronos outbox show 1042 --body --json"),
        show_arguments,
    ),
    Verb(
        "outbox explain",
        "tell a message's story: what happened, why it waits, what to do",
        explain,
        ("chronos outbox explain 1042", "chronos outbox explain msg_019ab2c4d5e67f8091a2b3c4d5e6f708 --json"),
        id_argument,
    ),
    Verb(
        "outbox counts",
        "count messages by state",
        counts,
        ("chronos outbox counts", "chronos outbox counts --json"),
    ),
    *acting.VERBS,
)
