"""The owner's slow chores on a thread of their own: what asks a keyring, signs, reads the log. Claims nothing.

A chore never holds up a delivery. It may take seconds; it must not hold a transaction open meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.errors import ChronosError
from engine.operations.context import Context

Chore = Callable[[Context], object]

_LOOK_S = 1.0
_LEAVE_S = 2.0


class Upkeep:
    """Runs from `start` until `stop`. chores: (every so many seconds, what); each runs once at the start too.

    By the clock that nobody sets: one of the chores looks whether the other one was, and none may wait for an hour in
    October.
    """

    def __init__(self, context: Context, chores: tuple[tuple[int, Chore], ...]) -> None:
        self._context = context
        self._chores = chores
        self._over = threading.Event()
        self._troubles: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Begin no chore any more. Does not wait."""
        self._over.set()

    def stop(self, within_s: float = _LEAVE_S) -> None:
        """Begin no chore any more; wait a moment for the one that runs. Idempotent."""
        self.end()
        if self._thread.is_alive():
            self._thread.join(within_s)

    def _run(self) -> None:
        clock = self._context.clock
        due_ms = [clock.monotonic_ms()] * len(self._chores)
        while True:
            for number, (every_s, chore) in enumerate(self._chores):
                if self._over.is_set():
                    return
                if clock.monotonic_ms() >= due_ms[number]:
                    self._guarded(chore)
                    due_ms[number] = clock.monotonic_ms() + every_s * 1_000
            if self._over.wait(_LOOK_S):
                return

    def _guarded(self, chore: Chore) -> None:
        """One failing chore must not starve the others. The same trouble is logged once until it is over."""
        name = chore.__name__
        try:
            chore(self._context)
        except ChronosError as error:
            if self._troubles.get(name) != str(error):
                self._troubles[name] = str(error)
                self._context.log.event("WARNING", "chore_failed", chore=name, reason=str(error))
        except Exception as error:  # noqa: BLE001 - a defect in a chore must not end the others; it is logged
            self._context.log.event("ERROR", "chore_defect", chore=name, error=error)
        else:
            self._troubles.pop(name, None)


def chores() -> tuple[tuple[int, Chore], ...]:
    """Return what an owner does besides delivering."""
    from engine.operations import checkpointing, gate, guarding, inbound, witnessing

    return (
        (gate.FLUSH_EVERY_S, gate.flush_gate),
        (inbound.FLUSH_EVERY_S, inbound.flush_counts),
        (inbound.RETAIN_EVERY_S, inbound.retain_events),
        (checkpointing.LOOK_EVERY_S, checkpointing.sign_when_due),
        (witnessing.LOOK_EVERY_S, witnessing.send_when_due),
        *guarding.chores(),
    )
