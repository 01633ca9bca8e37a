"""Numbers as a row of bars. Pure."""

from __future__ import annotations

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


def bars(values: Sequence[float], width: int, *, most: float | None = None) -> str:
    """Return `width` bars, the latest values at the right; a space stands where nothing was, so that little differs.

    Zero and less is a space, anything above at least "▁". most: what fills a cell; None: the greatest shown. More
    values than cells: neighbours are added up, the last cell gets its full share. Fewer: spaces at the left.
    """
    if width <= 0:
        return ""
    each = max(1, -(-len(values) // width))
    # Counted from the right: the last cell must not stand for fewer values than the others, it would always look low.
    ends = range(len(values), 0, -each)
    shown = [sum(max(0.0, value) for value in values[max(0, end - each) : end]) for end in ends][::-1]
    top = most if most is not None else max(shown, default=0.0)
    text = "".join(" " if value <= 0 else _bar(value, top) for value in shown)
    return text.rjust(width)


def _bar(value: float, top: float) -> str:
    if top <= 0:
        return BARS[-1]
    return BARS[min(len(BARS) - 1, max(0, round(value / top * len(BARS)) - 1))]
