"""The same afternoon behind a week of backups, for the pictures of the backups panel. Makes one real archive."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine import __version__
from engine.engine import Engine
from engine.host.archive.reader import open_archive
from engine.host.paths import paths
from engine.model import Settings
from engine.operations.backup.backups import Backup
from engine.operations.backup.backupstanding import Standing
from engine.operations.context import Context, Machine
from engine.operations.restore.restoring import Plan
from engine.rules.backups import Kind, Name, Proof
from engine.store import backups, copies
from screenshots import demo
from tests import backuprig
from tests.support import Box, EventLog

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
FOLDER = "/var/lib/chronos/backups"
_FREE_BYTES = 70 * 1024**3
_NAS, _CLOUD = "/mnt/nas/chronos", "sftp://backup@nas.example.org/chronos"
_DOWN = "sftp: connect to host nas.example.org port 22: Connection refused"
_LOCKED = "the vault is locked"


class OnBox(Engine):
    """The demo's engine, which tells of its backups as if they lay where they lie on a real box."""

    def backups(self) -> list[Backup]:
        """See Engine.backups."""
        # The sum of a real archive is another one in every run.
        return [
            replace(one, folder=FOLDER, sha256=_digest(one.name), archive_sha256=_digest(one.name))
            for one in super().backups()
        ]

    def backup_standing(self) -> Standing:
        """See Engine.backup_standing."""
        return replace(super().backup_standing(), folder=FOLDER, free_bytes=_FREE_BYTES)

    def restore_plan(self, word: str, **how: Any) -> Plan:
        """See Engine.restore_plan."""
        return super().restore_plan(Path(word).name, **how)


def configuration() -> Settings:
    """Return what the box is configured to do."""
    return demo.configuration()


def fill(box: Box) -> dict[str, int]:
    """Live through a night with a backup, then through the afternoon; enter the backups of the days before."""
    waiting = [
        box.put(target="crm", subject=f"Order 2026-{1_160 + number} paid", data="{}", not_before_ms=_night(box))
        for number in range(6)
    ]
    for number in range(2):
        box.put(target="billing", subject=f"Reminder {number + 1}", text="See below.", not_before_ms=_morrow(box))
    night_ms = _night(box)
    box.clock.advance_ms(night_ms - box.clock.now_ms())
    archive = _archive(box)
    _deliver(box, len(waiting))
    box.clock.advance_ms(11 * HOUR_MS)
    ids = demo.fill(box)
    _enter_all(box, archive, night_ms)
    return ids


def _night(box: Box) -> int:
    """Return when the schedule makes the next one: at 03:00."""
    return (box.clock.now_ms() // DAY_MS + 1) * DAY_MS + 3 * HOUR_MS


def _morrow(box: Box) -> int:
    return box.clock.now_ms() + 3 * DAY_MS


def _deliver(box: Box, number: int) -> None:
    claimed = box.claim()
    assert len(claimed) == number
    for one in claimed:
        box.finish(one)


def _archive(box: Box) -> Path:
    """Make the newest backup in earnest: it is what the plan of a restore is made of."""
    context, at_ms = box.context, box.clock.now_ms()
    machine = Machine(paths(str(box.directory), None, {}), {"TZ": "UTC"}, EventLog())
    known = Context(
        box.database, box.clock, context.settings, context.actor, context.entropy, context.seed, machine=machine
    )
    name = _name(box, at_ms)
    made = backuprig.make_archive(
        known, change=lambda manifest: manifest.update(name=name, instance=context.settings.instance)
    )
    return made.rename(made.with_name(name))


def _name(box: Box, at_ms: int) -> str:
    return Name(box.context.settings.instance, at_ms, encrypted=False).text


def _enter_all(box: Box, newest: Path, night_ms: int) -> None:
    with open_archive(newest) as archive:
        facts = archive.manifest
    _enter(box, newest.parent, night_ms, facts, copied=(_NAS,))
    safety_ms = night_ms - 11 * HOUR_MS - 1_260_000
    _enter(box, newest.parent, safety_ms, facts, kind=Kind.SAFETY, copied=(_NAS, _CLOUD))
    for days in range(1, 7):
        why = _LOCKED if days == 2 else ""
        _enter(box, newest.parent, night_ms - days * DAY_MS, facts, why=why, copied=(_NAS, _CLOUD))


def _enter(
    box: Box,
    folder: Path,
    at_ms: int,
    facts: dict[str, Any],
    *,
    copied: Sequence[str],
    kind: Kind = Kind.SCHEDULED,
    why: str = "",
) -> None:
    """Write one into the ledger as it is left where every place but those `copied` is down."""
    name = _name(box, at_ms)
    file = folder / name
    file.touch()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    proven_ms, size = at_ms + 4_000, 1_310_000 - (box.clock.now_ms() - at_ms) // 6_000
    entry = backups.Entry(
        id=0, folder=str(folder), name=name, kind=kind, taken_ms=at_ms, took_ms=2_300, size=size,
        sha256=digest, archive_sha256=digest, encrypted=False, manifest=_manifest(name, facts),
        proof=Proof.UNPROVEN if why else Proof.PROVEN, proof_detail=why, proven_ms=None if why else proven_ms,
        drilled_ms=proven_ms, drill_took_ms=1_900, verified_ms=None, verified_ok=None, verified_word="", gone_ms=None,
        pruned_ms=None,
    )  # fmt: skip
    places = (_NAS, _CLOUD)

    def work(tx: Any) -> None:
        number = backups.insert(tx, entry)
        copies.enqueue(tx, number, places, at_ms)
        for place in places:
            due = copies.Due(number, place, 0, str(folder), name, size, entry.sha256)
            if place in copied:
                copies.record_copied(tx, due, at_ms=at_ms + 20_000, detail="")
            else:
                tried = due._replace(attempts=6)
                copies.record_failed(
                    tx, tried, copies.CopyState.WAITING, due_ms=box.clock.now_ms() + 2 * HOUR_MS, detail=_DOWN
                )

    box.database.write(work)


def _manifest(name: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Return an archive's manifest with what differs from run to run or from machine to machine made up."""
    audit = {**facts["audit"], "hash": _digest(f"audit {name}"), "checkpoint": {"seq": facts["audit"]["seq"]}}
    sizes = {"chronos.db": 3_391_488, "config.yaml": 2_148, "RESTORE.md": 3_310}
    return {
        **facts,
        "name": name,
        "chronos": __version__,
        "sqlite": "3.45.1",
        "audit": audit,
        "vault": {"root_id": "4f2a91c3", "key_version": 2},
        "signature": {"algorithm": "ed25519", "key": _digest("key")},
        "members": {member: {"size": size, "sha256": _digest(name + member)} for member, size in sizes.items()},
    }


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()
