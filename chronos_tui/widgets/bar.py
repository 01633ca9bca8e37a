"""One line of text over the whole width. Repaints only when what it shows has changed."""

from __future__ import annotations

from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from chronos_tui.views.spans import Line
from chronos_tui.widgets.paint import strip


class Bar(Widget):
    """A line. `show` puts another one there."""

    DEFAULT_CSS = """
    Bar { height: 1; width: 1fr; }
    """

    def __init__(self, line: Line = (), *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._line = line

    @property
    def line(self) -> Line:
        """What it shows."""
        return self._line

    def show(self, line: Line) -> None:
        """Show `line`; nothing is painted when it is the same."""
        if line != self._line:
            self._line = line
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """See Widget.render_line."""
        return strip(self, self._line if y == 0 else (), self.size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One line, whatever it says."""
        return 1
