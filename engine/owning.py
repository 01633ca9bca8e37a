"""Own or attach: who delivers on a data directory, from taking over to letting go. Wiring."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from engine import __version__
from engine.archiving import Archiving
from engine.errors import AlreadyOwned, TryAgain
from engine.model import Role
from engine.operations import configuring, housekeeping
from engine.operations.context import Context
from engine.store import audit, leader
from engine.store.tx import Tx

if TYPE_CHECKING:
    from engine.channels.base import Channel
    from engine.dispatcher import Dispatcher
    from engine.executor import Executor
    from engine.inbound.http.door import Door
    from engine.model import TargetSpec
    from engine.upkeep import Upkeep

_SWITCH_INTERVAL_S = 0.000_5
"""How long a thread may keep the interpreter from the others. With Python's 5 ms the dispatcher, and a cockpit's keys,
wait behind busy senders: key latency beside a Python loop 7.7 → 2.7 ms."""

_FOLLOW_S = 2
"""How long an open channel may hold a secret that another process has replaced."""
_INTRODUCTION_LOOKS = 50
DRAIN_MS = 4_500
"""Of the 5 s that a shutdown may take; the rest is for recording and closing."""


class Owning(Archiving):
    """The life of a process that may deliver. Until `start` it only takes and shows; after it one process delivers."""

    _dispatcher: Dispatcher | None = None
    _upkeep: Upkeep | None = None
    _executor: Executor | None = None
    _resting = False
    _door: Door | None = None
    _epoch = 0
    _secrets_seen: object = None
    _ended = False
    _closed = False

    def _bring_up_to_date(self) -> None:
        from engine.operations import configwatch

        super()._bring_up_to_date()
        configwatch.take(self.context)  # it was read a moment ago

    def start(self, mode: str) -> Role:
        """Deliver from this process if nobody else does; answer which it is. May be called again to take over later.

        mode: what this process is, for people ("engine-only", "cockpit"). While another process delivers, a call looks
        at the lock and writes nothing. From any thread; a closed engine stays attached.
        """
        with self._changing:
            return self._start(mode)

    def _start(self, mode: str) -> Role:
        if self._dispatcher is not None or self.context.read_only or self._closed:
            return self.role
        info = {
            "pid": os.getpid(),
            "mode": mode,
            "host": os.uname().nodename,
            "started_ms": self.context.clock.now_ms(),
        }
        if not self._lock.acquire(info):
            self.role = Role.ATTACHED
            return self.role
        try:
            self._take_over(mode)
        except BaseException:
            self._let_go()
            raise
        return self.role

    def _let_go(self) -> None:
        """Leave the log to the next owner before there can be one: two that checkpoint can corrupt it."""
        self.context.database.allow_checkpoints(allowed=False)
        self._lock.release()
        self.role = Role.ATTACHED

    def _take_over(self, mode: str) -> None:
        from engine import upkeep
        from engine.executor import Executor
        from engine.operations import configwatch, secrets

        context = self.context
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        context.database.allow_checkpoints()
        config = configuring.digest(context.settings)

        def started(tx: Tx, epoch: int, now_ms: int) -> None:
            configwatch.at_start(tx, context)
            detail = {"mode": mode, "pid": os.getpid(), "config_sha256": config, **configwatch.said(context)}
            audit.append(tx, now_ms, "engine", "engine.started", f"epoch:{epoch}", detail)

        last_ms = context.database.read(leader.read).heartbeat_ms
        if back_ms := housekeeping.follow_clock(context, last_ms):
            self._log.event("WARNING", "clock_set_back", back_ms=back_ms)
        self._mode = mode
        self._deliver(started)
        self._secrets_seen = secrets.revision(context)
        quick = ((_FOLLOW_S, self._follow_secrets), *upkeep.chores())
        self._upkeep = upkeep.Upkeep(context, quick, upkeep.slow_chores())
        self._upkeep.start()
        self._executor = Executor(context, lambda: self._epoch, self._performers())
        self._executor.start()
        self.role = Role.OWNER

    def _deliver(self, said: Callable[[Tx, int, int], None]) -> None:
        """Begin a new epoch and deliver in it. said: what the audit log says of it (tx, epoch, time in ms); what it
        raises goes on, and there is no new epoch.
        """
        from engine.dispatcher import Dispatcher

        context, host = self.context, os.uname().nodename
        now_ms = context.clock.now_ms()

        def work(tx: Tx) -> int:
            info = {"pid": os.getpid(), "host": host, "mode": self._mode, "version": __version__}
            epoch = leader.take_over(tx, **info, now_ms=now_ms)  # type: ignore[arg-type]
            said(tx, epoch, now_ms)
            return epoch

        self._epoch = epoch = context.database.write(work)
        self._ended = False
        self._dispatcher = Dispatcher(context, epoch, self._open_channel, self._log, lambda: self._note_end(epoch))
        self._dispatcher.start()

    def own(self, mode: str) -> None:
        """Start, and insist on delivering. Raises AlreadyOwned, naming the owner's pid."""
        if self.start(mode) == Role.OWNER:
            return
        owner = self.owner()
        for _ in range(_INTRODUCTION_LOOKS):
            if owner:
                break
            # It took the lock a moment ago and has not written who it is, or it has just let go.
            time.sleep(0.01)
            if self.start(mode) == Role.OWNER:
                return
            owner = self.owner()
        owner = owner or {}
        raise AlreadyOwned(
            f"{self.paths.data_dir}: already delivered by pid {owner.get('pid', '?')} ({owner.get('mode', '?')}); "
            "stop it first, or attach to it with 'chronos' or 'chronos-tui'"
        )

    def serve(self) -> str:
        """Open the HTTP door, if this process delivers; return where it listens in the words of the ready line.

        "" when it does not: http.enabled is false, this process does not deliver, or it cannot listen now, which is
        an incident and tried again every 30 s. Never raises for that, and stops no delivery. Idempotent.
        """
        with self._changing:
            if self._dispatcher is None:
                return ""
            if self._door is None:
                from engine.inbound.http.door import Door

                self._door = Door(self.context, self, self._log, epoch=self._epoch)
                self._door.open()
            return self._door.address

    def _note_end(self, epoch: int) -> None:
        if self._resting or epoch != self._epoch:
            return  # a restore goes on in a moment, or did: a slow one ended after the next had begun
        self._ended = True
        if (door := self._door) is not None:  # who no longer delivers takes nothing in by HTTP either
            door.shut(DRAIN_MS / 1000)

    def ended(self) -> bool:
        """Whether the dispatcher of this process has ended: it was deposed or died, unless `stop` was called."""
        return self._ended

    def turning(self) -> bool:
        """Whether the dispatcher of this process came round lately: what a watchdog asks."""
        dispatcher = self._dispatcher
        return self._resting or (dispatcher is not None and dispatcher.turning())

    def attempts(self) -> dict[str, int]:
        """Attempts since this process took over, by how they ended; empty where another one delivers."""
        dispatcher = self._dispatcher
        return {} if dispatcher is None else dict(dispatcher.tally.outcomes)

    def stop(self, drain_ms: int = DRAIN_MS) -> bool:
        """Stop delivering: no new claims at once, what is on the wire finished or recorded as cut off.

        Returns whether everything on the wire had ended by itself. Idempotent; an attached engine just lets go.
        """
        with self._changing:
            if self._dispatcher is None:
                return True
            clock = self.context.clock
            until_ms = clock.monotonic_ms() + drain_ms

            def left_ms() -> int:
                return max(0, until_ms - clock.monotonic_ms())

            if self._door is not None:
                self._door.shut(drain_ms / 1000)
            for part in (self._upkeep, self._executor):
                if part is not None:
                    part.end()
            dispatcher = self._dispatcher
            clean = dispatcher.stop(left_ms())
            at_rest = self._stop_others(left_ms)
            if self._dispatcher is not dispatcher:  # a restore that was just over began to deliver again
                self._dispatcher.stop(left_ms())
            self._dispatcher = None
            try:
                if at_rest:  # else a large restore is being put in place, which is not to be waited for
                    self.context.database.checkpoint(truncate=True)
            except TryAgain as error:  # a full or failed disk; the log is folded in by the next owner
                self._log.event("WARNING", "log_not_folded", reason=str(error))
            finally:
                self._let_go()
            return clean

    def _stop_others(self, left_ms: Callable[[], int]) -> bool:
        """End the door and the other threads; return whether nothing that was asked for is still being done."""
        if self._door is not None:
            self._door.close(left_ms() / 1000)
            self._door = None
        if self._upkeep is not None:
            self._upkeep.stop(left_ms() / 1000)
            self._upkeep = None
        executor, self._executor = self._executor, None
        return executor is None or executor.stop(left_ms() / 1000)

    # A restore

    def _asked(self) -> None:
        if (executor := self._executor) is not None:
            executor.wake()

    @contextmanager
    def _quiesce(self) -> Iterator[None]:
        """Deliver nothing meanwhile, and go on in a new epoch: the one in force may stand in another database then.

        Where this process stops meanwhile it does not go on. On the executor's thread, which `stop` waits for.
        """
        dispatcher = self._dispatcher
        if dispatcher is None:
            yield
            return
        self._resting = True
        try:
            dispatcher.stop(DRAIN_MS)
            yield
        finally:
            self._go_on()

    def _go_on(self) -> None:
        """Deliver again after a rest. Where that cannot be, delivering has ended, which a watchdog sees."""
        from engine.operations.commanding import Stopped

        executor, door = self._executor, self._door

        def wanted(_tx: Tx, _epoch: int, _now_ms: int) -> None:
            if executor is None or executor.ending():
                raise Stopped("the engine ends")

        try:
            with suppress(Stopped):
                self._deliver(wanted)
                if door is not None:
                    door.follow(self._epoch)
        except BaseException:
            self._resting = False
            self._note_end(self._epoch)
            raise
        self._resting = False

    def _forget_what_was(self) -> None:
        super()._forget_what_was()
        self._secrets_changed()
        self._wake()

    def close(self) -> None:
        """Stop and close the database. The object is of no further use. Idempotent."""
        with self._changing:
            if self._closed:
                return
            self._closed = True
            self.stop()
        super().close()

    def _secrets_changed(self) -> None:
        if (dispatcher := self._dispatcher) is not None:
            dispatcher.pool.retire()

    def _follow_secrets(self, context: Context) -> None:
        """Have channels opened anew after another process changed a secret."""
        from engine.operations import secrets

        found = secrets.revision(context)
        if found != self._secrets_seen:
            self._secrets_seen = found
            self._secrets_changed()

    def _open_channel(self, spec: TargetSpec) -> Channel:
        from engine.channels import registry
        from engine.channels.base import ChannelContext
        from engine.operations import secrets

        settings = self.settings
        context = ChannelContext(
            smtp=settings.smtp,
            secret=lambda reference: secrets.look_up(self.context, reference),
            allow_private=bool(settings.security.get("allow_private_targets", False)),
            data_dir=str(self.paths.data_dir),
            now_ms=self.context.clock.now_ms,
        )
        return registry.channel_type(spec.channel).open(spec, context)

    def wake(self) -> None:
        """Something was committed, past this object, that the dispatcher should look at."""
        self._wake()

    def _wake(self) -> None:
        if (dispatcher := self._dispatcher) is not None:  # another thread may stop it meanwhile
            dispatcher.wake()
