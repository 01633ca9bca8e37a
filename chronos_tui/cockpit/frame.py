"""The lines around the panels: first line, tabs, footer with its notices, and the one for a terminal too small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from textual.widget import Widget

from chronos_tui import bridge
from chronos_tui.keys import Command
from chronos_tui.views import shell as views
from chronos_tui.views.spans import Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.panel import Panel

NOTICE_S = 8.0
LEAST = (60, 20)
"""Columns and rows below which no panel is shown."""

_MARKS = {"ok": "✓ ", "warning": "! ", "failed": "✗ "}


class Frame:
    """Holds the lines rather than looking them up: a query goes to the screen on top, which may be a dialog.

    working: the commands whose keys work now. later: runs a function after so many seconds.
    """

    def __init__(
        self, working: Callable[[], Iterable[Command]], later: Callable[[float, Callable[[], None]], object]
    ) -> None:
        self._working = working
        self._later = later
        self._header = Bar(id="header")
        self._tabs = Bar(id="tabs")
        self._footer = Bar(id="footer")
        self._small = Bar(id="small")
        self._notice = 0
        self._failure = ""

    def above(self) -> Iterator[Widget]:
        """What stands above the panels."""
        yield self._header
        yield self._tabs

    def below(self) -> Iterator[Widget]:
        """What stands below them."""
        yield self._footer
        yield self._small

    def say(self, text: str, role: str) -> None:
        """Show one line in the footer's place for a moment; "" ends the one that stands there."""
        if not text:
            self._end_notice(self._notice)
            return
        self._notice += 1
        number = self._notice
        self._footer.show((Span(f" {_MARKS.get(role, '')}{bridge.safe_line(text, 300)}", role),))
        self._later(NOTICE_S, lambda: self._end_notice(number))

    def _end_notice(self, number: int) -> None:
        if number == self._notice:
            self._notice = 0
            self.show_footer()

    def show_header(self, situation: bridge.Situation | None, now_ms: int, *, read_only: bool) -> None:
        """Show the situation in the first line, or why there is none."""
        line = views.header(situation, now_ms, self._header.size.width, read_only=read_only)
        self._header.show((Span(f" ✗ {self._failure}", "failed"),) if self._failure else line)

    def note_failure(self, text: str) -> None:
        """Say from the next second on, in the first line, why there is no situation; "": there is one again."""
        self._failure = text

    def show_tabs(
        self, panels: Sequence[type[Panel] | Panel], present: int, situation: bridge.Situation | None
    ) -> None:
        """Show which panels there are, opened before or not yet. present: the number of the one that is seen."""
        counts = views.counted(situation)
        titles = [
            (one.NUMBER, one.TITLE, *(one.own_badge(counts) if isinstance(one, Panel) else one.badge(counts)))
            for one in panels
        ]
        self._tabs.show(views.tabs(titles, present, self._tabs.size.width))

    def show_footer(self) -> None:
        """Show the keys that work, unless a notice stands there."""
        if not self._notice:
            ranked = [command for command in self._working() if command.rank]
            self._footer.show(views.footer(ranked, self._footer.size.width))

    def fit(self, columns: int, rows: int) -> bool:
        """Return whether there is room for a panel; where there is none, say so."""
        if columns >= LEAST[0] and rows >= LEAST[1]:
            return True
        words = f"{columns}x{rows} is too small: {LEAST[0]}x{LEAST[1]} are needed"
        self._small.show((Span(words, "warning"),))
        return False
