"""Rows: taking messages in, by one, by threads, by processes, by the thousand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks import contenders
from benchmarks.measure import (
    Bench,
    Row,
    Sample,
    absolute,
    at_least,
    at_most,
    by_threads,
    cleanup,
    figure,
    median,
    side_by_side,
    skipped,
    summary,
    timed_calls,
    versus,
)

_BATCH = 1_000
_START_AHEAD_S = 1.0
_FOLD_EVERY_S = 0.5
_SLOW_SYNC_US = 2_000


def one_by_one(bench: Bench) -> Iterator[Row]:
    """One producer: each message is on the disk, with its audit entry, before the next begins."""
    work = "enqueue, one by one, 1 KiB, durable, with its audit entry"
    with cleanup() as later:
        engine = contenders.open_owner(bench.fresh("ours"))
        later(engine.close)
        huey, put = contenders.open_huey(bench.fresh("huey"))
        later(huey.storage.close)
        raw = contenders.open_raw(bench.fresh("raw"))
        later(raw.close)

        def put_ours() -> None:
            engine.enqueue(contenders.message())

        def insert() -> None:
            raw.execute("INSERT INTO messages (created_ms, text) VALUES (?, ?)", contenders.raw_row())

        seconds = bench.round_s
        found = side_by_side(
            {
                "ours": lambda: timed_calls(put_ours, seconds),
                "huey": lambda: timed_calls(lambda: put(contenders.TEXT), seconds),
                "raw": lambda: timed_calls(insert, seconds),
            },
            bench.rounds,
        )
    yield versus(work, "huey's SqliteHuey without one, rate", at_least(1.0), found["ours"], found["huey"], "rate")
    yield versus(work, "raw sqlite3 INSERT with FULL, median", at_most(1.4), found["ours"], found["raw"], "p50_us")
    yield versus(work, "raw sqlite3 INSERT with FULL, rate", at_least(0.75), found["ours"], found["raw"], "rate")


def threads_8(bench: Bench) -> Iterator[Row]:
    """Eight producers in one process."""
    work = "enqueue by 8 threads"
    found = _byby_threads(bench, 8)
    yield versus(work, "huey, rate", at_least(5.0), found["ours"], found["huey"], "rate")
    yield versus(work, "huey, p99", at_most(0.25), found["ours"], found["huey"], "p99_ms")
    yield versus(work, "persist-queue, rate", at_least(2.0), found["ours"], found["persist-queue"], "rate")


def threads_32(bench: Bench) -> Iterator[Row]:
    """Thirty-two producers in one process."""
    work = "enqueue by 32 threads"
    found = _byby_threads(bench, 32)
    best = max(("huey", "persist-queue"), key=lambda name: median(found[name], "rate"))
    yield versus(work, f"the best durable peer ({best}), rate", at_least(4.0), found["ours"], found[best], "rate")
    slowest = max(sample["max_ms"] for sample in found["ours"])
    yield absolute(work, "slowest wait", at_most(100, "ms"), slowest, figure(slowest, "max_ms"))
    fairness = median(found["ours"], "fairness")
    yield absolute(work, "fairness: slowest thread / fastest", at_least(0.9, ""), fairness, figure(fairness, "share"))


def _byby_threads(bench: Bench, count: int) -> dict[str, list[Sample]]:
    with cleanup() as later:
        engine = contenders.open_owner(bench.fresh("ours"))
        later(engine.close)
        huey, put = contenders.open_huey(bench.fresh("huey"))
        later(huey.storage.close)
        queue = contenders.open_persist_queue(bench.fresh("persist-queue"))
        later(queue.close)
        seconds = bench.round_s
        return side_by_side(
            {
                "ours": lambda: by_threads(lambda: engine.enqueue(contenders.message()), count, seconds),
                "huey": lambda: by_threads(lambda: put(contenders.TEXT), count, seconds),
                "persist-queue": lambda: by_threads(lambda: queue.put(contenders.TEXT), count, seconds),
            },
            bench.rounds,
        )


def slow_sync(bench: Bench) -> Iterator[Row]:
    """Eight producers where a sync takes 2 ms longer, as on a disk that has to reach its platter or its flash."""
    goal, work = at_least(5.0), f"enqueue by 8 threads, every sync {_SLOW_SYNC_US / 1000:g} ms slower"
    if shutil.which("strace") is None:
        yield skipped(work, "huey, rate", goal, "strace is not installed")
        return
    found = side_by_side(
        {name: partial(_slowed, name, bench.fresh(name), 8, bench.round_s) for name in ("ours", "huey")}, bench.rounds
    )
    yield versus(work, "huey, rate", goal, found["ours"], found["huey"], "rate")
    yield versus(work, "huey, p99", at_most(0.25), found["ours"], found["huey"], "p99_ms")


def _slowed(contender: str, home: Path, count: int, seconds: float) -> Sample:
    """A producing process under strace, which stops it at syncs only and delays each."""
    inject = f"inject=fsync,fdatasync:delay_exit={_SLOW_SYNC_US}"
    strace = ["strace", "-f", "--seccomp-bpf", "-o", os.devnull, "-e", "trace=fsync,fdatasync", "-e", inject]
    producer = [sys.executable, "-m", "benchmarks.producer", contender, str(home), "0", str(seconds), str(count)]
    report = json.loads(subprocess.run([*strace, *producer], stdout=subprocess.PIPE, check=True).stdout)
    return summary(report["times_s"], seconds)


def processes_4(bench: Bench) -> Iterator[Row]:
    """Four programs on one data directory."""
    work = "enqueue by 4 processes"
    found = _by_processes(bench, 4)
    yield versus(work, "huey, rate", at_least(1.5), found["ours"], found["huey"], "rate")
    fairness = median(found["ours"], "fairness")
    theirs = figure(median(found["huey"], "fairness"), "share")
    compared = "slowest process / fastest (huey's beside it)"
    yield replace(absolute(work, compared, at_least(0.5, ""), fairness, figure(fairness, "")), theirs=theirs)


def processes_8(bench: Bench) -> Iterator[Row]:
    """Eight programs on one data directory."""
    work = "enqueue by 8 processes"
    found = _by_processes(bench, 8)
    busy = sum(sample["busy"] for sample in found["ours"])
    yield absolute(work, "answers 'busy'", at_most(0, ""), busy, f"{busy:.0f}")
    fairness = median(found["ours"], "fairness")
    yield absolute(work, "slowest process / fastest", at_least(0.5, ""), fairness, figure(fairness, ""))
    yield versus(work, "huey, longest wait", at_most(0.25), found["ours"], found["huey"], "max_ms")


def _by_processes(bench: Bench, count: int) -> dict[str, list[Sample]]:
    homes = {name: bench.fresh(name) for name in ("ours", "huey")}
    # A process that owns nothing leaves the log alone; somebody has to fold it in, as the running engine would.
    owner = contenders.open_owner(homes["ours"])
    fold = owner.context.database.checkpoint
    try:
        return side_by_side(
            {
                "ours": lambda: _processes("ours", homes["ours"], count, bench.round_s, fold),
                "huey": lambda: _processes("huey", homes["huey"], count, bench.round_s),
            },
            bench.rounds,
        )
    finally:
        owner.close()


def _processes(
    contender: str, home: Path, count: int, seconds: float, meanwhile: Callable[[], None] | None = None
) -> Sample:
    start_at = time.time() + _START_AHEAD_S + 0.1 * count
    command = [sys.executable, "-m", "benchmarks.producer", contender, str(home), repr(start_at), str(seconds)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(count)]
    while meanwhile is not None and time.time() < start_at + seconds:
        time.sleep(_FOLD_EVERY_S)
        meanwhile()
    reports = [json.loads(worker.communicate()[0]) for worker in workers]
    counts = [len(report["times_s"]) for report in reports]
    return {
        **summary([one for report in reports for one in report["times_s"]], seconds),
        "fairness": min(counts) / max(counts),
        "busy": sum(report["busy"] for report in reports),
    }


def batch(bench: Bench) -> Iterator[Row]:
    """A thousand in one call, all or none."""
    from sqlite_utils import Database

    work = "enqueue 1 000 in one call"
    with cleanup() as later:
        engine = contenders.open_owner(bench.fresh("ours"))
        later(engine.close)
        raw = contenders.open_raw(bench.fresh("raw"))
        later(raw.close)
        utils = Database(contenders.open_raw(bench.fresh("sqlite-utils")))
        later(utils.conn.close)

        def many() -> None:
            raw.execute("BEGIN IMMEDIATE")
            rows = [contenders.raw_row() for _ in range(_BATCH)]
            raw.executemany("INSERT INTO messages (created_ms, text) VALUES (?, ?)", rows)
            raw.execute("COMMIT")

        def insert_all() -> None:
            rows = ({"created_ms": at, "text": text} for at, text in (contenders.raw_row() for _ in range(_BATCH)))
            utils.table("messages").insert_all(rows, batch_size=_BATCH)

        def ours() -> None:
            engine.enqueue_many([contenders.message() for _ in range(_BATCH)])

        seconds = bench.round_s
        found = side_by_side(
            {
                "ours": lambda: timed_calls(ours, seconds),
                "raw": lambda: timed_calls(many, seconds),
                "utils": lambda: timed_calls(insert_all, seconds),
            },
            bench.rounds,
        )
    yield versus(work, "executemany of raw sqlite3", at_least(0.5), found["ours"], found["raw"], "rate")
    yield versus(work, "sqlite-utils insert_all", at_least(1.4), found["ours"], found["utils"], "rate")
