"""`ctrl+p`: a command by a part of its name. Returns which was chosen; whoever opened it runs it where he was."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input

from chronos_tui.dialogs.dialog import Dialog
from chronos_tui.keys import Command
from chronos_tui.views import palette as views
from chronos_tui.views.palette import Item
from chronos_tui.views.spans import Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.lineinput import LineInput
from chronos_tui.widgets.sheet import Sheet

COMMANDS = (
    Command("palette.choose", ("enter",), "choose", "do what is chosen"),
    Command("palette.down", ("down", "ctrl+n", "tab"), "down", "the next one"),
    Command("palette.up", ("up", "ctrl+p", "shift+tab"), "up", "the one before"),
    Command("palette.page-down", ("pagedown",), "page down", "half a page down"),
    Command("palette.page-up", ("pageup",), "page up", "half a page up"),
    Command("palette.close", ("escape", "ctrl+c"), "close", "leave without doing anything"),
)


class Palette(Dialog[int | None]):
    """Returns the index of the item that was chosen, None for none."""

    BINDINGS = bindings(COMMANDS)
    DEFAULT_CSS = """
    Palette { align: center top; }
    Palette .box { width: 100%; max-width: 100; height: 80%; margin: 1 0 0 0; }
    Palette Bar { height: 1; }
    """

    def __init__(self, items: Sequence[Item]) -> None:
        super().__init__()
        self._items = items
        self._order = list(range(len(items)))
        self._sheet = Sheet(views.document(items, self._order), choosing=True)
        self._note = Bar(id="note")

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        with Vertical(classes="box") as box:
            box.border_title = Content("Commands")
            box.border_subtitle = Content("↑ ↓ choose · enter does it · esc leaves")
            yield LineInput(id="typed")
            yield self._note
            yield self._sheet

    def on_line_input_looked(self, event: LineInput.Looked) -> None:
        """List what fits."""
        event.stop()
        self._order = views.ranked(event.line.value, self._items)
        self._sheet.show(views.document(self._items, self._order))
        self._note.show(() if self._order else (Span("nothing of that name; a part of it is enough", "warning"),))

    def on_line_input_left(self, event: LineInput.Left) -> None:
        """Leave."""
        event.stop()
        self.action_close()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Choose."""
        event.stop()
        self.action_choose()

    def action_choose(self) -> None:
        """Return what is chosen."""
        if self._order:
            self.dismiss(self._order[self._sheet.chosen])

    def action_down(self) -> None:
        """The next one."""
        self._sheet.move(1)

    def action_up(self) -> None:
        """The one before."""
        self._sheet.move(-1)

    def action_page_down(self) -> None:
        """Half a page down."""
        self._sheet.page(1)

    def action_page_up(self) -> None:
        """Half a page up."""
        self._sheet.page(-1)

    def action_close(self) -> None:
        """Leave."""
        self.dismiss(None)
