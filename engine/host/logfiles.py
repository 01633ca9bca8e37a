"""Log lines on their way to a disk: a bounded queue, the thread that writes, rotation. Never looks into a line.

One process writes a directory's files: whoever owns the engine. Two would rotate each other's files away.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.clock import Clock
from engine.rules.durations import rfc3339

MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_ROTATED_FILES = 100
_KEPT_WHATEVER_THEIR_AGE = 2
_DAY_MS = 86_400_000
_COPY_BYTES = 256 * 1024
_BATCH = 1_000
_REST_S = 0.02
"""How long lines gather between two writes. Each line a batch of its own wakes a thread that takes the interpreter from
whoever logs: 0.1 ms of a request's time."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line, newline included, and the channel whose file it goes to."""

    channel: str
    text: bytes


class LineQueue:
    """Passes lines to a thread that writes them. When the thread cannot keep up, lines are dropped and counted.

    write: takes lines, returns those it could not write; called in the thread only. report: makes the line that tells
    how many were dropped; it goes out before the next line that can be written.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[Line]], Sequence[Line]],
        report: Callable[[int], Line],
        *,
        max_lines: int = 10_000,
        max_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self._write = write
        self._report = report
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._lines: deque[Line] = deque()
        self._bytes = 0
        self._unreported = 0
        self._dropped = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many lines were lost since the start."""
        return self._dropped

    def put(self, line: Line) -> None:
        """Hand over a line. Never waits for the writing."""
        with self._changed:
            full = len(self._lines) >= self._max_lines or self._bytes + len(line.text) > self._max_bytes
            if full or self._closing:
                self._count_dropped(1)
                return
            self._lines.append(line)
            self._bytes += len(line.text)
            if len(self._lines) in {1, _BATCH} or self._bytes > self._max_bytes // 2:
                self._changed.notify()

    def close(self, timeout_s: float) -> bool:
        """Write what waits, for at most `timeout_s` seconds. Returns whether everything was handed to the writer."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _count_dropped(self, count: int) -> None:
        self._dropped += count
        self._unreported += count

    def _run(self) -> None:
        while True:
            batch, unreported = self._take()
            if not batch and not unreported:
                return
            head = [self._report(unreported)] if unreported else []
            lost = self._write([*head, *batch])
            if not lost:
                self._rest()
                continue
            report_lost = any(line is head[0] for line in lost) if head else False
            with self._changed:
                self._count_dropped(len(lost) - report_lost)
                self._unreported += unreported * report_lost
                if self._closing and not self._lines:
                    return

    def _rest(self) -> None:
        """Let lines gather, unless there are many already."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or len(self._lines) >= _BATCH or self._bytes > self._max_bytes // 2, _REST_S
            )

    def _take(self) -> tuple[list[Line], int]:
        """Wait for lines and take up to 1 000; none and 0 means that it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closing)
            batch = [self._lines.popleft() for _ in range(min(len(self._lines), _BATCH))]
            self._bytes -= sum(len(line.text) for line in batch)
            unreported, self._unreported = self._unreported, 0
            return batch, unreported


@dataclass(frozen=True, slots=True, order=True)
class Rotated:
    """A finished file. stamp: when it was rotated, sortable, UTC with milliseconds."""

    stamp: str
    path: Path


def stamp(ms: int) -> str:
    """Return a moment as it stands in the names of rotated files: "20261123T140000123Z"."""
    return re.sub("[-:.]", "", rfc3339(ms))


def rotated_files(directory: Path, channel: str) -> list[Rotated]:
    """Return the finished files of a channel, oldest first. A file that is being compressed is listed once."""
    pattern = re.compile(rf"{re.escape(channel)}\.(\d{{8}}T\d{{9}}Z)\.jsonl(?:\.gz)?")
    found: dict[str, Path] = {}
    with contextlib.suppress(FileNotFoundError):
        for path in sorted(directory.iterdir()):
            # Plain sorts before .gz: while both are there the plain one is the complete one.
            if match := pattern.fullmatch(path.name):
                found.setdefault(match[1], path)
    return sorted(Rotated(when, path) for when, path in found.items())


class LogFiles:
    """The files of one directory, one a channel, rotated by size and by UTC day, gzipped, thrown away by age."""

    def __init__(
        self, directory: Path, clock: Clock, *, retention_ms: int, max_file_bytes: int = MAX_FILE_BYTES
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._retention_ms = retention_ms
        self._max_file_bytes = max_file_bytes
        self._files: dict[str, _LogFile] = {}

    def write(self, lines: Sequence[Line]) -> list[Line]:
        """Append each line to its channel's file. Returns those that could not be written; a later call may work."""
        by_channel: dict[str, list[Line]] = {}
        for line in lines:
            by_channel.setdefault(line.channel, []).append(line)
        lost: list[Line] = []
        for channel, its_lines in by_channel.items():
            file = self._files.get(channel)
            if file is None:
                file = self._files[channel] = _LogFile(
                    self._directory, channel, retention_ms=self._retention_ms, max_bytes=self._max_file_bytes
                )
            try:
                file.append(b"".join(line.text for line in its_lines), self._clock.now_ms())
            except OSError:
                # Whatever it is (full disk, read-only, no descriptors), there is no place left to say it but the count.
                lost += its_lines
        return lost

    def close(self) -> None:
        for file in self._files.values():
            file.close()


class _LogFile:
    """One channel's file. Every method may raise OSError and works again once the cause is gone."""

    def __init__(self, directory: Path, channel: str, *, retention_ms: int, max_bytes: int) -> None:
        self._directory = directory
        self._channel = channel
        self._path = directory / f"{channel}.jsonl"
        self._retention_ms = retention_ms
        self._max_bytes = max_bytes
        self._fd: int | None = None
        self._day = 0
        self._swept = False

    def append(self, data: bytes, now_ms: int) -> None:
        """Append all of `data` or nothing: a torn line is cut off again."""
        fd = self._opened(now_ms)
        size = os.fstat(fd).st_size
        if size and (size + len(data) > self._max_bytes or now_ms // _DAY_MS != self._day):
            self._rotate(now_ms)
            fd, size = self._opened(now_ms), 0
        try:
            written = 0
            while written < len(data):
                written += os.write(fd, data[written:])
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, size)
            raise

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _opened(self, now_ms: int) -> int:
        if self._fd is not None and os.fstat(self._fd).st_nlink == 0:
            # Somebody removed it; go on where people can see it.
            self.close()
        if self._fd is None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            try:
                self._day = self._adopt(fd, now_ms)
            except OSError:
                os.close(fd)
                raise
            self._fd = fd
        if not self._swept:
            self._swept = True
            self._sweep(now_ms)
        return self._fd

    @staticmethod
    def _adopt(fd: int, now_ms: int) -> int:
        """Make a file that may be left over from before ours; return the day it belongs to."""
        os.fchmod(fd, 0o600)
        found = os.fstat(fd)
        if found.st_size == 0:
            return now_ms // _DAY_MS
        if os.pread(fd, 1, found.st_size - 1) != b"\n":
            # A killed process left half a line; it must not swallow our first one.
            os.write(fd, b"\n")
        return found.st_mtime_ns // 1_000_000 // _DAY_MS

    def _rotate(self, now_ms: int) -> None:
        taken = {file.stamp for file in rotated_files(self._directory, self._channel)}
        while stamp(now_ms) in taken:
            now_ms += 1
        self._path.rename(self._directory / f"{self._channel}.{stamp(now_ms)}.jsonl")
        self.close()
        self._swept = False

    def _sweep(self, now_ms: int) -> None:
        """Compress what is not yet, remove what is too old. What fails today is tried again after the next rotation.

        The two newest stay whatever their age: a clock that jumped ahead must not cost the whole history.
        """
        for left in self._directory.glob(f"{self._channel}.*.tmp"):
            with contextlib.suppress(OSError):
                left.unlink()
        for file in rotated_files(self._directory, self._channel):
            if file.path.suffix != ".gz":
                with contextlib.suppress(OSError):
                    _compress(file.path)
        files = rotated_files(self._directory, self._channel)
        oldest = stamp(now_ms - self._retention_ms)
        for index, file in enumerate(files[:-_KEPT_WHATEVER_THEIR_AGE]):
            if file.stamp < oldest or index < len(files) - MAX_ROTATED_FILES:
                with contextlib.suppress(OSError):
                    file.path.unlink()


def _compress(path: Path) -> None:
    """Replace a file by its .gz. After a kill at any point one of the two is complete."""
    import gzip
    import shutil

    temporary = path.with_name(f"{path.name}.gz.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with path.open("rb") as source, os.fdopen(fd, "wb") as raw:
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                shutil.copyfileobj(source, packed, _COPY_BYTES)
            raw.flush()
            os.fsync(raw.fileno())
        temporary.rename(path.with_name(f"{path.name}.gz"))
    except OSError:
        temporary.unlink()
        raise
    path.unlink()
