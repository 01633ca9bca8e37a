"""The background thread of the owner: collect, claim, hand to senders, wait. The only one that claims."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

from engine.errors import ChronosError, Sent, TryAgain
from engine.host.log import Log
from engine.model import Outcome, State
from engine.operations import bulk, delivering, holding, housekeeping
from engine.operations.context import Context
from engine.operations.delivering import Claimed, Deposed, Finish, Plan
from engine.rules.decide import ABANDONED
from engine.senders import OpenChannel, Result, Seats, SenderPool
from engine.store import attempts, leader
from engine.store.tx import Tx
from engine.tally import Tally

if TYPE_CHECKING:
    from schedule import Scheduler

POLL_MS = 100  # how soon another process's message is seen
HEARTBEAT_MS = 5_000
PACE_MS = 60_000
TIMED_MS = 1_000  # expiry, routes, holds, leases
_INDEX_BUSY_MS = 10_000
_PAUSE_MS = 500  # after a turn that the database refused
_DEFECT_PAUSE_MS = 1_000
_MOST_CLAIMS = 64
_LOADED_TOGETHER = 16  # bounds what one read brings into memory at once
_MOST_BYTES_IN_FLIGHT = 128 * 1024 * 1024
_FAR_MS = 3_600_000


class Dispatcher:
    """Runs on its own thread from `start` until `stop`, `abandon`, or until it is deposed."""

    def __init__(
        self,
        context: Context,
        epoch: int,
        open_channel: OpenChannel,
        log: Log,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._context = context
        self._epoch = epoch
        self._log = log
        self._on_end = on_end
        self._wake = threading.Event()
        self._results: deque[Result] = deque()
        self._pending: list[Finish] = []
        self._bulks: dict[int, int] = {}  # unfinished acts, and the member up to which each is done
        self._seats = Seats()
        self._begun = False
        self._draining = False
        self._stopped = False
        self._last_turn_ms = context.clock.monotonic_ms()
        self._due = {"heartbeat": 0, "timed": 0, "index": 0, "index_busy": 0, "pace": 0, "log": 0}
        self._look_at_ms = 0
        self._beat_ms = 0
        self._trouble = ""
        self.tally = Tally(log)
        senders = context.settings.outbox["senders"]
        self.pool = SenderPool(senders, open_channel, self._take_result, context.clock.monotonic_ms, log)
        self._watch = context.database.watch()
        self._scheduler = self._housekeeper()
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    # The surface: any thread

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something may be due: look at once instead of at the next poll."""
        self._look_at_ms = 0
        self._wake.set()

    @property
    def _unrecorded(self) -> bool:
        return bool(self._results or self._pending or self._seats.waited_for())

    def turning(self, within_ms: int = 10_000) -> bool:
        """Whether the thread came round lately: what a watchdog asks."""
        return self._thread.is_alive() and self._context.clock.monotonic_ms() - self._last_turn_ms < within_ms

    def stop(self, drain_ms: int) -> bool:
        """Claim nothing more, wait up to `drain_ms` for what is on the wire, record the rest as cut off.

        Returns whether everything on the wire had ended by itself.
        """
        self._draining = True
        self.wake()
        give_up_ms = self._context.clock.monotonic_ms() + drain_ms
        while self._unrecorded and self._thread.is_alive():
            left_ms = give_up_ms - self._context.clock.monotonic_ms()
            if left_ms <= 0:
                break
            self._thread.join(min(left_ms, 20) / 1000)
        clean = not self._unrecorded
        self._stopped = True
        self._wake.set()
        self._thread.join(2.0)
        return clean

    # The thread

    def _take_result(self, result: Result) -> None:
        self._results.append(result)
        self._wake.set()

    def _run(self) -> None:
        try:
            while not self._stopped:
                self._last_turn_ms = self._context.clock.monotonic_ms()
                wait_ms = self._guarded_turn()
                self._wake.wait(wait_ms / 1000)
                self._wake.clear()
            self._end()
        except Deposed as error:
            self._log.event("ERROR", "deposed", reason=str(error))
        finally:
            self.pool.close()
            self._watch.close()
            self._on_end()

    def _begin(self) -> None:
        """Take up what a dead owner left, before anything else."""
        database = self._context.database
        while taken := database.write(lambda tx: delivering.reclaim_orphans(tx, self._context, self._epoch)):
            self._log.event("WARNING", "orphans_taken_up", count=taken)
        self._begun = True
        self._guarded(self._find_bulks)

    def _find_bulks(self, context: Context) -> None:
        for bulk_id in bulk.unfinished(context):
            self._bulks.setdefault(bulk_id, 0)

    def _resume_bulk(self) -> None:
        """Do one slice: an act on a million messages must not keep deliveries waiting until it is done."""
        if not self._bulks or self._draining:
            return
        bulk_id, after = self._bulks.popitem()  # should it fail, it is found again within a minute
        left = bulk.resume(self._context, bulk_id, after)
        if left is not None:
            self._bulks[bulk_id] = left
        else:
            self._log.event("INFO", "bulk_act_finished", bulk=bulk_id)
        self._look_at_ms = 0

    def _guarded_turn(self) -> int:
        try:
            wait_ms = self._turn()
        except Deposed:
            raise
        except TryAgain as error:
            self._report_trouble(error)
            return _PAUSE_MS
        except Exception as error:  # noqa: BLE001 - the dispatcher must outlive a defect; it is logged and counted
            self.tally.defects += 1
            self._log.event("ERROR", "dispatcher_defect", error=error, count=self.tally.defects)
            return _DEFECT_PAUSE_MS
        return wait_ms

    def _wrote(self) -> None:
        """A write went through: whatever the database refused before is over."""
        if self._trouble:
            self._log.event("INFO", "database_recovered", after=self._trouble)
            self._trouble = ""

    def _report_trouble(self, error: ChronosError) -> None:
        if type(error).__name__ != self._trouble:
            self._trouble = type(error).__name__
            self._log.event("ERROR", "database_refuses", error_type=self._trouble, reason=str(error))

    def _turn(self) -> int:
        """One round; return how long to wait for the next unless woken (ms)."""
        if not self._begun:
            self._begin()
        self._pending += self._collect()
        self._keep_house()
        plan = self._look()
        if self._pending or plan.candidates:
            self._commit(plan)
        if self._results or (self._bulks and not self._draining):
            return 0
        now_ms = self._context.clock.now_ms()
        return max(1, min(POLL_MS, self._look_at_ms - now_ms, *self._timers()))

    def _collect(self) -> list[Finish]:
        finishes = []
        while self._results:
            result = self._results.popleft()
            # The wire is free again before the outcome is stored, so that finish and next claim share a commit.
            if not self._seats.release((result.message_id, result.attempt_no)):
                self._log.event("WARNING", "late_result", message_id=result.message_id, attempt=result.attempt_no)
            finishes.append(Finish(result.message_id, result.attempt_no, result.outcome))
            self.tally.note(result)
        return finishes

    def _look(self) -> Plan:
        """Plan the next claims, if there is a reason to look."""
        now_ms = self._context.clock.now_ms()
        if self._draining or self._stopped:
            return Plan((), now_ms + _FAR_MS)
        free = self.pool.most - len(self._seats)
        room_bytes = _MOST_BYTES_IN_FLIGHT - self._seats.bytes
        if free <= 0 or room_bytes <= 0:
            return Plan((), now_ms + _FAR_MS)
        if not (self._pending or self._watch.moved() or now_ms >= self._look_at_ms):
            return Plan((), self._look_at_ms)
        most = min(free, _MOST_CLAIMS)
        plan = self._context.database.read(
            lambda tx: delivering.plan(tx, self._context, seats=self._free_seats, most=most, most_bytes=room_bytes)
        )
        self._look_at_ms = plan.wake_ms
        return plan

    def _free_seats(self, lane: str) -> int:
        spec = self._context.settings.targets.get(lane)
        return (spec.max_in_flight if spec else 4) - self._seats.of_lane(lane)

    def _commit(self, plan: Plan) -> None:
        """Finish and claim in one transaction: one fsync for all of it."""
        pending, self._pending = self._pending, []
        try:
            claimed = self._context.database.write(lambda tx: self._finish_and_claim(tx, pending, plan))
        except BaseException:
            self._pending = pending + self._pending
            raise
        self._wrote()
        if pending or claimed:
            self._look_at_ms = 0
        self._hand_over(claimed)

    def _finish_and_claim(self, tx: Tx, pending: list[Finish], plan: Plan) -> list[Claimed]:
        for message, decision in delivering.finish(tx, self._context, self._epoch, pending):
            if decision.state in {State.DEAD, State.UNCERTAIN}:
                self._log.event(
                    "WARNING", decision.state.value, message_id=message.id, uid=message.uid, rule=decision.rule
                )
        if not plan.candidates:
            delivering.fence(tx, self._epoch)
            return []
        return delivering.claim(tx, self._context, self._epoch, plan.candidates)

    def _hand_over(self, claimed: list[Claimed]) -> None:
        now_ms = self._context.clock.monotonic_ms()
        for one in claimed:
            lease_until_ms = now_ms + delivering.lease_ms(one.spec)
            self._seats.take((one.taken.id, one.taken.attempt_no), one.lane, lease_until_ms, one.taken.size)
        waiting = deque(claimed)
        try:
            while waiting:
                few = list(islice(waiting, _LOADED_TOGETHER))
                self._send(few)
                for _ in few:
                    waiting.popleft()
        except BaseException:
            for one in waiting:
                self._fail(one, Outcome(Sent.NO, "not sent: a defect of the engine; see 'chronos log'"))
            raise

    def _send(self, few: list[Claimed]) -> None:
        """Read what they say, in one snapshot, and put them on the wire."""
        known = [one for one in few if one.spec is not None]
        for one in few:
            if one.spec is None:
                detail = f"target {one.target} is no longer configured; configure it again or cancel the message"
                self._fail(one, Outcome(Sent.MISCONFIGURED, detail))
        try:
            loaded = self._context.database.read(lambda tx: [delivering.load(tx, self._context, one) for one in known])
        except ChronosError as error:
            for one in known:
                self._fail(one, Outcome(Sent.NO, f"not sent, its content could not be read: {error}"))
            return
        for delivery in loaded:
            self.pool.submit(delivery)

    def _fail(self, one: Claimed, outcome: Outcome) -> None:
        self._take_result(Result(one.taken.id, one.taken.attempt_no, one.lane, outcome, 0))

    # Time

    def _timers(self) -> list[int]:
        now_ms = self._context.clock.monotonic_ms()
        return [due_ms - now_ms for due_ms in self._due.values()]

    def _is_time(self, name: str, every_ms: int) -> bool:
        now_ms = self._context.clock.monotonic_ms()
        if now_ms < self._due[name]:
            return False
        self._due[name] = now_ms + every_ms
        return True

    def _keep_house(self) -> None:
        context = self._context
        if self._is_time("log", POLL_MS):
            context.database.checkpoint_if_long()
        if self._is_time("heartbeat", HEARTBEAT_MS):
            self._beat()
        if self._is_time("timed", TIMED_MS):
            expired, hopped = housekeeping.expire(context), housekeeping.follow_routes(context)
            if expired + hopped + self._end_holds() + housekeeping.rescue_from_the_future(context):
                self._look_at_ms = 0
            if max(expired, hopped) >= housekeeping.SLICE:
                self._due["timed"] = 0  # there is more: what is past its expiry keeps its whole lane waiting
            self._reclaim_overdue()
            self._scheduler.run_pending()
        if self._is_time("pace", PACE_MS):
            self.tally.report_pace(context.database.wal_bytes)
        self._resume_bulk()
        self._index()

    def _index(self) -> None:
        """Fill the free text index while nothing is on the wire; under steady load, a slice now and then."""
        busy = len(self._seats) > 0
        if self._is_time("index", TIMED_MS) and not busy:
            while housekeeping.index_text(self._context) and not self._wake.is_set():
                pass
        if self._is_time("index_busy", _INDEX_BUSY_MS) and busy:
            housekeeping.index_text(self._context)

    def _end_holds(self) -> int:
        now_ms = self._context.clock.now_ms()
        if not self._context.database.read(lambda tx: tx.rows("holds.run_out", {"now_ms": now_ms})):
            return 0
        return holding.end_run_out(self._context)

    def _reclaim_overdue(self) -> None:
        """Give up on senders past their lease, and take back what a defect left without a seat."""
        clock = self._context.clock
        late = self._seats.late(clock.monotonic_ms())
        rows = self._context.database.read(lambda tx: attempts.overdue(tx, self._epoch, clock.now_ms()))
        known = {(one.message_id, one.attempt_no) for one in self._pending}
        known |= {(one.message_id, one.attempt_no) for one in list(self._results)}
        overdue = [*late, *(row for row in rows if row not in self._seats and row not in known)]
        if not overdue:
            return
        for message_id, attempt_no in overdue:
            self._log.event("ERROR", "lease_overdue", message_id=message_id, attempt=attempt_no)
        self._context.database.write(lambda tx: delivering.reclaim_overdue(tx, self._context, self._epoch, overdue))
        self._seats.give_up(late)
        self._look_at_ms = 0

    def _beat(self) -> None:
        state = "draining" if self._draining else "running"
        now_ms = self._context.clock.now_ms()
        last_ms, self._beat_ms = self._beat_ms, now_ms
        if back_ms := housekeeping.follow_clock(self._context, last_ms):
            self._log.event("WARNING", "clock_set_back", back_ms=back_ms)
        params = {"epoch": self._epoch, "state": state, "now_ms": now_ms}
        if not self._context.database.write(lambda tx: leader.beat(tx, **params)):  # type: ignore[arg-type]
            raise Deposed("the heartbeat found another epoch")
        self._wrote()

    def _housekeeper(self) -> Scheduler:
        import schedule

        scheduler: Scheduler = schedule.Scheduler()
        scheduler.every(5).seconds.do(self._guarded, housekeeping.retain)  # 500 rows each: 8 million a day
        scheduler.every(1).minutes.do(self._guarded, self._find_bulks)  # of a command that was killed meanwhile
        return scheduler

    def _guarded(self, job: Callable[[Context], object]) -> None:
        """One failing job must not starve the others."""
        try:
            job(self._context)
        except ChronosError as error:
            self._log.event("WARNING", "housekeeping_failed", job=job.__name__, reason=str(error))

    def _end(self) -> None:
        """Record what ended meanwhile, and what we no longer wait for."""
        finishes = self._pending + self._collect()
        outcome = Outcome(ABANDONED, "the engine stopped before an answer came; whether it arrived is unknown")
        finishes += [Finish(message_id, attempt_no, outcome) for message_id, attempt_no in self._seats.waited_for()]
        now_ms = self._context.clock.now_ms()

        def work(tx: Tx) -> None:
            delivering.finish(tx, self._context, self._epoch, finishes)
            leader.beat(tx, epoch=self._epoch, state="stopped", now_ms=now_ms)

        try:
            self._context.database.write(work)
        except ChronosError as error:  # what cannot be recorded now is an orphan for the next start
            self._log.event("ERROR", "last_words_lost", reason=str(error), count=len(finishes))
