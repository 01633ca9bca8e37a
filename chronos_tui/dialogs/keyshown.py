"""A new API key, shown once. Whoever closes it says that it is kept; then nothing here knows it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from chronos_tui import bridge
from chronos_tui.dialogs.dialog import Dialog, keys_line
from chronos_tui.keys import Command
from chronos_tui.views.apikeys import shown_once
from chronos_tui.views.spans import Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.once import Once

if TYPE_CHECKING:
    from chronos_tui.terminal.safe_app import SafeApp

COMMANDS = (
    Command("key-shown.copy", ("y",), "copy", "copy the key"),
    Command("key-shown.kept", ("K",), "kept", "the key is kept elsewhere: close this, and show it never again"),
    Command(
        "key-shown.stay", ("escape", "enter", "q", "minus", "space", "ctrl+c"), "stay", "say which key closes this"
    ),
)


class KeyShown(Dialog[None]):
    """Shows the key of `made`, of which it keeps no more than what it shows."""

    BINDINGS = bindings(COMMANDS)
    DEFAULT_CSS = """
    KeyShown .box { border: solid $warning; }
    """

    def __init__(self, made: bridge.CreatedKey, now_ms: int) -> None:
        super().__init__()
        self._title = bridge.safe_line(made.key.name, 60)
        self._lines = shown_once(made.key, made.replaced, now_ms)
        self._once = Once(made.text)
        self._note = Bar()

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        with Vertical(classes="box") as box:
            box.border_title = Content(f"The key {self._title}, shown this once")
            yield Bar()
            yield self._once
            yield Bar()
            for line in self._lines:
                yield Bar(line)
            yield self._note
            yield Bar(keys_line(("y", "copies it"), ("K", "it is kept elsewhere: close")))

    def action_copy(self) -> None:
        """Copy the key; what is said of it does not repeat it."""
        said = cast("SafeApp", self.app).copy_unseen(self._once.text())
        self._note.show((Span(said),))

    def action_stay(self) -> None:
        """No key that leaves by reflex may cost the key."""
        self._note.show((Span("! Nothing can show it again. Keep it first; then K closes this.", "warning"),))

    def action_kept(self) -> None:
        """Forget it and close."""
        self._once.forget()
        self.dismiss(None)
