"""A small app on SafeApp for the tests of the terminal: two pages, text of all widths, a prompt. Run in a pty."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, ClassVar

from chronos_tui.terminal.environment import prepare_environment

if __name__ == "__main__":
    prepare_environment(os.environ)

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import ContentSwitcher, Input, Static

from chronos_tui.terminal.safe_app import SafeApp

ROWS = [
    f"{n:4}  {state}  {subject}"
    for n, (state, subject) in enumerate(
        [
            ("✓ delivered", "plain ASCII text"),
            ("✗ dead", "日本語の件名 and more"),
            ("⏸ held", "combining e\u0301 a\u0308 o\u0302\u0323"),
            ("! uncertain", "emoji 🎉🚀 family 👨‍👩‍👧 flag 🇩🇪"),
            ("▸ due", "ไทย Ελληνικά العربية"),
        ]
        * 30
    )
]
SECRET = "hunter2-in-a-local"


class Sample(SafeApp):
    """`f` switches the page, `c` the colours, `x` crashes, `q` leaves, ctrl+l repaints, ctrl+z stops."""

    CSS = """
    ContentSwitcher { height: 1fr; }
    #first { height: 1fr; border: round $accent; }
    #second { height: 1fr; background: $panel; }
    """
    BINDINGS: ClassVar[list[Any]] = [
        Binding("q", "leave", "leave"),
        Binding("f", "flip", "flip"),
        Binding("c", "colours", "colours"),
        Binding("x", "crash", "crash"),
        Binding("w", "odd", "odd"),
        Binding("i", "prompt", "prompt"),
        Binding("h", "hang", "hang"),
        Binding("m", "mark", "mark"),
        Binding("ctrl+l", "repaint", "repaint"),
        Binding("ctrl+z", "suspend_process", "stop"),
    ]

    marks = 0

    def compose(self) -> ComposeResult:
        """See App.compose."""
        yield Static(Text("sample ready …", style="bold"), id="head")
        with ContentSwitcher(initial="first"):
            yield VerticalScroll(Static(Text("\n".join(ROWS))), id="first")
            yield Static(Text("\n".join(ROWS[:100][::-1])), id="second")
        yield Input(id="prompt")
        yield Static("", id="said", markup=False)

    def on_mount(self) -> None:
        """Start in the list."""
        self.query_one(VerticalScroll).focus()

    def action_leave(self) -> None:
        """Leave."""
        self.exit()

    def action_flip(self) -> None:
        """Show the other page."""
        switcher = self.query_one(ContentSwitcher)
        switcher.current = "second" if switcher.current == "first" else "first"
        if switcher.current == "first":
            self.query_one(VerticalScroll).focus()

    def action_colours(self) -> None:
        """Go from dark to light and back."""
        self.theme = "textual-light" if self.theme == "textual-dark" else "textual-dark"

    def action_crash(self) -> None:
        """Fail with a secret at hand."""
        password = SECRET
        raise ZeroDivisionError(len(password))

    def action_odd(self) -> None:
        """Write a sequence that no model knows."""
        assert self._driver is not None
        self._driver.write("\x1b[3g")

    def action_mark(self) -> None:
        """Say that all keys up to here have been dealt with and painted."""
        self.marks += 1
        self.call_after_refresh(self.query_one("#said", Static).update, f"mark {self.marks}")

    def action_hang(self) -> None:
        """Hold the loop for longer than anybody waits."""
        self.bell()
        time.sleep(3600)

    def action_prompt(self) -> None:
        """Type something."""
        self.query_one(Input).focus()
        self.call_after_refresh(self.query_one("#said", Static).update, "type now")

    def on_resize(self, event: events.Resize) -> None:
        """Say how large it is now."""
        self.query_one("#said", Static).update(f"size {event.size.width}x{event.size.height}")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what was typed as it is."""
        self.query_one("#said", Static).update(Text(ascii(event.value)))


if __name__ == "__main__":
    if "--bad-css" in sys.argv:
        Sample.CSS = "#nothing { colour-of: no such thing"
    app = Sample(
        plain="--plain" in sys.argv,
        details="the log",
        on_fatal=lambda error: print(f"told of {type(error).__name__}", file=sys.__stderr__),
    )
    app.run(mouse="--mouse" in sys.argv)
    if app.left_by:
        print(f"left by {app.left_by}", file=sys.__stderr__)
    sys.exit(app.return_code or 0)
