"""A program in a pseudo-terminal, watched from outside: each byte it writes, when it came, what it costs.

The screen is made of the bytes afterwards, so that emulating a terminal never slows what is being measured.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.tui.pty import Emulator, key

COLUMNS, ROWS = 120, 40
QUIET_S = 0.12
"""An answer is over when nothing has been written for so long."""

_PATIENCE_S = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")

Look = Callable[[list[str]], bool]


class Watched:
    """A program on a terminal of COLUMNS x ROWS. Times are those of time.perf_counter, in seconds."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self.chunks: list[tuple[float, bytes]] = []
        self._shown = 0
        self._emulator = Emulator(COLUMNS, ROWS)
        self._open = True
        size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
        words = [os.fsencode(word) for word in argv]
        variables = {**env, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        ready, go = os.pipe()
        self.pid, self._master = os.forkpty()
        if self.pid == 0:
            try:
                os.read(ready, 1)  # until the terminal has its size
                os.execve(words[0], words, variables)
            finally:
                os._exit(127)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        self.born_s = time.perf_counter()
        os.write(go, b"g")
        os.close(ready)
        os.close(go)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the program and free the terminal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        end_s = time.perf_counter() + 5.0
        while self._open and time.perf_counter() < end_s:
            self._pump(0.1)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self._master)

    # Reading

    def _pump(self, wait_s: float) -> bool:
        """Take one piece of what was written; False when nothing came within `wait_s`."""
        if not self._open:
            return False
        readable, _, _ = select.select([self._master], [], [], max(0.0, wait_s))
        if not readable:
            return False
        try:
            data = os.read(self._master, 1 << 20)
        except OSError:  # EIO: the program has ended
            data = b""
        if not data:
            self._open = False
            return False
        self.chunks.append((time.perf_counter(), data))
        return True

    def watch(self, seconds: float) -> int:
        """Take what is written for so long; return how many bytes that were."""
        first = len(self.chunks)
        end_s = time.perf_counter() + seconds
        while self._open and (left_s := end_s - time.perf_counter()) > 0:
            self._pump(left_s)
        return self.bytes_since(first)

    def settle(self, quiet_s: float = QUIET_S, most_s: float = _PATIENCE_S) -> None:
        """Take what is written until nothing has come for `quiet_s`."""
        end_s = time.perf_counter() + most_s
        while self._pump(quiet_s):
            if time.perf_counter() > end_s:
                raise RuntimeError(f"still writing after {most_s:g} s; the screen:\n{self.text()}")

    def first(self, look: Look, quiet_s: float = 0.25) -> float:
        """Take what is written until `look` is true and then nothing more comes; return when it became true.

        Looks only while nothing is written, so that the time is that of the program alone.
        """
        end_s = time.perf_counter() + _PATIENCE_S
        while True:
            self.settle(quiet_s)
            if (at_s := self.came(look)) is not None:
                return at_s
            if time.perf_counter() > end_s or not self._open:
                raise RuntimeError(f"the screen is not as expected:\n{self.text()}")

    def bytes_since(self, first: int) -> int:
        return sum(len(data) for _at, data in self.chunks[first:])

    # Typing

    def type(self, *keys: str) -> float:
        """Type keys at once; return when."""
        data = b"".join(key(one) for one in keys)
        now_s = time.perf_counter()
        os.write(self._master, data)
        return now_s

    def press(self, *keys: str, quiet_s: float = QUIET_S) -> dict[str, float]:
        """Type keys and take the answer: its bytes, ms to the first and to the last of them."""
        first = len(self.chunks)
        typed_s = self.type(*keys)
        while not self._pump(_PATIENCE_S):
            raise RuntimeError(f"no answer to {keys}; the screen:\n{self.text()}")
        self.settle(quiet_s)
        return {
            "bytes": float(self.bytes_since(first)),
            "first_ms": (self.chunks[first][0] - typed_s) * 1e3,
            "last_ms": (self.chunks[-1][0] - typed_s) * 1e3,
        }

    # The screen

    def lines(self) -> list[str]:
        """Return the screen after all that has been taken."""
        self._show(len(self.chunks))
        return self._emulator.lines

    def text(self) -> str:
        return "\n".join(self.lines())

    def _show(self, upto: int) -> None:
        for _at, data in self.chunks[self._shown : upto]:
            self._emulator.feed(data)
        self._shown = max(self._shown, upto)

    def came(self, look: Look) -> float | None:
        """Return when what has been taken first made `look` true; emulates only as far as that."""
        while self._shown < len(self.chunks):
            self._show(self._shown + 1)
            if look(self._emulator.lines):
                return self.chunks[self._shown - 1][0]
        return None

    def wait(self, look: Look, most_s: float = _PATIENCE_S) -> None:
        """Take what is written until the screen is as `look` wants it. For getting ready, not for measuring."""
        end_s = time.perf_counter() + most_s
        while not look(self.lines()):
            if time.perf_counter() > end_s or not self._open:
                raise RuntimeError(f"the screen is not as expected:\n{self.text()}")
            self._pump(0.05)

    # The process

    def cpu_s(self) -> float:
        """Return the processor time that it has used, in s; the kernel counts in ticks of 10 ms."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_mb(self) -> float:
        """Return the memory that it has resident, in MB."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise RuntimeError("the program has ended")


def shows(*texts: str) -> Look:
    """Return a look that wants all of these on the screen."""

    def look(lines: list[str]) -> bool:
        screen = "\n".join(lines)
        return all(text in screen for text in texts)

    return look
