"""Rows: the cockpit in a pseudo-terminal of 120x40, beside about the least that a Textual program can be."""

from __future__ import annotations

import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks import cockpit_data as data
from benchmarks import contenders, filling, http_sink
from benchmarks.cockpit_terminal import Watched, shows
from benchmarks.measure import (
    TIMES,
    Bench,
    Goal,
    Row,
    Sample,
    absolute,
    at_most,
    cleanup,
    figure,
    median,
    paired_ratio,
    percentile,
    side_by_side,
    verdict,
    versus,
)

_MINIMAL = "a minimal Textual program"
_LIST = shows("nightly backup", "? help", "q quit")
_PEER_LIST = shows("nightly backup", "q quit")
_SLOW_QUIET_S = 0.25
"""Longer than the engine is asked for news at most, so that nothing of an answer is missed."""

_AT_CURSOR = re.compile(r"▸[• ] *(\d+)")
_RATE = 100


def start(bench: Bench) -> Iterator[Row]:
    """From the start of the process until the list stands on the screen with head and foot."""
    home = data.held(bench.shared, data.FEW)
    found = side_by_side({"ours": partial(_start, home), "minimal": _start_minimal}, bench.rounds)
    work = "cockpit: start to first paint, 100 messages"
    yield versus(work, _MINIMAL, at_most(2), found["ours"], found["minimal"], "start_ms")
    took_ms = median(found["ours"], "start_ms")
    yield absolute(work, "by itself", at_most(700, "ms"), took_ms, figure(took_ms, "start_ms"))


def _start(home: Path) -> Sample:
    with _cockpit(home) as program:
        at_s = program.first(_LIST)
        return {"start_ms": (at_s - program.born_s) * 1e3, "resident_mb": program.resident_mb()}


def _start_minimal() -> Sample:
    with _minimal("list") as program:
        return {"start_ms": (program.first(_PEER_LIST) - program.born_s) * 1e3}


def idle(bench: Bench) -> Iterator[Row]:
    """Nothing changes but the time. A whole minute, because clock and ages move once in it."""
    seconds = 10.0 if bench.quick else 60.0
    with _minimal("list") as program:
        program.first(_PEER_LIST)
        theirs = _at_rest(program, seconds)
    with _cockpit(data.settled(bench.fresh("owner"))) as program:
        program.first(_LIST)
        yield from _idle_rows("delivering itself", _at_rest(program, seconds), theirs)
    home = data.settled(bench.fresh("attached"))
    with data.delivering(home), _cockpit(home) as program:
        program.first(_LIST)
        yield from _idle_rows("attached", _at_rest(program, seconds), theirs)


def _at_rest(program: Watched, seconds: float) -> Sample:
    program.watch(5.0)
    before_s, begin_s = program.cpu_s(), time.perf_counter()
    written = program.watch(seconds)
    took_s = time.perf_counter() - begin_s
    return {"bytes_s": written / took_s, "percent": (program.cpu_s() - before_s) / took_s * 100}


def _idle_rows(role: str, ours: Sample, theirs: Sample) -> Iterator[Row]:
    yield _beside(f"cockpit at rest, {role}: written", at_most(20, "B/s"), [ours], [theirs], "bytes_s")
    yield _beside(f"cockpit at rest, {role}: share of a core", at_most(0.5, "%"), [ours], [theirs], "percent")


def values(bench: Bench) -> Iterator[Row]:
    """What changes once a second is written, and no more."""
    home = data.held(bench.shared, data.SOME)
    seconds = 5 if bench.quick else 20
    goal = at_most(150, "B/s")
    with cleanup() as later:
        changes = data.Changes(home)
        later(changes.close)
        for work, panel, look, change, mode in (
            ("five live values a second", "overview", shows("q quit", "queued"), changes.five, "live"),
            ("one row of the list a second", "outbox", _LIST, changes.one, "cell"),
        ):
            with _minimal(mode) as program:
                program.first(shows("q quit"))
                theirs = _changing(program, seconds, _nothing)
            with _cockpit(home, panel) as program:
                program.first(look)
                change()  # what is counted for the first time is written with its word
                program.watch(3.0)
                ours = _changing(program, seconds, change)
            yield _beside(f"cockpit: {work}: written", goal, [ours], [theirs], "bytes_s")


def _changing(program: Watched, seconds: int, change: Callable[[], None]) -> Sample:
    begin_s = time.perf_counter()
    written = 0
    for second in range(1, seconds + 1):
        change()
        written += program.watch(begin_s + second - time.perf_counter())
    return {"bytes_s": written / seconds}


def keys(bench: Bench) -> Iterator[Row]:
    """One key, from typing it to the last byte of what it changes."""
    home = data.held(bench.shared, data.SOME)
    with cleanup() as later:
        ours, theirs = _cockpit(home), _minimal("list")
        later(ours.close)
        later(theirs.close)
        ours.first(_LIST)
        theirs.first(_PEER_LIST)
        for work, mine, other, bytes_goal, ms_goal in (
            ("cursor down", partial(_moves, ours, "j", "k", 20), partial(_moves, theirs, "down", "up", 20), 350, 15),
            (
                "half a page down",
                partial(_moves, ours, "ctrl+d", "ctrl+u", 4),
                partial(_moves, theirs, "pagedown", "pageup", 2),
                2_000,
                None,
            ),
            ("panel switch, warm", partial(_switches, ours, "321"), partial(_switches, theirs, "21"), 6_000, 60),
        ):
            found = side_by_side({"ours": mine, "minimal": other}, bench.rounds)
            pair = found["ours"], found["minimal"]
            yield _beside(f"cockpit: {work}: written", at_most(bytes_goal, "B"), *pair, "bytes")
            if ms_goal is not None:
                yield _beside(f"cockpit: {work}: key to last byte", at_most(ms_goal, "ms"), *pair, "last_ms")
        ours.press("2", quiet_s=_SLOW_QUIET_S)
        opened = [_opened(ours) for _ in range(bench.scaled(15))]
        took_ms = median(opened, "last_ms")
        goal = at_most(100, "ms")
        yield absolute("cockpit: open the details", "by itself", goal, took_ms, figure(took_ms, "last_ms"))


def _moves(program: Watched, there: str, back: str, count: int) -> Sample:
    """Move and come back; the middle one of the moves there."""
    pressed = [program.press(there) for _ in range(count)]
    program.press(*[back] * count)
    return _middle(pressed)


def _switches(program: Watched, panels: str) -> Sample:
    """Go through panels; the dearest of the switches."""
    pressed = [program.press(panel, quiet_s=_SLOW_QUIET_S) for panel in panels]
    return {metric: max(sample[metric] for sample in pressed) for metric in pressed[0]}


def _opened(program: Watched) -> Sample:
    opened = program.press("enter", quiet_s=_SLOW_QUIET_S)
    program.press("-", quiet_s=_SLOW_QUIET_S)
    return opened


def under_load(bench: Bench) -> Iterator[Row]:
    """The cursor, while this process delivers a hundred messages a second that another one queues."""
    presses = bench.scaled(200)
    with http_sink.running() as url:
        home = data.settled(bench.fresh("busy"), url)
        with _cockpit(home) as program:
            program.first(_LIST)
            with data.arriving(home, _RATE):
                program.watch(3.0)
                times_ms = _cursor_times(program, presses)
    work = f"cockpit: cursor key to paint while {_RATE} messages/s are delivered"
    middle_ms, slow_ms = statistics.median(times_ms), percentile(times_ms, 0.99)
    yield absolute(f"{work}: median", "by itself", at_most(15, "ms"), middle_ms, figure(middle_ms, "_ms"))
    yield absolute(f"{work}: p99", "by itself", at_most(50, "ms"), slow_ms, figure(slow_ms, "_ms"))


def _cursor_times(program: Watched, presses: int) -> list[float]:
    times_ms = []
    for number in range(presses):
        before = _cursor(program.lines())
        # Down and up in turn, so that the cursor stays where the list moves.
        typed_s = program.type("j" if number % 2 == 0 else "k")
        program.watch(0.1)
        came_s = program.came(lambda lines, before=before: _cursor(lines) not in (None, before))  # type: ignore[misc]
        times_ms.append(100.0 if came_s is None else (came_s - typed_s) * 1e3)
    return times_ms


def _cursor(lines: Sequence[str]) -> str | None:
    """Return the number of the message under the cursor."""
    for line in lines:
        if found := _AT_CURSOR.match(line):
            return found[1]
    return None


def long_outbox(bench: Bench) -> Iterator[Row]:
    """A very long outbox against one of a hundred messages."""
    rows = filling.long_size(bench)
    work = f"cockpit, {filling.spaced(rows)} messages"
    with cleanup() as later:
        small, large = data.held(bench.shared, data.FEW), data.held(bench.shared, rows)
        later(partial(data.let_go, bench.shared, rows))
        found = side_by_side({"large": partial(_start, large), "small": partial(_start, small)}, bench.rounds)
        yield _more(f"{work}: open", 100, "ms", found["large"], found["small"], "start_ms")
        program = _cockpit(large)
        later(program.close)
        program.first(_LIST)
        for step, limit_ms, run in (
            ("jump to the end", 100, partial(_there_and_back, program, ["G"], ["g"])),
            ("filter state:dead", 100, partial(_there_and_back, program, ["/", "state:dead", "enter"], ["esc"])),
            ("open the details of the last", 100, partial(_last_details, program)),
        ):
            ours = [run() for _ in range(bench.rounds)]
            took_ms = median(ours, "last_ms")
            goal = at_most(limit_ms, "ms")
            yield absolute(f"{work}: {step}", "by itself", goal, took_ms, figure(took_ms, "last_ms"))
        yield from _memory(work, small, program)


def _there_and_back(program: Watched, there: Sequence[str], back: Sequence[str]) -> Sample:
    for one in there[:-1]:
        program.press(one, quiet_s=_SLOW_QUIET_S)
    took = program.press(there[-1], quiet_s=_SLOW_QUIET_S)
    for one in back:
        program.press(one, quiet_s=_SLOW_QUIET_S)
    return took


def _last_details(program: Watched) -> Sample:
    program.press("G", quiet_s=_SLOW_QUIET_S)
    opened = _opened(program)
    program.press("g", quiet_s=_SLOW_QUIET_S)
    return opened


def _memory(work: str, small: Path, large: Watched) -> Iterator[Row]:
    """Memory after the same steps; `large` has done them already."""
    with _cockpit(small) as program:
        program.first(_LIST)
        _there_and_back(program, ["G"], ["g"])
        _there_and_back(program, ["/", "state:dead", "enter"], ["esc"])
        _last_details(program)
        theirs = [{"resident_mb": program.resident_mb()}]
    ours = [{"resident_mb": large.resident_mb()}]
    yield _more(f"{work}: memory", 10, "MB", ours, theirs, "resident_mb")
    total_mb = ours[0]["resident_mb"]
    yield absolute(f"{work}: memory in all", "by itself", at_most(120, "MB"), total_mb, figure(total_mb, "_mb"))


def seen(bench: Bench) -> Iterator[Row]:
    """From the commit of another process until its message stands on an attached cockpit's screen."""
    home = data.settled(bench.fresh("seen"))
    times_ms = []
    engine = contenders.open_engine(home)
    engine.pause("all", for_ms=3_600_000)
    with cleanup() as later, data.delivering(home), _cockpit(home) as program:
        later(engine.close)
        program.first(_LIST)
        for number in range(bench.scaled(20, 0.3)):
            # Not in step with the beat in which the cockpit looks for news.
            program.watch(1.5 + number % 7 * 0.03)
            subject = f"seen {number:03d}"
            engine.enqueue(contenders.message()._replace(subject=subject))
            commit_s = time.perf_counter()
            program.watch(1.5)
            came_s = program.came(shows(subject))
            times_ms.append(1_500.0 if came_s is None else (came_s - commit_s) * 1e3)
    work = "cockpit: another process's message seen, commit to paint"
    goal = at_most(250, "ms")
    for name, value in (("median", statistics.median(times_ms)), ("slowest", max(times_ms))):
        yield absolute(f"{work}: {name}", "by itself", goal, value, figure(value, "_ms"))


ROWS = (start, idle, values, keys, under_load, long_outbox, seen)


def _cockpit(home: Path, panel: str = "outbox") -> Watched:
    return Watched(data.open_on(home, panel), data.environment(home))


def _minimal(mode: str) -> Watched:
    command = [sys.executable, "-m", "benchmarks.cockpit_peer", mode]
    return Watched(command, data.environment(Path.home()))


def _nothing() -> None:
    """The peer changes what it shows by itself."""


def _middle(samples: Sequence[Sample]) -> Sample:
    return {metric: median(samples, metric) for metric in samples[0]}


def _beside(work: str, goal: Goal, ours: Sequence[Sample], theirs: Sequence[Sample], metric: str) -> Row:
    """A row whose goal is a value of its own, with the minimal program's figure and the ratio beside it."""
    value, other = median(ours, metric), median(theirs, metric)
    ratio = f"{paired_ratio(ours, theirs, metric):.2f} {TIMES}" if all(one[metric] for one in theirs) else "-"
    return Row(work, _MINIMAL, str(goal), _shown(value, metric), _shown(other, metric), ratio, verdict(goal, value))


def _more(work: str, limit: float, unit: str, ours: Sequence[Sample], theirs: Sequence[Sample], metric: str) -> Row:
    """A row that asks by how much ours may be above the same with 100 messages: the median of the differences."""
    goal = at_most(limit, unit)
    more = statistics.median(one[metric] - other[metric] for one, other in zip(ours, theirs, strict=True))
    shown = (figure(median(ours, metric), metric), figure(median(theirs, metric), metric))
    return Row(work, "the same with 100: difference", str(goal), *shown, f"{more:+.1f} {unit}", verdict(goal, more))


def _shown(value: float, metric: str) -> str:
    if metric == "percent":
        return f"{value:.2f} %"
    if metric.startswith("bytes"):
        return f"{value:,.0f} B{'/s' if metric == 'bytes_s' else ''}".replace(",", " ")
    return figure(value, metric)
