"""What every dialog shares: a framed box over the panels, and the keys that work wherever somebody is. Asks nothing."""

from __future__ import annotations

from typing import Any, TypeVar

from textual.screen import ModalScreen

from chronos_tui.keys import Command
from chronos_tui.views.spans import Line, Span
from chronos_tui.widgets.bound import bindings

Answer = TypeVar("Answer")

COMMANDS = (Command("dialog.repaint", ("ctrl+l",), "repaint", "draw the whole screen anew"),)
"""Every dialog."""


class Dialog(ModalScreen[Answer], inherit_bindings=False):
    """A box in the middle of the screen. Its first child has the class `box`."""

    BINDINGS = bindings(COMMANDS)
    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 0%; layout: vertical; }
    Dialog .box { width: 78; max-width: 100%; height: auto; max-height: 100%; padding: 0 1; border: solid $border;
                  border-title-color: $foreground; border-subtitle-color: $foreground 70%; background: $surface; }
    """

    def action_repaint(self) -> None:
        """Draw everything anew."""
        repaint: Any = getattr(self.app, "repaint", self.app.refresh)
        repaint()


def keys_line(*keys: tuple[str, str]) -> Line:
    """Return the last line of a dialog: (key, what it does) …"""
    line: list[Span] = []
    for key, words in keys:
        line += [Span(key, "accent"), Span(f" {words}   ")]
    return tuple(line)
