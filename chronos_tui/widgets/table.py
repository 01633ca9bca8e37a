"""A short list with columns under a title: all of its rows are at hand. The cursor follows a name, not a place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical

from chronos_tui.keys import LIST
from chronos_tui.views.grid import Wish
from chronos_tui.views.spans import Line, Span, width
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.columns import Column
from chronos_tui.widgets.pager import Ask, Pager, Row, Slice

Named = tuple[str, tuple[Span, ...]]
"""What a row is called for ever, and its cells."""

_TITLES = 2
"""Lines above the rows: the title and the columns' names."""


class Rows(Pager):
    """The rows of a table."""

    BINDINGS = bindings(LIST)

    def __init__(self, columns: Sequence[Column], id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(columns, self._give, id=id)
        self._numbers: dict[str, int] = {}
        self._all: tuple[Row, ...] | None = None
        self._wish = ""

    @property
    def name_under_cursor(self) -> str:
        """What the row under the cursor is called; "" when there is none."""
        row = self.cursor_row
        return str(row.place) if row is not None else ""

    def take(self, rows: Iterable[Named]) -> None:
        """Show these rows; the cursor stays on its name."""
        found = tuple(Row(self._number(name), cells, name) for name, cells in rows)
        first, self._all = self._all is None, found
        if first:
            self.restart()
        else:
            self.reload()
        self._fulfil()
        self._wish = ""

    def put(self, name: str) -> None:
        """Put the cursor on a row, now or when the rows are taken next."""
        self._wish = name
        self._fulfil()

    def _fulfil(self) -> None:
        if self._all is not None and any(row.place == self._wish for row in self._all):
            self.show(self._number(self._wish))
            self._wish = ""

    def action_home(self) -> None:
        """To the first row; where there are none because of a trouble, a way there would never end."""
        if self.rows:
            super().action_home()

    def action_end(self) -> None:
        """To the last row; see action_home."""
        if self.rows:
            super().action_end()

    def _number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers) + 1)

    def _give(self, ask: Ask) -> None:
        if self._all is not None:
            self.answer(ask, Slice(self._all, at_start=True, at_end=True))


class Table(Vertical):
    """Rows under a title. least: lines without which it is not shown, the two titles among them."""

    DEFAULT_CSS = """
    Table { height: 1fr; width: 1fr; }
    """

    def __init__(self, name: str, title: str, columns: Sequence[Column], *, least: int = 4) -> None:
        super().__init__(id=f"table-{name}")
        self.key = name
        self.title = title
        self.rows = Rows(columns, id=f"rows-{name}")
        self._bar = Bar(id=f"title-{name}")
        self._words = ""
        self._least = least
        self._count = 0

    def compose(self) -> ComposeResult:
        """See Widget.compose."""
        yield self._bar
        yield self.rows

    def wish(self) -> Wish:
        """Return how many lines it needs, and wants."""
        return Wish(self._least, max(self._least, _TITLES + max(1, self._count)))

    def take(self, rows: Sequence[Named], words: str, *empty: Line) -> bool:
        """Show rows; return whether it wants another height now. words: for the title. empty: what none means."""
        before, self._count = self.wish(), len(rows)
        self._words = words
        self.rows.set_empty(*empty)
        self.rows.take(rows)
        self._show_title()
        return self.wish() != before

    def fail(self, text: str) -> None:
        """Say where the rows would be why there are none."""
        self.rows.fail(text)

    def on_resize(self) -> None:
        """Fit the title."""
        self.call_after_refresh(self._show_title)

    def on_descendant_focus(self) -> None:
        """Show where keys go."""
        self._show_title()

    def on_descendant_blur(self) -> None:
        """See on_descendant_focus."""
        self.call_after_refresh(self._show_title)

    def _show_title(self) -> None:
        role = "title" if self.rows.has_focus else ""
        words = Span(f"{self._words} ", "dim") if self._words else Span("")
        line = (Span("─ ", "dim"), Span(self.title, role), Span(" "), Span("── " if self._words else "", "dim"), words)
        self._bar.show((*line, Span("─" * max(0, self._bar.size.width - width(line)), "dim")))
