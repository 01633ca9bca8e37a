"""A real terminal for tests: a pseudo-terminal, the program in it, a screen with what it wrote, and a keyboard."""

from __future__ import annotations

import codecs
import contextlib
import copy
import fcntl
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyte

from tests.support import PATIENCE_S
from tests.tui import wire

_LEADER = Path(__file__).with_name("leader.py")
_KEYS = {
    "enter": "\r",
    "esc": "\x1b",
    "tab": "\t",
    "shift+tab": "\x1b[Z",
    "space": " ",
    "backspace": "\x7f",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "insert": "\x1b[2~",
    "delete": "\x1b[3~",
    "f1": "\x1bOP",
    "f2": "\x1bOQ",
    "f3": "\x1bOR",
    "f4": "\x1bOS",
    "f5": "\x1b[15~",
}
_UNKNOWN_TO_PYTE = re.compile(r"\x1b\[[<=>].*|\x1b\[[0-?]*[ -/]+[@-~]|\x1b[\]PX^_].*", re.DOTALL)
_BASE = ("PATH", "HOME", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")

Look = Callable[[list[str]], bool]


def key(name: str) -> bytes:
    """Return the bytes that a terminal sends for a key ("enter", "ctrl+d", "f5"), or for text as it is."""
    if name in _KEYS:
        return _KEYS[name].encode()
    if re.fullmatch(r"ctrl\+[a-z@\[\\\]^_]", name):
        return bytes([ord(name[-1].upper()) & 0x1F])
    return name.encode()


def paste(text: str) -> bytes:
    """Return what a terminal sends when `text` is pasted."""
    return b"\x1b[200~" + text.encode("utf-8", "surrogatepass") + b"\x1b[201~"


class _Screen(pyte.Screen):
    """pyte's screen, with dim text (shown as blinking, which nobody uses) and without its stop at zero-width text."""

    def select_graphic_rendition(self, *attrs: int, private: bool = False) -> None:
        """Set how text looks from here on."""
        numbers = list(attrs) or [0]
        plain: list[int] = []
        while numbers:
            number = numbers.pop(0)
            if number in (38, 48) and numbers:
                take = 2 if numbers[0] == 5 else 4
                plain += [number, *numbers[:take]]
                del numbers[:take]
            else:
                plain += {2: [5], 22: [22, 25]}.get(number, [number])
        super().select_graphic_rendition(*plain)

    def draw(self, data: str) -> None:
        """Show text; what has no width and does not combine shows nothing."""
        kept = "".join(c for c in data if pyte.screens.wcwidth(c) > 0 or unicodedata.combining(c))
        if kept:
            super().draw(kept)


class Emulator:
    """Shows what was written: a screen, its modes, the other screen (1049) that pyte does not know."""

    def __init__(self, columns: int, rows: int) -> None:
        self.screen = _Screen(columns, rows)
        self.modes = wire.Modes()
        self._stream = pyte.Stream(self.screen)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._held = ""
        self._other: Any = None

    def feed(self, data: bytes | str) -> None:
        """Show `data`; what is cut in the middle of a sequence waits for the rest."""
        text = self._held + (data if isinstance(data, str) else self._decode(data))
        cut = wire.UNFINISHED.search(text)
        self._held = text[cut.start() :] if cut else ""
        text = text[: cut.start()] if cut else text
        end = 0
        for match in wire.SEQUENCE.finditer(text):
            self._show(text[end : match.start()])
            self._sequence(match.group())
            end = match.end()
        self._show(text[end:])

    def _show(self, text: str) -> None:
        if text:
            self._stream.feed(text)

    def _sequence(self, sequence: str) -> None:
        self.modes.see(sequence)
        if sequence == "\x1b[?1049h":
            self._other = copy.deepcopy(dict(self.screen.buffer)), copy.copy(self.screen.cursor)
            self.screen.erase_in_display(2)
        elif sequence == "\x1b[?1049l" and self._other is not None:
            buffer, self.screen.cursor = self._other
            self.screen.buffer.clear()
            self.screen.buffer.update(buffer)
            self._other = None
        elif not _UNKNOWN_TO_PYTE.fullmatch(sequence):
            self._stream.feed(sequence)

    def resize(self, columns: int, rows: int) -> None:
        """Take another size."""
        self.screen.resize(rows, columns)

    @property
    def lines(self) -> list[str]:
        """Return the rows as text, without the blanks at their ends."""
        return ["".join(cell.data for cell in row).rstrip() for row in self.cells()]

    def cells(self) -> list[list[Any]]:
        """Return every cell with how it looks, to be compared with another screen's."""
        return [[self.screen.buffer[y][x] for x in range(self.screen.columns)] for y in range(self.screen.lines)]


class Terminal:
    """A program in a pseudo-terminal of its own, led by a tiny shell that tells what becomes of it.

    argv: the program. env: the whole environment except a few basics (PATH, HOME, TERM, LANG).
    nohup: as started by nohup. sync: the terminal says that it knows synchronised output (mode 2026).
    emulate: False keeps the bytes alone, for measuring.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        nohup: bool = False,
        sync: bool = False,
        emulate: bool = True,
    ) -> None:
        self.raw = bytearray()
        self.events: list[dict[str, Any]] = []
        self.columns, self.rows = columns, rows
        self.emulator = Emulator(columns, rows)
        self._emulate = emulate
        self._sync = sync
        self._master, slave = os.openpty()
        self._report, report_w = os.pipe()
        control_r, self._control = os.pipe()
        self._said = b""
        self._set_size()
        basics = {name: os.environ[name] for name in _BASE if name in os.environ}
        self._leader = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LEADER), str(report_w), str(control_r), str(int(nohup)), *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**basics, "CHRONOS_HTTP_ENABLED": "false", "TERM": "xterm-256color", "LANG": "C.UTF-8", **(env or {})},
            cwd=cwd,
            start_new_session=True,
            pass_fds=(report_w, control_r),
        )
        for end in (slave, report_w, control_r):
            os.close(end)
        self._open = True
        self._until(lambda: bool(self.events), PATIENCE_S, "the program did not start")
        self.pid = int(self.events[0]["pid"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def lines(self) -> list[str]:
        """Return the screen's rows, without the blanks at their ends."""
        return self.emulator.lines

    @property
    def text(self) -> str:
        """Return the screen as one text."""
        return "\n".join(self.lines)

    @property
    def cursor(self) -> tuple[int, int]:
        """Return column and row of the cursor, from 0."""
        return self.emulator.screen.cursor.x, self.emulator.screen.cursor.y

    @property
    def modes(self) -> set[str]:
        """Return the modes that are not as before the program: "1049", "2004", "-25" (cursor hidden), "kitty"…"""
        return self.emulator.modes.changed

    @property
    def attributes_restored(self) -> bool | None:
        """Return whether termios was as before when the program last ended or stopped; None if the line was gone."""
        restored: bool | None = self._last("attributes_restored")
        return restored

    @property
    def cpu_s(self) -> float:
        """Return the processor time of the program that ended."""
        return float(self._last("cpu_s"))

    @property
    def most_kib(self) -> int:
        """Return the most memory that the ended program had resident."""
        return int(self._last("most_kib"))

    def _last(self, name: str) -> Any:
        return next(event[name] for event in reversed(self.events) if name in event)

    def cells(self) -> list[list[Any]]:
        """Return every cell with how it looks."""
        return self.emulator.cells()

    def send(self, *keys: str | bytes) -> None:
        """Type: names of keys, text, or bytes as they are."""
        for one in keys:
            data = one if isinstance(one, bytes) else key(one)
            while data:
                if self._ready(PATIENCE_S, write=True):
                    self._pump()
                data = data[os.write(self._master, data[:512]) :]

    def wait_for(self, look: str | Look, timeout: float = PATIENCE_S) -> None:
        """Wait until the screen shows a text, or until a predicate over its rows holds."""
        if isinstance(look, str):
            wanted = look
            self._until(lambda: wanted in self.text, timeout, f"{wanted!r} did not appear")
        else:
            predicate = look
            self._until(lambda: predicate(self.lines), timeout, "the screen did not become as expected")

    def wait_raw(self, data: bytes, timeout: float = PATIENCE_S) -> None:
        """Wait until these bytes have been written."""
        self._until(lambda: data in self.raw, timeout, f"{data!r} was not written")

    def wait_event(self, name: str, timeout: float = PATIENCE_S) -> dict[str, Any]:
        """Wait until the program is "stopped" or "ended"; return what was said last about that."""
        self._until(lambda: any(event["event"] == name for event in self.events), timeout, f"it has not {name}")
        return next(event for event in reversed(self.events) if event["event"] == name)

    def wait_exit(self, timeout: float = PATIENCE_S) -> int:
        """Wait until the program ended; return its exit code, minus the signal's number if one killed it."""
        code = int(self.wait_event("ended", timeout)["code"])
        while self._open and self._ready(0.0):
            self._pump()
        return code

    def quiet(self, ms: int, timeout: float = PATIENCE_S) -> None:
        """Wait until nothing has been written for so long."""
        deadline = time.monotonic() + timeout
        while self._open and self._ready(ms / 1000):
            self._pump()
            if time.monotonic() > deadline:
                raise AssertionError(f"not quiet for {ms} ms within {timeout} s\n{self.text}")

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size; the kernel sends SIGWINCH."""
        while self._ready(0.0):
            self._pump()
        self.columns, self.rows = columns, rows
        self.emulator.resize(columns, rows)
        self._set_size()

    def signal(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        os.kill(self.pid, number)

    def foreground(self) -> None:
        """Let a stopped program go on, as `fg` does."""
        self.events = [event for event in self.events if event["event"] != "stopped"]
        os.write(self._control, b"fg\n")

    def hang_up(self) -> None:
        """Drop the line: the kernel sends SIGHUP to the shell, the shell to the program."""
        if self._open:
            self._open = False
            os.close(self._master)

    def close(self) -> None:
        """End what still runs and free everything."""
        self.hang_up()
        if self._leader.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            try:
                self._leader.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._leader.kill()
                self._leader.wait()
        for end in (self._report, self._control):
            with contextlib.suppress(OSError):
                os.close(end)
        self._report = self._control = -1

    def _set_size(self) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))

    def _until(self, done: Callable[[], bool], timeout: float, complaint: str) -> None:
        deadline = time.monotonic() + timeout
        while not done():
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{complaint} within {timeout} s; {self.events[-1:]}; the screen:\n{self.text}")
            if self._ready(left):
                self._pump()

    def _ready(self, wait_s: float, *, write: bool = False) -> bool:
        """Wait for output, or what is said about the program; return whether there is output.

        write: also come back as soon as the keyboard's side takes more.
        """
        watched = [self._report] if not self._ended() else []
        if self._open:
            watched.append(self._master)
        if not watched:
            return False
        readable, _, _ = select.select(watched, [self._master] if write else [], [], wait_s)
        if self._report in readable:
            self._hear()
        return self._open and self._master in readable

    def _ended(self) -> bool:
        return bool(self.events) and self.events[-1]["event"] == "ended"

    def _hear(self) -> None:
        said = os.read(self._report, 65536)
        if not said:
            self.events.append({"event": "ended", "code": -999, "attributes_restored": None})
            return
        *lines, self._said = (self._said + said).split(b"\n")
        self.events += [json.loads(line) for line in lines]

    def _pump(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: nobody has the other side open any more
            data = b""
        if not data:
            self.hang_up()
            return
        if self._sync and b"\x1b[?2026$p" in data:
            os.write(self._master, b"\x1b[?2026;2$y")
        self.raw += data
        if self._emulate:
            self.emulator.feed(data)
