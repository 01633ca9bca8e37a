"""Deliveries and failures by the minute, for a sparkline. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from engine.model import State
from engine.operations.context import Context
from engine.store import messages
from engine.store.tx import Tx

MINUTE_MS = 60_000
MOST_MINUTES = 1_440

_FAILED = (State.DEAD, State.EXPIRED)


@dataclass(frozen=True, slots=True)
class Activity:
    """delivered, failed: how many messages came to that end, minute by minute from `start_ms` on.

    The last minute is the present one and not over. A closed minute changes only by retention and by a retry of what
    had failed. Failed tries of messages that went on are not in it: nothing has them in order of time.
    """

    start_ms: int
    delivered: tuple[int, ...]
    failed: tuple[int, ...]


def activity(context: Context, minutes: int, *, since_ms: int | None = None) -> Activity:
    """Return the last `minutes`, the present one included; since_ms: none before the one in which that lies."""
    if not 0 < minutes <= MOST_MINUTES:
        raise ValueError(f"1 to {MOST_MINUTES} minutes")
    present = context.clock.now_ms() // MINUTE_MS
    first = present - minutes + 1
    if since_ms is not None:
        first = min(max(first, since_ms // MINUTE_MS), present)
    start_ms, end_ms = first * MINUTE_MS, (present + 1) * MINUTE_MS

    def work(tx: Tx) -> Activity:
        def ended(state: State) -> dict[int, int]:
            return messages.ended_by_step(tx, state, start_ms, end_ms, MINUTE_MS)

        steps = range(present - first + 1)
        good, *bad = ended(State.DELIVERED), *map(ended, _FAILED)
        return Activity(
            start_ms,
            tuple(good.get(step, 0) for step in steps),
            tuple(sum(one.get(step, 0) for one in bad) for step in steps),
        )

    return context.database.read(work)
