"""The situation in one typed record: who delivers, counts, what is late, held or in trouble. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from engine.model import Hold
from engine.operations import lanekeeping, reading
from engine.operations.context import Context
from engine.store import audit, commands, incidents, lanes, leader, messages
from engine.store.incidents import Incident
from engine.store.leader import Leader
from engine.store.tx import Tx

_MOST_INCIDENTS = 200


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that delivers, by its own word. pid None, mode "": it could not write who it is."""

    pid: int | None
    mode: str
    started_ms: int | None


@dataclass(frozen=True, slots=True)
class Situation:
    """What the first line of a front end says, and more.

    owner: None when nobody delivers. here: this process does. leader: the last who said that it delivers, alive or
    not. counts: messages by state. oldest_due_ms: when the message that waits longest became due; None when nothing is
    late. troubles: lane → what keeps it from sending, in words. audit_seq, audit_hash: the audit log's head.
    acts: how many backups and restores were asked for and have not ended.
    """

    instance: str
    owner: Owner | None
    here: bool
    leader: Leader
    counts: Mapping[str, int]
    oldest_due_ms: int | None
    holds: tuple[Hold, ...]
    troubles: Mapping[str, str]
    incidents: tuple[Incident, ...]
    audit_seq: int
    audit_hash: str
    degraded: bool
    acts: int = 0

    @property
    def heartbeat_ms(self) -> int:
        """When the owner, or the last one there was, said that it is alive; 0: never."""
        return self.leader.heartbeat_ms


def situation(context: Context, owner: Mapping[str, Any] | None, *, here: bool) -> Situation:
    """Return it from one snapshot. owner: what the lock's file says of its holder."""
    now_ms = context.clock.now_ms()

    def work(tx: Tx) -> Situation:
        head_seq, head_hash = audit.head(tx)
        words = {name: lanekeeping.words(lane, now_ms) for name, lane in lanes.all_lanes(tx).items()}
        return Situation(
            instance=context.settings.instance,
            owner=None if owner is None else _owner(owner),
            here=here,
            leader=leader.read(tx),
            counts=MappingProxyType(messages.counts(tx)),
            oldest_due_ms=reading.oldest_due_ms(tx, now_ms),
            holds=tuple(lanes.active_holds(tx, now_ms)),
            troubles=MappingProxyType({name: trouble for name, trouble in words.items() if trouble is not None}),
            incidents=tuple(incidents.unsettled(tx, _MOST_INCIDENTS)),
            audit_seq=head_seq,
            audit_hash=head_hash,
            degraded=context.database.degraded,
            acts=len(commands.unfinished(tx)),
        )

    return context.database.read(work)


def _owner(said: Mapping[str, Any]) -> Owner:
    pid, started_ms = said.get("pid"), said.get("started_ms")
    return Owner(
        pid if isinstance(pid, int) else None,
        str(said.get("mode", "")),
        started_ms if isinstance(started_ms, int) else None,
    )
