"""Asks before what cannot be taken back. Enter never means yes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from chronos_tui.keys import Command
from chronos_tui.views.spans import Line, Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings

COMMANDS = (
    Command("confirm.yes", ("y",), "yes", "do it"),
    Command("confirm.no", ("escape", "enter", "n", "q", "minus"), "no", "leave everything as it is"),
)


class Confirm(ModalScreen[bool], inherit_bindings=False):
    """Returns True when the operator said yes.

    lines: what would be done, each no wider than 76 cells. yes: the words beside the key that does it.
    """

    BINDINGS = bindings(COMMANDS)
    DEFAULT_CSS = """
    Confirm { align: center middle; background: $background 0%; }
    Confirm > Vertical { width: 78; max-width: 100%; height: auto; padding: 0 1; border: solid $warning;
                         background: $surface; }
    """

    def __init__(self, title: str, lines: tuple[Line, ...], yes: str) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._yes = yes

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        with Vertical() as box:
            box.border_title = Content(self._title)
            for line in self._lines:
                yield Bar(line)
            yield Bar(())
            keys = (Span("y", "accent"), Span(f" {self._yes}    "), Span("esc", "accent"), Span(" leave it as it is"))
            yield Bar(keys, id="keys")

    def action_yes(self) -> None:
        """Do it."""
        self.dismiss(result=True)

    def action_no(self) -> None:
        """Do nothing."""
        self.dismiss(result=False)
