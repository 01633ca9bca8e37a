"""Backups as an operator knows them: the ledger together with what lies in the folder. Makes and proves none itself."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import ArchiveRefused, NotFound, NotPossible
from engine.host import temporary
from engine.operations.backup import untouchable
from engine.operations.commanding import Report
from engine.operations.context import Context
from engine.rules.backups import Kind, Proof, parse_name
from engine.store import backups as store
from engine.store import copies as copying
from engine.store.backups import Entry
from engine.store.copies import Copy as Copy  # noqa: PLC0414 - handed on
from engine.store.tx import Tx

LOCK_FILE = ".backups.lock"
FOUND_WORDS = "not made here, or the record of it is lost"
_MOST_NUMBER_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup. id: None for a file that lies in the folder and stands in no ledger; then nothing is known of it but
    its name and size. The fields are those of the ledger, see store.backups.Entry.

    manifest: as the archive has it; of a file that stands in no ledger it is read by `get` alone. taken_ms: 0 where
    neither a name nor a manifest says when. gone_ms: since when, or as of now, its file is not where it was.
    """

    id: int | None
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
    copies: tuple[Copy, ...]

    @property
    def path(self) -> Path:
        return Path(self.folder) / self.name


def create(
    context: Context,
    kind: Kind,
    *,
    folder: Path | None = None,
    drill: bool | None = None,
    report: Report | None = None,
) -> Backup:
    """Make a backup, prove it, and only then list it. See operations.backing."""
    from engine.operations.backup import backing

    return backing.create(context, kind, folder=folder, drill=drill, report=report)


def folder(context: Context) -> Path:
    """Return the folder that backup.directory names."""
    paths = context.machine.paths
    if paths is None:
        raise NotPossible("opened without a data directory: there is no folder for backups")
    named = Path(context.settings.backup["directory"]).expanduser()
    return Path(os.path.abspath(paths.data_dir / named))  # noqa: PTH100 - Path.resolve would follow links


# The list


def listing(context: Context) -> list[Backup]:
    """Return the backups that retention has not taken, newest first; of the files that were found there, the rest."""
    where = folder(context)
    entries, copies = context.database.read(lambda tx: (store.kept(tx), copying.kept(tx)))
    made = [_of_entry(context, entry, copies.get(entry.id, ())) for entry in entries]
    known = {one.name for one in made if one.folder == str(where)}
    found = [_of_file(where, name, size) for name, size in _files(where) if name not in known]
    return sorted([*made, *found], key=lambda one: (one.taken_ms, one.id or 0, one.name), reverse=True)


def _files(where: Path) -> Iterator[tuple[str, int]]:
    """Yield the name and size of every regular file that is called as a backup is."""
    try:
        with os.scandir(where) as entries:
            for entry in entries:
                if parse_name(entry.name) is not None and entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):
                        yield entry.name, entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return
    except OSError as error:
        raise NotPossible(f"{where}: cannot be read: {error.strerror}; see backup.directory") from error


def _of_entry(context: Context, entry: Entry, copies: tuple[Copy, ...]) -> Backup:
    fields = entry._asdict()
    del fields["pruned_ms"]
    there = _is_file(Path(entry.folder) / entry.name)
    fields["gone_ms"] = None if there else entry.gone_ms or context.clock.now_ms()
    return Backup(**fields, copies=copies)


def _of_file(where: Path, name: str, size: int, manifest: dict[str, Any] | None = None, why: str = "") -> Backup:
    parsed = parse_name(name)
    return Backup(
        id=None,
        folder=str(where),
        name=name,
        kind=Kind.FOUND,
        taken_ms=0 if parsed is None else parsed.at_ms,
        took_ms=0,
        size=size,
        sha256="",
        archive_sha256="",
        encrypted=name.endswith(".age"),
        manifest=manifest or {},
        proof=Proof.FAILED if why else Proof.UNPROVEN,
        proof_detail=why or FOUND_WORDS,
        proven_ms=None,
        drilled_ms=None,
        drill_took_ms=None,
        verified_ms=None,
        verified_ok=None,
        verified_word="",
        gone_ms=None,
        copies=(),
    )


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


# One of them


class _Named(NamedTuple):
    """What a word may mean: a row of the ledger, a file."""

    entry: Entry | None
    file: Path | None


def get(context: Context, word: str) -> Backup:
    """Return one backup by its number, its name or its path. Raises NotFound.

    Of a file that stands in no ledger the manifest is read, where it can be.
    """
    found = _find(context, word)
    if found.entry is not None:
        return _of_entry(context, found.entry, context.database.read(copying.kept).get(found.entry.id, ()))
    if found.file is None:
        raise _not_found(context, word)
    return _looked_at(context, found.file)


def find_file(context: Context, word: str) -> Path:
    """Return the file of a backup by its number, its name in the folder, or its path. Raises NotFound."""
    found = _find(context, word)
    file = found.file if found.entry is None else Path(found.entry.folder) / found.entry.name
    if file is None:
        raise _not_found(context, word)
    if not file.is_file():
        raise NotFound(f"{file}: there is no such file")
    return file


def _find(context: Context, word: str) -> _Named:
    """A number is one of the ledger; a bare name one of the folder, before it is a file of the working directory."""
    if not word or "\0" in word:
        return _Named(None, None)
    if word.isascii() and word.isdigit() and len(word) <= _MOST_NUMBER_DIGITS:
        entry = context.database.read(lambda tx: store.get(tx, int(word)))
        if entry is not None and entry.pruned_ms is None:
            return _Named(entry, None)
    places = [Path(os.path.abspath(Path(word).expanduser()))]  # noqa: PTH100 - links are the operator's business
    if os.sep not in word:
        places.insert(0, folder(context) / word)
    for place in places:
        entry = context.database.read(lambda tx, place=place: _standing(tx, place))  # type: ignore[misc]
        if entry is not None or place.is_file():
            return _Named(entry, place)
    return _Named(context.database.read(lambda tx: _elsewhere(tx, word)), None)


def _standing(tx: Tx, place: Path) -> Entry | None:
    entry = store.of_file(tx, str(place.parent), place.name)
    return None if entry is None or entry.pruned_ms is not None else entry


def _elsewhere(tx: Tx, name: str) -> Entry | None:
    """Return the newest of that name in another folder than the one that is configured now."""
    return next((entry for entry in store.kept(tx) if entry.name == name), None)


def _not_found(context: Context, word: str) -> NotFound:
    place = os.path.abspath(Path(word).expanduser()) if "\0" not in word else ""  # noqa: PTH100 - as it was looked for
    if word and os.path.exists(place):  # noqa: PTH110 - a link to nothing is nothing, too
        return NotFound(f"{place[:1_000]!a}: is no file")
    if os.sep in word:
        return NotFound(f"{place[:1_000]!a}: there is no such file")
    return NotFound(f"there is no backup {word[:200]!a} in {folder(context)}; 'chronos backup list' shows them")


def _looked_at(context: Context, file: Path) -> Backup:
    from engine.host.archive.reader import open_archive

    size = file.stat().st_size
    if file.name.endswith(".age"):
        return _of_file(file.parent, file.name, size)
    try:
        untouchable.check(context, file)
        with open_archive(file) as archive:
            found = _of_file(file.parent, file.name, size, archive.manifest)
            return replace(found, taken_ms=archive.created_ms)
    except ArchiveRefused as error:
        return _of_file(file.parent, file.name, size, why=str(error))


# What killed processes left


def sweep(context: Context) -> int:
    """Remove the temporary files of backups whose process is dead; return how many. For an engine that starts."""
    if context.machine.paths is None:
        return 0
    return temporary.sweep(folder(context))


@contextlib.contextmanager
def alone(context: Context) -> Iterator[None]:
    """Let one process of a data directory make a backup at a time. Raises NotPossible while another one does."""
    paths = context.machine.paths
    if paths is None:
        raise NotPossible("opened without a data directory: there is no place for a backup")
    with temporary.locked(paths.data_dir / LOCK_FILE) as free:
        if not free:
            raise NotPossible("another backup is being made; wait for it to end")
        yield
