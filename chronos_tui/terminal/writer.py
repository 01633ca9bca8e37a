"""A thread that writes to the terminal, so that a line that stands still holds nobody up. Knows nothing of screens."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

_CHUNK_BYTES = 16 * 1024


class Writer:
    """Writes to a file descriptor in its own daemon thread. Once the line is gone everything is taken and dropped.

    on_drained: called on the thread whenever all has been written. on_gone: called on it once, when the line is gone.
    """

    def __init__(self, fd: int, *, on_drained: Callable[[], None], on_gone: Callable[[], None]) -> None:
        self._fd = fd
        self._on_drained = on_drained
        self._on_gone = on_gone
        self._waiting = bytearray()
        self._changed = threading.Condition()
        self._busy = False
        self._gone = False
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="terminal-output", daemon=True)
        self._thread.start()

    @property
    def backlog_bytes(self) -> int:
        """Return how much waits to be written."""
        return len(self._waiting)

    @property
    def gone(self) -> bool:
        """Return whether the line is gone."""
        return self._gone

    def write(self, text: str) -> None:
        """Write `text` soon; a character that cannot be encoded becomes "?"."""
        data = text.encode("utf-8", "replace")
        with self._changed:
            if self._gone or self._ending:
                return
            self._waiting += data
            self._changed.notify_all()

    def drop(self) -> None:
        """Forget what has not been handed to the terminal yet."""
        with self._changed:
            self._waiting.clear()

    def stop(self, timeout_s: float) -> bool:
        """Write what waits, at most so long, and take nothing more; return whether all of it was written."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (data := self._next()) is not None:
            try:
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:  # EIO: hung up; EPIPE: a pipe without a reader; EBADF: closed
                self._lose()
                return
            self._finish_one()

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ending)
            if not self._waiting:
                return None
            data = bytes(self._waiting[:_CHUNK_BYTES])
            del self._waiting[:_CHUNK_BYTES]
            self._busy = True
            return data

    def _finish_one(self) -> None:
        with self._changed:
            self._busy = False
            drained = not self._waiting
            self._changed.notify_all()
        if drained:
            # The loop may have been closed meanwhile, by an app that has ended.
            with contextlib.suppress(RuntimeError):
                self._on_drained()

    def _lose(self) -> None:
        with self._changed:
            self._busy = False
            self._gone = True
            self._waiting.clear()
            self._changed.notify_all()
        with contextlib.suppress(RuntimeError):
            self._on_gone()
