"""The line that `/` and `:` open: one Input with its label, what could be meant, and what is wrong."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from chronos_tui.views.spans import Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.panel import Prompt


class PromptBar(Vertical):
    """Hidden until `ask`; gone again when the line is accepted or left."""

    DEFAULT_CSS = """
    PromptBar { height: auto; display: none; }
    PromptBar.open { display: block; }
    PromptBar Input { border: none; height: 1; padding: 0; }
    """

    class Closed(Message):
        """The prompt has gone; whoever had the focus may have it again."""

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self._prompt: Prompt | None = None

    def compose(self) -> ComposeResult:
        """See Widget.compose."""
        yield Bar(id="hints")
        yield Input(id="line", select_on_focus=False)

    def ask(self, prompt: Prompt) -> None:
        """Open it."""
        self._prompt = prompt
        line = self.query_one(Input)
        line.value = prompt.initial
        line.cursor_position = len(prompt.initial)
        self.add_class("open")
        line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Accept the line unless something is wrong with it."""
        event.stop()
        prompt = self._prompt
        if prompt is None:
            return
        if wrong := prompt.check(event.value):
            self.query_one("#hints", Bar).show((Span(f" {wrong}", "failed"),))
            return
        self.close()
        prompt.accept(event.value)

    def key_escape(self) -> None:
        """Leave it."""
        self.close()

    def close(self) -> None:
        """Hide it."""
        self._prompt = None
        self.query_one("#hints", Bar).show(())
        self.remove_class("open")
        self.post_message(self.Closed())
