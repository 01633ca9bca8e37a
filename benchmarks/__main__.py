"""`python -m benchmarks`: measures the rows of docs/benchmarks.md, prints one table. Exit code 0 whatever it finds."""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from benchmarks import (
    api,
    archives,
    claiming,
    cockpit,
    enqueueing,
    gatekeeping,
    listing,
    machine,
    mails,
    programs,
    truth,
    webhooks,
)
from benchmarks.measure import Bench, Row
from engine.errors import ChronosError

Measure = Callable[[Bench], Iterable[Row]]
ROWS: dict[str, tuple[Measure, ...]] = {
    "enqueue": (
        enqueueing.one_by_one,
        enqueueing.threads_8,
        enqueueing.threads_32,
        enqueueing.slow_sync,
        enqueueing.processes_4,
        enqueueing.processes_8,
        enqueueing.batch,
    ),
    "claim": (claiming.one_by_one, claiming.grouped, claiming.long_queue),
    "list": (listing.pages, listing.free_text),
    "webhook": (webhooks.fast_sink, webhooks.slow_sink),
    "mail": (mails.starttls,),
    "http": (api.posting, api.keys),
    "audit": (truth.verification,),
    "sync": (truth.syncs,),
    "backup": (archives.creating,),
    "restore": (archives.restoring,),
    "key": (gatekeeping.keys,),
    "send": (programs.send,),
    "ready": (programs.ready,),
    "idle": (programs.idle,),
    "cockpit": cockpit.ROWS,
}
_FAILURES = (ChronosError, OSError, RuntimeError, AssertionError, sqlite3.Error, subprocess.SubprocessError)
_EMPTY = ("-",) * 5
_COLUMNS = ("work", "compared with", "goal", "ours", "theirs", "ratio", "verdict")


def main(arguments: list[str] | None = None) -> int:
    given = _parse(arguments)
    names = [name for name in given.rows.split(",") if name] or list(ROWS)
    with tempfile.TemporaryDirectory(prefix="chronos-bench-", dir=given.directory) as scratch:
        directory = Path(scratch)
        print("\n".join(machine.describe(directory)), file=sys.stderr)
        rows = [row for name in names for measure in ROWS[name] for row in _measured(measure, name, directory, given)]
    print("\n".join(_table(rows)))
    missed = sum(row.verdict == "MISSED" for row in rows)
    print(f"{len(rows)} rows, {missed} missed", file=sys.stderr)
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", default="", help=f"which, with commas: {','.join(ROWS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller tables: rough figures")
    parser.add_argument("--full", action="store_true", help="10 million rows where the promise says so (many minutes)")
    parser.add_argument("--directory", type=Path, help="where to work; its disk is what is measured (default: TMPDIR)")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.rows.split(",") if name and name not in ROWS]
    if unknown:
        parser.error(f"--rows: no rows {', '.join(unknown)}; known: {', '.join(ROWS)}")
    return given


def _measured(measure: Measure, name: str, directory: Path, given: argparse.Namespace) -> Iterator[Row]:
    own = directory / f"{name}-{measure.__name__}"
    own.mkdir()
    begin = time.monotonic()
    try:
        for row in measure(Bench(own, directory, quick=given.quick, full=given.full)):
            figures = f"{row.ours} : {row.theirs} = {row.ratio}"
            print(f"  {row.verdict:8} {row.work} / {row.compared}: {figures}", file=sys.stderr)
            yield row
    except _FAILURES as error:
        # One contender that fails must not cost the figures of the others.
        print(f"  {name}.{measure.__name__} failed: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)
        yield Row(f"{name}.{measure.__name__}", *_EMPTY, f"failed: {type(error).__name__}")
    print(f"{name}.{measure.__name__} took {time.monotonic() - begin:.0f} s", file=sys.stderr)


def _table(rows: Iterable[Row]) -> Iterator[str]:
    """Markdown, padded so that a terminal shows it as a table too."""
    lines = [_COLUMNS] + [
        (row.work, row.compared, row.goal, row.ours, row.theirs, row.ratio, row.verdict) for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    for number, line in enumerate(lines):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        if number == 0:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"


if __name__ == "__main__":
    sys.exit(main())
