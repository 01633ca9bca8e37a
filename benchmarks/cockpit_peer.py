"""The peer of the cockpit's rows: about the least that a Textual program can be. `python -m benchmarks.cockpit_peer`.

list: two tables of 100 rows, one shown at a time. live: five labels that change once a second. cell: one cell of a
table does. Nothing is tuned; this is what the documentation shows.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.coordinate import Coordinate
from textual.widgets import ContentSwitcher, DataTable, Static

ROWS = 100
_COLUMNS = ("#", "state", "target", "subject", "due/age", "tries", "last word")


class Peer(App[None]):
    """A head, tables or labels, a foot."""

    CSS = "ContentSwitcher, DataTable { height: 1fr; }"
    BINDINGS: ClassVar[list[Any]] = [
        ("1", "show('first')", "first"),
        ("2", "show('second')", "second"),
        ("q", "quit", "quit"),
    ]

    def __init__(self, mode: str) -> None:
        super().__init__()
        self._mode = mode
        self._count = itertools.count()

    def compose(self) -> ComposeResult:
        yield Static("peer  bench.example.org", id="head")
        if self._mode == "live":
            for number in range(5):
                yield Static(f"value {number}: 0", id=f"value-{number}")
        else:
            with ContentSwitcher(initial="first"):
                yield DataTable(id="first", cursor_type="row")
                yield DataTable(id="second", cursor_type="row")
        yield Static("enter open  / filter  ? help  q quit", id="foot")

    def on_mount(self) -> None:
        for table in self.query(DataTable):
            table.add_columns(*_COLUMNS)
            for number in range(ROWS, 0, -1):
                state = "dead" if number % 10 == 7 else "delivered"
                word = "503 busy" if state == "dead" else "200 ok"
                subject = f"nightly backup of host-{number % 97}"
                table.add_row(f"{table.id} {number}", state, "flow", subject, f"{number} min", "1", word)
        if self._mode != "list":
            self.set_interval(1.0, self._change)
        if self._mode != "live":
            self.query_one("#first").focus()

    def _change(self) -> None:
        number = next(self._count)
        if self._mode == "live":
            for label in range(5):
                self.query_one(f"#value-{label}", Static).update(f"value {label}: {number + label}")
        else:
            self.query_one("#first", DataTable).update_cell_at(Coordinate(5, 1), "held" if number % 2 else "queued")

    def action_show(self, table: str) -> None:
        self.query_one(ContentSwitcher).current = table
        self.query_one(f"#{table}").focus()


if __name__ == "__main__":
    Peer(sys.argv[1] if len(sys.argv) > 1 else "list").run()
