"""The line that `/` and `:` open, in the footer's place: what is asked, what could be meant, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from chronos_tui.keys import Command
from chronos_tui.views.prompt import hints
from chronos_tui.views.spans import Span, width
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.lineinput import LineInput
from chronos_tui.widgets.panel import Prompt

COMMANDS = (
    Command("prompt.submit", ("enter",), "accept", "accept the line; refused while something is wrong with it"),
    Command("prompt.complete", ("tab", "ctrl+n"), "complete", "take what could be meant, then the next"),
    Command("prompt.complete-back", ("shift+tab", "ctrl+p"), "back", "take the one before"),
    Command("prompt.take", ("right",), "take", "at the end: take it and go on from there"),
    Command("prompt.older", ("up",), "older", "what was typed here before"),
    Command("prompt.newer", ("down",), "newer", "forward again"),
    Command("prompt.delete-left-all", ("ctrl+u",), "clear", "delete all before the cursor"),
    Command("prompt.delete-left-word", ("ctrl+w",), "word back", "delete the word before the cursor"),
    Command("prompt.leave", ("escape", "ctrl+c"), "leave", "leave the line"),
)


class PromptInput(LineInput):
    """The prompt's line."""

    BINDINGS = bindings(COMMANDS)


class PromptBar(Vertical):
    """Hidden until `ask`; gone again when the line is accepted or left. Whoever had the focus has it again.

    history: what was accepted under a name, the oldest first. remember: called with a name and what is accepted.
    """

    DEFAULT_CSS = """
    PromptBar { layer: prompt; dock: bottom; height: 2; display: none; }
    PromptBar.open { display: block; }
    PromptBar Horizontal { height: 1; }
    PromptBar #hints { background: $panel; }
    PromptBar #label { width: 1; background: $panel; }
    PromptBar LineInput { width: 1fr; }
    """

    class Closed(Message):
        """The prompt has gone, and whoever had the focus is gone too."""

    def __init__(
        self,
        history: Callable[[str], Sequence[str]] = lambda _name: (),
        remember: Callable[[str, str], None] = lambda _name, _text: None,
    ) -> None:
        super().__init__(id="prompt")
        self._prompt: Prompt | None = None
        self._history = history
        self._remember = remember
        self._before: Widget | None = None
        self._refused = ""

    def compose(self) -> ComposeResult:
        """See Widget.compose."""
        yield Bar(id="hints")
        with Horizontal():
            yield Bar(id="label")
            yield PromptInput(id="line")

    def ask(self, prompt: Prompt) -> None:
        """Open it."""
        line = self.query_one(LineInput)
        if self.screen.focused is not line:
            self._before = self.screen.focused
        self._prompt = prompt
        self._refused = ""
        label = self.query_one("#label", Bar)
        shown = (Span(prompt.label, "accent"),)
        label.styles.width = max(1, width(shown))
        label.show(shown)
        self.add_class("open")
        line.begin(prompt.initial, prompt.complete, self._history(prompt.history) if prompt.history else ())
        line.focus()

    def look(self) -> None:
        """Complete and check anew: what is known has changed."""
        if self._prompt is not None:
            self.query_one(LineInput).look()

    def on_line_input_looked(self, event: LineInput.Looked) -> None:
        """Show what could be meant, or what is wrong."""
        event.stop()
        self._show_hints()

    def on_resize(self) -> None:
        """Fit as many candidates as there is room for now."""
        self._show_hints()

    def on_show(self) -> None:
        """A terminal too small for it had hidden it, and taken the focus away: what is typed now belongs here."""
        if self._prompt is not None:
            self.query_one(LineInput).focus()

    def _show_hints(self) -> None:
        prompt = self._prompt
        if prompt is None:
            return
        line = self.query_one(LineInput)
        refused = self._refused == line.value and bool(line.value)
        wrong = prompt.check(line.value)
        bar = self.query_one("#hints", Bar)
        cells = self.size.width
        bar.show(hints(line.value, line.candidates, line.chosen, wrong, prompt.hint, cells, refused=refused))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Accept the line unless something is wrong with it."""
        event.stop()
        prompt = self._prompt
        if prompt is None:
            return
        text = event.value
        if prompt.check(text):
            self._refused = text
            self._show_hints()
            return
        if prompt.history and text.strip():
            self._remember(prompt.history, text)
        self.close()
        prompt.accept(text)

    def on_line_input_left(self, event: LineInput.Left) -> None:
        """Leave it."""
        event.stop()
        self.close()

    def close(self) -> None:
        """Hide it."""
        self._prompt = None
        before, self._before = self._before, None
        if before is not None and before.is_attached and before.focusable:
            before.focus()
        else:
            self.screen.set_focus(None)
            self.post_message(self.Closed())
        self.remove_class("open")
        self.query_one("#hints", Bar).show(())
