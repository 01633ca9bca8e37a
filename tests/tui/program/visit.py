"""A visit: `chronos-tui` as a process in a terminal, on the data directory of a box."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import Any

from tests.interfaces.program import Box
from tests.tui.pty import Terminal

FOOT = "q quit"
"""The footer's last word wherever no dialog is open: once it is there the first panel is on the screen."""

STILL_MS = 60
"""A screen that wrote nothing for so long has answered; if it answers later the walk goes on all the same."""


def command(box: Box, *words: str) -> list[str]:
    """Return how the cockpit is started on the data directory of a box."""
    return [sys.executable, "-m", "chronos_tui.app", "--data-dir", str(box.data_dir), *words]


class Visit(Terminal):
    """The cockpit in a terminal of 80x24 unless said otherwise; waits until it is up.

    env: on top of the box's; LANG is C.UTF-8. up: False comes back as soon as the process runs.
    """

    def __init__(
        self, box: Box, *words: str, env: Mapping[str, str] | None = None, up: bool = True, **options: Any
    ) -> None:
        kept = {name: value for name, value in box.env.items() if name not in {"LANG", "LC_ALL"}}
        super().__init__(command(box, *words), env={**kept, **(env or {})}, cwd=box.home, **options)
        if up:
            try:
                self.wait_for(lambda lines: bool(lines[0].strip()) and FOOT in lines[-1])
            except BaseException:
                self.close()
                raise

    @property
    def running(self) -> bool:
        """Return whether it has not ended."""
        return not self._ended()

    @property
    def header(self) -> str:
        """Return the first line."""
        return self.lines[0]

    def wait_header(self, words: str) -> None:
        """Wait until the first line says so."""
        self.wait_for(lambda lines: words in lines[0])

    def wait_gone(self, words: str) -> None:
        """Wait until the screen shows it no more."""
        self.wait_for(lambda lines: words not in "\n".join(lines))

    def panel(self, number: int, sign: str) -> None:
        """Open a panel by its number and wait for words that only it shows."""
        self.send(str(number))
        self.wait_for(sign)

    def filter(self, text: str) -> None:
        """Filter the list by `/`."""
        self.send("/")
        self.wait_for(lambda lines: any(line.lstrip().startswith("/") for line in lines[-3:]))
        self.send("ctrl+u", text, "enter")

    def say(self, line: str) -> None:
        """Give a command at ":"."""
        self.send(":")
        self.wait_for(lambda lines: any(line.lstrip().startswith(":") for line in lines[-3:]))
        self.send(line, "enter")

    def caught_up(self) -> None:
        """Wait until everything typed so far has been taken, where no dialog is open at its end."""
        self.send(":", "caughtup")
        self.wait_for(":caughtup")
        self.send("ctrl+c")
        self.wait_gone(":caughtup")

    def leave(self) -> int:
        """Press `q` until it quits, saying yes where it asks; return the exit code."""
        for _ in range(4):
            self.send("q")
            with contextlib.suppress(AssertionError):  # it closed what was open over the list
                self.wait_for(lambda lines: "1049" not in self.modes or "y quit" in "\n".join(lines), timeout=1.0)
                if "1049" in self.modes:
                    self.send("y")
                return self.wait_exit()
        raise AssertionError(f"q does not quit\n{self.text}")

    def assert_as_before(self) -> None:
        """The terminal is as it was: no mode switched, termios restored."""
        assert self.modes == set()
        assert self.attributes_restored
        assert not any("─" in line for line in self.lines)
