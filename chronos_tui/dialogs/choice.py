"""Which one of a few? Returns its index. Asks nothing more: who asked decides what it means."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from chronos_tui.dialogs.dialog import Dialog
from chronos_tui.keys import Command
from chronos_tui.views.spans import Document
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.sheet import Sheet

COMMANDS = (
    Command("choice.choose", ("enter",), "choose", "go on with this one"),
    Command("choice.down", ("j", "down", "tab"), "down", "the next one"),
    Command("choice.up", ("k", "up", "shift+tab"), "up", "the one before"),
    Command("choice.leave", ("escape", "q", "minus", "ctrl+c"), "leave", "none of them"),
)


class Choice(Dialog[int | None]):
    """Returns the index of the line that was chosen, None for none."""

    BINDINGS = bindings(COMMANDS)
    DEFAULT_CSS = """
    Choice Sheet { height: auto; max-height: 100%; }
    """

    def __init__(self, title: str, lines: Document) -> None:
        super().__init__()
        self._title = title
        self._sheet = Sheet(lines, choosing=True)

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        with Vertical(classes="box") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = Content("j k choose · enter goes on · esc leaves")
            yield self._sheet

    def action_choose(self) -> None:
        """Go on."""
        self.dismiss(self._sheet.chosen)

    def action_down(self) -> None:
        """The next one."""
        self._sheet.move(1)

    def action_up(self) -> None:
        """The one before."""
        self._sheet.move(-1)

    def action_leave(self) -> None:
        """None."""
        self.dismiss(None)
