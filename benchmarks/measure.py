"""How a row is measured: rounds side by side, medians of paired ratios, one verdict. Knows no contender."""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

Sample = Mapping[str, float]
"""What one round of one contender gave: metric → value. `rate` is per second; a time's name ends in its unit."""

TIMES = "\N{MULTIPLICATION SIGN}"
_NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Goal:
    """`ratio` or value that is asked for: at_least says on which side of `limit` it must lie."""

    limit: float
    at_least: bool
    unit: str = TIMES

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        blank = "" if self.unit == TIMES else " "
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}{blank}{self.unit}"


def at_least(limit: float, unit: str = TIMES) -> Goal:
    return Goal(limit, at_least=True, unit=unit)


def at_most(limit: float, unit: str = TIMES) -> Goal:
    return Goal(limit, at_least=False, unit=unit)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    work: str
    compared: str
    goal: str
    ours: str
    theirs: str
    ratio: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Bench:
    """What a row is given: a directory of its own, one for what is costly to make, and how much time it may take.

    quick: fewer rounds and rows, for a look; its figures are rough. full: 10 M rows instead of 1 M.
    """

    directory: Path
    shared: Path
    quick: bool
    full: bool

    @property
    def rounds(self) -> int:
        return 3 if self.quick else 7

    @property
    def round_s(self) -> float:
        """How long a contender works in one round."""
        return 0.3 if self.quick else 1.0

    def scaled(self, number: int, quick_share: float = 0.2) -> int:
        return max(1, int(number * quick_share)) if self.quick else number

    def fresh(self, name: str) -> Path:
        directory = self.directory / name
        directory.mkdir(parents=True, mode=0o700)
        return directory


def side_by_side(contenders: Mapping[str, Callable[[], Sample]], rounds: int) -> dict[str, list[Sample]]:
    """Run every contender once to warm up, then `rounds` times in turn: A B C, C B A, A B C …"""
    found: dict[str, list[Sample]] = {name: [] for name in contenders}
    for run in contenders.values():
        run()
    for number in range(rounds):
        for name in list(contenders)[:: -1 if number % 2 else 1]:
            gc.collect()
            found[name].append(contenders[name]())
    return found


def median(samples: Sequence[Sample], metric: str) -> float:
    return statistics.median(sample[metric] for sample in samples)


def paired_ratio(ours: Sequence[Sample], theirs: Sequence[Sample], metric: str) -> float:
    """Median over the rounds of ours / theirs: what slows both in one round cancels out."""
    return statistics.median(a[metric] / b[metric] for a, b in zip(ours, theirs, strict=True))


def versus(
    work: str,
    compared: str,
    goal: Goal,
    ours: Sequence[Sample],
    theirs: Sequence[Sample],
    metric: str,
    stretch: Goal | None = None,
) -> Row:
    """A row that compares one metric of two contenders."""
    ratio = paired_ratio(ours, theirs, metric)
    shown = (figure(median(ours, metric), metric), figure(median(theirs, metric), metric))
    return Row(work, compared, _goals(goal, stretch), *shown, f"{ratio:.2f} {TIMES}", verdict(goal, ratio, stretch))


def absolute(work: str, compared: str, goal: Goal, value: float, shown: str) -> Row:
    """A row whose goal is a value of its own, not a ratio."""
    return Row(work, compared, str(goal), shown, _NOTHING, _NOTHING, verdict(goal, value))


def skipped(work: str, compared: str, goal: Goal, why: str) -> Row:
    """A row that could not be measured here."""
    return Row(work, compared, str(goal), _NOTHING, _NOTHING, _NOTHING, f"skipped: {why}")


def _goals(goal: Goal, stretch: Goal | None) -> str:
    return str(goal) if stretch is None else f"{goal} (stretch {stretch})"


def verdict(goal: Goal, value: float, stretch: Goal | None = None) -> str:
    if not goal.met(value):
        return "MISSED"
    return "met" if stretch is None or stretch.met(value) else "met, stretch missed"


def figure(value: float, metric: str) -> str:
    """A value in the unit that its metric's name ends with."""
    if metric == "rate":
        return f"{value:,.0f}/s".replace(",", " ")
    if metric.endswith("_us") and value >= 10_000:
        value, metric = value / 1_000, "_ms"
    for suffix, unit in (("_us", "µs"), ("_ms", "ms"), ("_s", "s"), ("_mb", "MB")):
        if metric.endswith(suffix):
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    return f"{value:.3g}"


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def timed_calls(call: Callable[[], object], seconds: float) -> dict[str, float]:
    """Call again and again for a while; rate, and the times of the single calls."""
    times: list[float] = []
    clock = time.perf_counter
    begin = last = clock()
    end = begin + seconds
    while last < end:
        call()
        now = clock()
        times.append(now - last)
        last = now
    return summary(times, clock() - begin)


def by_threads(call: Callable[[], object], count: int, seconds: float) -> dict[str, float]:
    """What `timed_calls` does, on `count` threads at once. fairness: calls of the slowest thread / of the fastest."""
    times, took_s = call_by_threads(call, count, seconds)
    counts = [len(own) for own in times]
    return {**summary([one for own in times for one in own], took_s), "fairness": min(counts) / max(counts)}


def call_by_threads(call: Callable[[], object], count: int, seconds: float) -> tuple[list[list[float]], float]:
    """Call for a while on `count` threads that begin together; return each one's times, and how long all took, in s."""
    times: list[list[float]] = [[] for _ in range(count)]
    together = threading.Barrier(count + 1)

    def work(own: list[float]) -> None:
        clock = time.perf_counter
        together.wait()
        last = clock()
        end = last + seconds
        while last < end:
            call()
            now = clock()
            own.append(now - last)
            last = now

    workers = [threading.Thread(target=work, args=(own,)) for own in times]
    for worker in workers:
        worker.start()
    together.wait()
    begin = time.perf_counter()
    for worker in workers:
        worker.join()
    return times, time.perf_counter() - begin


def summary(times_s: Sequence[float], took_s: float) -> dict[str, float]:
    """Rate and latencies of calls that took `times_s` within `took_s`."""
    return {
        "rate": len(times_s) / took_s,
        "p50_us": statistics.median(times_s) * 1e6,
        "p99_ms": percentile(times_s, 0.99) * 1e3,
        "max_ms": max(times_s) * 1e3,
    }


def per_call(call: Callable[[], object], count: int) -> Sample:
    """The median time of `count` calls."""
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return {"p50_us": statistics.median(times) * 1e6}


@contextmanager
def cleanup() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Give a function that takes what must be closed at the end of a row, last one first."""
    with ExitStack() as stack:
        yield lambda close: _push(stack, close)


def _push(stack: ExitStack, close: Callable[[], object]) -> None:
    stack.callback(close)
