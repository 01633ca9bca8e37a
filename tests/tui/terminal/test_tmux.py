"""In a terminal of somebody else's making, tmux, the frugal picture is the plain one."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import PATIENCE_S, SKIP_NOTHING
from tests.tui.pty import Terminal
from tests.tui.terminal.screens import differences

COLUMNS, ROWS = 90, 26
SCRIPTS = [
    ("f",),
    ("f",),
    ("down", "down", "down", "pagedown"),
    ("up", "up", "c"),
    ("f", "c"),
    ("f",),
    ("end",),
    ("pageup", "up"),
]

Start = Callable[[str, str], Terminal]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the sample in a tmux of its own, which runs in a terminal of ours."""
    program = shutil.which("tmux")
    if program is None:
        assert not SKIP_NOTHING, "tmux is missing"
        pytest.skip("needs tmux")
    with ExitStack() as stack:

        def started(term: str, option: str) -> Terminal:
            socket = str(tmp_path / f"tmux{option}")
            settings = f"set -g default-terminal {term} ; set -g status off ; set -sg escape-time 0"
            command = f"exec {shlex.quote(sys.executable)} -m tests.tui.terminal.sample {option}"
            argv = [program, "-S", socket, "-f", os.devnull, *settings.split(), ";", "new-session", command]
            terminal = stack.enter_context(Terminal(argv, columns=COLUMNS, rows=ROWS))
            end = [program, "-S", socket, "kill-server"]
            stack.callback(subprocess.run, end, check=False, capture_output=True)
            terminal.wait_for("sample ready")
            return terminal

        yield started


def settled_differences(one: Terminal, other: Terminal) -> list[str]:
    """Return the differences that stay when both have painted what they had to."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        for terminal in (one, other):
            terminal.quiet(50)
        found = differences(one.emulator, other.emulator)
        if not found or time.monotonic() > deadline:
            return found


@pytest.mark.parametrize("term", ["tmux-256color", "screen-256color"])
def test_the_frugal_picture_in_tmux_is_the_plain_one(start: Start, term: str) -> None:
    terminals = [start(term, ""), start(term, "--plain")]
    for n, keys in enumerate(SCRIPTS):
        for terminal in terminals:
            if n == 3:
                for columns, rows in [(40, 12), (COLUMNS, ROWS)]:
                    terminal.resize(columns, rows)
                    terminal.wait_for(f"size {columns}x{rows}")  # tmux takes its time
            terminal.send(*keys, "m")
            terminal.wait_for(f"mark {n + 1}")
        assert settled_differences(*terminals) == [], keys
    assert "delivered" in terminals[0].text
