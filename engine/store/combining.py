"""Flat combining: threads that wait to write together share one commit. Knows nothing of SQL."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from engine.errors import TryAgain

W = TypeVar("W")

_SLOW_S = 0.001
_LONGEST_GATHER_S = 0.002
_GLANCE_S = 0.000_05


class Request(Generic[W]):
    """One unit of work of a waiting thread: `work` in, `result` or `error` out."""

    __slots__ = ("_signal", "done", "error", "lead", "result", "work")

    def __init__(self, work: W) -> None:
        self.work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = False
        self.lead = False
        self._signal = threading.Lock()
        self._signal.acquire()

    def settle(self, result: Any, error: BaseException | None = None) -> None:
        """Say how it ended. The waiter is woken by `wake`, after the commit."""
        self.result = result
        self.error = error
        self.done = True

    def wake(self) -> None:
        """Let the waiting thread go on; at most once per wait."""
        self._signal.release()

    def wait(self) -> None:
        """Block until woken."""
        self._signal.acquire()


class Combiner(Generic[W]):
    """Hands batches of waiting requests to `run`, one batch at a time.

    The first thread that finds no leader leads: it runs one batch of up to `most` requests, its own among them, and
    hands the lead to the next waiter, so that no caller works for the others for ever. `run` must settle every
    request of its batch and must not raise; should it do so all the same, every unsettled request gets that error.

    Where a batch takes long (a slow disk), the leader waits a twelfth of that for those who were just served and come
    back: without it, threads fall into two groups that wait for each other's syncs.
    """

    def __init__(self, run: Callable[[list[Request[W]]], None], most: int = 512) -> None:
        self._run = run
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[Request[W]] = deque()
        self._led = False
        self._sizes = (0, 0)
        self._took_s = 0.0

    def submit(self, work: W) -> Any:
        """Have `work` run in some batch; return its result or raise its error."""
        request = Request(work)
        with self._lock:
            self._waiting.append(request)
            lead = not self._led
            self._led = True
        if not lead:
            try:
                request.wait()
            except BaseException:  # Ctrl-C: nobody waits for it any more, and nobody must wait for us to lead
                self._withdraw(request)
                raise
            lead = request.lead and not request.done
        if lead:
            self._lead()
        if request.error is not None:
            raise request.error
        return request.result

    def _withdraw(self, request: Request[W]) -> None:
        """Take back what has not begun; what is in somebody's batch by now is done all the same."""
        with self._lock:
            if request not in self._waiting:
                return
            self._waiting.remove(request)
            led = request.lead
        if led:
            self._hand_over([])

    def _lead(self) -> None:
        self._gather()
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        begin_s = time.monotonic()
        try:
            self._run(batch)
            self._took_s = time.monotonic() - begin_s
            self._sizes = (self._sizes[1], len(batch))
        except BaseException as error:
            # Ctrl-C is for the thread that leads; the others only learn that nothing of theirs was done.
            theirs = error if isinstance(error, Exception) else TryAgain("interrupted, not acknowledged; try again")
            for request in batch:
                if not request.done:
                    request.settle(None, theirs)
            raise
        finally:
            self._hand_over(batch)

    def _gather(self) -> None:
        if self._took_s < _SLOW_S:
            return
        give_up_s = time.monotonic() + min(self._took_s / 12, _LONGEST_GATHER_S)
        while len(self._waiting) < sum(self._sizes) and time.monotonic() < give_up_s:
            time.sleep(_GLANCE_S)

    def _hand_over(self, batch: list[Request[W]]) -> None:
        with self._lock:
            heir = self._waiting[0] if self._waiting else None
            if heir is None:
                self._led = False
            else:
                heir.lead = True
        if heir is not None:
            heir.wake()
        for request in batch:
            request.wake()
