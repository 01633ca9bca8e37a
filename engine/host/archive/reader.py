"""The checked reader of backups: what it hands out is what the writer wrote, bit for bit, or it refuses the file.

It executes nothing, follows no link, believes no header (see directory.py), and judges no signature.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.errors import NotFound
from engine.host.archive.directory import Directory, read_directory
from engine.host.archive.layout import STORED
from engine.host.archive.source import Source, Went, shown
from engine.host.archive.unpacking import Placing, contents, fast_inflater, proven_inflater
from engine.rules.backups import TEMPLATES, Member

Progress = Callable[[int, int], None]
"""Called with the bytes of the file that were read, and how many there are to read."""


def open_archive(path: Path, *, most_bytes: int | None = None, ours: bool = False) -> Archive:
    """Open a backup, not encrypted, and check everything but its members' data: names, headers, manifest, SHA256SUMS.

    most_bytes: what all members together may have unpacked. ours: whether we wrote it a moment ago, so that it is
    inflated by the faster library; what comes from elsewhere gets the one that more hostile files were tried on.

    Raises ArchiveRefused with the reason where the file is not as the writer makes it; NotFound where it is missing,
    NotPossible where it must not be opened.
    """
    source = Source(path)
    try:
        return Archive(source, read_directory(source, most_bytes), ours=ours)
    except BaseException:
        source.close()
        raise


class Archive:
    """An opened backup. manifest: as it stands in the file, its signature not judged. members: those it lists, in the
    order of the file. created_ms: when it was made, by the manifest. size: of the file, in bytes.
    """

    __slots__ = ("_directory", "_inflater", "_source", "created_ms", "manifest", "members", "path", "size")

    def __init__(self, source: Source, directory: Directory, *, ours: bool) -> None:
        self._inflater = fast_inflater if ours else proven_inflater
        self._source = source
        self._directory = directory
        self.path = source.path
        self.size = source.size
        self.manifest: dict[str, Any] = directory.manifest
        self.members: list[Member] = directory.members
        self.created_ms = directory.created_ms

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._source.close()

    def has(self, name: str) -> bool:
        """Whether there is a member of that name."""
        return any(entry.name == name for entry, _ in self._directory.files)

    def read(self, name: str) -> bytes:
        """Return the content of a small member, checked: every one but the database. Raises NotFound for others."""
        if (text := self._directory.texts.get(name)) is not None:
            return text
        for entry, member in self._directory.files:
            if entry.name == name and entry.method == STORED:
                return b"".join(contents(self._source, entry, member, _nowhere, self._inflater))
        raise NotFound(f"{shown(str(self.path))}: holds no small file named {ascii(name)[:120]}")

    def sha256(self, progress: Progress | None = None) -> str:
        """Return the sum of the whole file, in hex."""
        return self._source.sha256(_counted(progress, self.size))

    def verify(self, progress: Progress | None = None) -> None:
        """Check the data of every member. Raises ArchiveRefused with the first that is not what was backed up."""
        went = self._went(progress)
        for entry, member in self._directory.files:
            deque(contents(self._source, entry, member, went, self._inflater), maxlen=0)
        self._source.check_unchanged()

    def extract(self, into: Path, progress: Progress | None = None) -> None:
        """Unpack every member into an existing directory of ours, as 0600 files (templates/ with 0700), not synced.

        Each is checked while it is written. Whatever is raised, by the file, the disk or `progress`, the files that
        were made are removed again. Raises ArchiveRefused, StorageFull (before anything is written, where that can be
        known), NotPossible where one of these names is taken in `into`.
        """
        went = self._went(progress)
        with Placing(into) as place:
            place.check_room(sum(entry.size for entry, _ in self._directory.files))
            if any(member.name.startswith(TEMPLATES) for member in self.members):
                place.folder(TEMPLATES.rstrip("/"))
            for entry, member in self._directory.files:
                place.write(entry.name, contents(self._source, entry, member, went, self._inflater))
            self._source.check_unchanged()

    def _went(self, progress: Progress | None) -> Went:
        return _counted(progress, sum(entry.packed_size for entry, _ in self._directory.files))


def _counted(progress: Progress | None, total: int) -> Went:
    if progress is None:
        return _nowhere
    done = 0

    def went(size: int) -> None:
        nonlocal done
        done += size
        progress(done, total)

    return went


def _nowhere(_size: int) -> None:
    """Nobody wants to know."""
