"""`chronos source`: who may send events here, what came, why something was refused; sending an event on once more."""

from __future__ import annotations

import argparse
import base64
from collections.abc import Mapping
from typing import Any

from chronos_tui import bridge
from chronos_tui.commands import times
from chronos_tui.commands.output import Painted, Part
from chronos_tui.commands.parsing import Arguments, Verb, count, text
from chronos_tui.commands.session import Session
from chronos_tui.commands.table import Column
from chronos_tui.commands.table import show as show_table

_HOW = (
    "no source is configured; one needs a name, a scheme, a secret and a target, such as: "
    'sources: {n8n: {verify: standard-webhooks, secret: "secret:n8n-in", deliver: {target: ops}}}; '
    "'chronos config path' names the file"
)
_OUTCOMES = {"queued": "ok", "ignored": "dim", "failed": "failed"}
_SOURCES = (
    Column("source"),
    Column("verify"),
    Column("target"),
    Column("accepted", right=True),
    Column("again", right=True),
    Column("refused", right=True),
    Column("last accepted", right=True),
)
_EVENTS = (
    Column("id", right=True),
    Column("source"),
    Column("received", right=True),
    Column("outcome"),
    Column("kind", flexible=True),
    Column("event", flexible=True),
    Column("detail", flexible=True),
)


def show_list(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.sources()
    if session.out.json:
        session.out.document({"sources": [bridge.source_shape(one) for one in found]})
    elif not found:
        session.out.note(_HOW)
    else:
        now_ms = times.now_ms()
        show_table(session.out, _SOURCES, [_source_row(one, now_ms) for one in found])
        for one in found:
            if trouble := _trouble(one, now_ms):
                session.out.line(Painted(f"{one.name}: ", "dim"), trouble)
    return 0


def _source_row(one: bridge.SourceState, now_ms: int) -> list[Part]:
    accepted = one.last_accepted_ms
    return [
        one.name,
        one.verify,
        one.deliver,
        str(one.accepted),
        str(one.duplicates),
        Painted(str(one.rejected), "warning" if one.rejected else ""),
        "never" if accepted is None else times.relative(accepted, now_ms),
    ]


def _trouble(one: bridge.SourceState, now_ms: int) -> Part:
    if one.secrets_missing:
        return Painted(f"{', '.join(one.secrets_missing)}: not set", "failed")
    if one.failed:
        return Painted(f"{one.failed} became no message", "failed")
    if one.last_rejected_ms is None:
        return ""
    return f"last refused {times.relative(one.last_rejected_ms, now_ms)}: {one.last_reason}"


def name_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", type=text, help="a source")


def show(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.source(given.name)
        http = engine.settings.http
        newest = engine.events(given.name, limit=5)
    if session.out.json:
        session.out.document(bridge.source_shape(found))
        return 0
    now_ms = times.now_ms()
    _facts(session, found, _address(found.path, http))
    for one in found.rejections:
        words = f"{times.relative(one.last_ms, now_ms)}, {_often(one.count)} from {one.remote}: {one.detail}"
        session.out.line(Painted(f"{'refused':<12}", "warning"), words)
    if newest:
        show_table(session.out, _EVENTS, [_event_row(one, now_ms) for one in newest])
    return 0


def _often(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _address(path: str, http: Mapping[str, Any]) -> str:
    """Return where to post to, in the words that curl takes."""
    listen = http["listen"]
    if not http["enabled"]:
        return f"POST {path}, but the HTTP door is closed: http.enabled is false"
    if listen.startswith(("unix:", "/")):
        return f"POST {path} through the socket {listen.removeprefix('unix:')}"
    return f"POST {'https' if http['tls_certificate'] else 'http'}://{listen}{path}"


def _facts(session: Session, found: bridge.SourceState, address: str) -> None:
    if found.secret_ok is None:
        proof: Part = "none: an API key with the scope send is asked for"
    elif found.secret_ok:
        proof = "set"
    else:
        missing = found.secrets_missing[0].partition(":")[2]
        proof = Painted(f"{', '.join(found.secrets_missing)}: not set; run: chronos secret set {missing}", "failed")
    facts: list[tuple[str, Part]] = [
        ("source", found.name),
        ("send to", address),
        ("verify", found.verify),
        ("secret", proof),
        ("target", found.deliver),
        ("accepted", f"{found.accepted}, and {found.duplicates} that were known already"),
        ("refused", f"{found.rejected}, of them {found.replays} replays"),
    ]
    if found.failed:
        words = f"{found.failed} became no message; 'chronos source events {found.name}' says why"
        facts.append(("failed", Painted(words, "failed")))
    for title, value in facts:
        session.out.line(Painted(f"{title:<12}", "dim"), value)


def events_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", type=text, nargs="?", help="a source (default: all of them)")
    parser.add_argument("--limit", metavar="N", type=count(1, 10_000), default=50, help="at most so many (default: 50)")
    parser.add_argument("--before", metavar="N", type=count(1, 1 << 62), help="only events before this one")


def show_events(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.events(given.name, limit=given.limit, before=given.before)
        configured = bool(engine.settings.sources)
    out = session.out
    following = found[-1].id if len(found) == given.limit else None
    if out.jsonl:
        for one in found:
            out.record(bridge.event_shape(one))
    elif out.json:
        out.document({"events": [bridge.event_shape(one) for one in found], "next": following})
    elif not found:
        out.note("no event came yet; 'chronos source show NAME' says where to send it" if configured else _HOW)
    else:
        now_ms = times.now_ms()
        show_table(out, _EVENTS, [_event_row(one, now_ms) for one in found])
        if following is not None:
            out.note(f"{len(found)} shown, there may be more: --before {following}")
    return 0


def _event_row(one: bridge.Event, now_ms: int) -> list[Part]:
    again = f"came {_often(one.duplicates)} more" if one.duplicates else ""
    return [
        str(one.id),
        one.source,
        times.relative(one.received_ms, now_ms),
        Painted(one.outcome, _OUTCOMES[one.outcome]),
        one.kind,
        one.event_id,
        "; ".join(word for word in (one.detail, again) if word),
    ]


def number_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", metavar="N", type=count(1, 1 << 62), help="its number, as 'source events' shows it")


def show_event(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.event(given.number)
    body = None if found.body is None else _text(found.body)
    if session.out.json:
        encoded = base64.b64encode(found.body).decode() if found.body is not None and body is None else None
        session.out.document({**bridge.event_shape(found), "body": body, "body_base64": encoded})
        return 0
    facts: list[tuple[str, Part]] = [
        ("event", f"{found.id}  {found.event_id}"),
        ("source", found.source),
        ("kind", found.kind),
        ("received", f"{times.moment(found.received_ms)} from {found.remote}"),
        ("outcome", Painted(found.outcome, _OUTCOMES[found.outcome])),
        ("detail", found.detail),
        ("message", found.message_uid or ""),
        ("again", _often(found.duplicates) if found.duplicates else ""),
        ("replayed", _often(found.replayed) if found.replayed else ""),
        ("body", f"{bridge.format_size(found.size)} {found.content_type}".strip()),
    ]
    for title, value in facts:
        if value != "":
            session.out.line(Painted(f"{title:<10}", "dim"), value)
    session.out.line()
    if found.body is None:
        session.out.note("its body is no longer kept")
    else:
        session.out.block(found.body.decode("utf-8", "replace"))
    return 0


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def replay_arguments(parser: argparse.ArgumentParser) -> None:
    number_argument(parser)
    parser.add_argument("--target", metavar="T", type=text, help="a target or route instead of the source's own")


def replay(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        uid = engine.event_replay(given.number, target=given.target)
    if session.out.json:
        session.out.document({"event": given.number, "message": uid})
    else:
        session.out.line(uid)
    return 0


VERBS = (
    Verb(
        "source list",
        "list the sources of incoming events, and what ails them",
        show_list,
        ("chronos source list", "chronos source list --json"),
    ),
    Verb(
        "source show",
        "one source: where to send, what came, why something was refused",
        show,
        ("chronos source show github", "chronos source show github --json"),
        name_argument,
        "The sender of a refused event is told nothing of the reason; it stands here.",
    ),
    Verb(
        "source events",
        "list accepted events, newest first",
        show_events,
        ("chronos source events", "chronos source events github --limit 10"),
        events_arguments,
        lines=True,
    ),
    Verb(
        "source event",
        "one accepted event with its body",
        show_event,
        ("chronos source event 12", "chronos source event 12 --json"),
        number_argument,
    ),
    Verb(
        "source replay",
        "make a message of a kept event once more and print its uid",
        replay,
        ("chronos source replay 12", "chronos source replay 12 --target me"),
        replay_arguments,
        "By the configuration as it is now, whatever `deliver.when` says.",
    ),
)
