"""Tables that share a panel: all of them where there is room, else the one that is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.app import ComposeResult
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.message import Message
from textual.widget import Widget

from chronos_tui.views import grid
from chronos_tui.widgets.table import Table

TWO_FROM = 180
"""Cells from which on a table still has room when two stand beside each other."""

ALL_FROM = 28
"""Lines from which on all tables make sense under each other."""


class _Shelf(Layout):
    """Places the tables that are shown as views.grid says."""

    name = "shelf"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:  # noqa: FBT001, FBT002 - Textual's signature
        """See Layout.arrange."""
        parent.pre_layout(self)
        tables = [child for child in children if isinstance(child, Table) and child.display]
        count = 2 if size.width >= TWO_FROM and len(tables) > 1 else 1
        places = grid.place([table.wish() for table in tables], size.width, size.height, count)
        return [
            WidgetPlacement(Region(*place), NULL_OFFSET, NULL_SPACING, table)
            for table, place in zip(tables, places, strict=True)
        ]


class Sections(Widget):
    """The tables by name, in order. `single`: only the present one is shown."""

    DEFAULT_CSS = """
    Sections { height: 1fr; width: 1fr; }
    """

    class Present(Message):
        """Another table has the focus."""

    def __init__(self, tables: Sequence[Table]) -> None:
        super().__init__(id="sections")
        self.tables: Mapping[str, Table] = {table.key: table for table in tables}
        self.present = tables[0].key
        self.single = False
        self._shelf = _Shelf()

    @property
    def layout(self) -> Layout:
        """See Widget.layout."""
        return self._shelf

    def compose(self) -> ComposeResult:
        """See Widget.compose."""
        yield from self.tables.values()

    @property
    def table(self) -> Table:
        """The table that is looked at."""
        return self.tables[self.present]

    def fit(self, *, single: bool) -> None:
        """Show one table or all."""
        self.single = single
        self._show()

    def look_at(self, name: str) -> None:
        """Go to a table."""
        self.present = name
        self._show()
        self.screen.set_focus(self.table.rows)  # at once: whoever opens the panel then leaves the focus where it is

    def step(self, by: int) -> None:
        """Go to the next table, or the one before."""
        names = list(self.tables)
        self.look_at(names[(names.index(self.present) + by) % len(names)])

    def _show(self) -> None:
        for name, table in self.tables.items():
            table.display = not self.single or name == self.present

    def on_descendant_focus(self) -> None:
        """A click may have gone to another table."""
        found = next((table.key for table in self.tables.values() if table.rows.has_focus), self.present)
        if found != self.present:
            self.present = found
        self.post_message(self.Present())
