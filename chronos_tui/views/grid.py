"""Where boxes stand on a screen: under each other on a small one, in columns on a big one. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

_TWO_FROM = 110
_THREE_FROM = 240
GAP = 2
"""Cells between two columns."""


class Wish(NamedTuple):
    """Rows that a box needs to make sense, and rows in which it shows all it has. endless: a list that takes any."""

    least: int
    want: int
    endless: bool = False


class Place(NamedTuple):
    """A box's cells. height 0: there is no room for it."""

    x: int
    y: int
    width: int
    height: int


def columns(width: int) -> int:
    """Return how many columns stand beside each other."""
    return 3 if width >= _THREE_FROM else 2 if width >= _TWO_FROM else 1


def column_width(width: int, count: int | None = None) -> int:
    """Return the cells of a column; the last one takes what is left over. count: of columns, where not as usual."""
    count = count or columns(width)
    return (width - GAP * (count - 1)) // count


def place(wishes: Sequence[Wish], width: int, height: int, count: int | None = None) -> tuple[Place, ...]:
    """Return where each box stands: in order, down each column; together they fill the screen.

    count: of columns, where not as usual.
    """
    cells = column_width(width, count)
    found: list[Place] = []
    parts = _split(wishes, count or columns(width))
    for at, part in enumerate(parts):
        x, y = at * (cells + GAP), 0
        last = at == len(parts) - 1
        for rows in _heights(part, height):
            found.append(Place(x, y, width - x if last else cells, rows))
            y += rows
    return tuple(found)


def _split(wishes: Sequence[Wish], count: int) -> list[Sequence[Wish]]:
    """Cut the boxes into columns, in order, so that the longest column is as short as can be."""
    count = min(count, len(wishes)) or 1

    def cut(at: tuple[int, ...]) -> list[Sequence[Wish]]:
        ends = (0, *at, len(wishes))
        return [wishes[one:other] for one, other in pairwise(ends)]

    cuts = [cut(at) for at in combinations(range(1, len(wishes)), count - 1)]
    return min(cuts, key=lambda parts: max(sum(wish.want for wish in part) for part in parts), default=[wishes])


def _heights(wishes: Sequence[Wish], height: int) -> list[int]:
    """Share a column's rows out: what each needs, then what each wants, endless lists last; they take the rest too."""
    given = [0] * len(wishes)
    left = height
    for at, wish in enumerate(wishes):
        if wish.least > left:
            break
        given[at] = wish.least
        left -= wish.least
    for endless in (False, True):
        takers = [at for at, wish in enumerate(wishes) if given[at] and wish.endless is endless]
        while left and (hungry := [at for at in takers if given[at] < wishes[at].want]):
            at = min(hungry, key=lambda at: given[at] / wishes[at].want)
            given[at] += 1
            left -= 1
    shown = [at for at, rows in enumerate(given) if rows]
    if shown:
        given[next((at for at in shown if wishes[at].endless), shown[-1])] += left
    return given
