"""Writes what a list shows to a file, all of it, in slices: CSV or JSON Lines by the ending of the name."""

from __future__ import annotations

from pathlib import Path

from chronos_tui import bridge
from chronos_tui.desk import Progress
from chronos_tui.dialogs import savefile, working
from chronos_tui.views import export
from chronos_tui.views.outbox import bounded
from chronos_tui.views.times import number
from chronos_tui.widgets.panel import Host

_SLICE = 500


def ask(host: Host, expression: str, order: str, *, descending: bool, matching: int) -> None:
    """Ask where to, then write every message that matches, in this order. matching: how many, as far as counted."""

    def write(path: Path, replace: bool) -> None:  # noqa: FBT001 - as savefile calls it
        working.run(
            host,
            f"Export to {bridge.safe_line(path.name, 40)}",
            lambda engine, progress: _write(
                engine, progress, path, expression, order, descending=descending, replace=replace, total=matching
            ),
            lambda n: host.say(f"{number(n)} {_plural(n)} in {bridge.safe_line(str(path), 100)}"),
            leaving="nothing is written",
            stops=True,
        )

    savefile.ask(
        host, f"write {bounded(matching)} {_plural(matching)} to: ", "outbox.csv", write, endings=export.ENDINGS
    )


def _plural(n: int) -> str:
    return "message" if n == 1 else "messages"


def _write(
    engine: bridge.Engine,
    progress: Progress,
    path: Path,
    expression: str,
    order: str,
    *,
    descending: bool,
    replace: bool,
    total: int,
) -> int:
    by, after, done = bridge.Order(order), None, 0
    as_csv = path.suffix == ".csv"
    with savefile.created(path, replace=replace) as file:
        if as_csv:
            file.write(export.csv_head().encode())
        while True:
            page = engine.sorted_page(expression, by, descending=descending, after=after, limit=_SLICE)
            tags = engine.tags_of([one.id for one in page.rows])
            made = export.csv_rows(page.rows, tags) if as_csv else export.json_rows(page.rows, tags)
            file.write(made.encode())
            done += len(page.rows)
            if page.at_end or not page.rows:
                return done
            after = bridge.place_of(by, page.rows[-1])
            progress(done, max(total, done + 1))
