"""Makes a backup: copy, pack, manifest, proof, encryption, and only then its name. Judges nothing and restores nothing.

Whatever is not proven or recorded yet has a temporary name: killed at any moment, there is the backup from before and
no half of a new one. Nothing here opens the live database by its path: a child does, see store.snapshot.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import engine
from engine.errors import (
    ArchiveRefused,
    ChronosError,
    ConfigError,
    NotFound,
    NotPossible,
    StorageFull,
    VaultDamaged,
    VaultLocked,
)
from engine.host import children, temporary
from engine.host.archive import apart
from engine.host.archive.reader import open_archive
from engine.host.archive.writer import ZipWriter
from engine.host.files import ensure_private_dir
from engine.operations import checkpointing, vault
from engine.operations.backup import backups as known
from engine.operations.backup import beside, restorenote, signing
from engine.operations.backup.backups import Backup
from engine.operations.backup.verdicts import Verdict
from engine.operations.commanding import Report, Stopped, Telling
from engine.operations.context import Context, writable
from engine.rules.backups import FORMAT, RESTORE, Kind, Name, Proof
from engine.rules.durations import format_size, rfc3339
from engine.store import audit, copies, snapshot
from engine.store import backups as store
from engine.store.backups import Entry
from engine.store.tx import Tx

CREATED, FAILED = "backup.created", "backup.failed"
_SPARE_BYTES = 64 * 1024 * 1024
_MEMORY_BYTES = 512 * 1024 * 1024
"""Of address space, most of which is never touched: a snapshot stays at 25 MiB."""

_NAME_TRIES = 5
_STAGES = {"copying": "copying the database", "packing": "packing", "encrypting": "encrypting"}
NOT_DRILLED = "not drilled"


def create(
    context: Context,
    kind: Kind,
    *,
    folder: Path | None = None,
    drill: bool | None = None,
    report: Report | None = None,
) -> Backup:
    """Make a backup, prove it, and only then list it. One at a time in a data directory.

    folder, drill: instead of backup.directory and backup.drill. report: told how far it is; what it raises ends it.

    Raises NotFound without the named folder, NotPossible while another one is made or where it cannot be used,
    StorageFull, VaultLocked where it is to be encrypted with a passphrase that cannot be had, ArchiveRefused when what
    was written is not sound.
    """
    writable(context)
    where = known.folder(context) if folder is None else Path(os.path.abspath(folder))  # noqa: PTH100 - links stay
    if folder is not None:
        _check_folder(where)
    with known.alone(context):
        name = ""
        try:
            ensure_private_dir(where)
            temporary.sweep(where)
            locking = _locking(context)
            name, at_ms = _free_name(context, where, encrypted=locking is not None)
            making = _Making(context, kind, where, name, at_ms, locking, _Telling(report))
            number = making.make(context.settings.backup["drill"] if drill is None else drill)
        except Stopped:
            raise
        except ChronosError as error:
            _say_failed(context, name or str(where), error)
            raise
    return known.get(context, str(number))


def _check_folder(where: Path) -> None:
    """Raise NotFound, NotPossible for a place that somebody named and that cannot be meant. It is not made: a disk that
    is not mounted would fill the one below it.
    """
    if not where.is_dir():
        raise NotFound(f"{where}: there is no such directory; mount it, or make it first")
    try:
        ensure_private_dir(where)
    except ConfigError as error:
        raise NotPossible(str(error)) from error


class _Locking(NamedTuple):
    """To whom it is encrypted: age recipients, or else a passphrase."""

    recipients: tuple[str, ...]
    passphrase: str | None


class _Telling(Telling):
    """Knows the snapshot's stages, too."""

    def heard(self, told: dict[str, Any]) -> None:
        """Hand on what a child tells."""
        self(_STAGES.get(told["stage"], ""), int(told["done"]), int(told["total"]))


class _Making:
    """One backup on its way."""

    def __init__(
        self, context: Context, kind: Kind, where: Path, name: str, at_ms: int, locking: _Locking | None, tell: _Telling
    ) -> None:
        self._context = context
        self._kind = kind
        self._where = where
        self._name = name
        self._at_ms = at_ms
        self._locking = locking
        self._tell = tell
        self._began_ms = context.clock.monotonic_ms()

    def make(self, drill: bool) -> int:  # noqa: FBT001 - the caller's own flag
        """Return its number in the ledger."""
        _check_room(self._context, self._where)
        _sign_head(self._context)
        with ExitStack() as stack:
            archive = stack.enter_context(temporary.temporary(self._where, self._name))
            with temporary.temporary(self._where, self._name, "db") as copy:
                taken = self._take(copy, archive)
            manifest = self._complete(archive, taken)
            verdict = self._prove(archive, drill=drill)
            with open_archive(archive) as written:
                archive_sha256 = written.sha256(lambda done, total: self._tell("reading it again", done, total))
            file = archive if self._locking is None else self._encrypted(stack, archive)
            sha256 = archive_sha256 if file is archive else _sha256(file)
            size = file.stat().st_size
            temporary.put_in_place(file, self._where / self._name)
            return self._record(manifest, verdict, size, sha256, archive_sha256)

    def _take(self, copy: Path, archive: Path) -> snapshot.Snapshot:
        self._tell(_STAGES["copying"], 0, 0)
        order = {
            "database": str(self._context.database.path),
            "copy": str(copy),
            "archive": str(archive),
            "created_ms": self._at_ms,
        }
        return snapshot.parsed(
            children.run(
                snapshot.MODULE,
                order,
                on_progress=self._tell.heard,
                stopped=self._tell.ask,
                memory_bytes=_MEMORY_BYTES,
                nice=True,
            )
        )

    def _complete(self, archive: Path, taken: snapshot.Snapshot) -> dict[str, Any]:
        """Write the rest of the members behind the database; return the signed manifest."""
        context = self._context
        checkpoint = taken.facts["audit"]["checkpoint"]
        if checkpoint is not None:
            checkpoint["instance"] = context.settings.instance
        manifest = {
            "format": FORMAT,
            "name": self._name.removesuffix(".age"),
            "kind": self._kind.value,
            "instance": context.settings.instance,
            "created_at": rfc3339(self._at_ms),
            "chronos": engine.__version__,
            **taken.facts,
        }
        try:
            with archive.open("r+b") as file:
                writer = ZipWriter.resume(file, self._at_ms, [taken.entry])
                members = [taken.member]
                members += [writer.add_stored(name, data) for name, data in beside.files(context)]
                note = restorenote.text(manifest, [*(member.name for member in members), RESTORE])
                members.append(writer.add_stored(RESTORE, note.encode()))
                manifest["members"] = {member.name: member.document() for member in members}
                signed = signing.sign(context, manifest)
                writer.add_manifest(signed, members)
                writer.finish()
                os.fsync(file.fileno())
        except OSError as error:
            raise temporary.cannot_write(self._where, error) from error
        return signed

    def _prove(self, archive: Path, *, drill: bool) -> Verdict | None:
        """Read it again as a stranger would, and restore it into a scratch directory. Raises ArchiveRefused."""
        verdict = None
        if drill:
            from engine.operations.backup import drilling

            verdict = drilling.drill_archive(self._context, archive, report=self._tell)
            if verdict.proof is Proof.FAILED:
                why = verdict.why.replace(str(archive), self._name)
                raise ArchiveRefused(f"the backup that was just written is not sound and was not kept: {why}")
        if verdict is None or not any(step.name == "sums" and step.ok for step in verdict.steps):
            self._tell("checking every sum", 0, 0)
            apart.read(
                archive,
                None,
                ours=True,
                progress=lambda done, total: self._tell("checking every sum", done, total),
                stopped=self._tell.ask,
            )
        return verdict

    def _encrypted(self, stack: ExitStack, archive: Path) -> Path:
        """Return the encrypted file. A child makes it: a passphrase takes 256 MiB for a moment."""
        from engine.host import encrypting

        assert self._locking is not None, "asked only where it is to be encrypted"
        target = stack.enter_context(temporary.temporary(self._where, self._name, "age"))
        order = {"source": str(archive), "target": str(target), **self._locking._asdict()}
        children.run(encrypting.MODULE, order, on_progress=self._tell.heard, stopped=self._tell.ask, nice=True)
        return target

    def _record(
        self, manifest: dict[str, Any], verdict: Verdict | None, size: int, sha256: str, archive_sha256: str
    ) -> int:
        context = self._context
        now_ms = context.clock.now_ms()
        proof = Proof.UNPROVEN if verdict is None else verdict.proof
        entry = Entry(
            id=0,
            folder=str(self._where),
            name=self._name,
            kind=self._kind,
            taken_ms=self._at_ms,
            took_ms=context.clock.monotonic_ms() - self._began_ms,
            size=size,
            sha256=sha256,
            archive_sha256=archive_sha256,
            encrypted=self._locking is not None,
            manifest=manifest,
            proof=proof,
            proof_detail=NOT_DRILLED if verdict is None else verdict.why,
            proven_ms=now_ms if proof is Proof.PROVEN else None,
            drilled_ms=None if verdict is None else now_ms,
            drill_took_ms=None if verdict is None else verdict.took_ms,
            verified_ms=now_ms,
            verified_ok=True,
            verified_word="",
            gone_ms=None,
            pruned_ms=None,
        )
        return context.database.write(lambda tx: _list(tx, context, entry, now_ms))


def _list(tx: Tx, context: Context, entry: Entry, now_ms: int) -> int:
    """The ledger's row, its entry in the audit log, and the wish for its copies: all or nothing."""
    number = store.insert(tx, entry)
    copies.enqueue(tx, number, context.settings.backup["copy_to"], now_ms)
    detail = {
        "audit_seq": entry.manifest["audit"]["seq"],
        "encrypted": entry.encrypted,
        "folder": entry.folder,
        "kind": entry.kind.value,
        "key": signing.signing_key(entry.manifest),
        "proof": entry.proof.value,
        "sha256": entry.sha256,
        "size_bytes": entry.size,
        "took_ms": entry.took_ms,
        "why": entry.proof_detail[:500],
    }
    audit.append(tx, now_ms, context.actor, CREATED, f"backup:{entry.name}", detail)
    return number


def _say_failed(context: Context, name: str, error: ChronosError) -> None:
    """Leave a word of it in the audit log, where that can be written to: its full disk may be the trouble."""
    now_ms = context.clock.now_ms()
    detail = {"error": str(error)[:500], "kind": type(error).__name__}
    context.log.event("WARNING", "backup_failed", backup=name, reason=str(error))
    try:
        context.database.write(lambda tx: audit.append(tx, now_ms, context.actor, FAILED, f"backup:{name}", detail))
    except ChronosError as second:
        context.log.event("WARNING", "backup_failure_not_recorded", backup=name, reason=str(second))


# Before it begins


def _locking(context: Context) -> _Locking | None:
    """Return whom backup.encrypt_to names; None: nobody. Never less than it asks for: what is away is an error."""
    named = tuple(context.settings.backup["encrypt_to"])
    if not named:
        return None
    if named[0].startswith("secret:"):
        from engine.operations import secrets

        return _Locking((), secrets.look_up(context, named[0]))
    return _Locking(named, None)


def _free_name(context: Context, where: Path, *, encrypted: bool) -> tuple[str, int]:
    """Return a name that no backup has or had, and the time that it says. A second that is taken is waited out."""
    instance = context.settings.instance
    for _try in range(_NAME_TRIES):
        at_ms = context.clock.now_ms()
        both = [Name(instance, at_ms - at_ms % 1000, encrypted=either).text for either in (encrypted, not encrypted)]
        if not any(_taken(context, where, name) for name in both):
            return both[0], at_ms
        threading.Event().wait((1000 - at_ms % 1000) / 1000)
    raise NotPossible(f"{where / both[0]}: is there already, and so are those of the next seconds; try again")


def _taken(context: Context, where: Path, name: str) -> bool:
    return os.path.lexists(where / name) or bool(
        context.database.read(lambda tx: store.of_file(tx, str(where), name) is not None)
    )


def _check_room(context: Context, where: Path) -> None:
    """The copy and the archive lie there at the same time, then the archive and what a drill unpacks."""
    size = context.database.path.stat().st_size + context.database.wal_bytes
    needed = 2 * size + _SPARE_BYTES
    found = os.statvfs(where)
    free = found.f_bavail * found.f_frsize
    if free < needed:
        raise StorageFull(
            f"{where}: a backup of this database ({format_size(size)}) needs {format_size(needed)} for a while, and "
            f"{format_size(free)} are free; free some space, or see 'chronos backup prune --dry-run'"
        )


def _sign_head(context: Context) -> None:
    """Have the audit log vouched for up to this moment, where there is a key for that."""
    if vault.state(context) is None or not context.settings.security["encryption_enabled"]:
        return
    try:
        checkpointing.make(context)
    except (VaultLocked, VaultDamaged, NotPossible) as error:
        context.log.event("INFO", "backup_without_checkpoint", reason=str(error))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
