"""Asks before what cannot be taken back, or what is done to many. Enter never means yes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from chronos_tui.dialogs.dialog import Dialog
from chronos_tui.keys import Command
from chronos_tui.views.spans import Line, Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings

COMMANDS = (
    Command("confirm.yes", ("y",), "yes", "do it"),
    Command("confirm.no", ("escape", "enter", "n", "q", "minus", "ctrl+c"), "no", "leave everything as it is"),
)


class Confirm(Dialog[bool]):
    """Returns True when the operator said yes.

    lines: what would be done, each no wider than 76 cells. yes: the words beside the key that does it.
    """

    BINDINGS = bindings(COMMANDS)
    DEFAULT_CSS = """
    Confirm .box { border: solid $warning; }
    """

    def __init__(self, title: str, lines: tuple[Line, ...], yes: str) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._yes = yes

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        with Vertical(classes="box") as box:
            box.border_title = Content(self._title)
            for line in self._lines:
                yield Bar(line)
            yield Bar(())
            yes = (Span("y", "accent"), Span(f" {self._yes}    "))
            yield Bar((*yes, Span("esc", "accent"), Span(" leave everything as it is")))

    def action_yes(self) -> None:
        """Do it."""
        self.dismiss(result=True)

    def action_no(self) -> None:
        """Do nothing."""
        self.dismiss(result=False)
