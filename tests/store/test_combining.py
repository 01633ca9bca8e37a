"""Writes that share a commit: what the others learn when the thread that leads is interrupted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from engine.errors import TryAgain
from engine.store.combining import Combiner, Request
from tests.support import PATIENCE_S


class _Interrupted:
    """Holds the first batch until three more wait, and is interrupted in the second."""

    def __init__(self) -> None:
        self.combiner: Combiner[str] = Combiner(self.run)
        self.inside, self.go_on = threading.Event(), threading.Event()
        self.batches: list[int] = []

    def run(self, batch: list[Request[str]]) -> None:
        self.batches.append(len(batch))
        if len(self.batches) == 1:
            self.inside.set()
            assert self.go_on.wait(PATIENCE_S)
        if len(self.batches) == 2:
            raise KeyboardInterrupt
        for request in batch:
            request.settle("stored")

    def submit(self, work: str) -> str:
        try:
            return str(self.combiner.submit(work))
        except KeyboardInterrupt:
            return "interrupted"
        except TryAgain:
            return "try again"


def test_an_interrupted_leader_makes_nobody_believe_that_something_was_stored() -> None:
    door = _Interrupted()
    glance = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(door.submit, "first")
        assert door.inside.wait(PATIENCE_S)
        others = [pool.submit(door.submit, f"other {n}") for n in range(3)]
        while len(door.combiner._waiting) < 3:
            glance.wait(0.001)
        door.go_on.set()
        said = sorted(other.result(PATIENCE_S) for other in others)

    assert first.result() == "stored"
    assert said == ["interrupted", "try again", "try again"]
    assert door.submit("later") == "stored"
    assert door.batches == [1, 3, 1]
