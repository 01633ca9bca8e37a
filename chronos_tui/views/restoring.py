"""A restore as people read it: the plan in the words of `chronos restore plan`, what is held, what it did. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from chronos_tui import bridge
from chronos_tui.commands import planning
from chronos_tui.commands.output import Painted
from chronos_tui.views import times
from chronos_tui.views.acts import Preview
from chronos_tui.views.spans import Document, Line, Span, line_text

_LONGEST = 2_000


class Waiting(NamedTuple):
    """A message that a restore holds. number: None where it gets another one. was, reason: in words."""

    number: int | None
    uid: str
    target: str
    subject: str
    was: str
    reason: str


def plan(found: bridge.RestorePlan, *, with_configuration: bool = False) -> Document:
    """Return what would change, as the command prints it."""
    lines = list(_spans(planning.plan_lines(found, configure="c")))
    if with_configuration:
        words = "the backup's configuration and templates are put in place; yours are kept beside them"
        lines.append((Span(f"{'chosen':<15} ", "dim"), Span(words, "warning")))
    return tuple(lines)


def _spans(lines: Iterable[planning.Line]) -> Iterator[Line]:
    for line in lines:
        yield tuple(
            Span(bridge.safe_line(part.text, _LONGEST), part.style)
            if isinstance(part, Painted)
            else Span(bridge.safe_line(part, _LONGEST))
            for part in line
        )


def held_of(found: bridge.RestorePlan) -> tuple[Waiting, ...]:
    """Return what a plan would hold."""
    return tuple(Waiting(one.id, one.uid, one.target, one.subject, str(one.was), one.reason) for one in found.held)


def held_by(done: Mapping[str, Any]) -> tuple[Waiting, ...]:
    """Return what a restore holds, by its document."""
    return tuple(
        Waiting(one.get("id"), *(str(one.get(name, "")) for name in ("uid", "target", "subject", "was", "reason")))
        for one in done.get("held", ())
        if isinstance(one, Mapping)
    )


def held(found: Sequence[Waiting], total: int) -> Document:
    """Return each message that waits for the operator, and why."""
    if not total:
        return ((Span("✓ Nothing is held: no message is undecided.", "ok"),),)
    are = "message is" if total == 1 else "messages are"
    lines: list[Line] = [
        (Span(f"⏸ {times.number(total)} {are} held: not sent until you release them.", "held"),),
        (),
    ]
    for one in found:
        name = f"#{one.number}" if one.number is not None else one.uid
        target, subject = bridge.safe_line(one.target, 60), bridge.safe_line(one.subject, 120)
        lines.append(
            (Span(f"{bridge.safe_line(name, 40)}  ", "bold"), Span(f"{target}  "), Span(subject or "no subject"))
        )
        lines.append((Span(f"    {bridge.safe_line(one.reason or one.was, 300)}", "dim"),))
    if total > len(found):
        lines.append((Span(f"and {times.number(total - len(found))} more; the tag finds all of them", "dim"),))
    return tuple(lines)


def question(found: bridge.RestorePlan, instance: str, *, with_configuration: bool) -> Preview:
    """Return what is asked last before a restore. instance: the name of this box, which has to be typed."""
    name = bridge.safe_line(instance, 60)
    age = bridge.format_duration(max(found.age_ms, 1_000))
    messages = "1 message" if found.held_total == 1 else f"{times.number(found.held_total)} messages"
    lines: list[Line] = [
        (Span(bridge.safe_line(found.archive, 74), "bold"),),
        (Span(f"{age} old, of {bridge.safe_line(found.instance, 50)}."),),
        (Span(f"{messages} will be held; nothing that was delivered is sent again."),),
    ]
    if with_configuration:
        lines.append((Span("The configuration becomes the backup's; yours is kept beside it.", "warning"),))
    lines += [(Span(f"! {bridge.safe_line(words, 72)}", "warning"),) for words in found.warnings[:5]]
    lines += [
        (),
        (Span("First a safety backup of what is here is made: restoring that is the undo."),),
        (Span("Deliveries rest meanwhile; other processes stay connected.", "dim"),),
    ]
    return Preview("Restore it here?", tuple(lines), "restore", name)


def result(done: Mapping[str, Any]) -> Document:
    """Return what a restore did, and everything that it holds."""
    waiting, total = held_by(done), done.get("held_total", 0)
    number = total if isinstance(total, int) else len(waiting)
    summary = _spans(planning.done_lines({**done, "held": []}))
    # The command lists some of them there; here all that are known follow.
    told = tuple(line for line in summary if line_text(line).strip() != f"and {number} more")
    return (*told, (), *held(waiting, number))


def outbox_place(done: Mapping[str, Any]) -> str:
    """Return the filter that finds all that a restore holds; "" where that is nothing."""
    tag = str(done.get("tag") or "")
    return f"tag:{tag}" if tag and done.get("held_total") else ""


def last(command: bridge.EngineCommand, now_ms: int) -> Line:
    """Return the line about a restore that ended today; () where its document says nothing."""
    done = command.result or {}
    if not done or command.finished_ms is None:
        return ()
    total = done.get("held_total", 0)
    at = times.moment(command.finished_ms, now_ms)
    waits = f": {times.number(total)} held" if isinstance(total, int) and total else ": nothing held"
    name = bridge.safe_line(str(done.get("archive", "a backup")).rpartition("/")[2], 60)
    return (Span(f" ✓ restored {at} ", "ok"), Span(name), Span(waits), Span("   o", "accent"), Span(" shows it", "dim"))
