"""Asks before what is large and final by having it typed, and shows how far something has come. Does nothing itself."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input

from chronos_tui.dialogs.dialog import Dialog
from chronos_tui.keys import Command
from chronos_tui.views.acts import Preview, progress_line
from chronos_tui.views.spans import Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings

TYPED = (
    Command("typed.submit", ("enter",), "accept", "do it, if what was typed is right"),
    Command("typed.no", ("escape", "ctrl+c"), "no", "leave everything as it is"),
)
PROGRESS = (Command("progress.leave", ("escape", "q", "minus", "ctrl+c"), "leave", "go back to the list"),)


class TypedInput(Input):
    """The number or the name, and the two keys."""

    BINDINGS = bindings(TYPED)
    DEFAULT_CSS = """
    TypedInput, TypedInput:focus { border: none; height: 1; padding: 0; background: $panel; }
    """

    def action_no(self) -> None:
        """Do nothing."""
        self.screen.dismiss(result=False)


class AskTyped(Dialog[bool]):
    """Shows a preview; returns True when the operator typed what it names."""

    DEFAULT_CSS = """
    AskTyped .box { border: solid $warning; }
    """

    def __init__(self, preview: Preview) -> None:
        super().__init__()
        self._preview = preview

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        with Vertical(classes="box") as box:
            box.border_title = Content(self._preview.title)
            for line in self._preview.lines:
                yield Bar(line)
            yield Bar(())
            yield Bar(id="ask")
            yield TypedInput(max_length=100)

    def on_mount(self) -> None:
        """Say what to type."""
        self._show("")
        self.query_one(TypedInput).focus()

    def _show(self, wrong: str) -> None:
        self.query_one("#ask", Bar).show(
            (
                Span(f"✗ {wrong}  " if wrong else "", "failed"),
                Span("Type "),
                Span(self._preview.typed, "bold"),
                Span(" and Enter to do it, "),
                Span("esc", "accent"),
                Span(" leaves everything"),
            )
        )

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Do it if it is what was asked for."""
        event.stop()
        if event.value.replace(" ", "") == self._preview.typed:
            self.dismiss(result=True)
        else:
            self._show(f"that is another {'number' if self._preview.typed.isdecimal() else 'name'}.")


class Progress(Dialog[bool]):
    """Shows how far something has come. Returns True when the operator left it, False when it has come to its end.

    leaving: what leaving means: "it goes on", "nothing is written".
    """

    BINDINGS = bindings(PROGRESS)
    DEFAULT_CSS = """
    Progress .box { border: solid $warning; }
    """

    def __init__(self, title: str, leaving: str) -> None:
        super().__init__()
        self._title = title
        self._leaving = leaving
        self._at = (0, 1)

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        with Vertical(classes="box") as box:
            box.border_title = Content(self._title)
            yield Bar(id="progress")
            yield Bar(())
            yield Bar((Span("esc", "accent"), Span(f" leaves: {self._leaving}")))

    def on_resize(self) -> None:
        """Fit the bar."""
        self.call_after_refresh(self._show)

    def step(self, done: int, total: int) -> None:
        """Show that so much is done."""
        self._at = (done, total)
        if self.is_mounted:
            self._show()

    def _show(self) -> None:
        # None once it was left: the work goes on and tells its steps all the same.
        for bar in self.query("#progress").results(Bar):
            bar.show(progress_line(*self._at, max(20, bar.size.width)))

    def end(self) -> None:
        """It has come to its end."""
        if self.is_current:
            self.dismiss(result=False)

    def action_leave(self) -> None:
        """Go back to the list."""
        self.dismiss(result=True)
