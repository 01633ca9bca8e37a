"""Private directories and files that are replaced as a whole. Knows no path by name and reads no configuration."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from engine.errors import ConfigError, NotPossible, StorageFull

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


def ensure_private_dir(path: Path) -> None:
    """Make sure that `path` is a directory of ours into which nobody else can write.

    A new one is made with mode 0700, missing parents with the umask's mode. An existing empty one that others may read
    is closed to 0700; one that holds files keeps its mode, for it may be shared on purpose (ours are 0600).

    Raises ConfigError if others can write to it, if it belongs to another user, or if it is no directory;
    StorageFull, NotPossible if it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = path.stat()
    except OSError as error:
        raise _translated(error, f"cannot make the directory {path}") from error
    if problem := _directory_problem(path, found):
        raise ConfigError([problem])
    if stat.S_IMODE(found.st_mode) & 0o077:
        _close_if_empty(path)


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `data`: after a crash or a power cut it holds the old bytes or the new ones, never a mix.

    Order: temporary file in the same directory (made anew, with `mode`), write, fsync, rename, fsync of the directory.
    When it returns, the new content survives a power cut. When it raises before the rename, `path` is untouched and
    the temporary file is gone; what a killed process left is swept by the next write. A symbolic link is replaced, not
    followed.

    Raises StorageFull if there is no space, NotPossible for everything else that the system refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        try:
            _sweep(path)
            _write_new(temporary, data, mode)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        sync_dir(path.parent)
    except OSError as error:
        raise _translated(error, f"cannot write {path}") from error


def sync_dir(path: Path) -> None:
    """Make the names in a directory survive a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_small(path: Path, max_bytes: int) -> bytes:
    """Read a regular file of at most `max_bytes`. A FIFO or a device is refused instead of waited for.

    Raises FileNotFoundError if it is missing, ConfigError for everything else; the text starts with what is wrong and
    does not repeat the path.
    """
    try:
        # O_NONBLOCK: opening a FIFO without a writer would otherwise wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise ConfigError([f"cannot be read: {_words(error)}"]) from error
    try:
        # open() of a directory's descriptor fails and leaves it open: look first.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ConfigError(["is not a regular file"])
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ConfigError([f"cannot be read: {_words(error)}"]) from error
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:
        raise ConfigError([f"is larger than {max_bytes // 1024} KiB"])
    return data


@contextlib.contextmanager
def private_umask() -> Iterator[None]:
    """Let what is created inside be closed to others. The umask belongs to the whole process: use it before threads."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _sweep(path: Path) -> None:
    """Remove the temporary files of `path` whose writer is dead."""
    prefix = f".{path.name}."
    for left in path.parent.iterdir():
        if not (left.name.startswith(prefix) and left.name.endswith(".tmp")):
            continue
        writer = left.name.removeprefix(prefix).partition(".")[0]
        with contextlib.suppress(OSError):
            if writer.isascii() and writer.isdigit() and not Path("/proc", writer).exists():
                left.unlink()


def _write_new(path: Path, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - a descriptor, not a path
        os.fchmod(descriptor, mode)
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(descriptor)


def _directory_problem(path: Path, found: os.stat_result) -> str | None:
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode):
        return f"{path}: is not a directory; name another"
    if found.st_uid != os.geteuid():
        return (
            f"{path}: belongs to user {found.st_uid}, this is user {os.geteuid()}; "
            "run as its owner, or name another directory"
        )
    if mode & stat.S_ISVTX and mode & 0o022:  # /tmp is everybody's, and has to stay so
        return f"{path}: everybody can write to it (mode {mode:04o}); name a directory of your own in it"
    if mode & 0o022:
        return f"{path}: other users can write to it (mode {mode:04o}); run: chmod 700 {path}"
    return None


def _close_if_empty(path: Path) -> None:
    try:
        with os.scandir(path) as entries:
            if next(entries, None) is None:
                path.chmod(0o700)
    except OSError as error:
        raise _translated(error, f"cannot use the directory {path}") from error


def _translated(error: OSError, doing: str) -> StorageFull | NotPossible:
    if error.errno in NO_SPACE:
        return StorageFull(f"{doing}: the disk is full; free some space and try again")
    return NotPossible(f"{doing}: {_words(error)}")


def _words(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
