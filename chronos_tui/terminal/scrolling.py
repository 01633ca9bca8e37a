"""Finds out that rows of a screen have only moved up or down. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chronos_tui.terminal.style import Style

_LEAST_ROWS = 3
"""So many rows must have moved for it to be worth some thirty bytes."""

_EDGE = 3
"""Columns at the right that are not looked at: a bar there moves at its own pace."""


class Shift(NamedTuple):
    """The rows from `top` to `bottom`, both included, have moved up by `up` (down, where it is negative)."""

    top: int
    bottom: int
    up: int


def find_shift(
    want: Sequence[list[str]],
    want_styles: Sequence[list[Style]],
    show: Sequence[list[str]],
    show_styles: Sequence[list[Style]],
) -> Shift | None:
    """Return how most of the changed rows have moved, or None where they have not."""
    wanted = ["".join(row[:-_EDGE]) for row in want]
    shown = ["".join(row[:-_EDGE]) for row in show]
    places: dict[str, list[int]] = {}
    for y, text in enumerate(shown):
        places.setdefault(text, []).append(y)
    moved: dict[int, list[int]] = {}
    for y, text in enumerate(wanted):
        if text != shown[y] and not text.isspace():
            for was in places.get(text, ())[:_LEAST_ROWS]:
                if want_styles[y][:-_EDGE] == show_styles[was][:-_EDGE]:
                    moved.setdefault(was - y, []).append(y)
    if not moved:
        return None
    up = max(moved, key=lambda by: len(moved[by]))
    rows = moved[up]
    if len(rows) < _LEAST_ROWS:
        return None
    return Shift(min(rows[0], rows[0] + up), max(rows[-1], rows[-1] + up), up)
