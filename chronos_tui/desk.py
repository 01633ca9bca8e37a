"""The cockpit's way to the engine: reads on one thread, acts in order on another, the change feed. No Textual here.

Every answer reaches the front end through `deliver`, which runs a function on the front end's own thread. All threads
are daemons: a call that hangs never keeps the process.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from chronos_tui import bridge

T = TypeVar("T")
Deliver = Callable[[Callable[[], None]], None]
Failed = Callable[[str], None]
Progress = Callable[[int, int], None]

POLL_S = 0.1
"""How often the change feed is asked: another process's act is seen within this and one read."""

_CALM_POLLS = 100
_CALM_S = 0.2
"""After ten seconds with nothing but heartbeats: at 10 Hz the asking alone took 0.13 % of a core."""

KEEP_S = 0.5
GRACE_S = 3.0
"""How long nobody may deliver before an attached cockpit takes over: systemd restarts its engine within this."""

_FIRST_PAINT_S = 0.3
"""How long what comes with delivering waits, such as the HTTP door: it imports for 0.3 s while a screen is drawn."""

_PROGRESS_S = 0.5
"""A bar repaints at most twice a second."""


class Cancelled(Exception):
    """Ends a long job whose operator said so."""


@dataclass(slots=True)
class _Read:
    query: Callable[[bridge.Engine], Any]
    show: Callable[[Any], None]
    failed: Failed


class Job:
    """A long piece of work on a thread of its own."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def cancel(self) -> None:
        """Ask it to end at its next step; `failed` is then called with "cancelled"."""
        self._stop.set()

    def check(self) -> None:
        """Raise Cancelled when it was asked to end."""
        if self._stop.is_set():
            raise Cancelled


class Desk:
    """One engine for one front end.

    deliver: runs a function on the front end's thread. moved: told which topics moved, there. role: told when this
    process begins or ceases to deliver, there. on_owner: called on a thread of the desk once this process delivers.
    """

    def __init__(
        self,
        engine: bridge.Engine,
        deliver: Deliver,
        *,
        moved: Callable[[frozenset[bridge.Topic]], None],
        role: Callable[[bridge.Role], None],
        on_owner: Callable[[], None] = lambda: None,
        log: bridge.Log,
    ) -> None:
        self.engine = engine
        self._deliver = deliver
        self._moved = moved
        self._role = role
        self._on_owner = on_owner
        self._log = log
        self._waiting: dict[str, _Read] = {}
        self._acts: deque[_Read] = deque()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._jobs: dict[Job, threading.Thread] = {}
        self._threads = [
            threading.Thread(target=self._run_reads, name="cockpit-reader", daemon=True),
            threading.Thread(target=self._run_acts, name="cockpit-acts", daemon=True),
            threading.Thread(target=self._keep, name="cockpit-keeper", daemon=True),
        ]

    def start(self) -> None:
        """Begin to read, to act, and to deliver if nobody else does."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Begin nothing more; wait for a moment for what is under way. Long jobs end at their next step."""
        self._stopping.set()
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()
            jobs = dict(self._jobs)
        for job in jobs:
            job.cancel()
        for thread in (*self._threads, *jobs.values()):
            if thread.is_alive():
                thread.join(timeout_s)

    def read(
        self, key: str, query: Callable[[bridge.Engine], T], show: Callable[[T], None], failed: Failed | None = None
    ) -> None:
        """Run `query` on the reader's thread, then `show` its answer.

        A later read of the same key replaces one that has not begun; reads are answered in the order of their keys.
        failed: told in one line why there is no answer.
        """
        with self._changed:
            self._waiting.pop(key, None)
            self._waiting[key] = _Read(query, show, failed or (lambda _text: None))
            self._changed.notify_all()

    def act(self, work: Callable[[bridge.Engine], T], done: Callable[[T], None], failed: Failed) -> None:
        """Run an act behind those before it. failed: told in one line why it was not done."""
        with self._changed:
            self._acts.append(_Read(work, done, failed))
            self._changed.notify_all()

    def long(
        self,
        work: Callable[[bridge.Engine, Progress], T],
        done: Callable[[T], None],
        failed: Failed,
        progress: Progress | None = None,
    ) -> Job:
        """Run `work` on a thread of its own. It calls its second argument with (done, total); cancel ends it there."""
        job = Job()

        def run() -> None:
            try:
                self._answer(_Read(lambda engine: work(engine, _Steps(job, progress, self._deliver)), done, failed))
            finally:
                with self._changed:
                    self._jobs.pop(job, None)

        thread = threading.Thread(target=run, name="cockpit-job", daemon=True)
        with self._changed:
            self._jobs[job] = thread
            thread.start()
        return job

    def _answer(self, read: _Read) -> None:
        try:
            answer = read.query(self.engine)
        except Cancelled:
            self._hand_over(lambda: read.failed("cancelled"))
        except bridge.ChronosError as error:
            text = bridge.safe_line(str(error), 300)
            self._hand_over(lambda: read.failed(text))
        except Exception as error:  # noqa: BLE001 - a front end's worker: logged once, the screen says where to look
            if self._stopping.is_set():
                return  # it waited for another process, and the database was closed under it
            self._log.event("ERROR", "cockpit_failed", error=error)
            name = type(error).__name__
            self._hand_over(lambda: read.failed(f"{name}; 'chronos log' has the details"))
        else:
            self._hand_over(lambda: read.show(answer))

    def _hand_over(self, function: Callable[[], None]) -> None:
        if self._stopping.is_set():
            return
        with suppress(RuntimeError):  # the front end's loop has just ended
            self._deliver(function)

    def _run_reads(self) -> None:
        feed: bridge.ChangeFeed | None = None
        calm = 0
        while not self._stopping.is_set():
            with self._changed:
                if not self._waiting:
                    self._changed.wait(POLL_S if calm < _CALM_POLLS else _CALM_S)
                key = next(iter(self._waiting), None)
                read = self._waiting.pop(key) if key is not None else None
            if self._stopping.is_set():
                break
            calm += 1
            if read is not None:
                self._answer(read)
            try:
                feed = feed or self.engine.changes()
                topics = feed.poll()
            except bridge.ChronosError:  # a database that cannot be read: the panels say so, and it is asked again
                continue
            if topics - {bridge.Topic.ENGINE}:
                calm = 0
            if topics:
                self._hand_over(lambda topics=topics: self._moved(topics))  # type: ignore[misc]
        if feed is not None:
            feed.close()

    def _run_acts(self) -> None:
        while not self._stopping.is_set():
            with self._changed:
                if not self._acts:
                    self._changed.wait(1.0)
                work = self._acts.popleft() if self._acts else None
            if work is not None:
                self._answer(work)
                work = None  # what it was given, such as a passphrase, is not kept until the next one comes

    def _keep(self) -> None:
        """Deliver if nobody else does; take over when the owner has been gone for GRACE_S."""
        shown: bridge.Role | None = None
        quiet_s = GRACE_S
        trouble = ""
        while not self._stopping.is_set():
            try:
                role, quiet_s = self._look(quiet_s)
                trouble = ""
            except Exception as error:  # noqa: BLE001 - a front end's worker: logged once, and tried again
                role = bridge.Role.ATTACHED
                if str(error) != trouble:
                    trouble = str(error)
                    known = isinstance(error, bridge.ChronosError)
                    self._log.event("ERROR", "not_taken_over", error=None if known else error, reason=trouble)
            if role != shown:
                shown = role
                self._hand_over(lambda role=role: self._role(role))  # type: ignore[misc]
                if role == bridge.Role.OWNER and not self._stopping.wait(_FIRST_PAINT_S):
                    self._on_owner()
            self._stopping.wait(KEEP_S)

    def _look(self, quiet_s: float) -> tuple[bridge.Role, float]:
        engine = self.engine
        if engine.role == bridge.Role.OWNER:
            if not engine.ended():
                return bridge.Role.OWNER, 0.0
            self._log.event("CRITICAL", "dispatcher_ended")
            engine.stop()
            return bridge.Role.ATTACHED, 0.0
        if engine.owner() is not None:
            return bridge.Role.ATTACHED, 0.0
        quiet_s += KEEP_S
        return (engine.start("cockpit") if quiet_s >= GRACE_S else bridge.Role.ATTACHED), quiet_s


class _Steps:
    """Counts the steps of a long job towards the front end, at most twice a second and at the end."""

    def __init__(self, job: Job, progress: Progress | None, deliver: Deliver) -> None:
        self._job = job
        self._progress = progress
        self._deliver = deliver
        self._next_s = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Raises Cancelled when the operator said so."""
        self._job.check()
        now_s = time.monotonic()
        if self._progress is None or (now_s < self._next_s and done < total):
            return
        self._next_s = now_s + _PROGRESS_S
        progress = self._progress
        with suppress(RuntimeError):
            self._deliver(lambda: progress(done, total))
