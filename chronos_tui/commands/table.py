"""A table on a terminal: no wider than it as long as a flexible column can give way. Knows no noun of the domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chronos_tui import bridge
from chronos_tui.commands.output import Output, Painted, Part

_GAP = "  "
_NARROWEST = 8
_MOST_CHARS = 500


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. flexible: gives way when the terminal is narrow, down to `least` cells; right: numbers."""

    title: str
    right: bool = False
    flexible: bool = False
    least: int = _NARROWEST


def show(out: Output, columns: Sequence[Column], rows: Sequence[Sequence[Part]]) -> None:
    """Print rows under their titles."""
    cells = [[_cell(part) for part in row] for row in rows]
    widths = [max([len(column.title), *(_width(row[at].text) for row in cells)]) for at, column in enumerate(columns)]
    _give_way(columns, widths, out.width)
    out.line(*_line([Painted(column.title, "dim") for column in columns], columns, widths))
    for row in cells:
        out.line(*_line(row, columns, widths))


def _cell(part: Part) -> Painted:
    """Clean a cell before it is measured: what is not printable has no width."""
    text, style = (part.text, part.style) if isinstance(part, Painted) else (part, "")
    return Painted(bridge.safe_line(text, _MOST_CHARS), style)


def _give_way(columns: Sequence[Column], widths: list[int], total: int) -> None:
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - total
    while over > 0:
        giving = [i for i, column in enumerate(columns) if column.flexible and widths[i] > column.least]
        if not giving:
            return
        widths[max(giving, key=lambda i: widths[i])] -= 1
        over -= 1


def _line(cells: Sequence[Painted], columns: Sequence[Column], widths: Sequence[int]) -> list[Part]:
    parts: list[Part] = []
    last = max((at for at, cell in enumerate(cells) if cell.text), default=0)
    for at, cell in enumerate(cells[: last + 1]):
        text = _fitted(cell.text, widths[at])
        space = " " * (widths[at] - _width(text))
        if columns[at].right:
            parts.append(space)
        parts.append(Painted(text, cell.style))
        if at < last:
            parts.append(_GAP if columns[at].right else space + _GAP)
    return parts


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
