"""One line of a form: what is asked, the text, and beside it in words what it means or what is wrong with it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal

from chronos_tui import bridge
from chronos_tui.keys import Command
from chronos_tui.views.spans import Line, Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.lineinput import Complete, LineInput

COMMANDS = (
    Command("field.take", ("right",), "take", "at the end: take what could be meant"),
    Command("field.complete", ("ctrl+n",), "complete", "take what could be meant, then the next"),
    Command("field.complete-back", ("ctrl+p",), "back", "take the one before"),
    Command("field.delete-left-all", ("ctrl+u",), "clear", "delete all before the cursor"),
    Command("field.delete-left-word", ("ctrl+w",), "word back", "delete the word before the cursor"),
)
_LABEL = 10


class FieldInput(LineInput):
    """A field's line. Enter, tab and what leaves are the form's."""

    BINDINGS = bindings(COMMANDS)


class Field(Horizontal):
    """A named line. `say` puts words beside it: they are cut there, and `words` has them whole."""

    DEFAULT_CSS = """
    Field { height: 1; width: 1fr; }
    Field .label { width: 10; }
    Field .note { width: 48%; padding: 0 0 0 1; }
    Field LineInput { width: 1fr; }
    """

    def __init__(
        self, name: str, value: str = "", complete: Complete = lambda _text, _cursor: (), label: str = ""
    ) -> None:
        super().__init__(id=f"field-{name}")
        self.key = name
        self._label = Bar((Span((label or name)[:_LABEL], "dim"),), classes="label")
        self.line = FieldInput(value, complete=complete)
        self._note = Bar(classes="note")
        self.words: Line = ()

    def compose(self) -> ComposeResult:
        """See Widget.compose."""
        yield self._label
        yield self.line
        yield self._note

    @property
    def value(self) -> str:
        """What stands in it, without the blanks around it."""
        return self.line.value.strip()

    def say(self, words: str, role: str = "dim") -> None:
        """Put words beside it; role failed: what is wrong."""
        mark = "✗ " if role == "failed" else "! " if role == "warning" else ""
        shown = bridge.safe_line(words, 300)
        self.words = (Span(f"{mark}{shown}", role),) if shown else ()
        self._note.show(self.words)
