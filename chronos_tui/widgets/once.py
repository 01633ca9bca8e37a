"""Text that is shown once and then nowhere: painted a character at a time, so that no cache of texts learns it."""

from __future__ import annotations

from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from chronos_tui.widgets.paint import palette


class Once(Widget):
    """Shows a text of printable ASCII, broken where the line ends. `forget` leaves nothing of it here.

    Measuring or cleaning a whole text, as everything else that is painted is, remembers it for the life of the process.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Once { height: auto; width: 1fr; }
    """

    def __init__(self, text: str, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._characters = list(text)

    def text(self) -> str:
        """Return it, for the clipboard."""
        return "".join(self._characters)

    def forget(self) -> None:
        """Show blanks from now on."""
        self._characters = []
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """See Widget.render_line."""
        cells = self.size.width
        style = palette(self).style("bold")
        part = self._characters[y * cells : (y + 1) * cells]
        blank = cells - len(part)
        segments = [Segment(character, style) for character in part]
        return Strip([*segments, Segment(" " * blank, palette(self).style(""))] if blank else segments, cells)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as it takes."""
        return max(1, -(-len(self._characters) // max(1, width)))
