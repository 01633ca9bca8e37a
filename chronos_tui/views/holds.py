"""What is paused, for people: a table of holds, and what a pause or its end would do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chronos_tui import bridge
from chronos_tui.views.shell import countdown
from chronos_tui.views.spans import Document, Line, Span

Moment = Callable[[int], str]
"""A time for people, with its zone."""


def scope_words(scope: str) -> str:
    """Return what a scope holds, in words: "all messages", "channel email", "target ops"."""
    kind, _, name = scope.partition(":")
    return "all messages" if scope == "all" else f"{kind} {bridge.safe_line(name, 60)}"


def holds(found: Sequence[bridge.Hold], now_ms: int, moment: Moment) -> Document:
    """Return one paragraph a hold, the first to end first."""
    lines: list[Line] = []
    for hold in sorted(found, key=lambda one: one.until_ms):
        lines.append(hold_line(hold, now_ms, moment))
        reason = f": {bridge.safe_line(hold.reason, 200)}" if hold.reason else ""
        lines.append((Span(f"  by {bridge.safe_line(hold.actor, 60)} {moment(hold.since_ms)}{reason}", "dim"),))
    lines += [(), (Span("P", "accent"), Span(" ends one before its time; then its messages go on."))]
    return tuple(lines)


def hold_line(hold: bridge.Hold, now_ms: int, moment: Moment) -> Line:
    """Return what is held, and until when."""
    left = countdown(hold.until_ms - now_ms)
    return (Span(f"⏸ {scope_words(hold.scope)}", "held"), Span(f"  until {moment(hold.until_ms)}, {left} left"))


def filter_of(scope: str) -> str:
    """Return the filter that finds the messages which wait in a scope."""
    kind, _, name = scope.partition(":")
    if scope == "all":
        return "state:queued"
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'state:queued {kind}:"{escaped}"'


def due_filter_of(scope: str) -> str:
    """Return the filter for those of them that leave as soon as nothing holds them."""
    return f"{filter_of(scope)} due<=0s"


def messages(n: int) -> str:
    """Return "1 message", "12 messages", "100000+ messages"."""
    if n >= bridge.COUNT_MOST:
        return f"{bridge.COUNT_MOST}+ messages"
    return "1 message" if n == 1 else f"{n} messages"


def wait(n: int) -> str:
    """Return "1 message waits", "12 messages wait"."""
    return f"{messages(n)} {'waits' if n == 1 else 'wait'}"


def release(scope: str, due: int, waiting: int, spec: bridge.TargetSpec | None) -> Document:
    """Return what the end of a hold lets go. spec: the one target that it is about, if it is."""
    lines: list[Line] = [(Span(f"{scope_words(scope).capitalize()}: {wait(waiting)}."),)]
    if due:
        goes = "leaves" if due == 1 else "leave"
        took = ""
        rate = spec.rate if spec is not None else None
        if rate is not None and due > rate.limit:
            took = f", about {bridge.format_duration(due * rate.per_ms // rate.limit)} at its rate"
        lines.append((Span(f"After the resume {messages(due)} {goes} at once{took}.", "bold"),))
    if waiting > due:
        rest = waiting - due
        lines.append((Span(f"{messages(rest)} {'is' if rest == 1 else 'are'} not due yet."),))
    if not waiting:
        lines.append((Span("Nothing leaves at once."),))
    return tuple(lines)
