"""Runs ssh or rclone as a child with pipes, deadlines and an end. Knows nothing of what they say.

The child gets the environment that was handed in without anything of ours: secrets live in CHRONOS_… variables.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from engine.errors import DeadlineExceeded, NotPossible
from engine.rules.text import safe_line

IDLE_S = 90.0
"""How long nothing at all may move: more than what ssh itself takes to notice a dead line."""
_SETUP_S = 180.0
_SLOWEST_BYTES_S = 32 * 1024
"""A line on which a backup would take longer than this is taken for hung."""

_MOST_WORDS_BYTES = 8_192
_MOST_WORDS_CHARS = 300
_LOOK_S = 0.05
_MOST_LEFT = 16
"""Reads of its last complaints: a pipe holds 64 KiB."""
_OURS = ("CHRONOS_", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_")


def limit_s(size: int) -> float:
    """Return the time that moving `size` bytes may take in all."""
    return _SETUP_S + size / _SLOWEST_BYTES_S


class Program:
    """A child and its three pipes. Leaving the `with` kills it, and what it started, if it still runs.

    limit_s: the time for all of it. idle_s: for one step of it. Raises NotPossible where there is no such program,
    DeadlineExceeded.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], *, limit_s: float, idle_s: float = IDLE_S
    ) -> None:
        self._name = command[0]
        self._until = time.monotonic() + limit_s
        self._idle_s = idle_s
        self._words = b""
        kept = {name: value for name, value in env.items() if not name.startswith(_OURS)}
        try:
            self._child = subprocess.Popen(  # noqa: S603 - without a shell; what is in it was checked by base.place_of
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=kept,
                cwd="/",
                start_new_session=True,  # so that its own children end with it, and no terminal can be asked
            )
        except FileNotFoundError as error:
            raise NotPossible(f"the program {self._name} is not installed") from error
        except OSError as error:
            raise NotPossible(f"cannot start {self._name}: {error.strerror}") from error
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        self._in, self._out = self._child.stdin.fileno(), self._child.stdout.fileno()
        self._err: int | None = self._child.stderr.fileno()
        for descriptor in (self._in, self._out, self._err):
            os.set_blocking(descriptor, False)

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def send(self, data: bytes) -> None:
        """Write all of it. Raises BrokenPipeError where the child takes no more."""
        view = memoryview(data)
        while view:
            self._wait(self._in, select.POLLOUT)
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(self._in, view) :]

    def receive(self, most: int) -> bytes:
        """Return what it says next, at most so many bytes; b"" at the end."""
        while True:
            self._wait(self._out, select.POLLIN)
            with contextlib.suppress(BlockingIOError):
                return os.read(self._out, most)

    def end_input(self) -> None:
        """Say that there is no more."""
        assert self._child.stdin is not None
        self._child.stdin.close()

    def ended(self) -> int:
        """Wait for its end, leaving out what it still says; return its exit code."""
        while self.receive(65_536):
            pass
        # Not until its stderr ends: what it left in the background, as a master connection, may hold that open.
        while (code := self._child.poll()) is None:
            if self._left_s() <= 0:
                raise self._late()
            self._hear(_LOOK_S)
        for _ in range(_MOST_LEFT):
            self._hear(0)
        return code

    @property
    def words(self) -> str:
        """The last line of what it complained of, made safe to show; "" when it was silent."""
        lines = self._words.decode(errors="replace").strip().splitlines()
        return safe_line(lines[-1].strip(), _MOST_WORDS_CHARS) if lines else ""

    def _wait(self, descriptor: int, event: int) -> None:
        """Wait until one pipe moves. What it complains of is taken in meanwhile, so that it never waits for us."""
        while True:
            poll = select.poll()
            poll.register(descriptor, event)
            if self._err is not None:
                poll.register(self._err, select.POLLIN)
            ready = dict(poll.poll(max(0.0, self._left_s()) * 1000))
            if self._err in ready:
                self._hear(0)
            if descriptor in ready:
                return
            if not ready or self._left_s() <= 0:
                raise self._late()

    def _hear(self, within_s: float) -> None:
        """Take in what there is to read of its complaints; keep the end of it."""
        if self._err is None:
            time.sleep(within_s)
            return
        poll = select.poll()
        poll.register(self._err, select.POLLIN)
        if poll.poll(within_s * 1000):
            said = os.read(self._err, _MOST_WORDS_BYTES)
            self._words = (self._words + said)[-_MOST_WORDS_BYTES:]
            if not said:
                self._err = None

    def _left_s(self) -> float:
        """For one step: no longer than the whole may still take."""
        return min(self._idle_s, self._until - time.monotonic())

    def _late(self) -> DeadlineExceeded:
        words = f": {self.words}" if self.words else ""
        return DeadlineExceeded(f"{self._name} did not get on in time and was ended{words}")
