"""Takes messages in: the part of the engine that a command from cron needs, and no import beyond it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from engine.clock import Clock, SystemClock
from engine.errors import NotFound, NotPossible
from engine.host.locks import EngineLock, WriteTurn
from engine.host.log import Log, NullLog
from engine.host.paths import Paths, with_database
from engine.model import NewMessage, Settings
from engine.operations import configuring
from engine.operations.context import Context, Machine
from engine.operations.enqueue import Enqueued, enqueue, enqueue_many
from engine.store import migrate
from engine.store.database import Database, Options


class Intake:
    """One data directory, opened to take messages. Works whether or not an engine runs."""

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        env: Mapping[str, str],
        *,
        actor: str,
        clock: Clock,
        log: Log,
        read_only: bool,
        entropy: Callable[[int], bytes],
        on_secret: Callable[[str], None] | None,
    ) -> None:
        self.paths = with_database(paths, settings.database["url"])
        self._env = env
        self._log = log
        self._changing = threading.RLock()
        """Held while this process begins or ceases to deliver; a cockpit asks for both from different threads."""
        self._lock = EngineLock(self.paths.engine_lock)
        if read_only and not self.paths.database.exists():
            raise NotFound(f"{self.paths.database}: no such database, and opened read-only none is made")
        self._turn = WriteTurn(self.paths.write_lock)
        database = Database(
            self.paths.database,
            turn=self._turn,
            degraded_marker=self.paths.degraded,
            options=Options(
                busy_ms=settings.database["busy_timeout_ms"],
                statement_ms=settings.database["timeout_ms"],
                max_connections=settings.database["max_connections"],
            ),
        )
        seed = int.from_bytes(entropy(8), "big")
        self.context = Context(
            database,
            clock,
            settings,
            actor,
            entropy,
            seed,
            machine=Machine(self.paths, env, log, on_secret or (lambda _value: None)),
            read_only=read_only,
        )
        try:
            self._bring_up_to_date()
        except BaseException:
            database.close()
            self._turn.close()
            raise

    @classmethod
    def open(
        cls,
        paths: Paths,
        env: Mapping[str, str],
        *,
        actor: str,
        clock: Clock | None = None,
        log: Log | None = None,
        settings: Settings | None = None,
        read_only: bool = False,
        entropy: Callable[[int], bytes] = os.urandom,
        on_secret: Callable[[str], None] | None = None,
    ) -> Self:
        """Open the data directory, creating it and its database at first use.

        actor: who acts, for the audit log. settings: instead of reading the configuration. read_only: nothing is made
        and no database brought up to date either. on_secret: told every secret that is opened, so that logs can hide
        it.

        Raises ConfigError, DatabaseUnusable, TryAgain; with `read_only` NotFound, NotPossible.
        """
        from engine.host.files import ensure_private_dir

        ensure_private_dir(paths.data_dir)
        return cls(
            paths,
            settings if settings is not None else configuring.load_light(paths, env),
            env,
            actor=actor,
            clock=clock or SystemClock(),
            log=log or NullLog(),
            read_only=read_only,
            entropy=entropy,
            on_secret=on_secret,
        )

    def _bring_up_to_date(self) -> None:
        version = migrate.version(self.context.database)
        if version == migrate.latest():
            return
        now_ms = self.context.clock.now_ms()
        if version > 0 and self._lock.owner() is not None:
            pid = self._lock.owner() or {}
            raise NotPossible(
                f"the running engine (pid {pid.get('pid', '?')}) is older than this program; restart it first"
            )
        if self.context.read_only and version < migrate.latest():
            raise NotPossible(
                f"{self.paths.database}: an older program made it, and opened read-only it is not brought up to date; "
                "run any 'chronos' command first"
            )
        if self.context.database.degraded:
            self._rewrite()
        migrate.migrate(self.context.database, now_ms)

    def _rewrite(self) -> None:
        """A write failed before the schema was ready: 'doctor --fix' could not come this far, so mend it here."""
        if not self._lock.acquire({"pid": os.getpid(), "mode": "rewrite"}):
            return  # the migration says that nothing is taken
        try:
            self.context.database.rewrite()
        finally:
            self._lock.release()

    @property
    def settings(self) -> Settings:
        """The configuration in force."""
        return self.context.settings

    def owner(self) -> dict[str, Any] | None:
        """Return pid, mode and start of the process that delivers, None when nobody does."""
        return self._lock.owner()

    def close(self) -> None:
        """Close the database. The object is of no further use."""
        self.context.database.close()
        self._turn.close()

    def _wake(self) -> None:
        """Something was committed that a dispatcher of this process should look at."""

    def enqueue(self, new: NewMessage) -> Enqueued:
        """Take one message in; see operations.enqueue.enqueue."""
        done = enqueue(self.context, new)
        self._wake()
        return done

    def enqueue_many(self, news: Sequence[NewMessage]) -> list[Enqueued]:
        """Take all in or none, in one transaction."""
        done = enqueue_many(self.context, news)
        self._wake()
        return done
