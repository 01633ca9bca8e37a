"""Sees what everybody on the machine sees of our processes: their command lines, and their environments.

Every descendant of this process is looked at every few milliseconds for as long as the watch runs. The environment and
the words of a process that a test started itself are the test's own doing and kept apart (`given`); those of its
children, whoever they are, are not (`seen`).
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

_EVERY_S = 0.01
_PROC = Path("/proc")
_LEADER = b"leader.py"
"""The tiny shell of tests/tui/pty.py: what it starts was started by the test."""


class _Process(NamedTuple):
    parent: int
    words: bytes
    env: bytes


class Watch:
    """Runs as long as its `with` block."""

    def __init__(self) -> None:
        self.seen: dict[str, bytes] = {}
        self.given: dict[str, bytes] = {}
        self.processes = 0
        self._me = os.getpid()
        self._strangers: set[int] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            self._look()

    def _look(self) -> None:
        known: dict[int, _Process] = {}
        for number in sorted(int(path.name) for path in _PROC.iterdir() if path.name.isdigit()):
            if number not in self._strangers and number != self._me:
                self._look_at(number, known)

    def _look_at(self, number: int, known: dict[int, _Process]) -> None:
        try:
            parent = int((_PROC / str(number) / "stat").read_text().rpartition(")")[2].split()[1])
            if parent != self._me and parent not in known:
                self._strangers.add(number)
                return
            words = (_PROC / str(number) / "cmdline").read_bytes()
            env = (_PROC / str(number) / "environ").read_bytes()
        except (OSError, ValueError, IndexError):  # it has ended
            return
        known[number] = _Process(parent, words, env)
        above = known.get(parent)
        if above is not None and (above.words == words or not words):
            return  # between fork and exec it is its parent's copy still
        own = parent == self._me or (above is not None and _LEADER in above.words)
        name = f"{number} {words.replace(bytes(1), b' ')[:300].decode('utf-8', 'replace')}"
        kept = self.given if own else self.seen
        self.processes += f"cmdline of {name}" not in kept
        kept[f"cmdline of {name}"] = words
        kept[f"environ of {name}"] = env
