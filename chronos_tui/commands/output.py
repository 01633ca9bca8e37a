"""What a command prints: documents on stdout for programs, safe lines for people. Knows no noun of the domain.

Every text for people goes through `Output.line` or `note`, which let nothing reach a terminal but printable text and
the colours that are put in here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from chronos_tui import bridge

# Plain classes here and in the other modules that `chronos send` loads: a dataclass costs half a millisecond each.

_STYLES = {"ok": "32", "warning": "33", "failed": "31", "held": "35", "dim": "2", "bold": "1"}
_MOST_CHARS = 20_000


class Painted:
    """Text with a meaning that a terminal shows by colour: ok, warning, failed, held, dim, bold."""

    __slots__ = ("style", "text")

    def __init__(self, text: str, style: str) -> None:
        self.text = text
        self.style = style


Part = str | Painted


class Output:
    """Where one command's words go. json: stdout holds one document, or with jsonl one document a line.

    width: of the terminal, in cells.
    """

    __slots__ = ("color", "json", "jsonl", "quiet", "width")

    def __init__(self, *, as_json: bool, jsonl: bool, quiet: bool, color: bool, width: int) -> None:
        self.json = as_json or jsonl
        self.jsonl = jsonl
        self.quiet = quiet
        self.color = color
        self.width = width

    def document(self, value: Any) -> None:
        """Print the one JSON document of this command."""
        print(json.dumps(value, indent=None if self.jsonl else 2))

    def record(self, value: Any) -> None:
        """Print one line of JSON Lines."""
        print(json.dumps(value, separators=(",", ":")))

    def line(self, *parts: Part) -> None:
        """Print one line for people on stdout."""
        print("".join(self._shown(part) for part in parts))

    def block(self, text: str) -> None:
        """Print text of several lines for people."""
        print(bridge.safe_block(text, 1_000_000))

    def done(self, text: str) -> None:
        """Confirm an act, on stdout; --quiet keeps it back."""
        if not self.quiet:
            self.line(text)

    def note(self, text: str) -> None:
        """Say something beside the result, on stderr; --quiet keeps it back."""
        if not self.quiet:
            print(bridge.safe_line(text, _MOST_CHARS), file=sys.stderr)

    def remark(self, text: str) -> None:
        """Say on stderr what belongs to a question; --quiet does not keep it back."""
        print(bridge.safe_line(text, _MOST_CHARS), file=sys.stderr)

    def _shown(self, part: Part) -> str:
        text, style = (part.text, part.style) if isinstance(part, Painted) else (part, "")
        clean = bridge.safe_line(text, _MOST_CHARS)
        return f"\x1b[{_STYLES[style]}m{clean}\x1b[0m" if self.color and style and clean.strip() else clean


def make(*, as_json: bool, jsonl: bool, quiet: bool, no_color: bool, env: Mapping[str, str]) -> Output:
    """Look at stdout and the environment. NO_COLOR counts when it is set to anything, as no-color.org says."""
    terminal = sys.stdout.isatty()
    color = terminal and not no_color and not env.get("NO_COLOR") and env.get("TERM") != "dumb"
    # A terminal in another encoding than UTF-8 shows what it cannot show as \xNN, instead of failing.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    width = _columns(env, terminal=terminal)
    return Output(as_json=as_json, jsonl=jsonl, quiet=quiet, color=color, width=width)


def _columns(env: Mapping[str, str], *, terminal: bool) -> int:
    named = env.get("COLUMNS", "")
    if named.isascii() and named.isdigit() and int(named[:5]) > 0:
        return int(named[:5])
    if terminal:
        try:
            return os.get_terminal_size(sys.stdout.fileno()).columns or 80
        except OSError:
            return 80
    return 80
