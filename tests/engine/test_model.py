"""The queue against a model of a page: any sequence of steps leaves both in the same state.

CHRONOS_MODEL_EXAMPLES and CHRONOS_MODEL_STEPS make it longer; Hypothesis prints the sequence that fails.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.errors import IdempotencyConflict, NotPossible
from engine.model import NewMessage, OnUncertain, Outcome, Priority
from engine.operations import acts, bulk, delivering, holding, housekeeping, verifying
from engine.operations.acts import Action
from engine.operations.delivering import Claimed, Finish
from engine.operations.enqueue import enqueue
from engine.rules.states import TRANSITIONS
from tests import support
from tests.engine.model import FITS, KEEP_MS, ROUTES, TARGETS, Letter, Model

EXAMPLES = int(os.environ.get("CHRONOS_MODEL_EXAMPLES", "200"))
STEPS = int(os.environ.get("CHRONOS_MODEL_STEPS", "30"))
YEARS_MS = 10 * 365 * 86_400_000
SCOPES = ["all", "channel:test", "channel:other", "target:a", "target:b", "template:t"]
OUTCOMES = ["delivered", "not_sent", "rejected", "throttled", "unknown", "misconfigured"]


class Queue(RuleBasedStateMachine):
    """Each rule does a step in the database and in the model."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = support.FakeClock()
        configuration = support.settings(
            TARGETS,
            ROUTES,
            outbox={"keep_delivered_ms": KEEP_MS["delivered"], "keep_dead_ms": KEEP_MS["dead"], "undo_ms": 60_000},
        )
        path = Path(self.directory.name)
        self.box = support.Box(path, configuration, self.clock, support.open_database(path))
        self.model = Model()
        self.in_flight: list[tuple[int, Claimed]] = []
        self.done: list[tuple[int, Claimed]] = []
        self.frozen: list[tuple[int, str, list[int]]] = []
        self.bulks: list[tuple[int, str, dict[int, str], int]] = []
        self.states: dict[int, str] = {}

    def teardown(self) -> None:
        self.box.database.close()
        self.directory.cleanup()

    @property
    def now_ms(self) -> int:
        return self.clock.now_ms()

    # Ways in

    @rule(
        name=st.sampled_from(["a", "b", "r"]),
        text=st.sampled_from(["x", "y"]),
        key=st.sampled_from([None, None, "i1", "i2"]),
        priority=st.sampled_from(list(Priority)),
        delay_ms=st.sampled_from([None, None, 500, 20_000]),
        expires_ms=st.sampled_from([None, None, 400, 30_000]),
        ordering_key=st.sampled_from([None, "k1", "k1", "k2"]),
        collapse_key=st.sampled_from([None, None, "c1"]),
        ask=st.booleans(),
        template=st.sampled_from(["", "t"]),
    )
    def enqueue(
        self,
        *,
        name: str,
        text: str,
        key: str | None,
        priority: Priority,
        delay_ms: int | None,
        expires_ms: int | None,
        ordering_key: str | None,
        collapse_key: str | None,
        ask: bool,
        template: str,
    ) -> None:
        if delay_ms is not None and expires_ms is not None and expires_ms <= delay_ms:
            expires_ms = None
        new = NewMessage(
            name,
            text=text,
            template=template,
            priority=priority,
            not_before_ms=None if delay_ms is None else self.now_ms + delay_ms,
            expires_ms=None if expires_ms is None else self.now_ms + expires_ms,
            idempotency_key=key,
            collapse_key=collapse_key,
            ordering_key=ordering_key,
            on_uncertain=OnUncertain.ASK if ask else OnUncertain.RESEND,
        )
        said = f"{name}/{text}/{template}"
        if key in self.model.keys:
            number, before = self.model.keys[key]
            if before != said:
                with pytest.raises(IdempotencyConflict):
                    enqueue(self.box.context, new)
                return
            again = enqueue(self.box.context, new)
            assert (again.created, again.message.id) == (False, number)
            return
        done = enqueue(self.box.context, new)
        assert done.created
        due_ms = self.now_ms + (delay_ms or 0)
        letter = Letter(
            id=done.message.id,
            target="a" if name == "r" else name,
            priority=int(priority),
            due_ms=due_ms,
            cycle_ms=self.now_ms,
            expires_ms=new.expires_ms,
            ordering_key=ordering_key,
            collapse_key=collapse_key,
            ask=ask,
            route="r" if name == "r" else "",
            hop_ms=due_ms + 10_000 if name == "r" else None,
            template=template,
        )
        assert letter.id not in self.model.letters
        self.model.letters[letter.id] = letter
        if key is not None:
            self.model.keys[key] = (letter.id, said)
        self.model.collapse(letter, self.now_ms)

    # The wire

    @rule(most=st.sampled_from([1, 2, 64, 64, 64]))
    def claim(self, most: int) -> None:
        wanted = self.model.claimable(self.now_ms)
        claimed = self.box.claim(most=most)
        numbers = [one.taken.id for one in claimed]
        assert len(numbers) == len(set(numbers)) <= most
        assert set(numbers) <= wanted
        if most == 64:
            assert set(numbers) == wanted
        left = [self.model.letters[number].priority for number in wanted - set(numbers)]
        assert all(self.model.letters[number].priority >= max(left, default=0) for number in numbers)
        for one in claimed:
            letter = self.model.letters[one.taken.id]
            letter.to("sending", self.now_ms)
            letter.attempts += 1
            letter.epoch = self.box.epoch
            assert (one.taken.attempt_no, one.target) == (letter.attempts, letter.target)
            self.in_flight.append((self.box.epoch, one))

    def _record(self, epoch: int, finishes: list[Finish]) -> int:
        return len(self.box.database.write(lambda tx: delivering.finish(tx, self.box.context, epoch, finishes)))

    def _ended(self, epoch: int, one: Claimed, kind: str) -> None:
        letter = self.model.letters.get(one.taken.id)
        fence = (one.taken.attempt_no, epoch)
        if letter is not None and letter.state == "sending" and fence == (letter.attempts, letter.epoch):
            self.model.finish(letter, kind, self.now_ms)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), kinds=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=4))
    def finish(self, data: st.DataObject, kinds: list[str]) -> None:
        picks = []
        for kind in kinds[: len(self.in_flight)]:
            epoch, one = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
            picks.append((epoch, one, kind))
        # One transaction may hold the outcomes of one epoch only: a dispatcher has one.
        for epoch in {epoch for epoch, _one, _kind in picks}:
            mine = [(one, kind) for its, one, kind in picks if its == epoch]
            finishes = [Finish(one.taken.id, one.taken.attempt_no, Outcome(kind, "words")) for one, kind in mine]
            self._record(epoch, finishes)
            for one, kind in mine:
                self._ended(epoch, one, kind)
                self.done.append((epoch, one))

    @precondition(lambda self: self.done)
    @rule(data=st.data(), kind=st.sampled_from(OUTCOMES))
    def finish_late(self, data: st.DataObject, kind: str) -> None:
        epoch, one = data.draw(st.sampled_from(self.done))
        finish = Finish(one.taken.id, one.taken.attempt_no, Outcome(kind, "late words"))
        letter = self.model.letters.get(one.taken.id)
        settles = False
        if letter is not None and epoch == self.box.epoch:
            settles = self.model.late(letter, kind, one.taken.attempt_no, self.now_ms)
        if letter is not None and letter.given_up == one.taken.attempt_no:
            letter.given_up = 0  # the first word is on record now, whatever it was
        assert self._record(epoch, [finish]) == int(settles)

    @rule()
    def crash_and_take_over(self) -> None:
        old = self.box.epoch
        self.box.take_over()
        if self.model.claimable(self.now_ms):
            with pytest.raises(delivering.Deposed):
                self._claim_as(old)
        self.box.database.write(lambda tx: delivering.reclaim_orphans(tx, self.box.context, self.box.epoch))
        for letter in self.model.sorted():
            if letter.state == "sending":
                self.model.finish(letter, "abandoned", self.now_ms)
        self.done += self.in_flight
        self.in_flight = []

    def _claim_as(self, epoch: int) -> None:
        database, context = self.box.database, self.box.context
        plan = database.read(lambda tx: delivering.plan(tx, context, seats=lambda _lane: 9, most=9))
        database.write(lambda tx: delivering.claim(tx, context, epoch, plan.candidates))

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def give_up_on_a_sender(self, data: st.DataObject) -> None:
        epoch, one = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
        fences = [(one.taken.id, one.taken.attempt_no)]
        self.box.database.write(lambda tx: delivering.reclaim_overdue(tx, self.box.context, self.box.epoch, fences))
        self._ended(epoch, one, "abandoned")
        self.done.append((epoch, one))

    # Time

    @rule(ms=st.sampled_from([1, 500, 1_000, 4_000, 20_000, 3_700_000]))
    def time_passes(self, ms: int) -> None:
        self.clock.advance_ms(ms)

    @rule(ms=st.sampled_from([-YEARS_MS, -3_600_000, -1_000, 3_600_000, YEARS_MS]))
    def clock_is_set(self, ms: int) -> None:
        self.clock.jump_ms(ms)

    @rule()
    def keep_house(self) -> None:
        housekeeping.expire(self.box.context)
        self.model.expire(self.now_ms)
        housekeeping.follow_routes(self.box.context)
        self.model.follow_routes(self.now_ms)
        holding.end_run_out(self.box.context)
        self.model.end_run_out(self.now_ms)
        housekeeping.index_text(self.box.context)

    @rule()
    def retain(self) -> None:
        # One call deletes what is old of each state in turn; the newest message is looked for each time anew.
        housekeeping.retain(self.box.context)
        self.model.retain(self.now_ms)
        # Frozen sets and acts that nobody can undo any more are forgotten after a day.
        known = {row[0] for row in self._select("SELECT id FROM bulks")}
        self.frozen = [one for one in self.frozen if one[0] in known]
        assert all(one[0] in known or one[3] <= self.now_ms for one in self.bulks)
        self.bulks = [one for one in self.bulks if one[0] in known]

    # Operators

    @rule(scope=st.sampled_from(SCOPES), for_ms=st.sampled_from([1, 10_000]))
    def pause(self, scope: str, for_ms: int) -> None:
        holding.pause(self.box.context, scope, for_ms=for_ms)
        self.model.end_run_out(self.now_ms)
        self.model.holds[scope] = self.now_ms + for_ms

    @precondition(lambda self: any(until > self.now_ms for until in self.model.holds.values()))
    @rule()
    def resume(self) -> None:
        holding.resume(self.box.context)
        self.model.holds = {scope: until for scope, until in self.model.holds.items() if until <= self.now_ms}

    @precondition(lambda self: self.model.letters)
    @rule(data=st.data(), action=st.sampled_from(list(Action)))
    def act(self, data: st.DataObject, action: Action) -> None:
        letter = self.model.letters[data.draw(st.sampled_from(sorted(self.model.letters)))]
        if letter.state in FITS[action.value]:
            acts.act_on_one(self.box.context, action, letter.id)
            self.model.act(action.value, letter, self.now_ms)
        else:
            with pytest.raises(NotPossible, match=f"#{letter.id}: cannot"):
                acts.act_on_one(self.box.context, action, letter.id)

    @rule(action=st.sampled_from(list(Action)), expression=st.sampled_from(["", "target:a", "state:queued,held"]))
    def freeze(self, action: Action, expression: str) -> None:
        frozen = bulk.freeze(self.box.context, action, expression=expression)
        states = {"queued", "held"} if "state" in expression else FITS[action.value]
        members = [
            letter.id
            for letter in self.model.sorted()
            if letter.state in states and ("target" not in expression or letter.target == "a")
        ]
        assert frozen.total == len(members)
        assert [found.id for found in (frozen.oldest, frozen.newest) if found] == (
            [members[0], members[-1]] if members else []
        )
        self.frozen.append((frozen.bulk_id, action.value, members))

    @precondition(lambda self: self.frozen)
    @rule()
    def act_on_frozen(self) -> None:
        bulk_id, action, members = self.frozen.pop()
        done = bulk.act(self.box.context, bulk_id)
        applied = {}
        for number in members:
            letter = self.model.letters.get(number)
            if letter is not None and letter.state in FITS[action]:
                applied[number] = letter.state
                self.model.act(action, letter, self.now_ms)
        assert (done.applied, done.skipped) == (len(applied), len(members) - len(applied))
        if action in {"cancel", "hold", "release"}:
            self.bulks.append((bulk_id, action, applied, self.now_ms + 60_000))

    @precondition(lambda self: self.bulks)
    @rule()
    def undo(self) -> None:
        bulk_id, action, applied, until_ms = self.bulks.pop()
        if until_ms <= self.now_ms:
            with pytest.raises(NotPossible):
                bulk.undo(self.box.context, bulk_id)
            return
        bulk.undo(self.box.context, bulk_id)
        for number, before in applied.items():
            if number in self.model.letters:
                self.model.undo(action, before, self.model.letters[number], self.now_ms)

    # What always holds

    def _select(self, sql: str) -> list[tuple[Any, ...]]:
        return self.box.database.read(lambda tx: tx.search(sql, {}))

    @invariant()
    def rows_are_as_in_the_model(self) -> None:
        rows = self._select(
            "SELECT id, state, target, attempts, failures, cycle, hop, hop_ms, due_ms, finished_ms, cancel_requested"
            " FROM messages ORDER BY id"
        )
        assert rows == [
            (
                one.id,
                one.state,
                one.target,
                one.attempts,
                one.failures,
                one.cycle,
                one.hop,
                one.hop_ms,
                one.due_ms,
                one.finished_ms,
                int(one.cancel_requested),
            )
            for one in self.model.sorted()
        ]
        for number, state, *_ in rows:
            before = self.states.get(number, state)
            legal = {(old.value, new.value) for old, new in TRANSITIONS}
            # A rule may take several steps; what it must not do is leave a final state other than by retry or undo.
            assert before == state or before not in {"delivered", "expired"}, (before, state)
            assert before == state or any(old == before for old, _new in legal)
        self.states = {row[0]: row[1] for row in rows}

    @invariant()
    def counts_are_kept(self) -> None:
        counted = dict(self._select("SELECT state, count(*) FROM messages GROUP BY state"))
        kept = dict(self._select("SELECT name, n FROM counts WHERE name NOT IN ('revision', 'audit_head') AND n <> 0"))
        assert kept == counted

    @invariant()
    def one_of_an_ordering_key_is_in_flight_and_ready(self) -> None:
        for key in ("k1", "k2"):
            ours = [letter for letter in self.model.sorted() if letter.ordering_key == key]
            assert sum(letter.state == "sending" for letter in ours) <= 1
            ready = self._select(
                f"SELECT id FROM messages WHERE ordering_key = '{key}' AND state = 'queued' AND ready = 1"
            )
            turn = self.model.turn(key)
            assert ready == ([] if turn is None else [(turn,)])

    @invariant()
    def every_attempt_is_on_record(self) -> None:
        rows = self._select(
            "SELECT m.id, count(a.attempt_no), coalesce(max(a.attempt_no), 0),"
            " sum(a.attempt_no IS NOT NULL AND a.outcome IS NULL), sum(a.outcome = 'delivered')"
            " FROM messages AS m LEFT JOIN attempts AS a ON a.message_id = m.id GROUP BY m.id"
        )
        for number, n, newest, running, accepted in rows:
            letter = self.model.letters[number]
            assert n == newest == letter.attempts
            assert (running or 0) == (letter.state == "sending")
            if letter.state == "delivered" and not letter.settled:
                assert accepted >= 1

    @invariant()
    def the_audit_log_verifies_and_knows_each_end(self) -> None:
        result = verifying.verify(self.box.context)
        assert result.ok, result.why
        known = {(row[0], row[1]) for row in self._select("SELECT subject, action FROM audit")}
        bulks = any(action.startswith("bulk.") for _subject, action in known)
        for uid, state in self._select("SELECT uid, state FROM messages"):
            assert (uid, "message.queued") in known
            if state in {"delivered", "dead", "uncertain"}:
                settled = (uid, "message.settled") in known or bulks
                assert (uid, f"message.{state}") in known or settled
            elif state in {"cancelled", "held", "expired"}:
                assert (uid, f"message.{state}") in known or bulks


# Making a failure short takes Hypothesis up to five minutes.
TestQueue = pytest.mark.timeout(900)(Queue.TestCase)
TestQueue.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
