"""Does the one-off acts that front ends ask the owner for, one at a time, on a thread of its own. Claims no message."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from engine.errors import ChronosError
from engine.operations import commanding
from engine.operations.commanding import Performer
from engine.operations.context import Context
from engine.store.tx import Watch

_LOOK_S = 0.25
_SETTLE_LOOKS = 40
"""Ten seconds: what waits too long expires although nobody commits anything."""


class Executor:
    """Runs from `start` until `stop`. epoch: of this owner; it moves when a restore begins a new one."""

    def __init__(self, context: Context, epoch: Callable[[], int], performers: Mapping[str, Performer]) -> None:
        self._context = context
        self._epoch = epoch
        self._performers = performers
        self._over = threading.Event()
        self._look = threading.Event()
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="executor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something was asked for by this process."""
        self._look.set()

    def end(self) -> None:
        """Begin nothing any more, and end what runs at its next step. Does not wait."""
        self._over.set()
        self._look.set()

    def ending(self) -> bool:
        """Whether it was told to end."""
        return self._over.is_set()

    def stop(self, within_s: float) -> bool:
        """End, and wait for what runs to put everything back; return whether it did. Idempotent; not from an act."""
        self.end()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        watch = self._context.database.watch()
        looks = 0
        try:
            while not self._over.is_set():
                looks += 1
                self._guarded(watch, anyway=looks % _SETTLE_LOOKS == 0)
                self._look.wait(_LOOK_S)
                self._look.clear()
        finally:
            watch.close()

    def _guarded(self, watch: Watch, *, anyway: bool) -> None:
        """A database that refuses for a while must not end the thread. The same trouble is logged once."""
        try:
            if watch.moved() or self._look.is_set() or anyway:
                self._round()
            self._trouble = ""
        except ChronosError as error:
            if self._trouble != str(error):
                self._trouble = str(error)
                self._context.log.event("WARNING", "commands_wait", reason=str(error))

    def _round(self) -> None:
        commanding.settle(self._context, self._epoch())
        for command in commanding.unfinished(self._context):
            if self._over.is_set():
                return
            if command.state == "waiting":
                commanding.perform(
                    self._context, command, self._performers, epoch=self._epoch(), stopped=self._over.is_set
                )
