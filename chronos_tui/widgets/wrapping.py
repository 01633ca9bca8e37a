"""Soft wrapping of lines with roles, by the cells they take. Pure, and lazy: a caller takes only the rows it shows."""

from __future__ import annotations

from collections.abc import Iterator

from chronos_tui.views.spans import Line, Span

_AHEAD = 16
"""Characters looked at for each cell of a row: a base character, its combining ones, joined emoji."""


def wrap(line: Line, width: int) -> Iterator[Line]:
    """Yield the rows of `width` cells that a line fills; at least one. Breaks behind a space if the row has one."""
    if width <= 0:
        yield ()
        return
    at, offset, empty = 0, 0, True
    while at < len(line):
        row, at, offset = _row(line, at, offset, width)
        empty = False
        yield row
    if empty:
        yield ()


def _row(line: Line, at: int, offset: int, width: int) -> tuple[Line, int, int]:
    """Return one row and where the next begins: (index of the span, offset in its text)."""
    text, enough = "", width * _AHEAD + 32
    index, start = at, offset
    while index < len(line) and len(text) < enough:
        text += line[index].text[start : start + enough - len(text)]
        index, start = index + 1, 0
    taken = _break(text, width, ended=index == len(line) and len(text) < enough)
    row: list[Span] = []
    left = taken
    while at < len(line):
        span = line[at]
        piece = span.text[offset : offset + left]
        if piece:
            row.append(Span(piece, span.role))
        left -= len(piece)
        offset += len(piece)
        if offset < len(span.text):
            break
        at, offset = at + 1, 0
    return tuple(row), at, offset


def _break(text: str, width: int, *, ended: bool) -> int:
    """Return how many characters of `text` stand in the first row. ended: nothing comes behind `text`."""
    fits = min(width, len(text)) if text.isascii() else _fitting(text, width)
    if fits == len(text) and ended:
        return fits
    if fits < len(text) and text[fits] == " ":
        return fits + 1  # the space hangs over the edge, where nobody sees it
    space = text.rfind(" ", 0, fits)
    # A break far to the left wastes the row: a long word is cut instead.
    return space + 1 if space + 1 > fits // 2 else max(1, fits)


def _fitting(text: str, width: int) -> int:
    from rich.cells import split_graphemes

    used = end = 0
    for start, stop, cells in split_graphemes(text)[0]:
        if used + cells > width:
            return max(start, 1)
        used, end = used + cells, stop
    return end
