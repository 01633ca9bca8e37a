"""Rows: whole programs. The command from a cron job, the engine's start, the engine at rest."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import contenders, http_sink
from benchmarks.measure import (
    Bench,
    Row,
    Sample,
    absolute,
    at_most,
    figure,
    side_by_side,
    skipped,
    versus,
)

_WAITING = 100_000
_SETTLED_S = 2.1
"""A configuration changed less than 2 s ago is read anew at each start, later ones from its cache."""
_READY = "chronos engine ready"


def send(bench: Bench) -> Iterator[Row]:
    """`chronos send` from a shell: start, store durably, end."""
    work = "`chronos send`, whole process"
    program = _program("chronos", "chronos_tui.commands")
    if program is None:
        yield skipped(work, "python -c pass", at_most(5.0), "the command is not installed")
        return
    home = bench.fresh("ours")
    contenders.open_engine(home).close()
    broker = bench.fresh("broker")
    env = _environment(home)
    runs = bench.scaled(15)
    time.sleep(_SETTLED_S)
    ours = [*program, "--data-dir", str(home), "send", contenders.TARGET, "--subject", "s", "--text", contenders.TEXT]
    theirs = [str(Path(sys.executable).with_name("broker")), "-d", str(broker), "write", "queue", contenders.TEXT]
    found = side_by_side(
        {
            "ours": lambda: _runs(ours, env, runs),
            "python": lambda: _runs([sys.executable, "-c", "pass"], env, runs),
            "broker": lambda: _runs(theirs, env, runs),
        },
        bench.rounds,
    )
    yield versus(work, "python -c pass", at_most(5.0), found["ours"], found["python"], "run_ms", stretch=at_most(3.0))
    yield versus(work, "simplebroker's `broker write`", at_most(0.5), found["ours"], found["broker"], "run_ms")


def _runs(command: list[str], env: dict[str, str], count: int) -> Sample:
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begin)
    return {"run_ms": sorted(times)[len(times) // 2] * 1e3}


def ready(bench: Bench) -> Iterator[Row]:
    """From the start of the process to the line that says that messages are taken, after a SIGKILL in full flight."""
    waiting = bench.scaled(_WAITING, 0.1)
    work = f"engine ready after SIGKILL with {waiting:,} waiting".replace(",", " ")
    program = _program("chronos-tui", "chronos_tui")
    if program is None:
        yield skipped(work, "an empty start", at_most(1.5), "chronos-tui is not installed")
        return
    with http_sink.running(delay_s=0.1) as url:
        full, empty = bench.fresh("full"), bench.fresh("empty")
        contenders.open_engine(empty, url=url).close()
        engine = contenders.open_engine(full, url=url)
        for _ in range(0, waiting, 1_000):
            engine.enqueue_many([contenders.message() for _ in range(1_000)])
        engine.close()
        found = side_by_side(
            {"full": partial(_killed_start, program, full), "empty": partial(_killed_start, program, empty)},
            bench.rounds,
        )
    yield versus(work, "an empty start", at_most(1.5), found["full"], found["empty"], "ready_ms")


def _killed_start(program: list[str], home: Path) -> Sample:
    begin = time.perf_counter()
    with _engine_only(program, home) as process:
        ready_ms = (time.perf_counter() - begin) * 1e3
        time.sleep(0.5)  # messages are on the wire when it is killed
        process.kill()
    return {"ready_ms": ready_ms}


@contextmanager
def _engine_only(program: list[str], home: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the engine alone until it says that it is ready; end it at the end."""
    command = [*program, "--engine-only", "--data-dir", str(home)]
    with subprocess.Popen(command, env=_environment(home), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if _READY in line:
                    break
            else:
                raise RuntimeError(f"{command}: ended before it was ready")
            yield process
        finally:
            process.terminate()
            process.stderr.close()


def idle(bench: Bench) -> Iterator[Row]:
    """The engine with nothing to do."""
    import psutil

    memory, share = "idle engine: resident memory", "idle engine: share of a core"
    most_mb, most_percent = at_most(60, "MB"), at_most(0.5, "%")
    program = _program("chronos-tui", "chronos_tui")
    if program is None:
        for work, goal in ((memory, most_mb), (share, most_percent)):
            yield skipped(work, "by itself", goal, "chronos-tui is not installed")
        return
    home = bench.fresh("ours")
    contenders.open_engine(home).close()
    seconds = 3.0 if bench.quick else 10.0
    with _engine_only(program, home) as process:
        time.sleep(2.0)
        watched = psutil.Process(process.pid)
        before = watched.cpu_times()
        time.sleep(seconds)
        after = watched.cpu_times()
        resident_mb = watched.memory_info().rss / 1e6
    used = (after.user + after.system - before.user - before.system) / seconds * 100
    yield absolute(memory, "by itself", most_mb, resident_mb, figure(resident_mb, "resident_mb"))
    yield absolute(share, "by itself", most_percent, used, f"{used:.2f} %")


def _program(script: str, module: str) -> list[str] | None:
    """The installed script, or the module where the checkout is not installed."""
    installed = Path(sys.executable).with_name(script)
    if installed.exists():
        return [str(installed)]
    if importlib.util.find_spec(f"{module}.__main__") is not None:
        return [sys.executable, "-m", module]
    return None


def _environment(home: Path) -> dict[str, str]:
    """What a cron job has, and a home of its own."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "CHRONOS_HTTP_LISTEN": "127.0.0.1:0",
    }
