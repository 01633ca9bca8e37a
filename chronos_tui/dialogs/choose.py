"""Asks for one of a few things, by their letters or with cursor and Enter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from chronos_tui.dialogs.dialog import Dialog
from chronos_tui.keys import Command
from chronos_tui.views.spans import Document, Line, Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.wrapping import wrap

COMMANDS = (
    Command("choose.take", ("enter",), "take", "take the one under the cursor"),
    Command("choose.cursor-down", ("j", "down"), "down", "one down"),
    Command("choose.cursor-up", ("k", "up"), "up", "one up"),
    Command("choose.leave", ("escape", "q", "minus", "ctrl+c"), "leave", "take none"),
)
_TAKEN = frozenset("jkq-")
_MOST_SHOWN = 15
_CELLS = 56
"""What the box has for words on the narrowest terminal, 60 cells."""


class Choice(NamedTuple):
    """One thing to choose. letter: its key, "" for none. name: what is returned."""

    letter: str
    name: str
    words: str
    role: str = ""


class Choose(Dialog[str]):
    """Returns the name of what was chosen; "" when nothing was.

    choices: at least one; their words safe for a terminal. start: the name that the cursor begins on. about: lines
    above them.
    """

    BINDINGS = bindings(COMMANDS)
    DEFAULT_CSS = """
    Choose .box { border: solid $accent; }
    """

    def __init__(self, title: str, choices: Sequence[Choice], start: str = "", about: Document = ()) -> None:
        super().__init__()
        self._title = title
        self._about = [part for line in about for part in wrap(line, _CELLS)]
        self._choices = tuple(choices)
        self._at = next((at for at, choice in enumerate(choices) if choice.name == start), 0)

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        with Vertical(classes="box") as box:
            box.border_title = Content(self._title)
            for line in (*self._about, ()) if self._about else ():
                yield Bar(line)
            for _ in self._shown():
                yield Bar(classes="choice")
            yield Bar(())
            keys = (Span("enter", "accent"), Span(" or its letter takes it    "), Span("esc", "accent"))
            yield Bar((*keys, Span(" leaves")))

    def on_mount(self) -> None:
        """Show them."""
        self._show()

    def _shown(self) -> Sequence[Choice]:
        """Return as many as fit, those around the cursor."""
        first = max(0, min(self._at - _MOST_SHOWN // 2, len(self._choices) - _MOST_SHOWN))
        return self._choices[first : first + _MOST_SHOWN]

    def _show(self) -> None:
        for bar, choice in zip(self.query(".choice").results(Bar), self._shown(), strict=True):
            bar.show(self._line(choice))

    def _line(self, choice: Choice) -> Line:
        here = choice is self._choices[self._at]
        return (
            Span("▸ " if here else "  ", "accent"),
            Span(f"{choice.letter or ' '}  ", "accent"),
            Span(choice.words, "selected" if here else choice.role),
        )

    def action_take(self) -> None:
        """Take the one under the cursor."""
        self.dismiss(self._choices[self._at].name)

    def action_cursor_down(self) -> None:
        """One down."""
        self._at = min(self._at + 1, len(self._choices) - 1)
        self._show()

    def action_cursor_up(self) -> None:
        """One up."""
        self._at = max(self._at - 1, 0)
        self._show()

    def action_leave(self) -> None:
        """Take none."""
        self.dismiss("")

    def on_key(self, event: events.Key) -> None:
        """Take what the letter stands for."""
        letter = event.character or ""
        if not letter or letter in _TAKEN:
            return
        for choice in self._choices:
            if choice.letter == letter:
                event.stop()
                self.dismiss(choice.name)
                return
