"""The outbox as lines: rows of the list, its title, the counts above it, what an empty one says. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from chronos_tui import bridge
from chronos_tui.views import times
from chronos_tui.views.spans import Line, Span, width
from chronos_tui.views.times import number

STATES: Mapping[str, tuple[str, str]] = {
    "dead": ("✗", "failed"),
    "uncertain": ("!", "warning"),
    "expired": ("✗", "failed"),
    "held": ("⏸", "held"),
    "sending": ("→", "accent"),
    "queued": ("·", ""),
    "cancelled": ("–", "dim"),  # noqa: RUF001 - a dash on purpose
    "delivered": ("✓", "ok"),
}
"""Symbol and role of each state, what is wrong first."""

_LEAST_TELLING = ("cancelled", "sending", "expired", "held", "queued")
"""Counts that go first where there is no room for all."""

ORDERS: tuple[tuple[str, str, str], ...] = (
    ("n", "number", "number, which is the order of queueing"),
    ("s", "state", "state"),
    ("t", "target", "target"),
    ("u", "subject", "subject"),
    ("d", "due", "when it is due"),
    ("r", "tries", "tries"),
    ("z", "size", "size"),
    ("c", "changed", "when it came to its end"),
)
"""(key, order, what it is by)."""

_FILTER_CELLS = 16
"""So much of a filter is shown even where little room is left."""

COLUMN_OF = {"number": "number", "state": "state", "target": "target", "subject": "subject", "due": "due"} | {
    "tries": "tries"
}
"""The column whose title shows an order's arrow; the other orders stand in the title of the list."""


def state_span(state: str) -> Span:
    """Return a state as symbol and word."""
    symbol, role = STATES.get(state, ("?", "warning"))
    return Span(f"{symbol} {bridge.safe_line(state, 20)}", role)


def row(one: bridge.Message, now_ms: int) -> tuple[Span, ...]:
    """Return the cells of a message: number, state, target, subject, due or age, tries, last word."""
    waits = one.state == bridge.State.QUEUED and one.due_ms > now_ms
    subject = bridge.safe_line(one.subject, 300)
    return (
        Span(str(one.id)),
        state_span(one.state.value),
        Span(bridge.safe_line(one.target, 100)),
        Span(subject) if subject else Span("(no subject)", "dim"),
        Span(times.coarse(one.due_ms if waits else one.created_ms, now_ms), "" if waits else "dim"),
        Span(str(one.attempts), "" if one.attempts else "dim"),
        Span(last_word(one, 300), "dim" if one.state == bridge.State.CANCELLED else ""),
    )


def last_word(one: bridge.Message, limit: int) -> str:
    """Return what the receiver said last, else our own reason; nothing for what was delivered."""
    if one.state == bridge.State.DELIVERED:
        return ""
    return bridge.safe_line(f"{one.last_code} {one.last_word}".strip() or one.state_reason, limit)


def counts_line(counts: Mapping[str, int], cells: int) -> Line:
    """Return how many stand in each state, what is wrong first; states without any are left out."""
    present = [state for state in STATES if counts.get(state)]
    if not present:
        return (Span(" no message yet", "dim"),)
    left_out: list[Span] = []
    for state in ("", *_LEAST_TELLING):
        if state in present:
            present.remove(state)
            left_out = [Span("  …", "dim")]
        line = [Span("")]
        for one in present:
            symbol, role = STATES[one]
            line.append(Span(f"{'  ' if len(line) > 1 else ' '}{symbol} {number(counts[one])} {one}", role))
        if width((*line, *left_out)) < cells:
            break
    return (*line[1:], *left_out)


class Heading(NamedTuple):
    """What the title of the list says. matching: how many match, counted up to bridge.COUNT_MOST; None: not known."""

    expression: str = ""
    matching: int | None = None
    total: int | None = None
    order: str = "number"
    descending: bool = True
    marked: int = 0
    newer: int = 0
    newer_exact: bool = True


def title(heading: Heading, cells: int) -> Line:
    """Return the line above the list: filter, order, marks, what came above; how many at the right."""
    right = [Span(f" {_amount(heading)} "), Span("─", "dim")] if heading.total is not None else []
    room = cells - len("─ Outbox ") - width(tuple(right)) - 1
    parts = _parts(heading)
    least = _FILTER_CELLS if heading.expression else 0
    while parts and sum(_part_cells(part) for part in parts.values()) + least > room:
        del parts[next(name for name in ("order", "newer", "marked") if name in parts)]
    shown = list(parts.values())
    if heading.expression:
        most = max(_FILTER_CELLS, room - sum(map(_part_cells, shown))) - 4
        shown.insert(0, Span(_cut(bridge.safe_line(heading.expression, 500), most), "warning"))
    line = [Span("─ ", "dim"), Span("Outbox", "title"), Span(" ")]
    for part in shown:
        line += [Span("── ", "dim"), part, Span(" ")]
    rest = cells - width((*line, *right))
    return (*line, Span("─" * max(0, rest), "dim"), *right)


def _parts(heading: Heading) -> dict[str, Span]:
    parts: dict[str, Span] = {}
    if (heading.order, heading.descending) != ("number", True):
        parts["order"] = Span(f"by {heading.order} {'▼' if heading.descending else '▲'}")
    if heading.marked:
        parts["marked"] = Span(f"• {number(heading.marked)} marked", "accent")
    if heading.newer:
        more = "" if heading.newer_exact else "+"
        parts["newer"] = Span(f"{number(heading.newer)}{more} newer above", "accent")
    return parts


def _cut(text: str, cells: int) -> str:
    if width((Span(text),)) <= cells:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, cells - 1).rstrip() + "…"


def _part_cells(part: Span) -> int:
    return width((part,)) + 4


def _amount(heading: Heading) -> str:
    total = number(heading.total or 0)
    if not heading.expression:
        return f"{total} {'message' if heading.total == 1 else 'messages'}"
    if heading.matching is None:
        return f"? of {total}"
    return f"{bounded(heading.matching)} of {total}"


def bounded(n: int) -> str:
    """Return a count that ends at bridge.COUNT_MOST: "100 000+"."""
    return f"{number(n)}+" if n >= bridge.COUNT_MOST else number(n)


_NOTHING = {
    "dead": "Nothing dead.",
    "uncertain": "Nothing uncertain.",
    "expired": "Nothing expired.",
    "held": "Nothing held.",
    "sending": "Nothing is on the wire.",
    "queued": "Nothing waits.",
    "cancelled": "Nothing cancelled.",
    "delivered": "Nothing delivered yet.",
}


_FIELD = re.compile(r"(^|\s)-?[a-z_]+(:|[<>=])")


def empty(expression: str) -> tuple[Line, ...]:
    """Return what an empty list says and what to do."""
    new = (Span("n", "accent"), Span(" sends a message."))
    if not expression:
        return ((Span("The outbox is empty. "), *new),)
    words = expression.strip().lower()
    said = f"Nothing matches {bridge.safe_line(expression, 200)}"
    if words in _NOTHING:
        # As a word it is looked for in the messages: there may be dead ones all the same.
        said = f"No message says “{words}”; state:{words} shows what is {words}."
    elif words.startswith("state:"):
        said = _NOTHING.get(words.removeprefix("state:"), said)
    elif not _FIELD.search(words):
        said += ". Words are looked for in subject and text; error:… in what receivers said, id:… is a number"
    keys = (Span("/", "accent"), Span(" changes the filter, "), Span("esc", "accent"), Span(" shows all, "), *new)
    return ((Span(said),), keys)
