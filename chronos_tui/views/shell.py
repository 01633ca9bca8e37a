"""What surrounds the panels: first line, tabs, footer. Each fitted to the width by leaving out what matters least."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chronos_tui import bridge
from chronos_tui.keys import Command, key_words
from chronos_tui.views import incidents
from chronos_tui.views.spans import Line, Span, width

SILENT_MS = 20_000
"""An owner writes its heartbeat every 5 s; after four of them missing it is worth a word."""

_LATE_MS = 5 * 60_000
_GAP = Span("  ")


class Attention(NamedTuple):
    """The one thing that needs the operator. panel, place: where `!` leads. brief: its words for a narrow terminal."""

    words: str
    role: str
    panel: str
    place: str
    brief: str = ""


def attention(situation: bridge.Situation, now_ms: int) -> Attention | None:
    """Return what needs the operator most, or None when nothing does."""
    counts = situation.counts
    if situation.degraded:
        return Attention("DEGRADED: nothing is taken; chronos doctor --fix", "failed", "overview", "")
    if situation.owner is None:
        return Attention("nobody delivers", "failed", "overview", "")
    silent_ms = now_ms - situation.heartbeat_ms
    if silent_ms > SILENT_MS:
        return Attention(f"engine silent for {bridge.format_duration(silent_ms)}", "failed", "overview", "")
    if waiting := incidents.serious(situation.incidents):
        return Attention(incidents.serious_words(waiting), "failed", "security", f"incidents/{waiting[0].id}")
    if counts.get("dead"):
        return Attention(f"{counts['dead']} dead", "failed", "outbox", "state:dead")
    if counts.get("uncertain"):
        return Attention(f"{counts['uncertain']} uncertain", "warning", "outbox", "state:uncertain")
    if situation.troubles:
        name, words = next(iter(situation.troubles.items()))
        name, words = bridge.safe_line(name, 20), bridge.safe_line(words, 80)
        brief = bridge.safe_line(re.split(r"[,:;] ", words, maxsplit=1)[0], 40)
        return Attention(f"{name}: {words}", "warning", "overview", "", f"{name}: {brief}")
    if situation.oldest_due_ms is not None and now_ms - situation.oldest_due_ms > _LATE_MS:
        late = bridge.format_duration(now_ms - situation.oldest_due_ms)
        return Attention(f"oldest due {late} ago", "warning", "outbox", "state:queued due<0s")
    return None


def counted(situation: bridge.Situation | None) -> Mapping[str, int]:
    """Return what badges are made of: messages by state, "incidents" to look after, of them "incidents serious"."""
    if situation is None:
        return {}
    waiting = incidents.serious(situation.incidents)
    return {
        **situation.counts,
        "incidents": len(situation.incidents),
        "incidents serious": len(waiting),
    }


_MARKS = {"failed": "✗ ", "warning": "! ", "held": "⏸ ", "ok": "✓ "}


def header(situation: bridge.Situation | None, now_ms: int, cells: int, *, read_only: bool) -> Line:
    """Return the first line: box, who delivers, what needs the operator, what is held, the time."""
    clock = Span(time.strftime("%H:%M %Z", time.localtime(now_ms / 1000)) + " ")
    if situation is None:
        return _spread([Span(" chronos", "title")], [clock], cells)
    box = Span(bridge.safe_line(situation.instance, 40), "bold")
    left = [Span(" "), box, _GAP, *_role(situation, now_ms)]
    if read_only:
        left += [_GAP, Span("read-only", "warning")]
    need = attention(situation, now_ms)
    full, brief = (_needed(need, need.words), _needed(need, need.brief or need.words)) if need else ([], [])
    held = _held(situation.holds, now_ms)
    short = _held(situation.holds, now_ms, short=True)
    briefly = [*left[:3], *_role(situation, now_ms, short=True), *left[4:]]
    least = [*left[:2], *left[4:]]
    candidates = [
        ([Span(" chronos  ", "title"), *left[1:]], [*full, *held, clock]),
        (left, [*full, *held, clock]),
        ([Span(" chronos  ", "title"), *left[1:]], [*brief, *held, clock]),
        (left, [*brief, *held, clock]),
        (left, [*brief, *short, clock]),
        (briefly, [*brief, *held, clock]),
        (briefly, [*brief, *short, clock]),
        (least, [*brief, *short, clock]),
        (least, [*brief, clock]),
        (least, [clock]),
    ]
    for one, other in candidates:
        if width((*one, *other)) < cells:
            return _spread(one, other, cells)
    return _spread(*candidates[-1], cells)


def _needed(need: Attention, words: str) -> list[Span]:
    return [Span(_MARKS[need.role] + words, need.role), Span(" → ", "dim"), Span("!", "accent"), _GAP]


def _spread(left: Sequence[Span], right: Sequence[Span], cells: int) -> Line:
    gap = cells - width((*left, *right))
    return (*left, Span(" " * max(1, gap)), *right)


def _role(situation: bridge.Situation, now_ms: int, *, short: bool = False) -> list[Span]:
    owner = situation.owner
    if owner is None:
        return [Span("nobody delivers", "failed")]
    if situation.here:
        return [Span("delivering here", "ok")]
    silent_ms = max(0, now_ms - situation.heartbeat_ms)
    alive = silent_ms <= SILENT_MS
    who = "another process" if owner.pid is None else f"pid {owner.pid}"
    silent = bridge.format_duration(silent_ms)
    if short:
        words = f"by {who}" if alive else f"{who} silent for {silent}"
    else:
        beat = "heartbeat ok" if alive else f"heartbeat {silent} ago"
        words = f"delivered by {who} ({bridge.safe_line(owner.mode or '?', 20)}), {beat}"
    return [Span(words, "ok" if alive else "failed")]


def _held(holds: Sequence[bridge.Hold], now_ms: int, *, short: bool = False) -> list[Span]:
    if not holds:
        return []
    first = min(holds, key=lambda hold: hold.until_ms)
    scope = "everything" if first.scope == "all" else bridge.safe_line(first.scope.partition(":")[2], 20)
    more = f" +{len(holds) - 1}" if len(holds) > 1 else ""
    left = countdown(first.until_ms - now_ms)
    words = f"⏸ {scope} {left}{more}" if short else f"⏸ {scope} held{more}, {left} left"
    return [Span(words, "held"), _GAP]


def countdown(ms: int) -> str:
    """Return how long is left, in minutes until the last one, in which each second counts."""
    seconds = max(0, -(-ms // 1000))
    if seconds < 60:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def tabs(titles: Sequence[tuple[int, str, str, str]], present: int, cells: int) -> Line:
    """Return the tabs. titles: (number, title, badge, the badge's role); present: the number of the open one."""
    for badges in (True, False):
        line: list[Span] = []
        for number, title, badge, role in titles:
            open_ = number == present
            line += [Span(f" {number} ", "accent"), Span(title, "selected" if open_ else "")]
            if badge and badges:
                line.append(Span(f" ·{badge}", role))
            line.append(Span(" "))
        if width(tuple(line)) <= cells:
            break
    return tuple(line)


def footer(commands: Sequence[Command], cells: int) -> Line:
    """Return the keys that work now, as many as fit; commands: with a rank, in any order."""
    ordered = sorted(commands, key=lambda command: command.rank)
    while ordered:
        line: list[Span] = [Span(" ")]
        for command in ordered:
            line += [Span(key_words(command.keys[0]), "accent"), Span(f" {command.title}  ")]
        if width(tuple(line)) <= cells:
            return tuple(line)
        # Help and quit are what a lost operator looks for: they go last.
        middle = [command for command in ordered if command.rank < 90] or ordered
        ordered.remove(middle[-1])
    return ()
