"""Asks for something that nobody may see, twice, and does with it what it is for. The text leaves in no answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input

from chronos_tui import bridge
from chronos_tui.dialogs.dialog import Dialog, keys_line
from chronos_tui.keys import Command, Danger
from chronos_tui.views.spans import Document, Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.field import Field
from chronos_tui.widgets.lineinput import LineInput
from chronos_tui.widgets.masked import Masked
from chronos_tui.widgets.panel import host

COMMANDS = (
    Command("unseen.accept", ("enter",), "accept", "do it, once both lines are the same", danger=Danger.PLAIN),
    Command("unseen.next", ("tab", "down"), "next field", "the next field"),
    Command("unseen.previous", ("shift+tab", "up"), "previous field", "the field before"),
    Command("unseen.leave", ("escape", "ctrl+c"), "leave", "leave; what was typed is forgotten"),
)

Work = Callable[[bridge.Engine, str, str], Any]
"""Called with the engine, the name and the text, on another thread."""


class Unseen(Dialog[Any]):
    """Returns what `work` returned; None when it was left.

    lines: what it is about. what: "value", "passphrase". name: None where nothing has to be named, else the name to
    begin with. doing: said while `work` is under way, which may ask a keyring. twice: False for what is only tried.
    """

    BINDINGS = bindings(COMMANDS)
    DEFAULT_CSS = """
    Unseen Bar { height: 1; }
    Unseen Horizontal { height: 1; }
    Unseen .label { width: 12; }
    """

    def __init__(
        self,
        title: str,
        lines: Document,
        what: str,
        work: Work,
        doing: str,
        *,
        name: str | None = None,
        twice: bool = True,
    ) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._what = what
        self._work = work
        self._doing = doing
        self._naming = Field("name", name) if name is not None else None
        self._typed = Masked(id="first")
        self._again = Masked(id="second")
        self._note = Bar(id="note")
        self._twice = twice
        self._busy = False

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        with Vertical(classes="box") as box:
            box.border_title = Content(self._title)
            for line in self._lines:
                yield Bar(line)
            if self._naming is not None:
                yield self._naming
            lines = ((self._what, self._typed), ("once more", self._again))
            for label, masked in lines if self._twice else lines[:1]:
                with Horizontal():
                    yield Bar((Span(label, "dim"),), classes="label")
                    yield masked
            yield self._note
            yield Bar(keys_line(("enter", "accepts"), ("tab", "next field"), ("^u", "clears"), ("esc", "leaves")))

    def on_mount(self) -> None:
        """Begin where something is missing."""
        (self._typed if self._naming is None or self._naming.value else self._naming.line).focus()

    def on_masked_changed(self, event: Masked.Changed) -> None:
        """What was wrong with it may be right now."""
        event.stop()
        if not self._busy:
            self._note.show(())

    def on_masked_submitted(self, event: Masked.Submitted) -> None:
        """Enter, from either line."""
        event.stop()
        self.action_accept()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter, from the name."""
        event.stop()
        self.action_accept()

    def on_line_input_left(self, event: LineInput.Left) -> None:
        """Leave it, from the name."""
        event.stop()
        self.action_leave()

    def action_accept(self) -> None:
        """Go to the next line that is empty; do it once none is."""
        if self._busy:
            return
        if self._naming is not None and not self._naming.value:
            self._naming.line.focus()
        elif not self._typed.length:
            self._typed.focus()
        elif self._twice and not self._again.length:
            self._again.focus()
        elif self._twice and not self._typed.same_as(self._again):
            self._again.forget()
            self._again.focus()
            self._say(f"the two are not the same; type the {self._what} once more")
        else:
            self._do()

    def _do(self) -> None:
        self._busy = True
        self._note.show((Span(self._doing, "dim"),))
        name, text, work = self._naming.value if self._naming is not None else "", self._typed.value(), self._work

        # On a thread of its own: a keyring may take its time, and other acts must not wait for it.
        host(self).desk.long(lambda engine, _progress: work(engine, name, text), self._done, self._failed)

    def _done(self, answer: object) -> None:
        self._forget()
        self.dismiss(answer)

    def _failed(self, text: str) -> None:
        self._busy = False
        self._say(text)

    def _say(self, text: str) -> None:
        self._note.show((Span(f"✗ {text}", "failed"),))

    def _forget(self) -> None:
        self._typed.forget()
        self._again.forget()

    def action_next(self) -> None:
        """The next field."""
        self.focus_next()

    def action_previous(self) -> None:
        """The field before."""
        self.focus_previous()

    def action_leave(self) -> None:
        """Forget what was typed and leave; what is under way is not left alone."""
        if not self._busy:
            self._forget()
            self.dismiss(None)
