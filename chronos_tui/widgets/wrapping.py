"""Soft wrapping of lines with roles, by the cells they take. Pure, and lazy: only rows that are looked at are made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from chronos_tui.views.spans import Document, Line, Span

MOST_CHARS = 65_536
"""Characters of one line that are shown; a note says how many more there are. Keeps the way to the end short."""

_MOST_LINES_KEPT = 2_000


class Spot(NamedTuple):
    """A row on the way through a document: which line, which of its rows."""

    line: int = 0
    row: int = 0


class Flow:
    """A document as rows of `width` cells."""

    def __init__(self, document: Document, width: int) -> None:
        self.document = document
        self.width = max(1, width)
        self._made: dict[int, _Wrapped] = {}

    def row(self, spot: Spot) -> tuple[int, Line] | None:
        """Return a row and the offset in its line where it begins; None if there is none."""
        return self._wrapped(spot.line).row(spot.row) if 0 <= spot.line < len(self.document) else None

    def rows(self, spot: Spot, count: int) -> list[tuple[Spot, int, Line]]:
        """Return up to `count` rows from `spot` on: where, offset in the line, the row."""
        found: list[tuple[Spot, int, Line]] = []
        while len(found) < count and spot.line < len(self.document):
            row = self.row(spot)
            if row is None:
                spot = Spot(spot.line + 1)
                continue
            found.append((spot, *row))
            spot = Spot(spot.line, spot.row + 1)
        return found

    def step(self, spot: Spot, delta: int) -> Spot:
        """Return the row `delta` rows further, at most the last one, at least the first."""
        line, row = spot
        while delta < 0:
            if row >= -delta:
                return Spot(line, row + delta)
            if line == 0:
                return Spot()
            delta += row + 1
            line -= 1
            row = self._wrapped(line).count() - 1
        ahead = self.rows(Spot(line, row), delta + 1)
        return ahead[-1][0] if ahead else Spot()

    def last(self) -> Spot:
        """Return the last row of all."""
        line = len(self.document) - 1
        return Spot(line, self._wrapped(line).count() - 1) if line >= 0 else Spot()

    def spot(self, line: int, offset: int) -> Spot:
        """Return the row in which the character at `offset` of a line stands."""
        at = 0
        while (following := self.row(Spot(line, at + 1))) is not None and following[0] <= offset:
            at += 1
        return Spot(line, at)

    def _wrapped(self, line: int) -> _Wrapped:
        found = self._made.get(line)
        if found is None:
            if len(self._made) >= _MOST_LINES_KEPT:
                self._made.clear()
            found = self._made[line] = _Wrapped(self.document[line], self.width)
        return found


class _Wrapped:
    """The rows of one line, as many as have been asked for."""

    def __init__(self, line: Line, width: int) -> None:
        self._more = wrap(capped(line), width)
        self._rows: list[tuple[int, Line]] = []
        self._offset = 0

    def row(self, at: int) -> tuple[int, Line] | None:
        while len(self._rows) <= at:
            row = next(self._more, None)
            if row is None:
                return None
            self._rows.append((self._offset, row))
            self._offset += sum(len(span.text) for span in row)
        return self._rows[at]

    def count(self) -> int:
        while self.row(len(self._rows)) is not None:
            pass
        return len(self._rows)


def capped(line: Line) -> Line:
    """Return the line, or its beginning and a note when it is longer than MOST_CHARS."""
    length = sum(len(span.text) for span in line)
    if length <= MOST_CHARS:
        return line
    kept: list[Span] = []
    left = MOST_CHARS
    for text, role in line:
        kept.append(Span(text[:left], role))
        left -= len(kept[-1].text)
        if left <= 0:
            break
    return (*kept, Span(f" … {length - MOST_CHARS} more characters are not shown", "warning"))


def wrap(line: Line, width: int) -> Iterator[Line]:
    """Yield the rows of `width` cells that a line fills; at least one. Breaks behind a space if the row has one.

    The rows are the whole line, character for character; a space may hang over the edge.
    """
    line = tuple(span for span in line if span.text)
    if not line or width <= 0:
        yield ()
        return
    at, offset = 0, 0
    while at < len(line):
        taken = _first_row(line, at, offset, width)
        row: list[Span] = []
        while taken > 0:
            text, role = line[at]
            piece = text[offset : offset + taken]
            row.append(Span(piece, role))
            taken -= len(piece)
            offset += len(piece)
            if offset == len(text):
                at, offset = at + 1, 0
        yield tuple(row)


def _first_row(line: Line, at: int, offset: int, width: int) -> int:
    """Return how many characters from (span, offset) on stand in one row; at least one."""
    # Most text takes a cell a character; stacked and joined ones need a longer look, and a flood of them is cut.
    fits = 0
    for enough in (width * 2 + 16, width * 16 + 64):
        text, ended = _ahead(line, at, offset, enough)
        fits = min(width, len(text)) if text.isascii() else _fitting(text, width)
        if fits < len(text):
            if text[fits] == " ":
                return fits + 1  # the space hangs over the edge, where nobody misses it
            space = text.rfind(" ", 0, fits)
            # A break far to the left wastes the row: there a long word is cut instead.
            return space + 1 if space + 1 > fits // 2 else fits
        if ended:
            break
    return fits


def _ahead(line: Line, at: int, offset: int, enough: int) -> tuple[str, bool]:
    """Return up to `enough` characters from (span, offset) on, and whether the line ends with them."""
    text = ""
    while at < len(line) and len(text) < enough:
        text += line[at].text[offset : offset + enough - len(text)]
        at, offset = at + 1, 0
    return text, at == len(line) and len(text) < enough


def _fitting(text: str, width: int) -> int:
    """Return how many characters fit into `width` cells, whole graphemes; at least one character."""
    from rich.cells import split_graphemes

    # A joiner or selector that has nothing before it takes no cell and joins nothing; measuring disagrees about it.
    begin = len(text) - len(text.lstrip("\u200d\ufe0f"))
    used, end = 0, begin
    for start, stop, cells in split_graphemes(text[begin:])[0]:
        if used + cells > width:
            return max(begin + start, 1)
        used, end = used + cells, begin + stop
    return end
