"""Rows: proving the audit log, and counting what a message costs the disk."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import contenders
from benchmarks.measure import Bench, Row, Sample, absolute, at_least, at_most, cleanup, side_by_side, skipped, versus
from engine.engine import Engine
from engine.operations import rotating
from engine.operations.vault import Provider

_SLICE = 2_000
_PUTS = 100
_BEGIN, _MIDDLE, _END = "bench-begin", "bench-middle", "bench-end"


def verification(bench: Bench) -> Iterator[Row]:
    """The whole chain from the first entry to the head, with a signed checkpoint every thousand entries."""
    entries = bench.scaled(50_000)
    with cleanup() as later:
        engine = contenders.open_engine(bench.fresh("ours"))
        later(engine.close)
        rotating.create(engine.context, Provider.FILE)
        for _ in range(0, entries, 1_000):
            engine.enqueue_many([contenders.message() for _ in range(1_000)])
            engine.audit_checkpoint()
        connection = sqlite3.connect(engine.paths.database, isolation_level=None)
        later(connection.close)
        (count,) = connection.execute("SELECT count(*) FROM audit").fetchone()
        found = side_by_side(
            {
                "ours": partial(_verified, engine),
                "loop": partial(_bare_loop, connection, count),
            },
            bench.rounds,
        )
    work = "audit verification"
    compared = "hashlib over stored bytes, fetched in slices"
    yield versus(work, f"{compared}: rate", at_least(0.3), found["ours"], found["loop"], "rate")
    yield versus(work, f"{compared}: time", at_most(1.3), found["ours"], found["loop"], "entry_us")


def _verified(engine: Engine) -> Sample:
    begin = time.perf_counter()
    result = engine.audit_verify()
    assert result.ok, result
    assert result.confirmed, result
    return _per_entry(result.entries, begin)


def _bare_loop(connection: sqlite3.Connection, count: int) -> Sample:
    """Fetch in slices, hash, compare: what nobody can leave out."""
    begin = time.perf_counter()
    sha256, after, seen = hashlib.sha256, 0, 0
    while rows := connection.execute(
        "SELECT seq, body, hash FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", (after, _SLICE)
    ).fetchall():
        for _seq, body, digest in rows:
            assert sha256(body.encode()).hexdigest() == digest
        after = rows[-1][0]
        seen += len(rows)
    assert seen == count
    return _per_entry(seen, begin)


def _per_entry(count: int, begin: float) -> Sample:
    took_s = time.perf_counter() - begin
    return {"rate": count / took_s, "entry_us": took_s / count * 1e6}


def syncs(bench: Bench) -> Iterator[Row]:
    """Counted, not timed: fsync and fdatasync between marks in a trace of a child's system calls."""
    goal = at_most(1.0, "")
    singly, at_once = f"syncs per durable put, {_PUTS} puts one by one", f"syncs of {_PUTS} messages in one call"
    if shutil.which("strace") is None:
        for work in (singly, at_once):
            yield skipped(work, "counted by strace", goal, "strace is not installed")
        return
    trace = bench.directory / "trace"
    command = ["strace", "-f", "-o", str(trace), "-e", "trace=fsync,fdatasync,getxattr", sys.executable]
    subprocess.run([*command, "-m", "benchmarks.truth", str(bench.fresh("ours"))], check=True)
    text = trace.read_text(encoding="utf-8", errors="replace")
    alone, together = (text.partition(mark)[2].partition(end)[0] for mark, end in ((_BEGIN, _MIDDLE), (_MIDDLE, _END)))
    for work, part, share in ((singly, alone, _PUTS), (at_once, together, 1)):
        count = len(re.findall(r"\b(?:fsync|fdatasync)\(", part)) / share
        yield absolute(work, "counted by strace", goal, count, f"{count:g}")


def _traced(directory: Path) -> None:
    """The child: puts one by one, then as many at once; a harmless system call marks where each part begins."""
    engine = contenders.open_engine(directory)
    engine.enqueue(contenders.message())
    _mark(_BEGIN)
    for _ in range(_PUTS):
        engine.enqueue(contenders.message())
    _mark(_MIDDLE)
    engine.enqueue_many([contenders.message() for _ in range(_PUTS)])
    _mark(_END)
    engine.close()


def _mark(name: str) -> None:
    try:
        os.getxattr("/", f"user.{name}")
    except OSError:
        return  # there is no such attribute; the trace has its name


if __name__ == "__main__":
    _traced(Path(sys.argv[1]))
