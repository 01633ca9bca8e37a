"""One message as a text to read: what it is now, what to do, its story, its facts, what it says. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chronos_tui import bridge
from chronos_tui.views import times
from chronos_tui.views.outbox import state_span
from chronos_tui.views.spans import Document, Line, Span

BODY_CHARS = 100_000
"""So much of each part is shown; E opens all of it."""

_PRETTY_CHARS = 256_000
_LINE_CHARS = 4_000
_PIECE_CHARS = 50_000
_MOST_TRIES = 30
_MOST_PEOPLE = 20
_MOST_HEADERS = 100
_LABEL = 12


class Body(NamedTuple):
    """What a message says, without its attachments."""

    text: str | None = None
    html: str | None = None
    data: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Facts(NamedTuple):
    """All that is known of a message."""

    detail: bridge.Detail
    story: bridge.Explanation
    body: Body


def document(facts: Facts, now_ms: int) -> Document:
    """Return the text; every word from outside is safe in it."""
    one = facts.detail.message
    lines: list[Line] = [
        (state_span(one.state.value), Span("  "), Span(bridge.safe_line(one.subject, _LINE_CHARS), "bold")),
        (Span(bridge.safe_line(facts.story.now, _LINE_CHARS)),),
        (Span("What to do: ", "accent"), Span(advice(facts.story.advice, one))),
    ]
    lines += _story(facts.story, now_ms)
    lines += _facts(facts.detail, now_ms)
    lines += _tries(facts.detail.attempts, now_ms)
    lines += _headers(facts.body.headers)
    lines += _part("Text", facts.body.text)
    lines += _part("HTML, as source", facts.body.html)
    lines += _data(facts.body.data)
    lines += _attachments(facts.detail.attachments)
    return tuple(lines)


def heading(one: bridge.Message, found: str, cells: int) -> Line:
    """Return the line above the details. found: at which match of a search the operator is."""
    line = [Span("─ ", "dim"), Span(f"#{one.id} ", "title"), state_span(one.state.value), Span(" ")]
    if found:
        line += [Span("── ", "dim"), Span(found, "accent"), Span(" ")]
    used = sum(len(span.text) for span in line)
    return (*line, Span("─" * max(0, cells - used), "dim"))


_KEYS = (
    (r"chronos outbox retry \d+ \(to send it now\)", "r sends it now"),
    (r"chronos outbox retry \d+", "r retries it"),
    (r"chronos outbox release \d+", "l releases it"),
    (r"chronos outbox resend \d+", "R resends it"),
    (r"chronos outbox cancel \d+", "x cancels it"),
    (r"chronos outbox explain (\d+)", r":outbox #\1 tells why that one waits"),
    (r"chronos resume (.+)", r":resume \1"),
    (r"chronos status \((.*)\)", r"the first line says \1"),
    (r"send it anew", "n sends a new one"),
)
"""Advice of the engine for a shell → for the cockpit."""


def advice(text: str, one: bridge.Message) -> str:
    """Return the engine's advice with the keys of the cockpit instead of commands where there are any."""
    for pattern, keys in _KEYS:
        text = re.sub(pattern, keys, text)
    if one.state == bridge.State.UNCERTAIN:
        text += "; A settles it as arrived, X as not arrived"
    return bridge.safe_line(text, _LINE_CHARS)


def _title(text: str) -> list[Line]:
    return [(), (Span("── ", "dim"), Span(text, "title"))]


def _story(story: bridge.Explanation, now_ms: int) -> list[Line]:
    lines = _title(f"Story (times in {times.zone(now_ms)})")
    for event in story.lines:
        when = "" if event.at_ms is None else times.moment(event.at_ms, now_ms)
        lines.append((Span(f"{when:<8}  ", "dim"), Span(bridge.safe_line(event.text, _LINE_CHARS))))
    return lines


def _facts(found: bridge.Detail, now_ms: int) -> list[Line]:
    one = found.message

    def at(ms: int | None) -> str:
        return "" if ms is None else times.moment(ms, now_ms)

    waits = one.state in {bridge.State.QUEUED, bridge.State.HELD}
    route = f", step {one.hop + 1} of route {one.route}" if one.route else ""
    facts = (
        ("message", f"#{one.id}  {one.uid}"),
        ("queued", f"{at(one.created_ms)} by {one.queued_by}"),
        ("target", f"{one.target} ({one.channel}){route}"),
        ("template", one.template),
        ("reason", one.state_reason),
        ("due", at(one.due_ms) if waits else ""),
        ("expires", at(one.expires_ms)),
        ("finished", at(one.finished_ms)),
        ("priority", bridge.Priority(one.priority).name.lower()),
        ("tries", f"{one.attempts}" + (f", round {one.cycle}" if one.cycle > 1 else "")),
        ("if uncertain", one.on_uncertain.value),
        ("size", bridge.format_size(one.size)),
        ("tags", " ".join(found.tags)),
        ("idempotency", one.idempotency_key or ""),
        ("collapses by", one.collapse_key or ""),
        ("ordered by", one.ordering_key or ""),
    )
    return [*_title("Facts"), *(_fact(name, value) for name, value in facts if value)]


def _fact(name: str, value: str) -> Line:
    return (Span(f"{name:<{_LABEL}}  ", "dim"), Span(bridge.safe_line(value, _LINE_CHARS)))


_OUTCOMES = {
    "delivered": ("✓ accepted", "ok"),
    "not_sent": ("✗ not sent", "failed"),
    "rejected": ("✗ refused for good", "failed"),
    "throttled": ("! asked to slow down", "warning"),
    "unknown": ("! no answer: it may have arrived", "warning"),
    "misconfigured": ("✗ the target's settings do not work", "failed"),
    "abandoned": ("! cut off: it may have arrived", "warning"),
}


def _tries(attempts: tuple[bridge.Attempt, ...], now_ms: int) -> list[Line]:
    if not attempts:
        return []
    lines = _title("Tries, the last one first")
    for attempt in attempts[: -_MOST_TRIES - 1 : -1]:
        lines += _try(attempt, now_ms)
    if len(attempts) > _MOST_TRIES:
        lines.append((Span(f"and {len(attempts) - _MOST_TRIES} before them", "dim"),))
    return lines


def _try(attempt: bridge.Attempt, now_ms: int) -> list[Line]:
    if attempt.outcome is None:
        outcome = Span("→ under way", "accent") if attempt.finished_ms is None else Span("! cut off", "warning")
    else:
        words, role = _OUTCOMES.get(attempt.outcome, (bridge.safe_line(attempt.outcome, 40), "warning"))
        outcome = Span(words, role)
    took_ms = None if attempt.finished_ms is None else attempt.finished_ms - attempt.started_ms
    took = f" in {bridge.format_duration(took_ms)}" if took_ms and took_ms >= 1_000 else ""
    head = f"  {times.moment(attempt.started_ms, now_ms)}{took} to {bridge.safe_line(attempt.target, 200)}"
    lines: list[Line] = [(Span(f"{attempt.attempt_no:>3}  ", "dim"), outcome, Span(head, "dim"))]
    said = f"{attempt.code} {attempt.detail}".strip()
    if said:
        lines += [(Span("     “", "dim"), Span(bridge.safe_line(said, _LINE_CHARS)), Span("”", "dim"))]
    lines += _people("accepted", attempt.accepted)
    lines += _people("refused", (f"{who}: {why}" for who, why in attempt.refused))
    if attempt.rule:
        lines.append((Span("     → "), Span(bridge.safe_line(attempt.rule, _LINE_CHARS), "dim")))
    return lines


def _people(word: str, names: Iterable[str]) -> list[Line]:
    known = list(names)
    lines: list[Line] = [
        (Span(f"     {word} ", "dim"), Span(bridge.safe_line(name, 500))) for name in known[:_MOST_PEOPLE]
    ]
    if len(known) > _MOST_PEOPLE:
        lines.append((Span(f"     and {len(known) - _MOST_PEOPLE} more {word}", "dim"),))
    return lines


def _headers(headers: tuple[tuple[str, str], ...]) -> list[Line]:
    if not headers:
        return []
    lines = _title("Headers")
    for name, value in headers[:_MOST_HEADERS]:
        lines.append((Span(f"{bridge.safe_line(name, 100)}: ", "dim"), Span(bridge.safe_line(value, _LINE_CHARS))))
    return lines


def _part(title: str, text: str | None) -> list[Line]:
    if not text:
        return []
    shown = bridge.safe_block(text, BODY_CHARS)
    lines = _title(title)
    lines += [(Span(line),) for line in shown.split("\n")]
    if len(text) > BODY_CHARS or (shown.endswith("…") and not text.endswith("…")):
        size = f"{times.number(len(text))} characters; E opens all of it"
        lines += [(), (Span(f"! cut here, of {size}", "warning"),)]
    return lines


def _data(data: str | None) -> list[Line]:
    if not data:
        return []
    pretty = pretty_json(data)
    return _part("Data" if pretty is None else "Data, laid out", data if pretty is None else pretty)


def pretty_json(data: str) -> str | None:
    """Return JSON laid out over lines; None when it is none or too long to be taken apart in a moment."""
    if len(data) > _PRETTY_CHARS:
        return None
    laid_out: list[str] = []
    length = 0
    try:
        for piece in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(json.loads(data)):
            laid_out.append(piece)
            length += len(piece)
            if length > 2 * _PRETTY_CHARS:  # deep nesting: the blanks in front of each line would be most of it
                return None
    except (ValueError, RecursionError):
        return None
    return "".join(laid_out)


def _attachments(attachments: tuple[tuple[str, str, int], ...]) -> list[Line]:
    if not attachments:
        return []
    lines = _title("Attachments (w saves one)")
    for name, kind, size in attachments:
        lines.append((Span(bridge.safe_line(name, 200)), Span(f"  {bridge.safe_line(kind, 80)}, ", "dim"), _size(size)))
    return lines


def _size(size: int) -> Span:
    return Span(bridge.format_size(size), "dim")


def whole_text(said: bridge.Content) -> str:
    """Return all that a message says as one text for an editor, safe for a terminal."""
    parts = [f"Subject: {bridge.safe_line(said.subject, _LINE_CHARS)}"]
    parts += [f"{bridge.safe_line(name, 100)}: {bridge.safe_line(value, _LINE_CHARS)}" for name, value in said.headers]
    for text in (said.text, said.html, said.data):
        if text:
            parts += ["", "".join(_safe_pieces(text))]
    return "\n".join(parts) + "\n"


def _safe_pieces(text: str) -> Iterator[str]:
    """Make a text safe piece by piece: a long one must not keep the other threads from running."""
    for start in range(0, len(text), _PIECE_CHARS):
        piece = text[start : start + _PIECE_CHARS]
        yield bridge.safe_block(piece, 2 * len(piece))  # a tab becomes two spaces
