"""The owner's slow chores on a thread of their own: what asks a keyring, signs, reads the log. Claims nothing.

A chore never holds up a delivery. It may take seconds; it must not hold a transaction open meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from engine.errors import ChronosError
from engine.operations.commanding import Report, Stopped
from engine.operations.context import Context

Chore = Callable[[Context], object]
Slow = Callable[[Context, Report], object]
"""One that may take hours: it tells how far it is, and what the listener raises ends it."""

_LOOK_S = 1.0
_LEAVE_S = 2.0


class Upkeep:
    """Runs from `start` until `stop`. chores: (every so many seconds, what); each runs once at the start too.

    slow: the same of what reads or copies whole files, on a second thread: a backup that goes to another continent must
    not keep the next one from being made. By the clock that nobody sets: one of the chores looks whether the other one
    was, and none may wait for an hour in October.
    """

    def __init__(
        self, context: Context, chores: tuple[tuple[int, Chore], ...], slow: tuple[tuple[int, Slow], ...] = ()
    ) -> None:
        self._context = context
        self._over = threading.Event()
        self._troubles: dict[str, str] = {}
        quick = tuple((every_s, chore.__name__, chore) for every_s, chore in chores)
        long = tuple((every_s, chore.__name__, self._endable(chore)) for every_s, chore in slow)
        self._threads = [
            threading.Thread(target=self._run, args=(part,), name=name, daemon=True)
            for name, part in (("upkeep", quick), ("upkeep-slow", long))
            if part
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Begin no chore any more. Does not wait."""
        self._over.set()

    def stop(self, within_s: float = _LEAVE_S) -> None:
        """Begin no chore any more; wait a moment for the one that runs. Idempotent."""
        self.end()
        give_up = time.monotonic() + within_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, give_up - time.monotonic()))

    def _endable(self, chore: Slow) -> Chore:
        """Let a slow chore end at its next step once this ends."""

        def go_on(_stage: str, _done: int, _total: int) -> None:
            if self._over.is_set():
                raise Stopped("the engine ends")

        return lambda context: chore(context, go_on)

    def _run(self, chores: tuple[tuple[int, str, Chore], ...]) -> None:
        clock = self._context.clock
        due_ms = [clock.monotonic_ms()] * len(chores)
        while True:
            for number, (every_s, name, chore) in enumerate(chores):
                if self._over.is_set():
                    return
                if clock.monotonic_ms() >= due_ms[number]:
                    self._guarded(name, chore)
                    due_ms[number] = clock.monotonic_ms() + every_s * 1_000
            if self._over.wait(_LOOK_S):
                return

    def _guarded(self, name: str, chore: Chore) -> None:
        """One failing chore must not starve the others. The same trouble is logged once until it is over."""
        try:
            chore(self._context)
        except Stopped:
            return
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
    from engine.operations import checkpointing, commanding, gate, guarding, inbound, witnessing
    from engine.operations.backup import backupwatch

    return (
        (gate.FLUSH_EVERY_S, gate.flush_gate),
        (inbound.FLUSH_EVERY_S, inbound.flush_counts),
        (inbound.RETAIN_EVERY_S, inbound.retain_events),
        (checkpointing.LOOK_EVERY_S, checkpointing.sign_when_due),
        (witnessing.LOOK_EVERY_S, witnessing.send_when_due),
        (commanding.FORGET_EVERY_S, commanding.forget),
        *guarding.chores(),
        *backupwatch.chores(),
    )


def slow_chores() -> tuple[tuple[int, Slow], ...]:
    """Return what an owner does besides, and that may take long."""
    from engine.operations.backup import backupwatch, copies

    return (
        (backupwatch.LOOK_EVERY_S, backupwatch.verify_old),
        (backupwatch.COPY_EVERY_S, copies.push_due),
    )
