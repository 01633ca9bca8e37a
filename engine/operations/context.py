"""What every use case is handed: the database, the clock, the configuration, the machine around and who acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from engine.clock import Clock
from engine.errors import NotPossible
from engine.host.log import Log, NullLog
from engine.host.paths import Paths
from engine.model import Settings, TargetSpec
from engine.store.database import Database


class Machine(NamedTuple):
    """What a process has around it. paths: None where nothing but a database was given (a test).

    env: the environment that secrets and credentials are looked up in. on_secret: told every secret that is opened.
    """

    paths: Paths | None = None
    env: Mapping[str, str] = MappingProxyType({})
    log: Log = NullLog()
    on_secret: Callable[[str], None] = lambda _value: None


class Context:
    """One per engine. `settings` is replaced as a whole when the configuration is reloaded.

    actor: who acts, for the audit log ("cli:root", "cockpit:root", "engine"). entropy: n random bytes.
    seed: of the jitter; the same seed gives the same delays. read_only: acts are refused here, not in a front end.
    kept: what this process keeps between calls (an opened vault), by name; shared by every actor's context.
    """

    __slots__ = ("actor", "clock", "database", "entropy", "kept", "machine", "read_only", "seed", "settings")

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        actor: str,
        entropy: Callable[[int], bytes],
        seed: int,
        *,
        machine: Machine | None = None,
        read_only: bool = False,
    ) -> None:
        self.database = database
        self.clock = clock
        self.settings = settings
        self.actor = actor
        self.entropy = entropy
        self.seed = seed
        self.machine = machine or Machine()
        self.read_only = read_only
        self.kept: dict[str, Any] = {}

    @property
    def log(self) -> Log:
        """Where events of this process go."""
        return self.machine.log

    def acting_as(self, actor: str) -> Context:
        """Return a context for one request of somebody else: the same but for who acts. Not for keeping: a reload of
        the configuration does not reach it.
        """
        other = Context.__new__(Context)
        for name in Context.__slots__:  # not copy.copy: its module is half a millisecond of a `chronos send`
            setattr(other, name, getattr(self, name))
        other.actor = actor
        return other


def target_spec(settings: Settings, name: str) -> TargetSpec | None:
    """Return the spec of a stored message's target; None when it is no longer configured."""
    spec = settings.targets.get(name)
    if spec is None:
        from engine.rules.addresses import parse_adhoc  # most targets are configured

        spec = parse_adhoc(name)
    return spec


def recorded(target: str) -> str:
    """Return a target as the audit log names it for ever: an ad hoc URL without its query, which may hold a token."""
    address, question_mark, _query = target.partition("?")
    return f"{address}?…" if question_mark else target


def writable(context: Context) -> None:
    """Raise NotPossible where the engine was opened read-only."""
    if context.read_only:
        raise NotPossible("opened read-only: nothing can be changed from here")
