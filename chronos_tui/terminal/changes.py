"""Where a row of cells differs from what is shown. Pure."""

from __future__ import annotations

from chronos_tui.terminal.style import Style

_WORTH_CROSSING = 4
"""Unchanged cells up to this many between two changed ones are written again: a move costs as much."""


def spans(
    want: list[str], show: list[str], want_styles: list[Style], show_styles: list[Style]
) -> list[tuple[int, int]]:
    """Return from where to where cells differ; a few equal ones in between are taken along where that is shorter."""
    found: list[tuple[int, int]] = []
    start, end = 0, -1
    for x, (text, shown, style, shown_style) in enumerate(zip(want, show, want_styles, show_styles, strict=True)):
        if text == shown and (style is shown_style or (text == " " and style.blank is shown_style.blank)):
            continue
        if end < 0:
            start = x
        elif x > end and not _worth_crossing(want, want_styles, end, x):
            found.append((start, end))
            start = x
        end = x + 1
        while end < len(want) and want[end] == "":
            end += 1  # the other half of a wide character belongs to it
    if end >= 0:
        found.append((start, end))
    return found


def _worth_crossing(want: list[str], styles: list[Style], start: int, end: int) -> bool:
    if end - start > _WORTH_CROSSING:
        return False
    style = styles[start - 1]
    return all(styles[x] is style and want[x].isascii() for x in range(start, end))
