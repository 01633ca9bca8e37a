"""A backup in a scratch directory: unpacked, judged by a child, copied into our own schema by another. Nothing live."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.clock import Clock
from engine.errors import ArchiveForged, ArchiveRefused, ChronosError, NotPossible, StorageFull
from engine.host import children
from engine.host.archive.reader import Archive, open_archive
from engine.host.log import Log
from engine.host.paths import Paths
from engine.host.scratch import scratch
from engine.host.temporary import cannot_write
from engine.model import Settings
from engine.operations.backup import signing, untouchable
from engine.operations.backup.unlocking import signing_key_of, unlocked
from engine.operations.commanding import Report, Telling
from engine.operations.context import Context, Machine
from engine.operations.vault import Opened
from engine.rules.backups import CONFIG, DATABASE, TEMPLATES
from engine.rules.durations import format_size, rfc3339
from engine.rules.text import safe_line
from engine.store import adopting, backups, judging, migrate
from engine.store.carrying import Staged
from engine.store.database import Database

SCRATCH = "restore"
_MEMORY_BYTES = 512 * 1024 * 1024
_LEAST_S = 300
_BYTES_PER_S = 2 * 1024 * 1024
"""How slow a child may be: a tenth of what a small machine does, so that only what goes round in circles is ended."""

_ROOM_BYTES = 64 * 1024 * 1024


@contextmanager
def without_database(
    paths: Paths, settings: Settings, env: Mapping[str, str], *, actor: str, clock: Clock, log: Log
) -> Iterator[Context]:
    """Give a context over an empty database of its own, in a scratch directory: nothing is known but keys at hand."""
    with scratch(paths.database.parent, SCRATCH) as folder:
        database = Database(folder / "empty.db", turn=_Alone(), degraded_marker=folder / "DEGRADED")
        try:
            migrate.migrate(database, clock.now_ms())
            yield Context(database, clock, settings, actor, os.urandom, 0, machine=Machine(paths, env, log))
        finally:
            database.close()


class _Alone:
    """The turn to write a database that nobody else knows of."""

    def acquire(self, timeout_s: float) -> bool:
        return timeout_s >= 0

    def release(self) -> None:
        """Nobody waits for it."""


# The archive, unpacked, judged and adopted


@dataclass(slots=True)
class Prepared:
    """A backup in a scratch directory. staged: its rows in our own schema. box: its vault; None where it stays shut."""

    folder: Path
    archive: str
    sha256: str
    manifest: dict[str, Any]
    created_ms: int
    schema: int
    authenticity: str
    box: Opened | None
    staged: Staged
    needs_bytes: int
    warnings: list[str]


@contextmanager
def prepared(
    context: Context, file: Path, *, report: Report | None = None, trust: Sequence[str] = (), planned: str = ""
) -> Iterator[Prepared]:
    """Unpack an archive with every sum checked, have a child judge its database and another one copy it, and say whose
    it is. Everything is gone at the end. planned: the sum it must have; "" where nobody saw a plan.
    """
    paths = paths_of(context)
    untouchable.check(context, file)
    with scratch(paths.database.parent, SCRATCH) as folder, open_archive(file) as archive:
        needs_bytes = _room(context, archive, paths)
        unpacked = folder / "unpacked"
        try:
            unpacked.mkdir(mode=0o700)
        except OSError as error:
            raise cannot_write(unpacked, error) from error
        archive.extract(unpacked, lambda done, total: tell(report, "unpacking", done, total))
        found = _judged(archive, unpacked / DATABASE, report)
        box, authenticity, warnings = _whose(context, archive, found, trust)
        adopted = _adopted(context, unpacked / DATABASE, folder / DATABASE, report)
        (unpacked / DATABASE).unlink()
        sha256 = archive.sha256(lambda done, total: tell(report, "summing", done, total))
        if planned not in {"", sha256}:
            raise ArchiveRefused(f"{file}: is another file than the plan was made of; look at the plan again")
        warnings += _named(context, archive, sha256)
        with closing(Staged(folder / DATABASE)) as staged:
            yield Prepared(
                unpacked, archive.path.name, sha256, archive.manifest, archive.created_ms, int(adopted["schema"]),
                authenticity, box, staged, needs_bytes, warnings,
            )  # fmt: skip


def paths_of(context: Context) -> Paths:
    if context.machine.paths is None:
        raise NotPossible("opened without a data directory: there is no place to restore to")
    return context.machine.paths


def _room(context: Context, archive: Archive, paths: Paths) -> int:
    """Return what a restore needs: the unpacked database, its copy, a safety backup and the log of the swap.

    Raises StorageFull where not even the first two fit.
    """
    size = next((member.size for member in archive.members if member.name == DATABASE), 0)
    try:
        live = paths.database.stat().st_size  # opens nothing, so no lock is lost
    except OSError:
        live = 0
    least = 2 * size + live + _ROOM_BYTES
    free = shutil.disk_usage(paths.database.parent).free
    if free < least:
        raise StorageFull(
            f"{paths.database.parent}: {format_size(free)} are free, {archive.path.name} needs {format_size(least)} to "
            "be looked at; free some space"
        )
    return least + size + live


def _judged(archive: Archive, database: Path, report: Report | None) -> dict[str, Any]:
    """Have a child look at the database before anything of it is used."""
    claimed = {name: archive.manifest.get(name) for name in ("schema", "database_id", "counts", "rows", "audit")}
    limit_s = _LEAST_S + database.stat().st_size // _BYTES_PER_S
    telling = Telling(report, "judging")
    found = children.run(
        judging.MODULE,
        {"database": str(database), "manifest": claimed, "cpu_s": limit_s},
        on_progress=lambda told: telling(f"judging: {told['stage']}", int(told["done"]), int(told["total"])),
        limit_s=limit_s,
        stopped=telling.ask,
        memory_bytes=_MEMORY_BYTES,
        file_bytes=0,
    )
    for step in found["steps"]:
        if not step["ok"]:
            raise ArchiveRefused(f"{archive.path}: damaged: {DATABASE}: {step['detail']}")
    return found


def _whose(
    context: Context, archive: Archive, found: Mapping[str, Any], trust: Sequence[str]
) -> tuple[Opened | None, str, list[str]]:
    """Say whether the archive is signed by a key of ours, of its own vault where that opens, or one that is trusted."""
    warnings = []
    box = None
    keys: set[str] = set()
    try:
        box = unlocked(context, found["vault"], None)
        if box is not None:
            keys = {key for key in (signing_key_of(box, row) for row in found["secrets"]) if key is not None}
    except ChronosError as error:
        warnings.append(f"the backup's vault does not open here: {error}")
    verdict = signing.judge(context, archive.manifest, own_keys=frozenset(keys), trust=trust)
    if verdict is not signing.Authenticity.CONFIRMED:
        key = signing.signing_key(archive.manifest)
        if signing.must_be_known(context):
            why = "; ".join(warnings) or "nobody here knows that key"
            raise ArchiveForged(
                f"{archive.path.name}: it is not signed with a key of this installation ({why}), so somebody may have "
                f"made it; where you know that it is genuine, vouch for its key with --trust-key {key}"
            )
        warnings.append(
            f"signed by the key {key}, which is not known here: whether somebody put it in its place cannot be told"
        )
    return box, verdict.value, warnings


def _named(context: Context, archive: Archive, sha256: str) -> list[str]:
    """Return the warning that it lies under another name than its own: an old one may be given out as a new one.

    Raises ArchiveForged where one of that name was made here, and is another one.
    """
    name = archive.path.name
    made = [one for one in context.database.read(backups.kept) if one.name.removesuffix(".age") == name]
    if made and all(one.archive_sha256 != sha256 for one in made):
        raise ArchiveForged(
            f"{name}: it is not the backup that was made here under that name: its SHA-256 is another; where you mean "
            "this one, give its file another name"
        )
    if archive.manifest.get("name") == name:
        return []
    taken = rfc3339(archive.created_ms)
    return [f"the file is called {safe_line(name, 200)}; it is {signing.name_of(archive.manifest)}, taken {taken}"]


def _adopted(context: Context, source: Path, target: Path, report: Report | None) -> dict[str, Any]:
    telling = Telling(report, "copying rows")
    return children.run(
        adopting.MODULE,
        {"source": str(source), "target": str(target), "now_ms": context.clock.now_ms()},
        on_progress=lambda told: telling("copying rows", int(told["done"]), int(told["total"])),
        limit_s=_LEAST_S + source.stat().st_size // _BYTES_PER_S,
        stopped=telling.ask,
        memory_bytes=_MEMORY_BYTES,
    )


def tell(report: Report | None, stage: str, done: int = 0, total: int = 0) -> None:
    """Say how far it is. Raises what the listener raises."""
    if report is not None:
        report(stage, done, total)


def configuration(ready: Prepared) -> list[Path]:
    """Return the backup's configuration file and templates, relative to where the configuration file belongs."""
    templates = ready.folder / TEMPLATES.rstrip("/")
    files = [ready.folder / CONFIG, *sorted(templates.glob("*"))]
    return [file.relative_to(ready.folder) for file in files if file.is_file()]
