"""Copies to any remote of rclone, as the operator set it up there. Hands no login over and reads none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.errors import NotPossible
from engine.host.copying.base import BLOCK_BYTES, Place, Progress, partial_name
from engine.host.copying.program import Program, limit_s

_OPTIONS = (
    "--ask-password=false",
    "--contimeout=30s",
    "--timeout=60s",
    "--low-level-retries=3",
    "--retries=1",  # a later try is ours to make
    "--log-level=ERROR",
)
_SILENT_S = 600.0
"""rclone notices a dead line itself; in between it may send one part of 100 MB and take nothing meanwhile."""

_NOT_THERE = frozenset({3, 4})
"""rclone's exit codes "directory not found" and "file not found"."""


class Rclone:
    """See base.Destination. idle_s: how long rclone may be silent.

    The file goes in through a pipe: progress is known, and rclone ends when we do. The name is given last, by a rename
    there (a remote that has none copies on its own side, or through here).
    """

    def __init__(self, place: Place, env: Mapping[str, str], *, idle_s: float = _SILENT_S) -> None:
        self._folder = f"{place.host}:{place.path.rstrip('/') + '/' if place.path else ''}"
        self._env = env
        self._idle_s = idle_s

    def put(self, path: Path, name: str, progress: Progress | None = None) -> str:
        partial = self._folder + partial_name(name)
        done = 0
        try:
            with path.open("rb") as source:
                size = path.stat().st_size
                with self._program(["rcat", f"--size={size}", partial], size) as rclone:
                    while block := source.read(BLOCK_BYTES):
                        if not _taken(rclone, block):
                            break
                        done += len(block)
                        if progress is not None:
                            progress(done, size)
                    rclone.end_input()
                    _ended_well(rclone)
        except OSError as error:
            raise NotPossible(f"cannot read {path}: {error.strerror}") from error
        with self._program(["moveto", partial, self._folder + name], 3 * size) as rclone:
            _ended_well(rclone)
        return f"{done} bytes sent to {self._folder}"

    def check(self, name: str, size: int, sha256: str, progress: Progress | None = None) -> bool:
        digest, done = hashlib.sha256(), 0
        with self._program(["cat", self._folder + name], size) as rclone:
            while block := rclone.receive(BLOCK_BYTES):
                digest.update(block)
                done += len(block)
                if done > size:
                    return False
                if progress is not None:
                    progress(done, size)
            code = rclone.ended()
            if code in _NOT_THERE:
                return False
            _judged(rclone, code)
        return done == size and digest.hexdigest() == sha256

    def _program(self, words: Sequence[str], size: int) -> Program:
        # What moves on its own side says nothing until it is done.
        silent_s = limit_s(size) if words[0] == "moveto" else self._idle_s
        return Program(["rclone", *_OPTIONS, *words], self._env, limit_s=limit_s(size), idle_s=silent_s)


def _taken(rclone: Program, block: bytes) -> bool:
    """Hand a block over; False where rclone takes no more: its end says why."""
    try:
        rclone.send(block)
    except BrokenPipeError:
        return False
    return True


def _ended_well(rclone: Program) -> None:
    _judged(rclone, rclone.ended())


def _judged(rclone: Program, code: int) -> None:
    if code != 0:
        raise NotPossible(f"rclone: {rclone.words or f'ended with {code}'}")
