"""What every use case is handed: the database, the clock, the configuration and who acts."""

from __future__ import annotations

from collections.abc import Callable

from engine.clock import Clock
from engine.errors import NotPossible
from engine.model import Settings, TargetSpec
from engine.store.database import Database


class Context:
    """One per engine. `settings` is replaced as a whole when the configuration is reloaded.

    actor: who acts, for the audit log ("cli:root", "cockpit:root", "engine"). entropy: n random bytes.
    seed: of the jitter; the same seed gives the same delays. read_only: acts are refused here, not in a front end.
    """

    __slots__ = ("actor", "clock", "database", "entropy", "read_only", "seed", "settings")

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        actor: str,
        entropy: Callable[[int], bytes],
        seed: int,
        *,
        read_only: bool = False,
    ) -> None:
        self.database = database
        self.clock = clock
        self.settings = settings
        self.actor = actor
        self.entropy = entropy
        self.seed = seed
        self.read_only = read_only


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
