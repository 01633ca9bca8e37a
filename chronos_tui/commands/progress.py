"""How far a long act is: one line on stderr that is written over, on a terminal alone; and its Ctrl-C. Knows no act."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

from chronos_tui import bridge
from chronos_tui.commands.output import Output
from chronos_tui.failure import say

Report = Callable[[str, int, int], None]

_EVERY_S = 0.1
_MOST_CHARS = 60
_WIPE = "\r\x1b[K"


@contextlib.contextmanager
def line(out: Output) -> Iterator[Report]:
    """Give what takes (stage in words, done, total) and shows it; the line is wiped at the end, however that comes.

    Nothing is shown with --quiet and --json, nor where stderr is no terminal. Ctrl-C ends the act at its next step,
    so that whoever does it leaves everything as it was; a second one ends this process at once.
    """
    shown = _Shown() if not (out.quiet or out.json) and sys.stderr.isatty() else None
    with _interruptible() as interrupted:

        def report(stage: str, done: int, total: int) -> None:
            if interrupted.is_set():
                raise bridge.Stopped("interrupted; everything is as it was before")
            if shown is not None:
                shown.show(stage, done, total)

        try:
            yield report
        except bridge.Stopped as stopped:
            if not interrupted.is_set():
                raise
            if shown is not None:
                shown.wipe()
            say("chronos", str(stopped))
            raise KeyboardInterrupt from None
        finally:
            if shown is not None:
                shown.wipe()


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Have the first Ctrl-C noted and the second one raised."""
    interrupted = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def note(_number: int, _frame: object) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, before)

    if before is signal.default_int_handler:  # a process that was told to ignore Ctrl-C goes on ignoring it
        signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


class _Shown:
    """The line as it stands."""

    def __init__(self) -> None:
        self._at_s = 0.0
        self._stage = ""

    def show(self, stage: str, done: int, total: int) -> None:
        now_s = time.monotonic()
        if stage == self._stage and now_s - self._at_s < _EVERY_S:
            return
        self._at_s, self._stage = now_s, stage
        part = f" {min(100 * done // total, 100):>3} %" if total > 0 else ""
        print(f"{_WIPE}{bridge.safe_line(stage, _MOST_CHARS)} …{part}", end="", file=sys.stderr, flush=True)

    def wipe(self) -> None:
        print(_WIPE, end="", file=sys.stderr, flush=True)
