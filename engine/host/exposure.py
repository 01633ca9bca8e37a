"""Which of our files others may read or change, by their modes. Changes nothing and opens nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from engine.host.paths import Paths

_ANY = 0o077
_WRITE = 0o022
_MOST_FILES = 1_000
ROOT_KEYS = "root.key"
BACKUP_KEY = "backup-signing.key"


class Exposed(NamedTuple):
    """One path that is too open. words: what others may do with it. mend: the command that closes it.

    grave: others may read a key, or change something.
    """

    path: Path
    words: str
    mend: str
    grave: bool


def exposed(paths: Paths) -> list[Exposed]:
    """Return what group or others may do that they should not, the data directory first.

    In the data directory nothing at all; the configuration file may be read but not changed, and neither may its
    directory, where it could be replaced.
    """
    found = [_judge(path, _ANY, key=path.name in {ROOT_KEYS, BACKUP_KEY}) for path in _private(paths)]
    found += [_judge(path, _WRITE) for path in (paths.config_file, paths.config_file.parent)]
    return list({one.path: one for one in found if one is not None}.values())


def config_exposed(paths: Paths) -> Exposed | None:
    """Return why somebody else may change the configuration file; None when nobody may."""
    return _judge(paths.config_file, _WRITE) or _judge(paths.config_file.parent, _WRITE)


def _private(paths: Paths) -> Iterator[Path]:
    yield paths.data_dir
    for suffix in ("", "-wal", "-shm"):
        yield paths.database.with_name(paths.database.name + suffix)
    yield paths.data_dir / ROOT_KEYS
    yield paths.data_dir / BACKUP_KEY
    yield paths.config_cache
    for directory in (paths.logs, paths.backups):
        yield directory
        yield from _files(directory)


def _files(directory: Path) -> Iterator[Path]:
    try:
        with os.scandir(directory) as entries:
            for _number, entry in zip(range(_MOST_FILES), entries, strict=False):
                if not entry.is_symlink():
                    yield Path(entry.path)
    except OSError:
        return  # it is not there, or not for us: then the directory itself is what there is to say


def _judge(path: Path, forbidden: int, *, key: bool = False) -> Exposed | None:
    try:
        found = path.stat()
    except OSError:
        return None  # nothing there that anybody could read
    mode = stat.S_IMODE(found.st_mode)
    open_bits = mode & forbidden
    if stat.S_ISDIR(found.st_mode) and mode & stat.S_ISVTX and forbidden == _WRITE:
        open_bits = 0  # in a sticky directory nobody replaces another one's file
    if not open_bits:
        return _owner(path, found.st_uid)
    can_write = bool(open_bits & _WRITE)
    may = "read and change" if can_write and open_bits & 0o055 else "change" if can_write else "read"
    who = "everybody" if open_bits & 0o007 else f"group {found.st_gid}"
    letters = "go=" if forbidden == _ANY else "go-w"
    return Exposed(path, f"mode {mode:04o}: {who} may {may} it", f"chmod {letters} {path}", can_write or key)


def _owner(path: Path, uid: int) -> Exposed | None:
    """Root may do anything in any case; anybody else who owns a file may change it and its mode."""
    if uid in {0, os.geteuid()}:
        return None
    return Exposed(path, f"belongs to user {uid}, who may change it", f"chown {os.geteuid()} {path}", grave=True)
