"""Facts about the terminal at the other end, and the end of it. Knows no app."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path


def speak_to_nobody(terminal_fd: int) -> None:
    """Point what was open on a terminal that is gone at nothing.

    Otherwise the first word after it would fail, and the interpreter would end with code 120 over what it could not
    flush.
    """
    with contextlib.suppress(OSError), Path(os.devnull).open("r+b", buffering=0) as nothing:
        gone = os.fstat(terminal_fd).st_rdev
        for fd in (0, 1, 2):
            if os.fstat(fd).st_rdev == gone:
                os.dup2(nothing.fileno(), fd)


def terminal_fd(fallback: int) -> int:
    """Return where to write: stdout if it is a terminal, otherwise stderr, as Textual does."""
    for stream in (sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(OSError, ValueError):
            if stream is not None and os.isatty(stream.fileno()):
                return stream.fileno()
    return fallback


def answers_queries(env: Mapping[str, str]) -> bool:
    """Return whether a question about modes is safe to ask: Apple's terminal prints its last letter."""
    return env.get("TERM_PROGRAM") != "Apple_Terminal" and not env.get("TERM", "").startswith(("screen", "linux"))


def erases_colour(env: Mapping[str, str]) -> bool:
    """Return whether erasing leaves the background in use (bce): GNU screen does not, and unknown terminals may not."""
    names = ("xterm", "tmux", "rxvt", "linux", "alacritty", "foot", "kitty", "wezterm", "ghostty", "konsole", "vte")
    return not env.get("STY") and env.get("TERM", "").startswith(names)
