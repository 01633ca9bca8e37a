"""Rows: webhooks from the outbox to a receiver that has them, against loops that store nothing and a task queue."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks import contenders, http_sink
from benchmarks.measure import (
    Bench,
    Row,
    Sample,
    absolute,
    at_least,
    at_most,
    cleanup,
    median,
    side_by_side,
    versus,
)
from engine.engine import Engine

_SLOW_S = 0.1
_HEADERS = {"Content-Type": "application/json"}
_BODY = json.dumps({"type": "message", "subject": "nightly backup", "text": contenders.TEXT}).encode()
_PATIENCE_S = 120.0


def fast_sink(bench: Bench) -> Iterator[Row]:
    """A receiver that answers at once; eight seats."""
    count = bench.scaled(2_000, 0.25)
    with cleanup() as later, http_sink.running() as url:
        engine = contenders.open_engine(bench.fresh("ours"), url=url, senders=8)
        later(engine.close)
        engine.start("bench")
        huey, _put = contenders.open_huey(bench.fresh("huey"))
        later(huey.storage.close)
        found = side_by_side(
            {
                "ours": partial(delivered, engine, count),
                "loop": partial(bare_loop, url, 8, count),
                "huey": HueyPosts(huey, url, 8, count).run,
            },
            bench.rounds,
        )
    work = "webhooks end to end to a local sink, 8 seats"
    compared = "a bare loop of 8 requests.Session threads"
    yield versus(work, compared, at_least(0.8), found["ours"], found["loop"], "rate")
    compared = "a huey consumer with 8 workers, a Session each"
    yield versus(work, compared, at_least(2.0), found["ours"], found["huey"], "rate", stretch=at_least(3.0))
    yield versus(work, f"{compared}: CPU per message", at_most(0.35), found["ours"], found["huey"], "cpu_us")


def slow_sink(bench: Bench) -> Iterator[Row]:
    """A receiver that takes 100 ms for each."""
    with http_sink.running(_SLOW_S) as url:
        work = "webhooks to a sink that takes 100 ms, 128 seats"
        found = _against_loop(bench, url, 128, bench.scaled(128 * 16, 0.25))
        yield versus(work, "bare requests, 128 threads", at_least(0.9), found["ours"], found["loop"], "rate")
        yield _of_ideal(work, 128, 0.85, found["ours"])
        work = "webhooks to a sink that takes 100 ms, 32 seats"
        found = _against_loop(bench, url, 32, bench.scaled(32 * 16, 0.25))
        yield _of_ideal(work, 32, 0.95, found["ours"])


def _against_loop(bench: Bench, url: str, seats: int, count: int) -> dict[str, list[Sample]]:
    engine = contenders.open_engine(bench.fresh(f"ours-{seats}"), url=url, senders=seats)
    try:
        engine.start("bench")
        contestants = {"ours": partial(delivered, engine, count), "loop": partial(bare_loop, url, seats, count)}
        return side_by_side(contestants, bench.rounds)
    finally:
        engine.close()


def _of_ideal(work: str, seats: int, share: float, ours: list[Sample]) -> Row:
    rate = median(ours, "rate")
    ideal = seats / _SLOW_S
    return absolute(work, f"{ideal:.0f}/s, what {seats} seats can do", at_least(share), rate / ideal, f"{rate:.0f}/s")


def delivered(engine: Engine, count: int) -> Sample:
    """Let `count` messages wait behind a hold, lift it, and time until the last one is recorded as delivered."""
    engine.pause("all", for_ms=3_600_000)
    for _ in range(0, count, 500):
        engine.enqueue_many([contenders.message() for _ in range(min(500, count))])
    before = engine.counts()["delivered"]
    waiting = engine.counts()["queued"]
    begin, cpu = time.perf_counter(), time.process_time()
    engine.resume("all")
    while engine.counts()["delivered"] < before + waiting:
        time.sleep(0.005)
        assert time.perf_counter() < begin + _PATIENCE_S, engine.counts()
    took_s = time.perf_counter() - begin
    return {"rate": waiting / took_s, "cpu_us": (time.process_time() - cpu) / waiting * 1e6}


def bare_loop(url: str, threads: int, count: int) -> Sample:
    """Threads that POST what a counter hands out, over a requests.Session each; nothing is stored."""
    import requests

    numbers = iter(range(count))

    def post() -> None:
        with requests.Session() as session:
            for _ in numbers:
                session.post(url, data=_BODY, headers=_HEADERS, timeout=10).raise_for_status()

    workers = [threading.Thread(target=post) for _ in range(threads)]
    return _timed(workers, partial(_join, workers), count)


class HueyPosts:
    """A huey consumer whose task does the same POST."""

    def __init__(self, huey: Any, url: str, workers: int, count: int) -> None:
        self._huey = huey
        self._url = url
        self._workers = workers
        self._count = count
        self._own = threading.local()
        self._left = 0
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._put = self._huey.task()(self.post)

    def post(self, text: str) -> None:
        import requests

        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
        body = json.dumps({"type": "message", "subject": "nightly backup", "text": text}).encode()
        self._own.session.post(self._url, data=body, headers=_HEADERS, timeout=10).raise_for_status()
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._done.set()

    def run(self) -> Sample:
        self._left = self._count
        self._done.clear()
        for _ in range(self._count):
            self._put(contenders.TEXT)
        consumer = self._huey.create_consumer(workers=self._workers, periodic=False, initial_delay=0.01, max_delay=0.01)
        threads = [thread for _worker, thread in consumer.worker_threads]
        sample = _timed(threads, lambda: self._done.wait(_PATIENCE_S), self._count)
        consumer.stop_flag.set()
        _join(threads)
        return sample


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


def _timed(threads: list[threading.Thread], wait: Callable[[], object], count: int) -> Sample:
    begin, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    wait()
    return {
        "rate": count / (time.perf_counter() - begin),
        "cpu_us": (time.process_time() - cpu) / count * 1e6,
    }
