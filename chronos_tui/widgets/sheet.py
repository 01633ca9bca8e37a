"""A few lines in a dialog: scrolled, or with one of them chosen. Holds them all: for hundreds, not for millions."""

from __future__ import annotations

from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from chronos_tui.views.spans import Document, Line, Span
from chronos_tui.widgets.paint import strip


class Sheet(Widget):
    """Lines. `chosen` None: it scrolls as a whole; else one line is chosen and kept in sight.

    The dialog around it has the keys and calls the methods. What is below the last line that fits is said in it.
    """

    DEFAULT_CSS = """
    Sheet { height: 1fr; width: 1fr; }
    """

    class Moved(Message):
        """Another line is chosen."""

    def __init__(self, lines: Document = (), *, choosing: bool = False, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._lines = lines
        self.choosing = choosing
        self.chosen = 0
        self._top = 0

    @property
    def lines(self) -> Document:
        """What it shows."""
        return self._lines

    def show(self, lines: Document) -> None:
        """Show other lines, from the first on."""
        if lines != self._lines:
            self._lines = lines
            self._top = self.chosen = 0
            self.refresh()

    def move(self, by: int) -> None:
        """Scroll, or choose another line; stops at both ends."""
        height = max(1, self.size.height)
        if self.choosing:
            self.chosen = max(0, min(len(self._lines) - 1, self.chosen + by))
            self._top = max(self.chosen - height + 1, min(self._top, self.chosen), 0)
            self.post_message(self.Moved())
        else:
            self._top = max(0, min(len(self._lines) - height, self._top + by))
        self.refresh()

    def page(self, by: int) -> None:
        """Move by half of what is seen."""
        self.move(by * max(1, self.size.height // 2))

    def on_resize(self) -> None:
        """Leave no gap at the end, and lose no chosen line."""
        self.move(0)

    def render_line(self, y: int) -> Strip:
        """See Widget.render_line."""
        at = self._top + y
        line: Line = self._lines[at] if at < len(self._lines) else ()
        left = len(self._lines) - at - 1
        if not self.choosing and y == self.size.height - 1 and left > 0:
            return strip(self, (Span(f"↓ {left + 1} more lines", "dim"),), self.size.width)
        selected = self.choosing and at == self.chosen and at < len(self._lines)
        if self.choosing:
            line = (Span("▸ " if selected else "  "), *line)
        return strip(self, line, self.size.width, selected=selected)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as there are."""
        return len(self._lines)
