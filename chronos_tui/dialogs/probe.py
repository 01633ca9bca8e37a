"""Tries a target without sending, and shows each step. Leaving it waits for nothing: the test ends by itself."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from chronos_tui import bridge
from chronos_tui.desk import Job
from chronos_tui.dialogs.dialog import Dialog, keys_line
from chronos_tui.keys import Command
from chronos_tui.views import targets as views
from chronos_tui.views.spans import Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.panel import host
from chronos_tui.widgets.sheet import Sheet

COMMANDS = (
    Command(
        "probe.close", ("escape", "q", "enter", "minus", "ctrl+c"), "close", "close it; nothing waits for the test"
    ),
    Command("probe.down", ("j", "down"), "down", "one line down"),
    Command("probe.up", ("k", "up"), "up", "one line up"),
)


class Probe(Dialog[None]):
    """A test of one target, begun when it is shown."""

    BINDINGS = bindings(COMMANDS)
    DEFAULT_CSS = """
    Probe .box { width: 100%; max-width: 120; }
    Probe Sheet { height: auto; max-height: 12; }
    """

    def __init__(self, target: str, timeout_ms: int) -> None:
        super().__init__()
        self._target = target
        wait = f"Trying; nothing is sent. This takes up to {bridge.format_duration(timeout_ms)}."
        self._sheet = Sheet(((Span(wait, "dim"),),))
        self._job: Job | None = None

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        with Vertical(classes="box") as box:
            box.border_title = Content(f"Test of {bridge.safe_line(self._target, 60)}")
            yield self._sheet
            yield Bar(keys_line(("esc", "closes")))

    def on_mount(self) -> None:
        """Begin."""
        target = self._target
        self._job = host(self).desk.long(lambda engine, _progress: engine.probe(target), self._show, self._fail)

    def _show(self, steps: list[bridge.ProbeStep]) -> None:
        if self.is_attached:
            self._sheet.show(views.probe(steps))
            self._sheet.refresh(layout=True)

    def _fail(self, text: str) -> None:
        if self.is_attached:
            self._sheet.show(((Span(f"✗ {text}", "failed"),),))
            self._sheet.refresh(layout=True)

    def action_close(self) -> None:
        """Close it."""
        if self._job is not None:
            self._job.cancel()
        self.dismiss(None)

    def action_down(self) -> None:
        """One line down."""
        self._sheet.move(1)

    def action_up(self) -> None:
        """One line up."""
        self._sheet.move(-1)
