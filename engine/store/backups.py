"""The table backups: the ledger of what was backed up, how it was proven and where it lies. Looks at no file."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from engine.rules.backups import Kind, Proof, parse_name
from engine.store.tx import Row, Tx


class Entry(NamedTuple):
    """A row. folder, name: where its file is. sha256: of the file; archive_sha256: of the ZIP inside an encrypted one,
    the same where it is not encrypted. manifest: as it stands in the archive.

    proven_ms: when a drill restored it last; drilled_ms: when one was made last, whatever it found. verified_ms: when
    the file was read last. gone_ms: since when it is not where it was. pruned_ms: when retention took it.
    """

    id: int
    folder: str
    name: str
    kind: Kind
    taken_ms: int
    took_ms: int
    size: int
    sha256: str
    archive_sha256: str
    encrypted: bool
    manifest: dict[str, Any]
    proof: Proof
    proof_detail: str
    proven_ms: int | None
    drilled_ms: int | None
    drill_took_ms: int | None
    verified_ms: int | None
    verified_ok: bool | None
    verified_word: str
    gone_ms: int | None
    pruned_ms: int | None


def insert(tx: Tx, entry: Entry) -> int:
    """Insert one, whatever its id, gone_ms and pruned_ms say; return its number."""
    return tx.insert("backups.insert", {**entry._asdict(), "manifest": json.dumps(entry.manifest, sort_keys=True)})


def get(tx: Tx, number: int) -> Entry | None:
    """Return one, also when retention took it."""
    return _entry(tx.row("backups.get", {"id": number}))


def of_file(tx: Tx, folder: str, name: str) -> Entry | None:
    """Return the one that stands for a file, also when retention took it."""
    return _entry(tx.row("backups.of_file", {"folder": folder, "name": name}))


def kept(tx: Tx) -> list[Entry]:
    """Return what retention has not taken, newest first; the files of some may be gone."""
    return [_made(row) for row in tx.rows("backups.kept")]


def newest_proven(tx: Tx) -> Entry | None:
    """Return the one whose restore was proven last, of those that are there."""
    return _entry(tx.row("backups.newest_proven"))


def longest_unread(tx: Tx, before_ms: int) -> Entry | None:
    """Return the one whose file was read longest ago, if that was before `before_ms`."""
    return _entry(tx.row("backups.longest_unread", {"before_ms": before_ms}))


def record_drill(tx: Tx, number: int, proof: Proof, detail: str, *, at_ms: int, took_ms: int) -> None:
    """Write down what a drill found."""
    params = {"id": number, "proof": proof.value, "detail": detail, "at_ms": at_ms, "took_ms": took_ms}
    tx.run("backups.drilled", params)


def record_verification(tx: Tx, number: int, *, ok: bool, word: str, at_ms: int) -> None:
    """Write down what reading the file again found."""
    tx.run("backups.verified", {"id": number, "ok": ok, "word": word, "at_ms": at_ms})


def record_gone(tx: Tx, number: int, at_ms: int | None) -> None:
    """Write down that the file is not where it was; None: it is there again."""
    tx.run("backups.gone", {"id": number, "at_ms": at_ms})


def record_pruned(tx: Tx, number: int, at_ms: int) -> None:
    """Write down that retention took the file."""
    tx.run("backups.pruned", {"id": number, "at_ms": at_ms})


def all_told_as_ours(tx: Tx) -> bool:
    """Whether every row stands for a file that a backup can be, in words that can be read again. For a judge: files are
    read, sent away and removed by what stands here, and a stranger's rows would name others.
    """
    return all(
        parse_name(name) is not None and folder[:1] == "/" and folder == os.path.normpath(folder) and _is_told(words)
        for folder, name, words in tx.rows("backups.told")
    )


def _is_told(words: str) -> bool:
    try:
        return isinstance(json.loads(words), dict)
    except (ValueError, RecursionError):
        return False


def database_id(tx: Tx) -> str:
    """Return what tells this outbox's history from any other's."""
    return str(tx.value("backups.database_id"))


def _entry(row: Row | None) -> Entry | None:
    return None if row is None else _made(row)


def _made(row: Row) -> Entry:
    raw = Entry(*row)
    return raw._replace(
        kind=Kind(raw.kind),
        encrypted=bool(raw.encrypted),
        manifest=_parsed(row[10]),
        proof=Proof(raw.proof),
        verified_ok=None if raw.verified_ok is None else bool(raw.verified_ok),
    )


def _parsed(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found
