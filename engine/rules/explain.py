"""The story of one message in sentences: what happened, where it stands, what to do. Reads no row and no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.model import DELIVERED, Attempt, Hold, Message, RouteStep, State
from engine.rules.durations import format_duration, rfc3339
from engine.rules.text import safe_line

_WORDS = 300
_NAME = 80
_UNSENT = {State.QUEUED, State.HELD}
# The outcomes of an attempt in words: "delivered" and the values of errors.Sent.
_OUTCOMES = {
    DELIVERED: "accepted",
    "not_sent": "not sent",
    "rejected": "refused for good",
    "throttled": "asked to slow down",
    "unknown": "no answer after the message had left: it may have arrived",
    "misconfigured": "the target's settings do not work",
    "abandoned": "cut off before an answer came: it may have arrived",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One event. at_ms None: it has no time of its own."""

    at_ms: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """lines: in the order of time. now: the present situation, one sentence. advice: what to do, with the command."""

    lines: tuple[Line, ...]
    now: str
    advice: str


@dataclass(frozen=True, slots=True)
class _Case:
    """What the sentences are made from."""

    message: Message
    attempts: Sequence[Attempt]
    now_ms: int
    hold: Hold | None
    breaker_words: str
    order_blocker: int | None
    route: tuple[RouteStep, ...]


def explain(
    message: Message,
    attempts: Sequence[Attempt],
    now_ms: int,
    *,
    holds: Sequence[Hold],
    breaker_words: str | None,
    order_blocker: int | None,
    route: tuple[RouteStep, ...] | None,
) -> Explanation:
    """Explain a message from its rows.

    holds: all present ones; those that do not concern the message are left out. breaker_words: why its target is closed
    for now, None if it is not. order_blocker: the earlier message of its ordering key that goes first. route: the steps
    of the route it was sent by. Every foreign word is made safe for one line of a terminal.
    """
    case = _Case(
        message, attempts, now_ms, _hold_on(message, holds, now_ms), breaker_words or "", order_blocker, route or ()
    )
    now, advice = _SITUATIONS[message.state](case)
    return Explanation(lines=_lines(case), now=now, advice=advice)


def _lines(case: _Case) -> tuple[Line, ...]:
    m = case.message
    lines = [Line(m.created_ms, _queued_line(case))]
    lines += [_attempt_line(attempt) for attempt in case.attempts]
    if m.cycle > 1 or m.hop > 0:
        lines.append(Line(m.cycle_ms, _cycle_line(case)))
    if m.cancel_requested and m.state is State.SENDING:
        lines.append(Line(None, "Cancel requested; what the receiver already accepted stays delivered."))
    if m.finished_ms is not None and m.state not in _UNSENT | {State.SENDING}:
        reason = f": {_safe(m.state_reason)}" if m.state_reason else ""
        lines.append(Line(m.finished_ms, f"{m.state.value.capitalize()}{reason}."))
    # sorted() is stable: of two events in one millisecond the one that is named first came first.
    return tuple(sorted(lines, key=lambda line: case.now_ms if line.at_ms is None else line.at_ms))


def _queued_line(case: _Case) -> str:
    m = case.message
    what = f" “{safe_line(m.subject, _NAME)}”" if m.subject else ""
    words = f"Queued{what} by {_name(m.queued_by)} for {_name(m.target)} ({_name(m.channel)})"
    if m.route:
        steps = ", then ".join(
            _name(step.target) + (f" after {format_duration(step.after_ms)}" if step.after_ms else "")
            for step in case.route
        )
        words += f" by route {_name(m.route)}" + (f": {steps}" if steps else "")
    if m.collapse_key:
        words += f"; replaces what waited under collapse key {_name(m.collapse_key)}"
    if not case.attempts and m.due_ms > m.created_ms:
        words += f"; to leave at {_when(m.due_ms, m.created_ms)}"
    return words + "."


def _attempt_line(attempt: Attempt) -> Line:
    start = f"Try {attempt.attempt_no} to {_name(attempt.target)}"
    if attempt.outcome is None:
        if attempt.finished_ms is None:
            return Line(attempt.started_ms, f"{start} began.")
        return Line(attempt.started_ms, f"{start} was cut off: its engine ended before it could say how it went.")
    words = _safe(f"{attempt.code} {attempt.detail}".strip())
    text = f"{start}: {_OUTCOMES.get(attempt.outcome, _safe(attempt.outcome))}" + (f", “{words}”" if words else "")
    refused = [f"{_name(recipient)} refused, “{_safe(why)}”" for recipient, why in attempt.refused[:5]]
    if refused:
        more = len(attempt.refused) - len(refused)
        text += "; " + "; ".join(refused) + (f"; {more} more refused" if more else "")
    if attempt.rule:
        text += f" → {_safe(attempt.rule)}"
    if attempt.next_ms is not None:
        text += f"; next try {_after(attempt.next_ms - (attempt.finished_ms or attempt.started_ms))}"
    return Line(attempt.started_ms, text + ".")


def _cycle_line(case: _Case) -> str:
    m = case.message
    if m.route and m.hop > 0:
        return f"Route {_name(m.route)}: {_name(m.target)} takes over, step {m.hop + 1}; its tries count anew."
    return f"Queued again (round {m.cycle}); its tries count anew."


def _hold_on(message: Message, holds: Sequence[Hold], now_ms: int) -> Hold | None:
    """The hold that keeps this message back for the longest."""
    scopes = {
        "all",
        f"channel:{message.channel}",
        f"target:{message.target}",
        f"template:{message.template}",
    }
    present = [hold for hold in holds if hold.scope in scopes and hold.until_ms > now_ms]
    return max(present, key=lambda hold: hold.until_ms, default=None)


def _queued(case: _Case) -> tuple[str, str]:
    m = case.message
    ends = f" It expires at {_when(m.expires_ms, case.now_ms)}." if m.expires_ms is not None else ""
    ends += _next_step(case)
    if case.hold:
        hold = case.hold
        why = f" ({_safe(hold.reason)}, by {_name(hold.actor)})" if hold.reason else f" (by {_name(hold.actor)})"
        what = "everything" if hold.scope == "all" else _name(hold.scope.replace(":", " ", 1))
        until = f"until {_when(hold.until_ms, case.now_ms)}, {_left(hold.until_ms, case.now_ms)}"
        return f"Waits: {what} is held {until}{why}.{ends}", f"chronos resume {_word(hold.scope)}"
    early = not m.attempts and m.due_ms > case.now_ms
    if case.breaker_words and early and not case.breaker_words.startswith("disabled"):
        # A breaker closes by itself once the target answers, perhaps long before the message's own time.
        when = f"at {_when(m.due_ms, case.now_ms)}, {_after(m.due_ms - case.now_ms)}"
        words = f"Waits: it leaves {when}. Its target at present: {_safe(case.breaker_words)}.{ends}"
        return words, f"chronos target test {_word(m.target)}"
    if case.breaker_words:
        # What the receiver ended only the operator opens again.
        verb = "enable" if case.breaker_words.startswith("disabled") else "test"
        return (
            f"Waits: {_safe(case.breaker_words)}. Waiting costs no tries.{ends}",
            f"chronos target {verb} {_word(m.target)}",
        )
    if case.order_blocker is not None:
        key = f" of ordering key {_name(m.ordering_key)}" if m.ordering_key else ""
        return f"Waits: #{case.order_blocker}{key} goes first.{ends}", f"chronos outbox explain {case.order_blocker}"
    if m.due_ms > case.now_ms:
        what = f"try {m.attempts + 1}" if m.attempts else "it leaves"
        when = f"at {_when(m.due_ms, case.now_ms)}, {_after(m.due_ms - case.now_ms)}"
        return f"Waits: {what} {when}.{ends}", f"chronos outbox retry {m.id} (to send it now)"
    return f"Is due: it leaves as soon as a seat is free.{ends}", "chronos status (whether an engine delivers here)"


def _next_step(case: _Case) -> str:
    m = case.message
    if m.hop_ms is None or m.hop + 1 >= len(case.route):
        return ""
    return (
        f" Route {_name(m.route)}: {_name(case.route[m.hop + 1].target)} takes over at {_when(m.hop_ms, case.now_ms)}."
    )


def _sending(case: _Case) -> tuple[str, str]:
    m = case.message
    words = f"Try {m.attempts} is under way."
    if m.lease_until_ms is not None and m.lease_until_ms <= case.now_ms:
        return (
            f"{words} Its time is over; the engine takes it back.",
            "chronos status (whether an engine delivers here)",
        )
    return words, "wait for the receiver's answer"


def _delivered(case: _Case) -> tuple[str, str]:
    return f"Delivered to {_name(case.message.target)}{_finished(case)}.", "nothing to do"


def _dead(case: _Case) -> tuple[str, str]:
    m = case.message
    last = case.attempts[-1].outcome if case.attempts else None
    words = _safe(f"{m.last_code} {m.last_word}".strip())
    said = f" The last word was “{words}”." if words else ""
    why = _safe(m.state_reason) or "it was refused"
    retry = f"chronos outbox retry {m.id}"
    if last == "misconfigured":
        retry = f"chronos target test {_word(m.target)}, then {retry}"
    elif last == "rejected" and case.breaker_words:  # such as a 410, which disables the target
        retry = f"chronos target enable {_word(m.target)}, then {retry} (once the receiver's objection is met)"
    elif last == "rejected":
        retry = f"{retry} (once the receiver's objection is met)"
    return f"Dead{_finished(case)}: {why}.{said} Nothing more is sent.", retry


def _cancelled(case: _Case) -> tuple[str, str]:
    why = f": {_safe(case.message.state_reason)}" if case.message.state_reason else ""
    return f"Cancelled{_finished(case)}{why}. Nothing more is sent.", "send it anew if it is still wanted"


def _expired(case: _Case) -> tuple[str, str]:
    m = case.message
    limit = f" Its limit was {_when(m.expires_ms, case.now_ms)}." if m.expires_ms is not None else ""
    return f"Expired before it could be sent.{limit}", "send it anew if it still matters"


def _held(case: _Case) -> tuple[str, str]:
    why = f": {_safe(case.message.state_reason)}" if case.message.state_reason else " by the operator"
    return f"Held{why}. It waits until it is released.", f"chronos outbox release {case.message.id}"


def _uncertain(case: _Case) -> tuple[str, str]:
    m = case.message
    words = _safe(f"{m.last_code} {m.last_word}".strip())
    said = f" (“{words}”)" if words else ""
    return (
        f"Uncertain: the message had left when the connection ended{said}; it may have arrived.",
        f"ask the receiver for {_name(m.uid)}; then chronos outbox resend {m.id}, or chronos outbox cancel {m.id}",
    )


_SITUATIONS = {
    State.QUEUED: _queued,
    State.SENDING: _sending,
    State.DELIVERED: _delivered,
    State.DEAD: _dead,
    State.CANCELLED: _cancelled,
    State.EXPIRED: _expired,
    State.HELD: _held,
    State.UNCERTAIN: _uncertain,
}


def _finished(case: _Case) -> str:
    at_ms = case.message.finished_ms
    return "" if at_ms is None else f" at {_when(at_ms, case.now_ms)}"


def _when(at_ms: int, now_ms: int) -> str:
    """A time in UTC; the date only where it is not today's."""
    stamp, today = rfc3339(at_ms), rfc3339(now_ms)
    clock = f"{stamp[11:19]} UTC".replace(":00 UTC", " UTC")
    return clock if stamp[:10] == today[:10] else f"{stamp[:10]} {clock}"


def _left(until_ms: int, now_ms: int) -> str:
    return f"{format_duration(until_ms - now_ms)} left"


def _after(ms: int) -> str:
    return f"in {format_duration(ms)}" if ms > 0 else "at once"


def _safe(text: str) -> str:
    return safe_line(text, _WORDS).rstrip(".")


def _name(text: str | None) -> str:
    return safe_line(text or "?", _NAME)


def _word(text: str) -> str:
    """A name as one word of a shell: advice is pasted, and a name may be anybody's."""
    from shlex import quote

    return quote(safe_line(text, 2_000))
