"""Rows: claiming what is due and recording how it ended, as the dispatcher does it, without a network between."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks import contenders, filling
from benchmarks.measure import (
    Bench,
    Row,
    Sample,
    absolute,
    at_least,
    at_most,
    cleanup,
    figure,
    median,
    side_by_side,
    versus,
)
from engine.engine import Engine
from engine.model import DELIVERED, Outcome
from engine.operations import delivering
from engine.operations.delivering import Claimed, Finish, Plan
from engine.store import leader
from engine.store.tx import Tx

_FILL = 1_000


class Claimer:
    """The database half of the dispatcher: plan, then finish the last ones and claim the next in one commit."""

    def __init__(self, engine: Engine, most: int) -> None:
        self.context = engine.context
        self._most = most
        self._claimed: list[Claimed] = []
        now_ms = self.context.clock.now_ms()
        self._epoch = self.context.database.write(
            lambda tx: leader.take_over(tx, pid=1, host="bench", mode="bench", version="0", now_ms=now_ms)
        )

    def plan(self) -> Plan:
        seats = self._most
        return self.context.database.read(
            lambda tx: delivering.plan(tx, self.context, seats=lambda _lane: seats, most=seats)
        )

    def turn(self) -> int:
        """One round of the dispatcher; return how many were claimed, each loaded as a sender needs it."""
        return self._commit(self.plan())

    def drain(self) -> None:
        """Finish what the last turn claimed."""
        self._commit(Plan((), 0))

    def _commit(self, plan: Plan) -> int:
        outcome = Outcome(DELIVERED, "OK: ok", "200")
        finishes = [Finish(one.taken.id, one.taken.attempt_no, outcome) for one in self._claimed]

        def work(tx: Tx) -> list[Claimed]:
            delivering.finish(tx, self.context, self._epoch, finishes)
            return delivering.claim(tx, self.context, self._epoch, plan.candidates)

        self._claimed = self.context.database.write(work)
        for one in self._claimed:
            self.context.database.read(partial(delivering.load, context=self.context, claimed=one))
        return len(self._claimed)


def one_by_one(bench: Bench) -> Iterator[Row]:
    """One message at a time: finish and the next claim share a commit, as in the dispatcher."""
    work = "claim + finish, one by one"
    found = _against_queues(bench, most=1)
    compared = "huey's dequeue, which loses the task at a crash"
    yield versus(work, compared, at_least(1.0), found["ours"], found["huey"], "rate", stretch=at_least(1.5))
    compared = "persist-queue's AckQueue, get and ack"
    yield versus(work, compared, at_least(3.0), found["ours"], found["persist-queue"], "rate")


def grouped(bench: Bench) -> Iterator[Row]:
    """Thirty-two at a time, as a busy dispatcher does."""
    work = "claim + finish, grouped by 32"
    found = _against_queues(bench, most=32)
    yield versus(work, "huey's dequeue", at_least(8.0), found["ours"], found["huey"], "rate")


def _against_queues(bench: Bench, most: int) -> dict[str, list[Sample]]:
    with cleanup() as later:
        engine = contenders.open_owner(bench.fresh("ours"))
        later(engine.close)
        claimer = Claimer(engine, most)
        huey, put = contenders.open_huey(bench.fresh("huey"))
        later(huey.storage.close)
        queue = contenders.open_persist_queue(bench.fresh("persist-queue"))
        later(queue.close)
        count = bench.scaled(_FILL)

        def ours() -> Sample:
            engine.enqueue_many([contenders.message() for _ in range(count)])
            return _drained(claimer.turn, claimer.drain, count)

        def theirs() -> Sample:
            for _ in range(count):
                put(contenders.TEXT)
            return _drained(lambda: huey.dequeue() is not None, lambda: None, count)

        def acked() -> Sample:
            # Acknowledged rows stay, and each get walks over them, until they are cleared away.
            queue.clear_acked_data(max_delete=10 * count, keep_latest=0)
            for _ in range(count):
                queue.put(contenders.TEXT)
            return _drained(lambda: queue.ack(queue.get(block=False)) is not None, lambda: None, count)

        return side_by_side({"ours": ours, "huey": theirs, "persist-queue": acked}, bench.rounds)


def _drained(take: Callable[[], int], drain: Callable[[], None], count: int) -> Sample:
    begin = time.perf_counter()
    taken = 0
    while taken < count:
        got = take()
        assert got, "the queue holds what was put"
        taken += got
    drain()
    return {"rate": taken / (time.perf_counter() - begin)}


def long_queue(bench: Bench) -> Iterator[Row]:
    """The same claim over a short and a very long queue."""
    rows = filling.long_size(bench)
    with cleanup() as later:
        small = filling.filled(bench.shared, filling.SMALL)
        later(small.close)
        large = filling.filled(bench.shared, rows)
        later(large.close)
        claimers = {"large": Claimer(large, 1), "small": Claimer(small, 1)}
        count = bench.scaled(300)
        found = side_by_side({name: partial(_turns, one, count) for name, one in claimers.items()}, bench.rounds)
    work = f"claim + finish with {filling.spaced(rows)} rows"
    yield versus(work, "the same with 10 000 rows", at_most(1.5), found["large"], found["small"], "turn_us")
    due_ms = median(found["large"], "due_ms")
    yield absolute(work, "looking for what is due (plan)", at_most(0.1, "ms"), due_ms, figure(due_ms, "due_ms"))


def _turns(claimer: Claimer, count: int) -> Sample:
    turns, plans = [], []
    for _ in range(count):
        begin = time.perf_counter()
        claimer.plan()
        planned = time.perf_counter()
        claimer.turn()
        turns.append(time.perf_counter() - planned)
        plans.append(planned - begin)
    claimer.drain()
    return {"turn_us": statistics.median(turns) * 1e6, "due_ms": statistics.median(plans) * 1e3}
