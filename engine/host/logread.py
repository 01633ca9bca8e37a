"""Reads the log files back, for `chronos log`. Never writes, and trusts nothing that stands in them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import BadInput, ChronosError
from engine.host.log import CHANNELS, LEVELS
from engine.host.logfiles import Rotated, rotated_files, stamp
from engine.rules.durations import rfc3339

if TYPE_CHECKING:
    import io

_MAX_LINE_BYTES = 256 * 1024
_POLL_S = 0.25


def _wait() -> bool:
    time.sleep(_POLL_S)
    return True


def read(
    log_dir: Path,
    *,
    level: str = "DEBUG",
    channel: str = "chronos",
    since_ms: int | None = None,
    follow: bool = False,
    wait: Callable[[], bool] = _wait,
) -> Iterator[dict[str, Any]]:
    """Yield the lines of a channel from oldest to newest, rotated files included, as they were written.

    level: the least to be shown. since_ms: the earliest moment. follow: go on with what is written from then on, over
    rotations. wait: called when everything was read and `follow` is set; False ends it.
    Lines that are not ours (no JSON object with `at`, `level` and `event`, too long, cut off) are left out.
    Strings are as they were logged: whoever shows them on a terminal has to clean them.

    Raises BadInput for a level or channel that does not exist, ChronosError if a file is there and may not be read.
    """
    if channel not in CHANNELS:
        raise BadInput(f"there is no log channel {channel!r}; there are {', '.join(CHANNELS)}")
    if level.upper() not in LEVELS:
        raise BadInput(f"there is no log level {level!r}; there are {', '.join(LEVELS)}")
    shown = frozenset(LEVELS[LEVELS.index(level.upper()) :])
    return _chosen(_lines(log_dir, channel, since_ms, wait if follow else None), shown, since_ms)


def _chosen(lines: Iterator[bytes], shown: frozenset[str], since_ms: int | None) -> Iterator[dict[str, Any]]:
    # RFC 3339 in UTC with a fixed number of digits sorts as text.
    since = "" if since_ms is None else rfc3339(since_ms)
    for line in lines:
        record = _parsed(line)
        if record is not None and record["level"] in shown and record["at"] >= since:
            yield record


def _parsed(line: bytes) -> dict[str, Any] | None:
    import json

    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not all(isinstance(record.get(key), str) for key in ("at", "level", "event")):
        return None
    return record


def _lines(directory: Path, channel: str, since_ms: int | None, wait: Callable[[], bool] | None) -> Iterator[bytes]:
    tail, older = _snapshot(directory, channel)
    earliest = "" if since_ms is None else stamp(since_ms)
    seen = older[-1].stamp if older else ""
    for file in older:
        if file.stamp >= earliest:
            yield from _finished_lines(file)
    try:
        while True:
            yield from tail.lines()
            if wait is None or not wait():
                return
            if tail.replaced():
                # What was written between the last look and the rotation.
                yield from tail.lines()
                missed_from = 1 if tail.exists else 0
                tail.close()
                tail, older = _snapshot(directory, channel)
                for file in [file for file in older if file.stamp > seen][missed_from:]:
                    yield from _finished_lines(file)
                seen = older[-1].stamp if older else seen
    finally:
        tail.close()


def _snapshot(directory: Path, channel: str) -> tuple[_Tail, list[Rotated]]:
    """Return the file that is being written and all finished ones before it, as they were at one moment."""
    while True:
        tail = _Tail(directory / f"{channel}.jsonl")
        older = rotated_files(directory, channel)
        if not tail.replaced():
            return tail, older
        tail.close()


class _Tail:
    """The file that is being written, from its start on. Stays with it when it is renamed, until it is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._skipping = False
        try:
            self._fd: int | None = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            self._fd = None
        except OSError as error:
            raise ChronosError(f"cannot read the log {path}: {error.strerror}") from error

    @property
    def exists(self) -> bool:
        return self._fd is not None

    def replaced(self) -> bool:
        """Whether the path no longer names this file: another one, or none, or one at last."""
        try:
            now = self._path.stat()
        except OSError:
            return self._fd is not None
        return self._fd is None or not os.path.samestat(now, os.fstat(self._fd))

    def lines(self) -> Iterator[bytes]:
        """Yield the complete lines that came since the last call."""
        if self._fd is None:
            return
        if os.fstat(self._fd).st_size < self._offset:
            # Somebody emptied it.
            self._offset, self._skipping = 0, False
        while chunk := os.pread(self._fd, _MAX_LINE_BYTES, self._offset):
            end = chunk.rfind(b"\n") + 1
            if end == 0 and len(chunk) < _MAX_LINE_BYTES:
                return
            self._offset += end or len(chunk)
            lines = chunk[:end].split(b"\n")[:-1]
            yield from lines[1:] if self._skipping else lines
            self._skipping = end == 0

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _finished_lines(file: Rotated) -> Iterator[bytes]:
    import zlib

    # A damaged archive gives what comes before the damage.
    with contextlib.suppress(EOFError, OSError, zlib.error), _open_finished(file.path) as stream:
        skipping = False
        while line := stream.readline(_MAX_LINE_BYTES):
            complete = line.endswith(b"\n")
            if complete and not skipping:
                yield line
            skipping = not complete


def _open_finished(path: Path) -> io.BufferedIOBase:
    import gzip

    if path.suffix != ".gz":
        try:
            return path.open("rb")
        except FileNotFoundError:
            # It was compressed since it was listed.
            path = path.with_name(f"{path.name}.gz")
    return gzip.open(path, "rb")
