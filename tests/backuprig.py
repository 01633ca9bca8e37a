"""Backups for tests of what is done with them: real archives of a real outbox, signed, in a ledger, in one process.

Faster than operations.backup.backups.create and able to lie: a test can change what the manifest says before signing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.host.archive.writer import ZipWriter
from engine.host.paths import paths
from engine.model import Settings
from engine.operations import vault
from engine.operations.backup import signing
from engine.operations.context import Context, Machine
from engine.rules.backups import DATABASE, FORMAT, RESTORE, Kind, Name, Proof
from engine.rules.durations import rfc3339
from engine.store import backups, snapshot
from tests.support import Box, EventLog, FakeClock, opened_box

Change = Callable[[dict[str, Any]], object]


@contextmanager
def box_with_paths(
    directory: Path, configuration: Settings | None = None, *, env: Mapping[str, str] | None = None
) -> Iterator[Box]:
    """Open an outbox that knows where its data directory is."""
    directory.mkdir(exist_ok=True)
    with opened_box(directory, configuration, FakeClock()) as box:
        known = paths(str(directory), None, {"HOME": str(directory)})
        machine = Machine(known, {"TZ": "Europe/Berlin", **(env or {})}, EventLog())
        context = box.context
        box.context = Context(
            box.database, box.clock, context.settings, context.actor, context.entropy, context.seed, machine=machine
        )
        yield box


def make_archive(
    context: Context, *, at_ms: int | None = None, change: Change | None = None, folder: Path | None = None
) -> Path:
    """Write a backup of an outbox into its backups folder; change: what is done to the manifest before it is signed."""
    assert context.machine.paths is not None
    folder = folder or context.machine.paths.backups
    folder.mkdir(exist_ok=True)
    at_ms = (at_ms or context.clock.now_ms()) // 1000 * 1000
    name = Name("box", at_ms, encrypted=False).text
    if vault.state(context) is not None:
        vault.signer(context)  # its key is in the database that is backed up
    copy, archive = folder / "copy.db.tmp", folder / name
    copy.touch()
    archive.touch()
    snapshot.take(context.database.path, copy, lambda _words: None)
    facts = snapshot.look(copy)
    with archive.open("r+b") as file:
        writer = ZipWriter(file, at_ms)
        writer.begin_deflated(DATABASE)
        writer.write(copy.read_bytes())
        members = [writer.end(), writer.add_stored(RESTORE, b"# Restore\n")]
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "name": name,
            "kind": Kind.SCHEDULED.value,
            "instance": "box",
            "created_at": rfc3339(at_ms),
            "chronos": "0",
            **facts,
            "members": {member.name: member.document() for member in members},
        }
        if change is not None:
            change(manifest)
        writer.add_manifest(signing.sign(context, manifest), members)
        writer.finish()
    copy.unlink()
    return archive


def enter(
    context: Context,
    file: Path,
    *,
    taken_ms: int | None = None,
    kind: Kind = Kind.SCHEDULED,
    proof: Proof = Proof.PROVEN,
    detail: str = "",
    manifest: Mapping[str, Any] | None = None,
) -> int:
    """Write a file into the ledger; return its number."""
    data = file.read_bytes() if file.exists() else b""
    digest = hashlib.sha256(data).hexdigest()
    taken_ms = context.clock.now_ms() if taken_ms is None else taken_ms
    proven_ms = taken_ms if proof is Proof.PROVEN else None
    row = backups.Entry(
        id=0, folder=str(file.parent), name=file.name, kind=kind, taken_ms=taken_ms, took_ms=1, size=len(data),
        sha256=digest, archive_sha256=digest, encrypted=False, manifest=dict(manifest or {}), proof=proof,
        proof_detail=detail, proven_ms=proven_ms, drilled_ms=taken_ms, drill_took_ms=1, verified_ms=taken_ms,
        verified_ok=True, verified_word="", gone_ms=None, pruned_ms=None,
    )  # fmt: skip
    return context.database.write(lambda tx: backups.insert(tx, row))


def listed(context: Context, number: int) -> backups.Entry:
    """Read a row of the ledger anew."""
    found = context.database.read(lambda tx: backups.get(tx, number))
    assert found is not None
    return found


def fake(context: Context, at_ms: int, **fields: Any) -> int:
    """Write a row into the ledger with a file of a few bytes: for what never looks into it."""
    assert context.machine.paths is not None
    folder = context.machine.paths.backups
    folder.mkdir(exist_ok=True)
    file = folder / Name("box", at_ms // 1000 * 1000, encrypted=False).text
    file.write_bytes(b"backup")
    return enter(context, file, taken_ms=at_ms, **fields)
