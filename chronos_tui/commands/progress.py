"""How far a long act is: one line on stderr that is written over, on a terminal alone. Knows no act by name."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from chronos_tui import bridge
from chronos_tui.commands.output import Output

Report = Callable[[str, int, int], None]

_EVERY_S = 0.1
_MOST_CHARS = 60
_WIPE = "\r\x1b[K"


def _silent(_stage: str, _done: int, _total: int) -> None:
    return None


@contextlib.contextmanager
def line(out: Output) -> Iterator[Report]:
    """Give what takes (stage in words, done, total) and shows it; the line is wiped at the end, however that comes.

    Nothing is shown with --quiet and --json, nor where stderr is no terminal.
    """
    if out.quiet or out.json or not sys.stderr.isatty():
        yield _silent
        return
    shown_s = 0.0
    before = ""

    def show(stage: str, done: int, total: int) -> None:
        nonlocal shown_s, before
        now_s = time.monotonic()
        if stage == before and now_s - shown_s < _EVERY_S:
            return
        shown_s, before = now_s, stage
        part = f" {min(100 * done // total, 100):>3} %" if total > 0 else ""
        print(f"{_WIPE}{bridge.safe_line(stage, _MOST_CHARS)} …{part}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        print(_WIPE, end="", file=sys.stderr, flush=True)
