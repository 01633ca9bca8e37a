"""Restores against the table of docs/decisions/056: whatever happened before, nothing is lost and nothing leaves twice.

CHRONOS_RESTORE_EXAMPLES and CHRONOS_RESTORE_STEPS make it longer; Hypothesis prints the sequence that fails.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.errors import NotFound, NotPossible
from engine.model import OnUncertain, Outcome
from engine.operations import acts, bulk, delivering, housekeeping
from engine.operations.acts import Action
from engine.operations.delivering import Claimed
from engine.operations.restore.settingback import stamp
from engine.store import migrate
from tests import support
from tests.engine.model import FITS, KEEP_MS, ROUTES, TARGETS
from tests.engine.restores import Site, rescue

EXAMPLES = int(os.environ.get("CHRONOS_RESTORE_EXAMPLES", "12"))
STEPS = int(os.environ.get("CHRONOS_RESTORE_STEPS", "14"))
DAY_MS = 86_400_000
WAITING = {"queued", "sending", "held"}
ENDED = {"dead", "cancelled", "expired"}
FATES = ["not_sent", "on the wire", "hold", "cancel", "delivered", "rejected", "unknown"]
OUTCOMES = ["delivered", "delivered", "not_sent", "rejected", "unknown"]
SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"


class Backup(NamedTuple):
    """A backup, where every message stood when it was taken, and which of them its audit log calls delivered."""

    file: Path
    states: dict[str, str]
    logged: frozenset[str]


class Restores(RuleBasedStateMachine):
    """An outbox, its backups, and a receiver that counts what it accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = support.FakeClock()
        self.entropy = support.Entropy()  # one for all openings: each would count from one again
        self.site = self._opened()
        self.backups: list[Backup] = []
        self.keys: dict[str, dict[str, Any]] = {}
        self.on_wire: list[Claimed] = []
        self.cut_off: list[Claimed] = []
        self.accepted: dict[str, int] = {}
        self.logged: frozenset[str] = frozenset()
        self.known: dict[str, str] = {}
        with closing(migrate.blueprint()) as ours:
            self.schema = ours.execute(SCHEMA).fetchall()

    def _opened(self) -> Site:
        directory = Path(self.directory.name)
        configuration = support.settings(
            TARGETS,
            ROUTES,
            outbox={"keep_delivered_ms": KEEP_MS["delivered"], "keep_dead_ms": KEEP_MS["dead"], "undo_ms": 60_000},
        )
        site = Site(directory, configuration, self.clock, support.open_database(directory))
        site.context.entropy = self.entropy
        site.furnish()
        return site

    def teardown(self) -> None:
        try:
            self._let_everything_go()
        finally:
            self.site.database.close()
            self.directory.cleanup()

    # What happens

    @initialize(fates=st.lists(st.tuples(st.sampled_from(FATES), st.sampled_from(FATES)), min_size=2, max_size=5))
    def begin(self, fates: list[tuple[str, str]]) -> None:
        """There is a backup, and something happened to each message before it, and something after it."""
        uids = [self.site.put(target="a", text="words", on_uncertain=OnUncertain.ASK).uid for _ in fates]
        self._meet({uid: before for uid, (before, _) in zip(uids, fates, strict=True)})
        self.known = self._states()
        self.back_up()
        self._meet({uid: after for uid, (_, after) in zip(uids, fates, strict=True)})

    def _meet(self, fates: dict[str, str]) -> None:
        states = self._states()
        for uid, fate in fates.items():
            if fate in FITS and states[uid] in FITS[fate]:
                acts.act_on_one(self.site.context, Action(fate), uid)
        for one in self.site.claim():
            if (fate := fates[one.taken.uid]) in OUTCOMES:
                self._finish(one, fate)
            else:
                self.on_wire.append(one)
        self.clock.advance_ms(10_000)

    @rule(
        name=st.sampled_from(["a", "b", "r"]),
        key=st.sampled_from([None, "i1", "i2", "i3"]),
        expires_ms=st.sampled_from([None, None, 5_000]),
        ordering_key=st.sampled_from([None, "k1", "k1", "k2"]),
        collapse_key=st.sampled_from([None, None, "c1"]),
        ask=st.booleans(),
    )
    def enqueue(self, *, name: str, key: str | None, expires_ms: int | None, ask: bool, **fields: Any) -> None:
        on_uncertain = OnUncertain.ASK if ask else OnUncertain.RESEND
        wanted = {**fields, "target": name, "on_uncertain": on_uncertain, "text": "words"}
        if key is not None:
            wanted = self.keys.setdefault(key, {**wanted, "idempotency_key": key})
        expires = {} if expires_ms is None or key else {"expires_ms": self.clock.now_ms() + expires_ms}
        before = {row[0] for row in self.site.rows("SELECT uid FROM messages WHERE idempotency_key = :key", key=key)}
        uid = self.site.put(**wanted, **expires).uid
        assert not before or before == {uid}
        self.known[uid] = "queued"

    @rule(data=st.data(), most=st.sampled_from([1, 3, 64]), leave=st.integers(0, 2))
    def deliver(self, data: st.DataObject, most: int, leave: int) -> None:
        self.on_wire += self.site.claim(most=most)
        while len(self.on_wire) > leave:
            self._finish(self.on_wire.pop(0), data.draw(st.sampled_from(OUTCOMES)))

    def _finish(self, one: Claimed, kind: str) -> None:
        self.site.finish(one, Outcome(kind, "words"))
        if kind == "delivered":
            self.accepted[one.taken.uid] = self.accepted.get(one.taken.uid, 0) + 1
            self.logged |= {one.taken.uid}

    @precondition(lambda self: self.cut_off)
    @rule()
    def a_word_comes_too_late(self) -> None:
        one = self.cut_off.pop()
        before = self._states()
        self.site.finish(one, Outcome("not_sent", "late words"))
        assert self._states() == before

    @precondition(lambda self: self.known)
    @rule(data=st.data(), action=st.sampled_from(list(Action)))
    def act(self, data: st.DataObject, action: Action) -> None:
        states = self._states()
        fitting = sorted(uid for uid, state in states.items() if state in FITS[action.value] and state != "sending")
        if fitting:
            uid = data.draw(st.sampled_from(fitting))
            acts.act_on_one(self.site.context, action, uid)
            if action == Action.SETTLE_DELIVERED:
                self.logged |= {uid}

    @rule(action=st.sampled_from([Action.CANCEL, Action.HOLD, Action.RELEASE, Action.RETRY]))
    def act_on_all(self, action: Action) -> None:
        frozen = bulk.freeze(self.site.context, action, expression="words")
        assert frozen.total == sum(state in FITS[action.value] for state in self._states().values())
        bulk.act(self.site.context, frozen.bulk_id)

    @rule(action=st.sampled_from([Action.CANCEL, Action.HOLD, Action.RELEASE]))
    def begin_to_act(self, action: Action) -> None:
        """Whoever did it was killed in the middle."""
        frozen = bulk.freeze(self.site.context, action)
        if frozen.total:
            self.site.change("UPDATE bulks SET state = 'acting' WHERE id = :id", id=frozen.bulk_id)

    @rule()
    def carry_on_or_undo(self) -> None:
        unfinished = bulk.unfinished(self.site.context)
        for number in unfinished:
            bulk.carry_on(self.site.context, number)
        if unfinished:
            return
        try:
            bulk.undo(self.site.context)
        except (NotFound, NotPossible):
            sql = "SELECT 1 FROM bulks WHERE state = 'done' AND undo_until_ms > :now_ms"
            assert self.site.rows(sql, now_ms=self.clock.now_ms()) == []

    @rule(ms=st.sampled_from([1_000, 10_000, 10_000, 3 * DAY_MS]), set_ms=st.sampled_from([0, 0, -DAY_MS, 3_600_000]))
    def time_passes(self, ms: int, set_ms: int) -> None:
        self.clock.advance_ms(ms)
        self.clock.jump_ms(set_ms)
        context = self.site.context
        housekeeping.expire(context)
        housekeeping.follow_routes(context)
        housekeeping.index_text(context)
        housekeeping.retain(context)
        self.known = {uid: state for uid, state in self.known.items() if uid in self._states()}

    @rule()
    def end_and_open_again(self) -> None:
        """Whoever delivered was killed, and the next owner takes up what was on the wire."""
        self.site.database.close()
        self.site = self._opened()
        self.site.database.write(lambda tx: delivering.reclaim_orphans(tx, self.site.context, self.site.epoch))
        self.cut_off, self.on_wire = self.cut_off + self.on_wire, []

    # Backups and restores

    def _to_a_free_second(self) -> None:
        """Who makes a backup waits until the second of its name is free, and this clock does not go by itself."""
        there = {path.name for path in (self.site.directory / "backups").glob("*.zip")}
        while any(stamp(self.clock.now_ms() + ms) in name for ms in (0, 1_000) for name in there):
            self.clock.advance_ms(1_000)

    @precondition(lambda self: len(self.backups) < 4)
    @rule()
    def back_up(self) -> None:
        self._to_a_free_second()
        states = self._states()
        self.backups.append(Backup(self.site.back_up(), states, self.logged))

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sampled_from(self.backups))
        self._to_a_free_second()
        here, epoch = self._states(), self.site.epoch
        reasons = self._reasons()

        done = self.site.apply(chosen.file)

        assert done.plan.relation in {"continues", "forked"}
        forked = done.plan.relation == "forked"
        everything = {*here, *chosen.states, *self.known}
        wanted = {uid: self._after(uid, here.get(uid), chosen, forked=forked) for uid in everything}
        assert self._states() == wanted
        assert self.site.claim() == []
        assert self.site.epoch > done.epoch > epoch
        assert done.safety is not None
        self.backups.append(Backup(self.site.directory / "backups" / done.safety, here, self.logged))
        self.logged = chosen.logged if forked else self.logged
        held = {uid for uid, why in self._reasons().items() if wanted[uid] == "held" and why.startswith("restored: ")}
        assert held >= {uid for uid, state in wanted.items() if state == "held" and here.get(uid) != "held"}
        assert {uid for uid, why in self._reasons().items() if wanted[uid] == "held"} - held <= {
            uid for uid, why in reasons.items() if not why.startswith("restored: ")
        } | set(chosen.states)
        assert {one.uid for one in done.held} == held == self._tagged(done.tag)
        assert done.held_total == len(held)
        self._keys_are_known()
        self.site.sound()
        assert self.site.rows(SCHEMA) == self.schema
        assert bulk.unfinished(self.site.context) == []
        assert self.site.rows("SELECT 1 FROM attempts WHERE outcome IS NULL") == []
        self.cut_off, self.on_wire = self.cut_off + self.on_wire, []
        self.known = wanted

    @rule(data=st.data())
    def lose_the_database(self, data: st.DataObject) -> None:
        """What happened since the backup is lost with it: nobody knows what arrived, so all that waits is held."""
        chosen = data.draw(st.sampled_from(self.backups))
        self._to_a_free_second()
        self.site.database.close()
        for path in self.site.directory.glob("chronos.db*"):
            path.unlink()
        done = rescue(self.site.paths, chosen.file, self.clock)
        self.site = self._opened()
        states = self._states()
        assert states == {uid: "held" if state in WAITING else state for uid, state in chosen.states.items()}
        assert (self.site.claim(), done.plan.relation) == ([], "destroyed")
        self.site.sound()
        self.accepted = {uid: n for uid, n in self.accepted.items() if uid in chosen.logged}
        self.cut_off, self.on_wire = [], []
        self.known, self.logged = states, chosen.logged

    def _after(self, uid: str, here: str | None, chosen: Backup, *, forked: bool) -> str:
        """Return what becomes of a message. here: its state today. forked: the log of today does not go on from the
        backup's, so that each may know what the other does not.
        """
        there = chosen.states.get(uid)
        if uid in self.logged or (forked and uid in chosen.logged) or there == "delivered":
            return "delivered"
        if here is None:
            assert there is not None, "it was acknowledged, and is nowhere"
            return "held" if there in WAITING else there
        if here in WAITING or (here in ENDED and there in WAITING):
            return "held"
        return here

    def _keys_are_known(self) -> None:
        for key, wanted in self.keys.items():
            found = self.site.rows("SELECT uid FROM messages WHERE idempotency_key = :key", key=key)
            if found:
                assert self.site.put(**wanted).uid == found[0][0]

    # What always holds

    def _states(self) -> dict[str, str]:
        return dict(self.site.rows("SELECT uid, state FROM messages"))

    def _reasons(self) -> dict[str, str]:
        return dict(self.site.rows("SELECT uid, state_reason FROM messages"))

    def _tagged(self, tag: str) -> set[str]:
        sql = "SELECT m.uid FROM tags AS t JOIN messages AS m ON m.id = t.message_id WHERE t.tag = :tag"
        return {row[0] for row in self.site.rows(sql, tag=tag)}

    @invariant()
    def nobody_gets_a_message_twice(self) -> None:
        assert all(n == 1 for n in self.accepted.values())

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        states = self._states()
        assert states.keys() >= self.known.keys()
        for uid, before in self.known.items():
            assert before not in {"delivered"} or states[uid] == before
        self.known = states

    @invariant()
    def counts_are_kept(self) -> None:
        counted = dict(self.site.rows("SELECT state, count(*) FROM messages GROUP BY state"))
        kept = self.site.rows("SELECT name, n FROM counts WHERE name NOT IN ('revision', 'audit_head') AND n <> 0")
        assert dict(kept) == counted

    @invariant()
    def one_of_an_ordering_key_has_the_turn(self) -> None:
        ready = "SELECT ordering_key FROM messages WHERE state = 'queued' AND ready = 1 AND ordering_key IS NOT NULL"
        assert self.site.rows(f"{ready} GROUP BY ordering_key HAVING count(*) > 1") == []

    def _let_everything_go(self) -> None:
        """At the end the operator decides what is held, and the rest arrives: nobody waits for ever, nobody twice."""
        while self.on_wire:
            self._finish(self.on_wire.pop(), "not_sent")
        for number in bulk.unfinished(self.site.context):
            bulk.carry_on(self.site.context, number)
        states = self._states()
        for action, state in ((Action.RELEASE, "held"), (Action.RESEND, "uncertain"), (Action.RETRY, "dead")):
            for uid in sorted(uid for uid, found in states.items() if found == state):
                acts.act_on_one(self.site.context, action, uid)
        self.clock.advance_ms(STEPS * DAY_MS)  # the clock may have been set back since something became due
        housekeeping.expire(self.site.context)
        for _ in range(len(states)):
            claimed = self.site.claim()
            self.clock.advance_ms(10_000)
            for one in claimed:
                self._finish(one, "delivered")
        housekeeping.expire(self.site.context)
        self.nobody_gets_a_message_twice()
        assert set(self._states().values()) <= {"delivered", "cancelled", "expired"}
        self.site.sound()


TestRestores = pytest.mark.timeout(1_800)(Restores.TestCase)
TestRestores.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    phases=[Phase.generate],  # each restore starts three processes: making a failure short would take an hour
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    print_blob=True,
)
