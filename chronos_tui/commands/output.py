"""What a command prints: documents on stdout for programs, safe lines for people. Knows no noun of the domain.

Every text for people goes through `Output.line` or `note`, which let nothing reach a terminal but printable text and
the colours that are put in here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from chronos_tui import bridge

_STYLES = {"ok": "32", "warning": "33", "failed": "31", "held": "35", "dim": "2", "bold": "1"}
_MOST_CHARS = 20_000
_GAP = "  "
_NARROWEST = 8


class Painted(NamedTuple):
    """Text with a meaning that a terminal shows by colour: ok, warning, failed, held, dim, bold."""

    text: str
    style: str


Part = str | Painted


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. flexible: gives way when the terminal is narrow; right: numbers."""

    title: str
    right: bool = False
    flexible: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """Where one command's words go. json: stdout holds one document, or with jsonl one document a line."""

    json: bool
    jsonl: bool
    quiet: bool
    color: bool
    width: int

    @property
    def for_people(self) -> bool:
        """Whether stdout is read by people."""
        return not (self.json or self.jsonl)

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

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Part]]) -> None:
        """Print rows under their titles, no wider than the terminal as long as the flexible column can give way."""
        cells = [[_clean(part) for part in row] for row in rows]
        widths = [
            max([len(column.title), *(_width(row[index].text) for row in cells)])
            for index, column in enumerate(columns)
        ]
        _give_way(columns, widths, self.width)
        self.line(Painted(_row([column.title for column in columns], columns, widths), "dim"))
        for row in cells:
            texts = [_fitted(cell.text, width) for cell, width in zip(row, widths, strict=True)]
            padded = _pad(texts, columns, widths)
            shown = [self._paint(text, cell.style) for text, cell in zip(padded, row, strict=True)]
            print(_GAP.join(shown).rstrip())

    def _shown(self, part: Part) -> str:
        cell = _clean(part)
        return self._paint(cell.text, cell.style)

    def _paint(self, text: str, style: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.color and style and text.strip() else text


def _clean(part: Part) -> Painted:
    text, style = part if isinstance(part, Painted) else (part, "")
    return Painted(bridge.safe_line(text, _MOST_CHARS), style)


def _give_way(columns: Sequence[Column], widths: list[int], total: int) -> None:
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - total
    while over > 0:
        widest = max((i for i, column in enumerate(columns) if column.flexible), key=lambda i: widths[i], default=None)
        if widest is None or widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1
        over -= 1


def _row(texts: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    fitted = [_fitted(text, width) for text, width in zip(texts, widths, strict=True)]
    return _GAP.join(_pad(fitted, columns, widths)).rstrip()


def _pad(texts: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> list[str]:
    padded = []
    for text, column, width in zip(texts, columns, widths, strict=True):
        space = " " * (width - _width(text))
        padded.append(space + text if column.right else text + space)
    return padded


def _fitted(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    if text.isascii():
        return text[: width - 1] + "…"
    used, end = 0, 0
    for end, character in enumerate(text):  # noqa: B007 - the index where it no longer fits
        used += _width(character)
        if used > width - 1:
            break
    return text[:end] + "…"


def _width(text: str) -> int:
    """How many cells of a terminal the text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(c) or c in "\u200d\ufe0f" else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def make(*, as_json: bool, jsonl: bool, quiet: bool, no_color: bool, env: Mapping[str, str]) -> Output:
    """Look at stdout and the environment. NO_COLOR counts when it is set to anything, as no-color.org says."""
    terminal = sys.stdout.isatty()
    color = terminal and not no_color and not env.get("NO_COLOR") and env.get("TERM") != "dumb"
    # A terminal in another encoding than UTF-8 shows what it cannot show as \xNN, instead of failing.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    return Output(as_json or jsonl, jsonl, quiet, color, _columns(env, terminal=terminal))


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
