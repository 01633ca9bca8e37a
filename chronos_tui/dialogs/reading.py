"""Something to read, over the panels: scrolled by keys, closed by any of those that leave. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from chronos_tui.dialogs.dialog import Dialog
from chronos_tui.keys import Command
from chronos_tui.views.spans import Document
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.sheet import Sheet

COMMANDS = (
    Command(
        "reading.close", ("escape", "q", "enter", "question_mark", "minus", "ctrl+c"), "close", "close what is read"
    ),
    Command("reading.down", ("j", "down"), "down", "one line down"),
    Command("reading.up", ("k", "up"), "up", "one line up"),
    Command("reading.page-down", ("ctrl+d", "pagedown", "space"), "page down", "half a screen down"),
    Command("reading.page-up", ("ctrl+u", "pageup"), "page up", "half a screen up"),
    Command("reading.home", ("g", "home"), "first", "the first line"),
    Command("reading.end", ("G", "end"), "last", "the last line"),
)
_ALL = 1_000_000
_FRAME = 4
"""Cells that the box takes beside its text."""


class Reading(Dialog[None]):
    """Shows a document. A function gets the cells that a line may take, and is asked again after a resize."""

    BINDINGS = bindings(COMMANDS)
    DEFAULT_CSS = """
    Reading .box { width: 100%; max-width: 120; height: auto; max-height: 90%; }
    Reading Sheet { height: auto; max-height: 100%; }
    """

    def __init__(self, title: str, document: Document | Callable[[int], Document]) -> None:
        super().__init__()
        self._title = title
        self._document = document
        self._sheet = Sheet()

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        with Vertical(classes="box") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = Content("j k scroll · esc closes")
            yield self._sheet

    def on_mount(self) -> None:
        """Fill it."""
        self._fill()

    def on_resize(self) -> None:
        """Fit it to the width."""
        self._fill()

    def _fill(self) -> None:
        document = self._document
        cells = min(120, self.app.size.width) - _FRAME
        self._sheet.show(document if isinstance(document, tuple) else document(cells))
        self._sheet.refresh(layout=True)

    def action_close(self) -> None:
        """Close it."""
        self.dismiss(None)

    def action_down(self) -> None:
        """One line down."""
        self._sheet.move(1)

    def action_up(self) -> None:
        """One line up."""
        self._sheet.move(-1)

    def action_page_down(self) -> None:
        """Half a screen down."""
        self._sheet.page(1)

    def action_page_up(self) -> None:
        """Half a screen up."""
        self._sheet.page(-1)

    def action_home(self) -> None:
        """The first line."""
        self._sheet.move(-_ALL)

    def action_end(self) -> None:
        """The last line."""
        self._sheet.move(_ALL)
