"""One-off acts asked of whoever delivers: taken, followed, cancelled, expired, given up."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import ChronosError, NotPossible, TryAgain
from engine.executor import Executor
from engine.host.locks import EngineLock
from engine.host.paths import paths
from engine.operations import commanding
from engine.operations.commanding import Performer, Report, Stopped
from engine.operations.context import Context
from engine.store import commands as store
from tests.support import EventLog


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    env = {"HOME": str(tmp_path), "CHRONOS_HTTP_ENABLED": "false"}
    found = Engine.open(paths(str(tmp_path / "data"), None, env), env, actor="test")
    yield found
    found.close()


def _count(context: Context, arguments: Mapping[str, Any], report: Report) -> dict[str, Any]:
    for done in range(arguments["upto"]):
        report(f"step {done}", done, arguments["upto"])
    return {"counted": arguments["upto"], "by": context.actor}


def _refuse(_context: Context, arguments: Mapping[str, Any], _report: Report) -> dict[str, Any]:
    raise NotPossible(f"not with {arguments['what']}")


def _defect(_context: Context, _arguments: Mapping[str, Any], _report: Report) -> dict[str, Any]:
    raise ZeroDivisionError


PERFORMERS: dict[str, Performer] = {"count": _count, "refuse": _refuse, "defect": _defect}


def test_an_act_is_done_as_whoever_asked_and_its_result_is_followed(engine: Engine) -> None:
    context = engine.context
    asked = commanding.ask(context.acting_as("cli:ann"), "count", {"upto": 3})
    seen: list[str] = []
    commanding.perform(context, asked, PERFORMERS, epoch=1, told=lambda stage, _done, _total: seen.append(stage))
    assert commanding.follow(context, asked.id, alive=lambda: False) == {"counted": 3, "by": "cli:ann"}
    assert seen == ["step 0", "step 1", "step 2"]
    assert commanding.unfinished(context) == []


def test_what_an_act_raises_reaches_whoever_waits(engine: Engine) -> None:
    context = engine.context
    asked = commanding.ask(context, "refuse", {"what": "this"})
    commanding.perform(context, asked, PERFORMERS, epoch=1)
    with pytest.raises(NotPossible, match="not with this"):
        commanding.follow(context, asked.id, alive=lambda: True)


@pytest.mark.parametrize("kind", ["defect", "unheard-of"])
def test_a_defect_ends_the_act_in_one_line(engine: Engine, kind: str) -> None:
    asked = commanding.ask(engine.context, kind, {})
    commanding.perform(engine.context, asked, PERFORMERS, epoch=1)
    with pytest.raises(ChronosError) as caught:
        commanding.follow(engine.context, asked.id, alive=lambda: True)
    assert "\n" not in str(caught.value)


def test_an_act_is_done_once_however_many_see_it(engine: Engine) -> None:
    done: list[int] = []

    def note(_context: Context, _arguments: Mapping[str, Any], _report: Report) -> dict[str, Any]:
        done.append(1)
        return {}

    asked = commanding.ask(engine.context, "note", {})
    threads = [
        threading.Thread(target=commanding.perform, args=(engine.context, asked, {"note": note}), kwargs={"epoch": 1})
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [1]


def test_a_cancelled_one_ends_at_its_next_step(engine: Engine) -> None:
    context = engine.context
    begun, cancelled = threading.Event(), threading.Event()

    def slow(_context: Context, _arguments: Mapping[str, Any], report: Report) -> dict[str, Any]:
        report("first", 0, 2)
        begun.set()
        assert cancelled.wait(30)
        report("second", 1, 2)
        raise AssertionError("it went on")

    asked = commanding.ask(context, "slow", {})
    thread = threading.Thread(target=commanding.perform, args=(context, asked, {"slow": slow}), kwargs={"epoch": 1})
    thread.start()
    assert begun.wait(30)
    assert commanding.cancel(context, asked.id)
    cancelled.set()
    thread.join()
    with pytest.raises(Stopped, match="as it was before"):
        commanding.follow(context, asked.id, alive=lambda: True)
    assert not commanding.cancel(context, asked.id)


def test_one_that_waits_and_is_cancelled_is_never_begun(engine: Engine) -> None:
    asked = commanding.ask(engine.context, "count", {"upto": 1})
    commanding.cancel(engine.context, asked.id)
    commanding.perform(engine.context, asked, PERFORMERS, epoch=1)
    assert commanding.get(engine.context, asked.id).state == "cancelled"


def test_whoever_waits_stops_it_by_raising(engine: Engine) -> None:
    asked = commanding.ask(engine.context, "count", {"upto": 1})
    engine.context.database.write(lambda tx: tx.run("commands.take", {"id": asked.id, "epoch": 1, "now_ms": 0}))

    def told(_stage: str, _done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        commanding.follow(engine.context, asked.id, alive=lambda: True, told=told)
    assert commanding.get(engine.context, asked.id).cancel_requested


@pytest.mark.parametrize("state", ["done", "cancelled"])
def test_who_has_it_stopped_learns_whether_it_was(engine: Engine, state: str) -> None:
    asked = commanding.ask(engine.context, "count", {"upto": 1})
    database = engine.context.database
    database.write(lambda tx: tx.run("commands.take", {"id": asked.id, "epoch": 1, "now_ms": 0}))

    def told(_stage: str, _done: int, _total: int) -> None:
        raise Stopped("interrupted")

    def end(_seconds: float) -> None:
        assert commanding.get(engine.context, asked.id).cancel_requested
        result = {"counted": 1}
        database.write(lambda tx: store.finish(tx, 1, asked.id, state=state, result=result, error="", error_kind=""))

    def follow() -> Mapping[str, Any]:
        return commanding.follow(engine.context, asked.id, alive=lambda: True, told=told, pause=end)

    if state == "done":
        assert follow() == {"counted": 1}, "it was past the point where it could be stopped"
    else:
        with pytest.raises(Stopped, match="as it was before"):
            follow()


def test_one_that_waits_is_told_of_and_stopped_by_an_interrupt(engine: Engine) -> None:
    asked = commanding.ask(engine.context, "count", {"upto": 1})
    told: list[str] = []

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        commanding.follow(
            engine.context,
            asked.id,
            alive=lambda: True,
            told=lambda stage, _done, _total: told.append(stage),
            pause=interrupted,
        )
    assert told == ["waiting for the engine"]
    assert commanding.get(engine.context, asked.id).state == "cancelled"


@pytest.mark.parametrize("ask", ["backup_create", "restore_apply"])
def test_what_a_command_restores_meanwhile_is_not_waited_for_as_an_engine_is(engine: Engine, ask: str) -> None:
    file = str(engine.backup_create(drill=False).path)
    other = EngineLock(engine.paths.engine_lock)
    assert other.acquire({"pid": 4711, "mode": "restore"})
    try:
        with pytest.raises(NotPossible, match=r"a restore is under way \(pid 4711\); wait for it to end"):
            engine.backup_create() if ask == "backup_create" else engine.restore_apply(file)
    finally:
        other.release()
    assert commanding.unfinished(engine.context) == []


def test_nobody_takes_it_in_time(engine: Engine) -> None:
    asked = commanding.ask(engine.context, "count", {"upto": 1}, within_ms=0)
    with pytest.raises(TryAgain, match="did not take it in time"):
        commanding.follow(engine.context, asked.id, alive=lambda: True)


def test_whoever_did_it_is_gone(engine: Engine) -> None:
    asked = commanding.ask(engine.context, "count", {"upto": 1})
    engine.context.database.write(lambda tx: tx.run("commands.take", {"id": asked.id, "epoch": 1, "now_ms": 0}))
    with pytest.raises(TryAgain, match="ended in the middle"):
        commanding.follow(engine.context, asked.id, alive=lambda: False, pause=lambda _s: None)


def test_an_owner_settles_what_a_former_one_was_at(engine: Engine) -> None:
    old = commanding.ask(engine.context, "count", {"upto": 1})
    late = commanding.ask(engine.context, "count", {"upto": 1}, within_ms=0)
    engine.context.database.write(lambda tx: tx.run("commands.take", {"id": old.id, "epoch": 1, "now_ms": 0}))
    commanding.settle(engine.context, epoch=2)
    assert commanding.get(engine.context, old.id).state == "failed"
    assert commanding.get(engine.context, late.id).state == "expired"


def test_the_executor_takes_what_another_process_asked(engine: Engine) -> None:
    executor = Executor(engine.context, lambda: 1, PERFORMERS)
    executor.start()
    try:
        asked = commanding.ask(engine.context, "count", {"upto": 2})
        assert commanding.follow(engine.context, asked.id, alive=lambda: True)["counted"] == 2
    finally:
        executor.stop(10)


def test_an_end_that_cannot_be_recorded_keeps_nobody_waiting_for_ever(engine: Engine) -> None:
    """A backup fills the disk, and that it failed does not fit either."""
    marker, log = engine.paths.degraded, EventLog()
    engine.context.machine = engine.context.machine._replace(log=log)

    def fill(_context: Context, _arguments: Mapping[str, Any], _report: Report) -> dict[str, Any]:
        marker.write_text("full\n")
        raise NotPossible("the disk is full")

    executor = Executor(engine.context, lambda: 1, {"fill": fill})
    asked = commanding.ask(engine.context, "fill", {})
    executor.start()
    try:
        log.wait_for("commands_wait")
        marker.unlink()
        executor.wake()
        with pytest.raises(TryAgain, match="is there still"):
            commanding.follow(engine.context, asked.id, alive=lambda: True)
    finally:
        executor.stop(10)


def test_a_stopping_executor_ends_what_runs(engine: Engine) -> None:
    begun = threading.Event()

    def endless(_context: Context, _arguments: Mapping[str, Any], report: Report) -> dict[str, Any]:
        while True:
            report("round", 0, 0)
            begun.set()

    executor = Executor(engine.context, lambda: 1, {"endless": endless})
    executor.start()
    asked = commanding.ask(engine.context, "endless", {})
    assert begun.wait(30)
    executor.stop(30)
    found = commanding.get(engine.context, asked.id)
    assert (found.state, found.error) == ("cancelled", "stopped: the engine ends; everything is as it was before")


def test_a_read_only_engine_asks_for_nothing(engine: Engine) -> None:
    engine.context.read_only = True
    with pytest.raises(NotPossible, match="read-only"):
        commanding.ask(engine.context, "count", {"upto": 1})


def test_what_ended_long_ago_is_forgotten(engine: Engine) -> None:
    asked = commanding.ask(engine.context, "count", {"upto": 1})
    commanding.cancel(engine.context, asked.id)
    engine.context.database.write(lambda tx: tx.run("commands.forget", {"before_ms": 1 << 60}))
    with pytest.raises(ChronosError, match="no command"):
        commanding.get(engine.context, asked.id)
