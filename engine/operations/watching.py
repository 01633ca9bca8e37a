"""The change feed: which topics moved since the last look, at the cost of one PRAGMA when nothing did."""

from __future__ import annotations

from enum import StrEnum

from engine.store import archiving, audit, keeping, leader, messages
from engine.store.database import Database
from engine.store.tx import Tx


class Topic(StrEnum):
    """What a front end shows and would have to read again."""

    OUTBOX = "outbox"
    AUDIT = "audit"
    ENGINE = "engine"
    SECURITY = "security"
    BACKUPS = "backups"


class ChangeFeed:
    """For one thread. Level-triggered: what moved twice between two looks is named once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watch = database.watch()
        self._seen: dict[Topic, object] = {}

    def poll(self) -> frozenset[Topic]:
        """Return the topics that moved since the last call; all of them at the first. Cheap enough for 10 Hz."""
        if not self._watch.moved():
            return frozenset()
        now = self._database.read(_fingerprints)
        moved = frozenset(topic for topic, value in now.items() if self._seen.get(topic) != value)
        self._seen = now
        return moved

    def close(self) -> None:
        """Close the private connection."""
        self._watch.close()


def _fingerprints(tx: Tx) -> dict[Topic, object]:
    # Every operator's act has an audit entry, so holds, bulk acts and configuration move with AUDIT.
    # Repeats, refusals and uses of a key are counted without one.
    return {
        Topic.OUTBOX: messages.revision(tx),
        Topic.AUDIT: audit.head(tx)[0],
        Topic.ENGINE: leader.read(tx),
        Topic.SECURITY: keeping.revision(tx),
        Topic.BACKUPS: archiving.revision(tx),
    }
