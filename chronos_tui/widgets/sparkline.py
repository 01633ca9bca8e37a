"""Numbers as a row of bars, and the line that shows them. Repaints only when the picture changes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from chronos_tui.views.spans import Line, Span
from chronos_tui.views.spans import width as cells
from chronos_tui.widgets.paint import strip

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


class Sparkline(Widget):
    """One line of bars with words before and behind it."""

    DEFAULT_CSS = """
    Sparkline { height: 1; width: 1fr; }
    """

    def __init__(self, *, role: str = "accent", id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        """role: of the bars."""
        super().__init__(id=id, classes=classes)
        self._role = role
        self._values: tuple[float, ...] = ()
        self._before: Line = ()
        self._behind: Line = ()
        self._shown: Line = ()

    def show(self, values: Sequence[float], *, before: Line = (), behind: Line = ()) -> None:
        """Show these values, the latest last, in the cells that the words leave."""
        self._values, self._before, self._behind = tuple(values), before, behind
        self._repaint()

    def on_mount(self) -> None:
        """Colours are the theme's."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.refresh())

    def on_resize(self) -> None:
        """As many bars as there is room for."""
        self._repaint()

    def render_line(self, y: int) -> Strip:
        """See Widget.render_line."""
        return strip(self, self._shown if y == 0 else (), self.content_size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One line."""
        return 1

    def _repaint(self) -> None:
        room = self.content_size.width - cells(self._before) - cells(self._behind)
        line = (*self._before, Span(bars(self._values, room), self._role), *self._behind)
        if line != self._shown:
            self._shown = line
            self.refresh()
