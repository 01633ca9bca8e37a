"""How a table fits its width: columns, cells cut by the width they take on the screen. Pure: knows no Textual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chronos_tui.views.spans import Line, Span

GAP = " "
"""Between two columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    right: numbers. width: cells, or None for a flexible column, which takes at least `least` cells and its share by
    `weight` of what is left over. rank: columns of a higher rank leave first when it gets narrow; rank 0 stays.
    """

    title: str
    key: str = ""
    right: bool = False
    width: int | None = None
    least: int = 4
    weight: int = 1
    rank: int = 0

    @property
    def needs(self) -> int:
        """Cells without which the column is not shown."""
        return self.least if self.width is None else self.width


def fit(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """Return the columns that fit into `width` cells with the cells of each, in order."""
    return [(columns[at], cells) for at, cells in fit_indexes(columns, width)]


def fit_indexes(columns: Sequence[Column], width: int) -> list[tuple[int, int]]:
    """Return (index of the column, cells) for the columns that fit into `width` cells."""
    kept = list(range(len(columns)))
    while len(kept) > 1 and _needed(columns, kept) > width:
        # The highest rank goes first; among equals, and when only rank 0 is left, the rightmost.
        kept.remove(max(kept, key=lambda at: (columns[at].rank, at)))
    cells = {at: columns[at].needs for at in kept}
    spare = width - _needed(columns, kept)
    if spare < 0:
        return [(at, max(0, width)) for at in kept]
    flexible = [at for at in kept if columns[at].width is None and columns[at].weight > 0]
    weights = sum(columns[at].weight for at in flexible)
    for at in flexible:
        share = spare * columns[at].weight // weights
        cells[at] += share
        spare -= share
        weights -= columns[at].weight
    return sorted(cells.items())


def _needed(columns: Sequence[Column], kept: Sequence[int]) -> int:
    return sum(columns[at].needs for at in kept) + len(GAP) * (len(kept) - 1)


def cell_width(text: str) -> int:
    """Return how many cells of a terminal `text` takes: wide characters two, combining ones none."""
    if text.isascii() and text.isprintable():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, cells: int) -> str:
    """Return `text` when it takes at most `cells` cells, else its beginning with "…" as the last cell."""
    if cells <= 0:
        return ""
    # Enough for every base character with a stack of combining ones; bounds the work for a text without end.
    # A joiner or selector at an edge would join a stranger, and rich cuts too late behind one at the beginning.
    head = text[: cells * 16 + 32].lstrip("\u200d\ufe0f").rstrip("\u200d")
    if cell_width(head) <= cells:
        return head
    if cells == 1:
        return "…"
    if head.isascii() and head.isprintable():
        return head[: cells - 1].rstrip() + "…"
    from rich.cells import set_cell_size

    return set_cell_size(head, cells - 1).rstrip(" \u200d") + "…"


def lay_out(cells: Sequence[Span], columns: Sequence[Column], fitted: Sequence[tuple[int, int]]) -> Line:
    """Return the cells as one line: cut, padded and aligned. A cell that is missing is empty."""
    line: list[Span] = []
    for place, (at, width) in enumerate(fitted):
        text, role = cells[at] if at < len(cells) else ("", "")
        shown = cut(text, width)
        space = " " * (width - cell_width(shown))
        if place:
            line.append(Span(GAP))
        line += [Span(space), Span(shown, role)] if columns[at].right else [Span(shown, role), Span(space)]
    return tuple(span for span in line if span.text)
