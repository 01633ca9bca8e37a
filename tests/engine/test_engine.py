"""The engine as a front end uses it: owner and attached, killed and started again, read-only, changes, retention."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.errors import AlreadyOwned, BadInput, ChronosError, IdempotencyConflict, NotFound, NotPossible
from engine.model import Attachment, NewMessage, OnUncertain, Priority, Role, RouteStep, Settings, TargetSpec
from engine.operations import bulk, delivering, housekeeping, incidents, reading
from engine.operations.acts import Action
from engine.operations.watching import Topic
from engine.rules.apikeys import Scope
from engine.rules.incidents import Kind
from engine.store import apikeys, leader
from tests import support
from tests.store.rig import answer, running, tell
from tests.support import Box, data_dir, opened_box, opened_engine, settings

_OWNER = """
    import sys, threading
    from engine.engine import Engine
    from engine.model import NewMessage, OnUncertain
    from tests.support import settings
    from tests.engine.test_engine import mail, where
    from pathlib import Path
    engine = Engine.open(where(Path(sys.argv[1])), {}, actor="test:owner", settings=mail(Path(sys.argv[1])))
    engine.start("engine-only")
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "stop":
            engine.close()
            print("stopped", flush=True)
            break
"""

where = data_dir


def mail(directory: Path) -> Settings:
    """A maildir target that works, and one whose path hangs for ever: a FIFO in place of a directory is never read."""
    box = TargetSpec("box", "maildir", {"path": str(directory / "mail")}, lane="box")
    return settings({"box": box, "hook": support.target("hook")})


def _settled(engine: Engine, uid: str) -> str:
    return engine.wait_until_settled(uid, int(support.PATIENCE_S * 1000)).message.state.value


# Owner and attached


def test_one_process_owns_and_the_other_attaches_and_names_it(tmp_path: Path) -> None:
    with running(_OWNER, tmp_path) as owner:
        assert answer(owner) == "ready"
        with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
            assert engine.start("cockpit") == Role.ATTACHED
            known = engine.owner()
            assert known is not None
            assert (known["pid"], known["mode"]) == (owner.pid, "engine-only")
            with pytest.raises(AlreadyOwned, match=f"pid {owner.pid} "):
                engine.own("engine-only")
            message = engine.enqueue(NewMessage("box", text="hi")).message
            assert _settled(engine, message.uid) == "delivered"
            tell(owner, "stop")
            assert answer(owner) == "stopped"
            assert engine.owner() is None
            assert engine.start("cockpit") == Role.OWNER, "it can take over"
            other = engine.enqueue(NewMessage("box", text="hi again")).message
            assert _settled(engine, other.uid) == "delivered"


def test_a_killed_owner_loses_no_message_and_the_next_takes_its_work_up(tmp_path: Path) -> None:
    """What it had on the wire is sent again under the same identity, or asked about."""
    with running(_OWNER, tmp_path) as owner:
        assert answer(owner) == "ready"
        with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
            first = engine.enqueue(NewMessage("box", text="before")).message
            assert _settled(engine, first.uid) == "delivered"
            owner.send_signal(signal.SIGSTOP)
            waiting = engine.enqueue(NewMessage("box", text="after")).message
            on_wire = [
                engine.enqueue(NewMessage("box", text=policy.value, on_uncertain=policy)).message
                for policy in (OnUncertain.RESEND, OnUncertain.ASK)
            ]
            _claimed_by_the_owner(engine, [one.id for one in on_wire])
            owner.kill()
            owner.wait()
            assert engine.owner() is None, "the kernel freed the lock"
            assert engine.start("next") == Role.OWNER
            assert [_settled(engine, one.uid) for one in (waiting, *on_wire)] == [
                "delivered",
                "delivered",
                "uncertain",
            ]
            again = engine.detail(on_wire[0].id)
            assert [(one.attempt_no, one.outcome) for one in again.attempts] == [(1, "abandoned"), (2, "delivered")]
            assert again.attempts[0].epoch < again.attempts[1].epoch
            names = [path.name for path in (tmp_path / "mail" / "new").iterdir()]
            assert sum(on_wire[0].uid in name for name in names) == 1
            assert engine.audit_verify().ok


def _claimed_by_the_owner(engine: Engine, ids: list[int]) -> None:
    """Put messages on the wire of the owner that is running: the kill comes between its claim and its answer."""
    epoch = engine.context.database.read(leader.read).epoch
    context, database = engine.context, engine.context.database
    plan = database.read(lambda tx: delivering.plan(tx, context, seats=lambda _lane: 9, most=9))
    chosen = [one for one in plan.candidates if one.id in ids]
    assert len(database.write(lambda tx: delivering.claim(tx, context, epoch, chosen))) == len(ids)


def test_a_frozen_former_owner_can_finish_nothing(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        message = box.put()
        [old] = box.claim()
        former = box.epoch
        box.take_over()
        box.database.write(lambda tx: delivering.reclaim_orphans(tx, box.context, box.epoch))
        [new] = box.claim()
        assert (old.taken.attempt_no, new.taken.attempt_no) == (1, 2)
        box.epoch = former
        box.finish(old, "rejected")
        box.finish(new, "rejected")
        assert box.message(message).state == "sending"
        with pytest.raises(delivering.Deposed):
            box.database.write(lambda tx: delivering.fence(tx, former))


def test_a_clock_that_was_set_back_while_nobody_delivered_makes_nobody_wait_longer(tmp_path: Path) -> None:
    ahead = support.FakeClock(support.START_MS + 365 * 86_400_000)
    with opened_engine(where(tmp_path), mail(tmp_path), clock=ahead) as engine:
        engine.start("test")
        engine.pause("all", for_ms=1_000)
        message = engine.enqueue(NewMessage("box", text="hi")).message
    with opened_engine(where(tmp_path), mail(tmp_path), clock=support.FakeClock()) as engine:
        engine.resume()
        engine.start("test")
        assert _settled(engine, message.uid) == "delivered"


# Reading and acting


def test_read_only_refuses_every_act_and_shows_everything(tmp_path: Path) -> None:
    with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
        message = engine.enqueue(NewMessage("box", text="hi")).message
        engine.pause("all", for_ms=60_000)
        frozen = engine.freeze(Action.CANCEL)
    with opened_engine(where(tmp_path), mail(tmp_path), read_only=True) as engine:
        before = engine.audit_page()[0].seq
        refused: list[Callable[[], object]] = [
            lambda: engine.enqueue(NewMessage("box", text="x")),
            lambda: engine.enqueue_many([NewMessage("box", text="x")]),
            *(lambda action=action: engine.act(action, message.id) for action in Action),
            lambda: engine.freeze(Action.CANCEL),
            lambda: engine.act_on(frozen),
            engine.undo,
            lambda: engine.pause("all", for_ms=1_000),
            engine.resume,
            lambda: engine.enable_target("box"),
            lambda: engine.probe("box", send=True),
            engine.reload,
            lambda: engine.doctor(fix=True),
        ]
        for act in refused:
            with pytest.raises(NotPossible, match="read-only"):
                act()
        assert engine.start("cockpit") == Role.ATTACHED
        assert engine.owner() is None
        assert engine.audit_page()[0].seq == before, "nothing was written"
        assert engine.detail(message.uid).message.state == "queued"
        assert engine.status()["counts"]["queued"] == 1
        assert engine.health()
        assert engine.doctor()


def test_the_change_feed_names_what_moved_and_nothing_else(tmp_path: Path) -> None:
    with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
        feed = engine.changes()
        try:
            assert feed.poll() == frozenset(Topic)
            assert feed.poll() == frozenset()
            message = engine.enqueue(NewMessage("box", text="hi")).message
            assert feed.poll() == {Topic.OUTBOX, Topic.AUDIT}
            engine.pause("all", for_ms=60_000)
            assert feed.poll() == {Topic.AUDIT}
            engine.act(Action.HOLD, message.id)
            engine.act(Action.RELEASE, message.id)
            assert feed.poll() == {Topic.OUTBOX, Topic.AUDIT}
            engine.page("")
            assert feed.poll() == frozenset(), "reading moves nothing"
            with opened_engine(where(tmp_path), mail(tmp_path)) as other:
                other.enqueue(NewMessage("box", text="from elsewhere"))
            assert feed.poll() == {Topic.OUTBOX, Topic.AUDIT}
            engine.start("test")
            assert Topic.ENGINE in feed.poll()
        finally:
            feed.close()


def test_the_change_feed_sees_counters_that_move_without_an_audit_entry(tmp_path: Path) -> None:
    with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
        context, feed = engine.context, engine.changes()

        def raised(detail: str) -> None:
            context.database.write(lambda tx: incidents.raise_incident(tx, context, Kind.CLOCK_JUMP, "clock", detail))

        try:
            feed.poll()
            raised("first")
            assert feed.poll() == {Topic.AUDIT, Topic.SECURITY}
            raised("again")
            assert feed.poll() == {Topic.SECURITY}
            engine.incident_ack(1)
            assert feed.poll() == {Topic.AUDIT, Topic.SECURITY}
            engine.incident_resolve(1, "summer time")
            assert feed.poll() == {Topic.AUDIT, Topic.SECURITY}
            made = engine.api_key_create("n8n", [Scope.SEND])
            assert feed.poll() == {Topic.AUDIT, Topic.SECURITY}
            use = apikeys.Use(made.key.id, 3, context.clock.now_ms(), "10.0.0.1")
            context.database.write(lambda tx: apikeys.used(tx, [use]))
            assert feed.poll() == {Topic.SECURITY}
        finally:
            feed.close()


def test_a_bad_configuration_changes_nothing_and_a_good_one_is_in_force(tmp_path: Path) -> None:
    paths = where(tmp_path)
    paths.data_dir.mkdir()
    config = paths._replace(config_file=paths.data_dir / "config.yaml")
    config.config_file.write_text("targets: {box: {channel: maildir, path: mail}}\n")
    engine = Engine.open(config, {}, actor="test:me")
    try:
        engine.start("test")
        config.config_file.write_text("targts: {box: {channel: maildir}}\n")
        assert any("did you mean targets?" in problem for problem in engine.reload())
        assert _settled(engine, engine.enqueue(NewMessage("box", text="as before")).message.uid) == "delivered"
        config.config_file.write_text("targets: {new: {channel: maildir, path: other}}\n")
        assert engine.reload() == []
        assert _settled(engine, engine.enqueue(NewMessage("new", text="hi")).message.uid) == "delivered"
        with pytest.raises(NotFound):
            engine.enqueue(NewMessage("box", text="gone"))
        assert engine.audit_page("action:config.loaded")
    finally:
        engine.close()


# What is taken in

_NASTY = ["\ud800", "half \udfff of a character"]


@pytest.mark.parametrize("text", _NASTY)
@pytest.mark.parametrize(
    "field",
    ["subject", "text", "html", "template", "idempotency_key", "collapse_key", "ordering_key", "tags", "target"],
)
def test_text_that_is_none_is_refused_in_one_line_and_stores_nothing(tmp_path: Path, field: str, text: str) -> None:
    with opened_box(tmp_path) as box:
        value = (text,) if field == "tags" else text
        with pytest.raises(ChronosError) as caught:
            box.put(**{field: value})
        assert caught.value.exit_code in {2, 4}
        assert "\n" not in str(caught.value)
        str(caught.value).encode()
        assert box.database.read(lambda tx: tx.search("SELECT count(*) FROM messages", {})) == [(0,)]
        assert box.put().id == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"not_before_ms": 10**20},
        {"expires_ms": 10**20},
        {"data": "{"},
        {"data": "[" * 100_000},
        {"text": None},
        {"subject": "two\nlines"},
        {"attachments": (Attachment("../x", "text/plain", b""),)},
        {"attachments": (Attachment("a\ud800", "text/plain", b""),)},
        {"attachments": (Attachment("a", "text/\ud800", b""),)},
        {"headers": (("X-A", "b\r\nBcc: c"),)},
        {"headers": (("X-\ud800", "b"),)},
        {"idempotency_key": "x" * 257},
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_refused_and_stores_nothing(tmp_path: Path, fields: dict[str, object]) -> None:
    with opened_box(tmp_path) as box:
        with pytest.raises(BadInput) as caught:
            box.put(**fields)
        assert "\n" not in str(caught.value)
        assert box.database.read(lambda tx: tx.search("SELECT count(*) FROM messages", {})) == [(0,)]


def test_one_idempotency_key_makes_one_message_whoever_is_first(tmp_path: Path) -> None:
    with opened_engine(where(tmp_path), mail(tmp_path)) as engine, opened_engine(where(tmp_path)) as other:
        new = NewMessage("hook", text="once", idempotency_key="k")
        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(lambda n: (engine if n % 2 else other).enqueue(new), range(40)))
        assert len({one.message.uid for one in done}) == 1
        assert [one.created for one in done].count(True) == 1
        assert engine.counts()["queued"] == 1
        assert len(engine.audit_page("action:message.queued")) == 1


def test_a_batch_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
        good = NewMessage("box", text="a", idempotency_key="k")
        with pytest.raises(IdempotencyConflict, match="use another key"):
            engine.enqueue_many([good, NewMessage("box", text="b"), NewMessage("box", text="c", idempotency_key="k")])
        assert engine.counts()["queued"] == 0
        assert engine.audit_page() == []
        assert [one.created for one in engine.enqueue_many([good, good])] == [True, False]


def test_what_is_returned_is_what_is_stored(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        for fields in (
            {},
            {"ordering_key": "k"},
            {"ordering_key": "k", "priority": Priority.URGENT, "collapse_key": "c", "template": "t"},
            {"idempotency_key": "i", "not_before_ms": support.START_MS + 5, "expires_ms": support.START_MS + 9},
        ):
            message = box.put(**fields)
            assert message == box.message(message)


# Bulk acts


def test_a_bulk_act_does_exactly_the_frozen_set_and_is_one_entry(tmp_path: Path) -> None:
    with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
        ids = [engine.enqueue(NewMessage("box", text=f"{n}")).message.id for n in range(7)]
        frozen = engine.freeze(Action.HOLD, expression="target:box")
        assert (frozen.total, len(frozen.sample)) == (7, 5)
        assert frozen.oldest is not None
        assert frozen.newest is not None
        assert (frozen.oldest.id, frozen.newest.id) == (ids[0], ids[-1])
        later = engine.enqueue(NewMessage("box", text="later")).message.id
        engine.act(Action.CANCEL, ids[0])
        before = engine.audit_page()[0].seq
        done = engine.act_on(frozen)
        assert (done.applied, done.skipped) == (6, 1)
        [entry] = [one for one in engine.audit_page() if one.seq > before]
        assert (entry.action, entry.detail["count"], entry.detail["ids"]) == ("bulk.hold", 7, ids)
        assert engine.detail(later).message.state == "queued", "nothing joins a frozen set"
        with pytest.raises(NotPossible, match="freeze a new set"):
            engine.act_on(frozen)
        engine.act(Action.RELEASE, ids[1])
        undone = engine.undo(done.bulk_id)
        assert undone.undone == 5
        assert engine.counts()["held"] == 0


def test_an_act_on_one_message_is_what_undo_takes_back_first(tmp_path: Path) -> None:
    with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
        one, other = (engine.enqueue(NewMessage("box", text=text)).message.id for text in "ab")
        engine.act(Action.HOLD, one)
        assert engine.act(Action.CANCEL, one).undo_id is not None
        engine.act(Action.RETRY, other)  # nothing to take back
        assert engine.undo().action == Action.CANCEL
        assert engine.detail(one).message.state == "held"
        assert engine.undo().action == Action.HOLD
        assert engine.detail(one).message.state == "queued"
        with pytest.raises(NotFound, match="nothing to undo"):
            engine.undo()


@pytest.mark.parametrize("phase", ["act", "undo"])
def test_a_bulk_act_that_a_crash_interrupted_is_finished_by_the_next_owner(tmp_path: Path, phase: str) -> None:
    class Crash(BaseException):
        pass

    def crash(_done: int, _total: int) -> None:
        raise Crash

    with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
        engine.enqueue_many([NewMessage("hook", text=f"{n}") for n in range(bulk.SLICE + 20)])
        frozen = engine.freeze(Action.CANCEL)
        if phase == "undo":
            engine.act_on(frozen)
        with pytest.raises(Crash):
            engine.act_on(frozen, crash) if phase == "act" else engine.undo(frozen.bulk_id, crash)
        counts = engine.counts()
        assert {counts["cancelled"], counts["queued"]} == {bulk.SLICE, 20}
        engine.pause("all", for_ms=60_000)
    with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
        engine.start("next")
        feed = engine.changes()
        for _ in range(1_000):
            [known] = engine.bulks()
            if known.state in {"done", "undone"}:
                break
            feed.poll()
            os.sched_yield()
        feed.close()
        wanted = "cancelled" if phase == "act" else "queued"
        assert engine.counts()[wanted] == bulk.SLICE + 20
        assert known.applied == bulk.SLICE + 20
        assert sum(one.action.startswith("bulk.") for one in engine.audit_page()) == (1 if phase == "act" else 2)


# Retention


def _rows(box: Box, table: str) -> int:
    return int(box.database.read(lambda tx: tx.search(f"SELECT count(*) FROM {table}", {}))[0][0])


def test_retention_forgets_all_of_a_message_and_keeps_the_search_index_whole(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        shared = Attachment("same.txt", "text/plain", b"shared")
        old = []
        for number in range(150):
            own = Attachment("own.txt", "text/plain", f"only {number}".encode())
            old.append(box.put(text=f"ancient wörd{number}", tags=("t",), attachments=(own, shared)))
        for one in box.claim(most=1_000, seats=lambda _lane: 1_000):
            box.finish(one)
        while housekeeping.index_text(box.context):
            pass
        box.clock.advance_ms(box.context.settings.outbox["keep_delivered_ms"])
        assert housekeeping.retain(box.context) == 0, "not a millisecond early"
        young = box.put(text="young word", attachments=(shared,))
        box.clock.advance_ms(1)
        assert housekeeping.retain(box.context) == 150
        while housekeeping.index_text(box.context):
            pass
        rows = {
            table: _rows(box, table) for table in ("messages", "bodies", "attachments", "blobs", "attempts", "tags")
        }
        assert rows == {"messages": 1, "bodies": 1, "attachments": 1, "blobs": 1, "attempts": 0, "tags": 0}
        assert [one.id for one in reading.page(box.context, "word").messages] == [young.id]
        assert reading.page(box.context, "ancient").messages == ()
        box.database.outside_transaction(
            lambda connection: connection.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")
        )
        with pytest.raises(NotFound):
            box.message(old[0])
        assert box.context.database.read(lambda tx: tx.search("SELECT count(*) FROM audit", {}))[0][0] > 300


def test_retention_hands_on_the_turn_that_a_dead_one_kept(tmp_path: Path) -> None:
    """Regression: a dead one that held its successors back was deleted, and they waited for nothing."""
    blocking = support.target(order_blocked_by=("dead",))
    with opened_box(tmp_path, settings({"hook": blocking})) as box:
        box.put(ordering_key="k")
        [one] = box.claim()
        box.finish(one, "rejected")
        waiting = box.put(ordering_key="k")
        assert box.claim() == []
        box.clock.advance_ms(box.context.settings.outbox["keep_dead_ms"] + 1)
        assert housekeeping.retain(box.context) == 1
        assert [claimed.taken.id for claimed in box.claim()] == [waiting.id]


def test_closing_gives_every_descriptor_back(tmp_path: Path) -> None:
    def once() -> None:
        with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
            engine.start("test")
            _settled(engine, engine.enqueue(NewMessage("box", text="hi")).message.uid)

    def descriptors() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    once()
    before = descriptors()
    for _ in range(3):
        once()
    assert descriptors() <= before


# Letting go, and a reload that cannot be recorded


def test_a_reload_while_the_database_takes_nothing_keeps_the_old_configuration_and_the_engine(tmp_path: Path) -> None:
    paths = where(tmp_path)
    paths.data_dir.mkdir()
    paths = paths._replace(config_file=paths.data_dir / "config.yaml")
    paths.config_file.write_text("targets: {box: {channel: maildir, path: mail}}\n")
    engine = Engine.open(paths, {}, actor="test:me")
    try:
        paths.config_file.write_text("targets: {new: {channel: maildir, path: other}}\n")
        paths.degraded.touch()

        problems = engine.reload()

        assert len(problems) == 1
        assert "DEGRADED" in problems[0]
        assert list(engine.settings.targets) == ["box"]
    finally:
        paths.degraded.unlink(missing_ok=True)
        engine.close()


def test_the_security_log_says_which_target_is_set_up_wrong(tmp_path: Path) -> None:
    log = support.EventLog()
    lost = TargetSpec("lost", "maildir", {"path": str(tmp_path)}, lane="lost")  # holds other files
    with opened_engine(where(tmp_path), settings({"lost": lost}), log=log) as engine:
        engine.start("cockpit")
        engine.enqueue(NewMessage("lost", text="hi"))
        log.wait_for("target_misconfigured")

    said = [(name, fields.get("target")) for _level, name, fields in log.events if fields["channel"] == "security"]
    assert said[:1] == [("target_misconfigured", "lost")]


def test_an_engine_that_stopped_leaves_the_log_to_the_next_owner(tmp_path: Path) -> None:
    """Before SQLite 3.51.3 two connections that checkpoint can corrupt the database."""
    with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
        engine.start("cockpit")
        engine.stop()
        engine.enqueue(NewMessage("box", text="taken while another process may own"))
        database = engine.context.database
        before = database.wal_bytes

        database.checkpoint(truncate=True)

        assert before > 0
        assert database.wal_bytes == before


def test_an_exported_entry_holds_no_control_character_that_a_terminal_would_obey(tmp_path: Path) -> None:
    with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
        engine.pause("target:box", for_ms=60_000, reason="a\x9b2Jb\u202ec")

        lines = list(engine.audit_export())

        assert lines[-1].isascii()
        assert json.loads(lines[-1])["detail"]["reason"] == "a\x9b2Jb\u202ec"


def test_a_token_in_an_ad_hoc_url_does_not_stay_in_the_audit_log(tmp_path: Path) -> None:
    with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
        engine.enqueue(NewMessage("https://hooks.example.org/in?token=canary-4711", text="x"))
        assert not any("canary-4711" in line for line in engine.audit_export())


def test_while_everything_is_paused_a_route_waits_too(tmp_path: Path) -> None:
    routed = mail(tmp_path)._replace(routes={"alerts": (RouteStep("box"), RouteStep("hook", after_ms=0))})
    with opened_engine(where(tmp_path), routed) as engine:
        engine.pause("all", for_ms=60_000)
        message_id = engine.enqueue(NewMessage("alerts", text="x")).message.id
        assert housekeeping.follow_routes(engine.context) == 0
        engine.resume()
        assert housekeeping.follow_routes(engine.context) == 1
        assert engine.detail(message_id).message.hop == 1


def test_a_message_of_a_process_whose_clock_runs_ahead_does_not_wait_for_years(tmp_path: Path) -> None:
    clock = support.FakeClock()
    with opened_engine(where(tmp_path), mail(tmp_path), clock=clock) as engine:
        years_ms = 10 * 365 * 86_400_000
        clock.jump_ms(years_ms)
        at_once = engine.enqueue(NewMessage("box", text="x")).message.id
        asked_ms = clock.now_ms() + 3_600_000
        later = engine.enqueue(NewMessage("box", text="y", not_before_ms=asked_ms)).message.id
        clock.jump_ms(-years_ms)
        assert housekeeping.rescue_from_the_future(engine.context) == 1
        assert engine.detail(at_once).message.due_ms == clock.now_ms()
        assert engine.detail(later).message.due_ms == asked_ms, "somebody asked for that time"
        assert housekeeping.rescue_from_the_future(engine.context) == 0
