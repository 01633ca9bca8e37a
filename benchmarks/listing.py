"""Rows: pages of the list and the filter, over a short and a very long outbox."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from benchmarks import filling
from benchmarks.measure import Bench, Row, at_least, at_most, cleanup, per_call, side_by_side, versus

_PAGE = 50
_EXPRESSIONS = ("", "state:dead", "target:flow age>1h", "tag:nightly -state:delivered", "error:busy attempts>=1")


def pages(bench: Bench) -> Iterator[Row]:
    """A page of 50 by each kind of filter, and one from the middle."""
    rows = filling.long_size(bench)
    with cleanup() as later:
        small = filling.filled(bench.shared, filling.SMALL)
        later(small.close)
        large = filling.filled(bench.shared, rows)
        later(large.close)
        count = bench.scaled(40)
        cases = [(expression or "everything", expression, None) for expression in _EXPRESSIONS]
        for name, expression, cursor in [*cases, ("everything, from the middle", "", 2)]:
            starts = [None if cursor is None else size // cursor for size in (rows, filling.SMALL)]
            found = side_by_side(
                {
                    "large": partial(per_call, partial(large.page, expression, limit=_PAGE, cursor=starts[0]), count),
                    "small": partial(per_call, partial(small.page, expression, limit=_PAGE, cursor=starts[1]), count),
                },
                bench.rounds,
            )
            work = f"list page, {filling.spaced(rows)} rows: {name}"
            yield versus(work, "the same with 10 000 rows", at_most(3.0), found["large"], found["small"], "p50_us")


def free_text(bench: Bench) -> Iterator[Row]:
    """A rare word in subject or text."""
    rows = filling.long_size(bench)
    engine = filling.filled(bench.shared, rows)
    connection = sqlite3.connect(engine.paths.database, isolation_level=None)
    sql = (
        "SELECT m.id FROM messages AS m JOIN bodies AS b ON b.message_id = m.id "
        "WHERE m.subject LIKE ? OR b.text LIKE ? ORDER BY m.id DESC LIMIT ?"
    )
    like = f"%{filling.RARE}%"
    try:
        found = side_by_side(
            {
                "scan": lambda: per_call(lambda: connection.execute(sql, (like, like, _PAGE)).fetchall(), 1),
                "ours": lambda: per_call(lambda: engine.page(filling.RARE, limit=_PAGE), 20),
            },
            bench.rounds,
        )
    finally:
        connection.close()
        engine.close()
    work = f"free text in the filter over {filling.spaced(rows)} messages"
    compared = "LIKE scan, time (ratio: how much faster)"
    row = versus(work, compared, at_least(100), found["scan"], found["ours"], "p50_us")
    yield replace(row, ours=row.theirs, theirs=row.ours)
