"""Rows: a backup of a large database while a writer writes, and putting one back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure import (
    TIMES,
    Bench,
    Row,
    Sample,
    absolute,
    at_least,
    at_most,
    figure,
    median,
    paired_ratio,
    percentile,
    verdict,
    versus,
)

_ROUNDS, _QUICK_ROUNDS = 3, 1
_QUICK_SHARE = 0.1
_UNDISTURBED_S = 4.0
"""How long the writer writes alone before each backup."""
_LOOK_S = 0.02
_PEER = "sqlite3's backup() + SHA-256 + zipfile, deflate 6"


def creating(bench: Bench) -> Iterator[Row]:
    """The whole of it, from asking for a backup until it is listed, beside the script that everybody writes."""
    size = bench.scaled(1_000_000_000, _QUICK_SHARE)
    home = _filled(bench, size)
    found: dict[str, list[Sample]] = {"plain": [], "proven": [], "peer": []}
    for number in range(_QUICK_ROUNDS if bench.quick else _ROUNDS):
        for name in list(found)[:: -1 if number % 2 else 1]:
            found[name].append(_beside_a_writer(name, home))
    work = f"backup of {_spelt(size)} while a writer writes"
    for name, words, least in (("plain", "every sum read again", 4.0), ("proven", "restored on trial", 1.0)):
        row = versus(f"{work}, {words}", _PEER, at_least(least), found["peer"], found[name], "took_s")
        yield replace(row, ours=row.theirs, theirs=row.ours, compared=f"{row.compared} (ratio: how much faster)")
    yield from _disturbance(f"{work}, restored on trial", found["proven"])


def _disturbance(work: str, rounds: Sequence[Sample]) -> Iterator[Row]:
    during, alone = ([{"p99_ms": one[key]} for one in rounds] for key in ("during_p99_ms", "alone_p99_ms"))
    yield versus(f"{work}: the writer's p99", "without a backup", at_most(2.0), during, alone, "p99_ms")
    slowest_ms = max(one["during_max_ms"] for one in rounds)
    alone_ms = max(one["alone_max_ms"] for one in rounds)
    row = absolute(f"{work}: the writer's slowest wait", "without a backup", at_most(250, "ms"), slowest_ms, "")
    yield replace(row, ours=figure(slowest_ms, "_ms"), theirs=figure(alone_ms, "_ms"))
    above_mb = max(one["above_mb"] for one in rounds)
    compared = "the process that asks, before it does"
    yield absolute(f"{work}: memory", compared, at_most(64, "MB"), above_mb, f"+{figure(above_mb, '_mb')}")


def _beside_a_writer(name: str, home: Path) -> dict[str, float]:
    """Make one backup while messages are stored, and remove it; return what it took and what the writer felt."""
    with _child("write", home) as writer:
        time.sleep(_UNDISTURBED_S)
        with _child(name, home) as child, _Memory(child.pid) as memory:
            begin = time.perf_counter()
            took_s = _answer(child)["took_s"]
        end = time.perf_counter()
        calls = _answer(writer)
    shutil.rmtree(home / "backups", ignore_errors=True)
    during = [took for began, took in calls if begin <= began + took and began < end]
    alone = [took for began, took in calls if began + took < begin]
    return {
        "took_s": took_s,
        "during_p99_ms": percentile(during, 0.99) * 1e3,
        "during_max_ms": max(during) * 1e3,
        "alone_p99_ms": percentile(alone, 0.99) * 1e3,
        "alone_max_ms": max(alone) * 1e3,
        "above_mb": memory.above_mb,
    }


def restoring(bench: Bench) -> Iterator[Row]:
    """From asking until the old database is in place: judged, a safety backup made, what came since carried."""
    size = bench.scaled(500_000_000, _QUICK_SHARE)
    home = _filled(bench, size)
    ours, theirs = [], []
    for _ in range(_QUICK_ROUNDS if bench.quick else _ROUNDS):
        with _child("plain", home) as child:
            _answer(child)
        with _child("write", home) as writer:
            time.sleep(1.0)
            _answer(writer)
        theirs.append({"took_s": _copied(home / "chronos.db", bench.directory / "copy")})
        with _child("restore", home) as child:
            ours.append(_answer(child))
        shutil.rmtree(home / "backups")
    goal = at_most(60, "s")
    work, compared = f"restore of {_spelt(size)}", "copying and fsyncing the same bytes"
    took_s, yard_s = (figure(median(one, "took_s"), "took_s") for one in (ours, theirs))
    ratio = f"{paired_ratio(ours, theirs, 'took_s'):.1f} {TIMES}"
    yield Row(work, compared, str(goal), took_s, yard_s, ratio, verdict(goal, max(one["took_s"] for one in ours)))


def _filled(bench: Bench, size: int) -> Path:
    """Make a data directory of about `size` bytes. Not here: this process opens the file in ways that SQLite must not
    see in its own.
    """
    home = bench.fresh("ours")
    with _child("fill", home, str(size)) as child:
        _answer(child)
    return home


def _copied(path: Path, target: Path) -> float:
    """Copy a file that no process has open, wait for the disk, and return how long that took, in s."""
    begin = time.perf_counter()
    shutil.copyfile(path, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())
    took_s = time.perf_counter() - begin
    target.unlink()
    return took_s


def _spelt(size: int) -> str:
    return f"{size / 1e9:g} GB" if size >= 1_000_000_000 else f"{size / 1e6:g} MB"


@contextmanager
def _child(what: str, home: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process that waits for a line before it does anything; the block sends it."""
    command = [sys.executable, "-m", "benchmarks.archive_child", what, str(home), *more]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            if child.stdout.readline() != "ready\n":
                raise RuntimeError(f"{what}: its process ended before it was ready")
            yield child
        finally:
            child.terminate()


def _answer(child: subprocess.Popen[str]) -> Any:
    """Let it begin, or end; return what it says."""
    answer, _ = child.communicate("\n")
    if child.returncode:
        raise RuntimeError(f"{child.args!r}: its process ended with {child.returncode}")
    return json.loads(answer)


class _Memory:
    """What a process and those that it starts hold together, at most, above what it held at the beginning."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._before = self._peak = self._resident()
        self._thread = threading.Thread(target=self._watch)

    @property
    def above_mb(self) -> float:
        return (self._peak - self._before) / 1e6

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_S):
            self._peak = max(self._peak, self._resident())

    def _resident(self) -> int:
        """Resident memory, in bytes; pages that two of them share count twice."""
        total = 0
        with suppress(psutil.NoSuchProcess):
            for one in [self._process, *self._process.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    total += one.memory_info().rss
        return total

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
