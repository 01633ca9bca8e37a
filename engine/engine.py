"""The engine's public surface: acts on the outbox, holds, targets; by the classes below it all the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import ConfigError, TryAgain
from engine.model import Hold
from engine.operations import acts, bulk, configuring, holding
from engine.operations.acts import Act, Action
from engine.operations.bulk import Bulk, Frozen, Progress
from engine.operations.context import writable
from engine.owning import Owning

if TYPE_CHECKING:
    from engine.model import ProbeStep
    from engine.operations.health import Check


class Engine(Owning):
    """One data directory, opened. Until `start` it only takes and shows; after it one process delivers.

    Every method may be called from any thread. What is not possible raises a ChronosError with one line of text.
    """

    def reload(self) -> list[str]:
        """Read the configuration again; on problems the old one stays in force and the problems are returned.

        A database that takes no audit entry now is such a problem: without the entry there is no reload.
        """
        before = self.settings
        try:
            settings = configuring.load(self.paths, self._env)
            if self._door is not None:
                configuring.judge_door(settings)
            configuring.note_reload(self.context, settings)
        except (ConfigError, TryAgain) as error:
            problems = error.problems if isinstance(error, ConfigError) else [str(error)]
            self._log.event("ERROR", "config_refused", problems=problems)
            return problems
        self._log.event("INFO", "config_loaded", channel="security", actor=self.context.actor)
        if waiting := configuring.needs_restart(before, self.settings):
            self._log.event("WARNING", "restart_needed", sections=waiting)
        if (dispatcher := self._dispatcher) is not None:
            dispatcher.pool.retire()
            dispatcher.wake()
        if (door := self._door) is not None:
            door.reload(before)
        return []

    # Acts on the outbox

    def act(self, action: Action, handle: int | str) -> Act:
        """Do it to one message. Raises NotFound, NotPossible."""
        done = acts.act_on_one(self.context, action, handle)
        self._wake()
        return done

    def freeze(self, action: Action, *, expression: str = "", ids: Sequence[int | str] = ()) -> Frozen:
        """Fix a set for a bulk act and preview it."""
        return bulk.freeze(self.context, action, expression=expression, ids=ids)

    def act_on(self, frozen: Frozen, progress: Progress | None = None) -> Bulk:
        """Do it to exactly the frozen set."""
        done = bulk.act(self.context, frozen.bulk_id, progress)
        self._wake()
        return done

    def undo(self, bulk_id: int | None = None, progress: Progress | None = None) -> Bulk:
        """Take a bulk act back, the last one by default."""
        done = bulk.undo(self.context, bulk_id, progress)
        self._wake()
        return done

    # Holds and targets

    def pause(self, scope: str, *, for_ms: int, reason: str = "") -> Hold:
        """Hold back a scope for a time; see operations.holding.pause."""
        return holding.pause(self.context, scope, for_ms=for_ms, reason=reason)

    def resume(self, scope: str | None = None) -> list[str]:
        """End one hold, or all; return the scopes ended."""
        ended = holding.resume(self.context, scope)
        self._wake()
        return ended

    def enable_target(self, name: str) -> bool:
        """Close a target's breaker and lift a disable; return whether there was anything to lift."""
        from engine.operations.lanekeeping import enable

        lifted = enable(self.context, name)
        self._wake()
        return lifted

    def probe(self, name: str, *, send: bool = False) -> list[ProbeStep]:
        """Try a target as far as it goes without sending (with `send`: one test message). From this process."""
        from engine.operations.enqueue import resolve

        if send:
            writable(self.context)
        spec, _steps = resolve(self.settings, name)
        channel = self._open_channel(spec)
        try:
            return channel.probe(send=send, timeout_ms=spec.timeout_ms)
        finally:
            channel.close()

    def doctor(self, *, fix: bool = False) -> list[Check]:
        """The slow checks too: quick_check, foreign keys, settings. `fix` mends what is safe to mend."""
        from engine.operations import doctor

        return doctor.examine(self.context, self.paths, self._lock, self._env, fix=fix)
