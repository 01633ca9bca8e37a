"""A line for what nobody may see: it shows a dot a character and keeps the text to itself until it is taken.

Not Textual's Input: that one measures what it holds, and the measuring remembers the text for the life of the process.
"""

from __future__ import annotations

from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from chronos_tui.keys import Command
from chronos_tui.views.spans import Span
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.paint import strip

COMMANDS = (
    Command("masked.delete", ("backspace",), "delete", "delete the last character"),
    Command("masked.clear", ("ctrl+u", "ctrl+w"), "clear", "delete all of it"),
)
MOST_CHARS = 65_536
"""A private key of a service is some thousands."""


class Masked(Widget, can_focus=True, inherit_bindings=False):
    """Typed or pasted text of which only the length is seen. No cursor moves in it: who errs clears it.

    line_end: how a pasted end of line is kept, such as in a private key; the last one is not.
    """

    BINDINGS = bindings(COMMANDS)
    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Masked { height: 1; width: 1fr; background: $panel; }
    """

    class Changed(Message):
        """Something was typed or deleted."""

    class Submitted(Message):
        """Enter."""

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._characters: list[str] = []

    @property
    def length(self) -> int:
        """How many characters it holds."""
        return len(self._characters)

    def value(self) -> str:
        """Return the text."""
        return "".join(self._characters)

    def same_as(self, other: Masked) -> bool:
        """Whether another holds the same text."""
        return self._characters == other._characters

    def forget(self) -> None:
        """Hold nothing any more, without a word to anybody."""
        self._characters = []
        self.refresh()

    def on_key(self, event: events.Key) -> None:
        """Take a character; Enter is told."""
        if event.key == "enter":
            event.stop()
            self.post_message(self.Submitted())
        elif event.is_printable and event.character is not None:
            event.stop()
            event.prevent_default()
            self._add(event.character)

    def on_paste(self, event: events.Paste) -> None:
        """Take what is pasted, as it is; its last end of line is the clipboard's."""
        event.stop()
        self._add(event.text.removesuffix("\n"))

    def _add(self, text: str) -> None:
        self._characters += text[: MOST_CHARS - len(self._characters)]
        self._changed()

    def _changed(self) -> None:
        self.refresh()
        self.post_message(self.Changed())

    def action_delete(self) -> None:
        """Delete the last character."""
        del self._characters[-1:]
        self._changed()

    def action_clear(self) -> None:
        """Delete all of it."""
        self._characters = []
        self._changed()

    def watch_has_focus(self, has_focus: bool) -> None:  # noqa: FBT001 - Textual's signature
        """Show where keys go."""
        super().watch_has_focus(has_focus)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """See Widget.render_line."""
        room = max(1, self.size.width - 8)
        dots = "•" * min(self.length, room - 1)
        more = Span(f" {self.length}", "dim") if self.length >= room else Span("")
        cursor = Span(" ", "selected") if self.has_focus else Span("")
        return strip(self, (Span(dots), cursor, more) if y == 0 else (), self.size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One line."""
        return 1
