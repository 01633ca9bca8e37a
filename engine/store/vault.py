"""The vault's row and its secrets, sealed as they are. Opens nothing: keys never come here."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from engine.store import audit
from engine.store.tx import Tx

_PENDING = "vault_pending"
_PUBLIC_KEY = "audit_public_key"
_EVERYTHING = audit.Span(0, 1 << 62)


class VaultRow(NamedTuple):
    """Which data key is in force, wrapped, and which root key unwraps it. kdf: JSON, "" without a passphrase."""

    vault_id: str
    provider: str
    root_id: str
    kdf: str
    key_version: int
    wrapped: bytes
    created_ms: int
    rotated_ms: int | None


class SecretRow(NamedTuple):
    """One secret as it lies there."""

    name: str
    version: int
    key_version: int
    sealed: bytes
    created_ms: int
    updated_ms: int


class Pending(NamedTuple):
    """A root key at a provider that no vault needs (any more, or yet). storing: somebody may be about to need it."""

    provider: str
    root_id: str
    storing: bool


def read(tx: Tx) -> VaultRow | None:
    """Return the vault, None before there is one."""
    row = tx.row("vault.read")
    return None if row is None else VaultRow(*row)


def insert(tx: Tx, row: VaultRow) -> None:
    tx.run("vault.insert", {**row._asdict(), "now_ms": row.created_ms})


def rewrap(tx: Tx, row: VaultRow) -> None:
    """Put another root key in force."""
    tx.run("vault.rewrap", row._asdict())


def secret(tx: Tx, name: str) -> SecretRow | None:
    row = tx.row("vault.secret", {"name": name})
    return None if row is None else SecretRow(*row)


def secrets(tx: Tx) -> list[SecretRow]:
    """Return every secret by name; one that begins with a dot is ours."""
    return [SecretRow(*row) for row in tx.rows("vault.secrets")]


def revision(tx: Tx) -> tuple[object, ...] | None:
    """Return figures that move with every change of a secret."""
    return tx.row("vault.revision")


def put(tx: Tx, row: SecretRow) -> None:
    """Write a secret; the time of a first one is kept."""
    tx.run("vault.put", {**row._asdict(), "now_ms": row.updated_ms})


def reseal(tx: Tx, row: SecretRow) -> None:
    tx.run("vault.reseal", row._asdict())


def delete(tx: Tx, name: str) -> bool:
    return tx.run("vault.delete", {"name": name}) == 1


def pending(tx: Tx) -> list[Pending]:
    """Return the root keys in passing; nearly always none."""
    text = tx.value("vault.noted", {"key": _PENDING})
    return [] if text is None else [Pending(*one) for one in json.loads(text)]


def note_pending(tx: Tx, found: list[Pending]) -> None:
    """Write down, before a key is stored or removed anywhere, that it is to be removed if nothing comes of it."""
    if found:
        tx.run("vault.note", {"key": _PENDING, "value": json.dumps(found)})
    else:
        tx.run("vault.forget", {"key": _PENDING})


def public_key(tx: Tx) -> str | None:
    """Return the audit log's public key in hex."""
    value: str | None = tx.value("vault.noted", {"key": _PUBLIC_KEY})
    return value


def note_public_key(tx: Tx, public_hex: str) -> None:
    tx.run("vault.note", {"key": _PUBLIC_KEY, "value": public_hex})


def last_word(tx: Tx, subject: str, actions: tuple[str, ...]) -> tuple[str, dict[str, Any]] | None:
    """Return (action, detail) of the newest audit entry about `subject` with one of these actions; None without."""
    for entry in audit.of_subject(tx, subject, _EVERYTHING, 200, upwards=False):
        action = audit.fields_of(entry.body).get("action")
        if action in actions:
            return str(action), audit.detail_of(entry.body)
    return None


def recorded_names(tx: Tx) -> list[str]:
    """Return every name under which the audit log saw a secret stored."""
    return [row[0] for row in tx.rows("vault.set_names")]
