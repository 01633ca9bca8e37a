"""What can be done to messages, in words: before, what it means; the preview of many; after, what came of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chronos_tui import bridge
from chronos_tui.views import times
from chronos_tui.views.outbox import state_span
from chronos_tui.views.spans import Line, Span, width
from chronos_tui.views.times import number

TYPE_ABOVE = 1_000
"""A final act on more messages than this is confirmed by typing their number."""

_SAMPLE_CHARS = 60


class Words(NamedTuple):
    """title: what the dialog asks. done: what the messages then are. means: what the operator should know."""

    title: str
    done: str
    means: str


WORDS: Mapping[str, Words] = {
    "retry": Words("Retry", "queued again", "Dead ones get a new round of tries, waiting ones go at once."),
    "cancel": Words("Cancel", "cancelled", "They are not sent. What was accepted already stays delivered."),
    "hold": Words("Hold", "held", "They wait until they are released."),
    "release": Words("Release", "released", "They are sent as soon as they are due."),
    "resend": Words(
        "Resend",
        "queued again under the same identity",
        "They may have arrived: a receiver may get a second copy.",
    ),
    "settle-delivered": Words("Settle as delivered", "settled as delivered", "Nothing more is sent."),
    "settle-dead": Words("Settle as not delivered", "settled as not delivered", "Nothing more is sent."),
}


def undoable(action: str) -> bool:
    """Whether an act on several can be taken back while its time lasts."""
    return bridge.Action(action) in bridge.UNDOABLE


class Preview(NamedTuple):
    """What a dialog asks about a frozen set. typed: what has to be typed before it is done; "": the key is enough."""

    title: str
    lines: tuple[Line, ...]
    yes: str
    typed: str


def preview(
    frozen: bridge.Frozen,
    now_ms: int,
    *,
    unfit: Mapping[str, int] | None = None,
    said: str | None = None,
    uncertain: int = 0,
) -> Preview:
    """Return what to ask before an act on a frozen set.

    unfit: of the marked ones, how many stand in each state that the act does not fit. said: the filter whose matches
    these are; None when they were marked. uncertain: how many of them are, where that makes a difference.
    """
    action = frozen.action.value
    words = WORDS[action]
    left_alone = sum((unfit or {}).values())
    fitting = frozen.total - left_alone
    final = not undoable(action)
    what = (
        "marked"
        if said is None
        else (f"that match {bridge.safe_line(said, 50)}" if said else "in the outbox to which it applies")
    )
    lines: list[Line] = [(Span(f"{number(frozen.total)} {_plural(frozen.total)} {what}.", "bold"),)]
    if left_alone:
        names = ", ".join(f"{number(n)} {state}" for state, n in (unfit or {}).items())
        lines.append((Span(f"{number(left_alone)} of them {_are(left_alone)} left alone: {names}.", "warning"),))
    lines.append((Span(words.means),))
    lines.append((Span("It cannot be undone.", "warning") if final else Span("u takes it back for a while."),))
    if uncertain and action == "cancel":
        lines.append(
            (Span(f"{number(uncertain)} of them {_are(uncertain)} uncertain: there it cannot be undone.", "warning"),)
        )
    if frozen.estimate_ms >= 1_000:
        lines.append((Span(f"About {bridge.format_duration(frozen.estimate_ms // 1_000 * 1_000)}.", "dim"),))
    lines.append(())
    if frozen.oldest is not None and frozen.newest is not None:
        shown = [("oldest", frozen.oldest), *(("", one) for one in frozen.sample[1:-1])]
        if frozen.newest.id != frozen.oldest.id:
            shown.append(("newest", frozen.newest))
        lines += _samples(shown, now_ms)
    typed = str(fitting) if final and fitting > TYPE_ABOVE else ""
    return Preview(
        f"{counted(action, fitting)}?",
        tuple(lines),
        f"{words.title.lower()} {number(fitting)}",
        typed,
    )


def _samples(shown: Sequence[tuple[str, bridge.Message]], now_ms: int) -> list[Line]:
    """Return a line for each message, their columns one below the other."""
    columns = [
        [Span(name, "dim") for name, _ in shown],
        [Span(f"#{one.id}") for _, one in shown],
        [state_span(one.state.value) for _, one in shown],
        [Span(bridge.safe_line(one.target, 20), "dim") for _, one in shown],
        [Span(times.coarse(one.created_ms, now_ms), "dim") for _, one in shown],
    ]
    widest = [max(width((cell,)) for cell in column) for column in columns]
    gaps = (1, 2, 2, 2, 2)
    lines: list[Line] = []
    for at, (_, one) in enumerate(shown):
        line: list[Span] = []
        for column, cells, gap in zip(columns, widest, gaps, strict=True):
            if cells:
                line += [column[at], Span(" " * (cells - width((column[at],)) + gap))]
        subject = bridge.safe_line(one.subject, _SAMPLE_CHARS) or "(no subject)"
        lines.append((*line, Span(subject)))
    return lines


def counted(action: str, n: int) -> str:
    """Return the act with how many it is done to: "Hold 12 000 messages"."""
    return f"{WORDS[action].title} {number(n)} {_plural(n)}"


def _plural(n: int) -> str:
    return "message" if n == 1 else "messages"


def one_final(action: str, one: bridge.Message, now_ms: int) -> Preview:
    """Return what to ask before an act on a single message that cannot be taken back."""
    words = WORDS[action]
    means = words.means.replace("They are", "It is").replace("They wait", "It waits").replace("They may", "It may")
    if one.state == bridge.State.UNCERTAIN and action == "cancel":
        means = "It may have arrived already; nothing more is sent."
    lines: tuple[Line, ...] = (
        _samples([("", one)], now_ms)[0],
        (),
        (Span(means),),
        (Span("It cannot be undone.", "warning"),),
    )
    return Preview(f"{words.title} #{one.id}?", lines, words.title.lower(), "")


def done_one(act: bridge.Act, action: str, *, requested: bool) -> str:
    """Return what became of one message."""
    if requested:
        return f"#{act.message_id} will be cancelled, unless it is just being accepted"
    undo = "; u undoes" if act.undo_id is not None else ""
    return f"#{act.message_id} {WORDS[action].done}{undo}"


def done_many(bulk: bridge.Bulk, unfit: Mapping[str, int] | None = None) -> str:
    """Return what became of a frozen set, with what was skipped and why."""
    text = f"{number(bulk.applied)} of {number(bulk.total)} {WORDS[bulk.action.value].done}"
    if bulk.skipped:
        text += f"; {number(bulk.skipped)} left alone ({_why(bulk, unfit or {})})"
    return text + ("; u undoes" if bulk.undo_until_ms is not None and bulk.applied else "")


def _why(bulk: bridge.Bulk, unfit: Mapping[str, int]) -> str:
    known = sum(unfit.values())
    words = [f"{number(n)} {state}" for state, n in unfit.items()]
    if bulk.skipped > known:
        words.append("had gone on meanwhile" if not known else f"{number(bulk.skipped - known)} had gone on meanwhile")
    return ", ".join(words)


def taken_back(bulk: bridge.Bulk) -> str:
    """Return what an undo did."""
    kept = bulk.applied - bulk.undone
    gone_on = f"; {number(kept)} had gone on and stay as they are" if kept else ""
    return f"{bulk.action.verb} taken back for {number(bulk.undone)}{gone_on}"


def progress_line(done: int, total: int, cells: int) -> Line:
    """Return a bar with its number: "██████────── 12 000 of 50 000"."""
    numbers = f" {number(done)} of {number(total)}"
    room = max(4, cells - len(numbers))
    filled = room * done // total if total else room
    return (Span("█" * filled, "accent"), Span("─" * (room - filled), "dim"), Span(numbers))


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def unfit_states(states: Sequence[str], action: str) -> dict[str, int]:
    """Return how many of these states the act does not fit, by state."""
    fitting = bridge.accepts(bridge.Action(action).verb)
    found: dict[str, int] = {}
    for state in states:
        if bridge.State(state) not in fitting:
            found[state] = found.get(state, 0) + 1
    return found
