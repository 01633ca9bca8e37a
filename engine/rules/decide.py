"""What becomes of a message after an attempt. The one place where an outcome turns into a state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import Sent
from engine.model import DELIVERED, Message, OnUncertain, Outcome, RetryPolicy, State
from engine.rules.backoff import delay_ms, gives_up
from engine.rules.durations import compact_duration

if TYPE_CHECKING:
    import random

ABANDONED = "abandoned"
"""The outcome of an attempt whose engine died or gave up waiting: unknown, but no fault of the target."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The message's next state and the rule that chose it, in words.

    due_ms: when it is tried again (state queued). hop: its route's next step takes over at once.
    """

    state: State
    rule: str
    failures: int
    due_ms: int | None = None
    hop: bool = False


def decide(
    message: Message,
    outcome: Outcome,
    policy: RetryPolicy,
    *,
    now_ms: int,
    rng: Callable[[], random.Random],
    next_hop: bool,
) -> Decision:
    """Choose what happens next to a message that was `sending`.

    rng: makes the jitter's generator; not called where nothing is retried. next_hop: whether its route has a further
    step, which takes over where the message would die.
    """
    if outcome.kind == DELIVERED:
        return Decision(State.DELIVERED, "accepted", message.failures)
    failures = message.failures + 1
    ambiguous = outcome.kind in {Sent.UNKNOWN, ABANDONED}
    if message.cancel_requested:
        rule = "cancelled as requested" + ("; it may have arrived all the same" if ambiguous else "")
        return Decision(State.CANCELLED, rule, failures)
    if ambiguous and message.on_uncertain == OnUncertain.ASK:
        return Decision(State.UNCERTAIN, "nobody knows whether it arrived; the policy is to ask", failures)
    if outcome.kind == Sent.REJECTED:
        return _end(failures, "refused for good", next_hop=next_hop)
    if outcome.kind == ABANDONED:
        due_ms, rule = now_ms, "sent again at once under the same identity: its attempt was cut off"
    else:
        wait_ms = delay_ms(policy, failures, rng(), retry_after_ms=outcome.retry_after_ms)
        due_ms, rule = now_ms + wait_ms, f"failure {failures} of {policy.attempts}"
        if outcome.retry_after_ms is not None:
            rule += f" (the receiver asked for {_words(outcome.retry_after_ms)})"
        elif outcome.kind == Sent.UNKNOWN:
            rule += ", under the same identity, because it may have arrived"
    over = gives_up(policy, failures, message.cycle_ms, due_ms)
    if over is not None:
        return _end(failures, over, next_hop=next_hop)
    if next_hop and message.hop_ms is not None and message.hop_ms <= now_ms:
        return Decision(State.QUEUED, "not accepted in time", failures, due_ms=now_ms, hop=True)
    return Decision(State.QUEUED, rule, failures, due_ms=due_ms)


def _end(failures: int, rule: str, *, next_hop: bool) -> Decision:
    if next_hop:
        return Decision(State.QUEUED, rule, failures, hop=True)
    return Decision(State.DEAD, rule, failures)


def _words(ms: int) -> str:
    return f"{ms} ms" if ms < 1_000 else compact_duration(ms)
