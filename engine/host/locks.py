"""Locks between processes: who delivers (EngineLock) and who writes (WriteTurn). Never unlinks a lock file.

Both rest on flock(2): the kernel frees it when its holder dies, however it dies, so no stale lock is ever cleaned up.
The descriptors carry O_CLOEXEC: a child program must not keep what its parent held. Linux only: beside flock stand
open file description locks (fcntl(2), F_OFD_*), which can be looked at without being taken and never meet flock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import ChronosError, StorageFull

if TYPE_CHECKING:
    import threading

_INFO_LIMIT_BYTES = 4096
_NAP_S = 0.000_1
_MOST_TURNS = 8

_IDLE, _WANTED, _ABANDONED, _GRANTED, _CLOSED = range(5)


def _first_byte(lock_type: int) -> bytes:
    """Return a struct flock for the first byte of a file, in the kernel's own layout."""
    return struct.pack("hhqqi0q", lock_type, os.SEEK_SET, 0, 1, 0)


_EXCLUSIVE = _first_byte(fcntl.F_WRLCK)
_SHARED = _first_byte(fcntl.F_RDLCK)
_NOTHING = _first_byte(fcntl.F_UNLCK)
_FREE = _NOTHING[:2]


def _marked(fd: int) -> bool:
    """Tell whether another open file holds the first byte of this one. Takes nothing."""
    return fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _EXCLUSIVE)[:2] != _FREE


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"cannot create the lock file {path}: {error.strerror}; free some space") from error
        raise ChronosError(
            f"cannot open the lock file {path}: {error.strerror}; check that the data directory exists and is yours"
        ) from error


class EngineLock:
    """Decides which process delivers on a data directory.

    The flock decides. A mark on the file's first byte repeats it for onlookers, who could not test a flock without
    taking it for a moment and so refusing an engine that starts just then.
    """

    __slots__ = ("_fd", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self, info: Mapping[str, object]) -> bool:
        """Take the lock if nobody has it, and write `info` as one JSON line into the file, for people.

        Returns whether this object holds the lock now. Never waits. Raises ChronosError if the file cannot be opened.
        """
        if self._fd is not None:
            return True
        fd = _open(self._path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        self._describe(fd, info)
        # The mark comes last: whoever sees it finds the line of this owner, not of the one before.
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _EXCLUSIVE)
        return True

    @staticmethod
    def _describe(fd: int, info: Mapping[str, object]) -> None:
        import json

        line = json.dumps(dict(info), separators=(",", ":")).encode() + b"\n"
        # A full or failing disk must not keep the engine from starting; owner() then answers {}, or an older line.
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, line, 0)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, 0)

    def owner(self) -> dict[str, Any] | None:
        """Return what the present holder wrote, {} if that is unreadable, None if nobody holds the lock.

        Only looks; an engine that starts at the same moment does not notice. Raises ChronosError if the file is there
        and may not be read.
        """
        try:
            fd = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ChronosError(
                f"cannot read the lock file {self._path}: {error.strerror}; check that the data directory is yours"
            ) from error
        try:
            return _parse(os.pread(fd, _INFO_LIMIT_BYTES, 0)) if _marked(fd) else None
        finally:
            os.close(fd)

    def release(self) -> None:
        """Let go. The file stays: unlinking it would let two processes lock two different files of that name."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        with contextlib.suppress(OSError):  # the line is for people; the lock must go in any case
            os.ftruncate(fd, 0)
        os.close(fd)


def _parse(line: bytes) -> dict[str, Any]:
    import json

    try:
        info = json.loads(line)
    except ValueError:
        return {}
    return info if isinstance(info, dict) else {}


class WriteTurn:
    """The turn to write, passed between processes: flock round one transaction.

    For one thread at a time; threads of one process queue at the database's own lock first. A process that is forked
    without exec must open its own.

    flock alone lets the process that releases take the lock again before a waiter is on the processor: with 8 processes
    committing in a loop the longest wait was 254 ms, and the slowest had 0.70 of the fastest's turns. So whoever waits
    marks the file, and whoever sees a mark for the eighth time naps for a moment before trying: 20 ms and 0.95, at
    nearly the rate of a single process. A waiter that is stopped keeps its mark, which costs the others the nap and
    nothing else.
    """

    __slots__ = ("_fd", "_streak", "_waiter")

    def __init__(self, path: Path) -> None:
        """Open the file. Raises ChronosError if that is not possible."""
        self._fd = _open(path)
        self._streak = 0
        self._waiter: _Waiter | None = None

    def acquire(self, timeout_s: float) -> bool:
        """Take the turn, waiting for at most `timeout_s` seconds; False means that another process still has it."""
        waiter = self._waiter
        if waiter is None or not waiter.pending:
            if _marked(self._fd):
                self._streak += 1
                if self._streak >= _MOST_TURNS:
                    self._streak = 0
                    time.sleep(_NAP_S)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if timeout_s <= 0:
                    return False
        if waiter is None:
            waiter = self._waiter = _Waiter(self._fd)
        return waiter.wait(timeout_s)

    def release(self) -> None:
        """Pass the turn on. Only after an acquire that answered True."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of everything, also of a wait that nobody wants any more. The object cannot be used again."""
        if self._waiter is None:
            os.close(self._fd)
        else:
            self._waiter.close()


class _Waiter:
    """A thread that waits in the kernel, where a wait has no time-out and its caller has one.

    The caller may give up; the thread cannot. It then passes the turn on as soon as it is granted, unless the caller
    has come back in the meantime and takes it.
    """

    __slots__ = ("_changed", "_fd", "_state")

    def __init__(self, fd: int) -> None:
        import threading

        self._fd = fd
        self._state = _IDLE
        self._changed: threading.Condition = threading.Condition()
        threading.Thread(target=self._run, name="chronos-write-turn", daemon=True).start()

    @property
    def pending(self) -> bool:
        """Whether the thread is in the kernel's queue. Only wait() makes it so; it may end at any time."""
        return self._state in (_WANTED, _ABANDONED)

    def wait(self, timeout_s: float) -> bool:
        with self._changed:
            self._state = _WANTED
            self._changed.notify_all()
            taken = False
            try:
                taken = self._changed.wait_for(lambda: self._state == _GRANTED, timeout_s)
            finally:
                if self._state == _GRANTED and not taken:
                    # A signal's exception got in between: nobody will release what nobody knows to hold.
                    fcntl.flock(self._fd, fcntl.LOCK_UN)
                self._state = _IDLE if self._state == _GRANTED else _ABANDONED
            return taken

    def close(self) -> None:
        """Let the thread close the descriptor: closed under a wait, its number could belong to another file by then."""
        with self._changed:
            self._state = _CLOSED
            self._changed.notify_all()

    def _run(self) -> None:
        while self._asked():
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _SHARED)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _NOTHING)
            self._grant()
        os.close(self._fd)

    def _asked(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._state in (_WANTED, _CLOSED))
            return self._state != _CLOSED

    def _grant(self) -> None:
        with self._changed:
            if self._state == _WANTED:
                self._state = _GRANTED
                self._changed.notify_all()
            elif self._state == _ABANDONED:
                fcntl.flock(self._fd, fcntl.LOCK_UN)
                self._state = _IDLE
