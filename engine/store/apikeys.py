"""The table api_keys. Decides nothing and sees no secret: what it holds of one is a digest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from engine.store.tx import Row, Tx


class NewRow(NamedTuple):
    """A key to be stored. expires_ms: None for ever."""

    id: str
    name: str
    scopes: Sequence[str]
    targets: Sequence[str]
    networks: Sequence[str]
    salt: bytes
    iterations: int
    digest: bytes
    expires_ms: int | None


class Lock(NamedTuple):
    """What decides whether a request may come in: the row as it stands, the lists as JSON."""

    digest: bytes
    salt: bytes
    iterations: int
    name: str
    scopes: str
    targets: str
    networks: str
    expires_ms: int | None
    revoked_ms: int | None


class Use(NamedTuple):
    """How often a key was used since the last time that was written down, when last, and from where."""

    id: str
    uses: int
    at_ms: int
    remote: str


def insert(tx: Tx, row: NewRow, *, now_ms: int, actor: str) -> None:
    """Store a key."""
    lists = {name: json.dumps(list(getattr(row, name))) for name in ("scopes", "targets", "networks")}
    tx.run("apikeys.insert", {**row._asdict(), **lists, "now_ms": now_ms, "actor": actor})


def one(tx: Tx, key_id: str) -> Row | None:
    """Return id, name, scopes, targets, networks (three lists), created_ms, created_by, expires_ms, revoked_ms,
    revoked_by, successor, replaced_ms, last_used_ms, last_used_from, uses, iterations; None when there is no such key.
    """
    row = tx.row("apikeys.one", {"id": key_id})
    return None if row is None else _listed(row)


def all_keys(tx: Tx) -> list[Row]:
    """Return every key as `one` does, the newest first."""
    return [_listed(row) for row in tx.rows("apikeys.all")]


def _listed(row: Row) -> Row:
    return (*row[:2], *(unpacked(text) for text in row[2:5]), *row[5:])


def unpacked(text: str) -> tuple[str, ...]:
    """Return the words of a stored list."""
    return tuple(json.loads(text))


def in_force(tx: Tx, name: str) -> str | None:
    """Return the id of the key of that name that was neither revoked nor replaced."""
    found: str | None = tx.value("apikeys.in_force", {"name": name})
    return found


def of_name(tx: Tx, name: str) -> list[str]:
    """Return the ids of every key that ever had the name, the newest first."""
    return [row[0] for row in tx.rows("apikeys.of_name", {"name": name})]


def lock(tx: Tx, key_id: str) -> Lock | None:
    """Return what a request is judged by: one seek by the primary key."""
    row = tx.row("apikeys.lock", {"id": key_id})
    return None if row is None else Lock(*row)


def replace(tx: Tx, key_id: str, successor: str, expires_ms: int) -> bool:
    """Name a key's successor and its end; return whether it was in force."""
    params = {"id": key_id, "successor": successor, "expires_ms": expires_ms}
    return tx.run("apikeys.replace", params) == 1


def revoke(tx: Tx, key_id: str, *, now_ms: int, actor: str) -> bool:
    """End a key; return whether it was not ended before."""
    return tx.run("apikeys.revoke", {"id": key_id, "now_ms": now_ms, "actor": actor}) == 1


def strengthen(tx: Tx, key_id: str, *, was: bytes, salt: bytes, iterations: int, digest: bytes) -> bool:
    """Store the same secret under more iterations; return whether the row was still the one that was read."""
    params = {"id": key_id, "was": was, "salt": salt, "iterations": iterations, "digest": digest}
    return tx.run("apikeys.strengthen", params) == 1


def used(tx: Tx, uses: Sequence[Use]) -> None:
    """Add what was counted."""
    tx.run_many("apikeys.used", [one._asdict() for one in uses])
