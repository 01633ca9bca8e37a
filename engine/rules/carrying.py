"""What a restore does with each table, and how two histories of one outbox stand to each other. Reads nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple


class Policy(StrEnum):
    """Whose rows a restored database has, where both today's database ("here") and the backup have some.

    OURS: of the program's own making, by the migrations. MESSAGES: today's message wins, and nothing that waits may
    leave before an operator says so. NEWER: today's row wins, the backup adds what is missing here. PARTS: as the rows
    that they are parts of. MERGED: of both what lets the least through. CHAIN: the log that goes on from the other.
    VAULT: opened and sealed anew where it must be. RECOUNTED: made anew from the other tables. EPOCH: higher than both.
    """

    OURS = "ours"
    MESSAGES = "messages"
    NEWER = "newer"
    PARTS = "parts"
    MERGED = "merged"
    CHAIN = "chain"
    VAULT = "vault"
    RECOUNTED = "recounted"
    EPOCH = "epoch"


POLICIES: dict[str, Policy] = {
    "api_keys": Policy.MERGED,
    "attachments": Policy.MESSAGES,
    "attempts": Policy.MESSAGES,
    "audit": Policy.CHAIN,
    "backup_copies": Policy.PARTS,
    "backups": Policy.NEWER,
    "blobs": Policy.MESSAGES,
    "bodies": Policy.MESSAGES,
    "bulk_items": Policy.PARTS,
    "bulks": Policy.NEWER,
    "commands": Policy.NEWER,
    "counts": Policy.RECOUNTED,
    "holds": Policy.NEWER,
    "inbound_events": Policy.NEWER,
    "inbound_rejections": Policy.NEWER,
    "incidents": Policy.NEWER,
    "lanes": Policy.NEWER,
    "leader": Policy.EPOCH,
    "messages": Policy.MESSAGES,
    "meta": Policy.OURS,
    "migrations": Policy.OURS,
    "rate_limits": Policy.NEWER,
    "search": Policy.RECOUNTED,
    "secrets": Policy.VAULT,
    "source_states": Policy.NEWER,
    "tags": Policy.MESSAGES,
    "vault": Policy.VAULT,
}
"""Every table of the schema; those that SQLite keeps behind `search` go with it."""


def tables(*policies: Policy) -> list[str]:
    """Return the tables with one of these policies, sorted."""
    return sorted(name for name, policy in POLICIES.items() if policy in policies)


class Relation(StrEnum):
    """How today's history stands to the backup's.

    CONTINUES: it goes on from it. BEHIND: the backup goes on from today's, which is an older copy. FORKED: the same
    outbox, and each has something that the other has not. FOREIGN: another outbox. EMPTY: nothing ever happened here.
    DESTROYED: there is no database here that can be opened.
    """

    CONTINUES = "continues"
    BEHIND = "behind"
    FORKED = "forked"
    FOREIGN = "foreign"
    EMPTY = "empty"
    DESTROYED = "destroyed"


class Log(NamedTuple):
    """What is to be known of an audit log to compare it with another one.

    head: its last entry's number, 0 of an empty one. pruned: up to where it was archived. at_others_head: the hash that
    it has at the number of the other's last entry; None where it does not reach so far or archived it.
    """

    database_id: str
    head: int
    hash: str
    pruned: int
    at_others_head: str | None


def relation(here: Log, backup: Log) -> Relation:
    """Say how they stand to each other: by their hashes, and by their ids only where no hash can tell."""
    same = here.database_id == backup.database_id
    if here.head == 0:
        return Relation.EMPTY
    if backup.head == 0:
        return Relation.CONTINUES if same else Relation.FOREIGN
    if here.at_others_head == backup.hash:
        return Relation.CONTINUES
    if backup.at_others_head == here.hash:
        return Relation.BEHIND
    if not same:
        return Relation.FOREIGN
    if here.pruned >= backup.head:
        return Relation.CONTINUES
    return Relation.BEHIND if backup.pruned >= here.head else Relation.FORKED


def tag(at_ms: int) -> str:
    """Return the tag of what a restore at that time holds."""
    return f"restored-{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%dT%H%M%SZ}"
