"""Restores while the engine runs: it rests, goes on in a new epoch, keeps what stays true, and can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import Degraded, TryAgain
from engine.model import NewMessage, Role
from engine.operations import commanding, gate, incidents, vault
from engine.operations.acts import Action
from engine.operations.commanding import Stopped
from engine.operations.vault import Provider
from engine.rules.incidents import Kind
from engine.store import commands, leader
from tests.engine.restores import Site, opened_site
from tests.engine.test_engine import mail, where
from tests.store.rig import answer, running
from tests.support import PATIENCE_S, EventLog, opened_engine, settings

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with opened_engine(where(tmp_path), mail(tmp_path)) as opened:
        yield opened


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened_site(tmp_path / "data") as opened:
        yield opened


def put(engine: Engine, text: str, **fields: Any) -> str:
    return engine.enqueue(NewMessage("box", text=text, **fields)).message.uid


def state(engine: Engine, uid: str) -> str:
    return engine.detail(uid).message.state.value


def settled(engine: Engine, uid: str) -> str:
    return engine.wait_until_settled(uid, int(PATIENCE_S * 1000)).message.state.value


def received(directory: Path) -> int:
    return len(list((directory / "mail" / "new").glob("*")))


@contextmanager
def asked(work: Callable[[], object]) -> Iterator[list[object]]:
    """Do it on a thread of its own; what it returned or raised is in the list at the end."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - judged by the test
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield found
    finally:
        thread.join(60)
        assert not thread.is_alive()


# It goes on


def test_the_engine_rests_holds_what_waits_and_delivers_on_in_a_new_epoch(engine: Engine, tmp_path: Path) -> None:
    before = put(engine, "before")
    file = str(engine.backup_create(drill=False).path)
    engine.start("engine-only")
    assert settled(engine, before) == "delivered"
    later = put(engine, "later", not_before_ms=engine.context.clock.now_ms() + 3_600_000)
    epoch = engine.context.database.read(leader.read).epoch

    done = engine.restore_apply(file)

    assert (done["held_total"], done["held"][0]["uid"], done["plan"]["would_resend"]) == (1, later, 1)
    assert engine.role == Role.OWNER
    assert engine.turning()
    assert not engine.ended()
    found = engine.context.database.read(leader.read)
    assert (found.state, found.epoch > done["epoch"] > epoch) == ("running", True)
    after = put(engine, "after")
    assert settled(engine, after) == "delivered"
    assert (state(engine, before), state(engine, later)) == ("delivered", "held")
    assert received(tmp_path) == 2
    engine.act(Action.RELEASE, later)
    engine.act(Action.RETRY, later)
    assert settled(engine, later) == "delivered"
    assert received(tmp_path) == 3


def test_what_a_process_keeps_is_kept_where_a_restore_does_not_change_it(engine: Engine) -> None:
    """A passphrase that was typed, the gate of its door, counts that are not written yet."""
    engine.vault_create(Provider.PASSPHRASE, passphrase=PASSPHRASE)
    engine.secret_set("smtp", "then")
    context = engine.context
    door = gate.Gate(context, EventLog())
    file = str(engine.backup_create(drill=False).path)
    engine.start("cockpit")
    for _ in range(3):  # repeats of one second are counted in memory
        incidents.report(context, Kind.REPLAY, "shop", "again")
    engine.restore_apply(file)
    assert vault.opened(context).row.provider == Provider.PASSPHRASE.value
    assert engine.secrets_check()[0].ok
    assert context.kept[gate.KEPT] is door
    incidents.flush(context)
    (found,) = [one for one in incidents.listing(context) if one.kind == Kind.REPLAY]
    assert found.count == 3
    door.close()


def test_the_door_stays_open_and_is_told_of_in_the_new_epoch(tmp_path: Path) -> None:
    configuration = mail(tmp_path)._replace(http=settings(http={"listen": "127.0.0.1:0"}).http)
    with opened_engine(where(tmp_path), configuration) as engine:
        engine.start("engine-only")
        address = engine.serve()
        engine.restore_apply(str(engine.backup_create(drill=False).path))
        assert address
        assert engine.serve() == address
        assert engine.context.database.read(leader.read).http == address


_PRODUCER = """
    import sys
    from pathlib import Path
    from engine.engine import Engine
    from engine.errors import TryAgain
    from engine.model import NewMessage
    from tests.engine.test_engine import mail, where
    engine = Engine.open(where(Path(sys.argv[1])), {}, actor="test:producer", settings=mail(Path(sys.argv[1])))
    number = 0
    while True:
        try:
            message = engine.enqueue(NewMessage("box", text="hi", idempotency_key=f"key-{number}")).message
        except TryAgain:
            continue
        number += 1
        print(message.uid, flush=True)
"""


def test_of_what_another_process_hands_in_meanwhile_nothing_is_lost_or_sent_twice(
    engine: Engine, tmp_path: Path
) -> None:
    file = str(engine.backup_create(drill=False).path)
    engine.start("engine-only")
    with running(_PRODUCER, tmp_path) as producer:
        said = [answer(producer) for _ in range(5)]
        dones = [engine.restore_apply(file) for _ in range(2)]
        said += [answer(producer) for _ in range(5)]
        producer.kill()
        assert producer.stdout is not None
        said += [line.strip() for line in producer.stdout if line.endswith("\n")]
    assert len(said) > 10
    # A result names the first thousand that are held; a quick machine hands in more meanwhile.
    rows = engine.context.database.read(lambda tx: tx.search("SELECT uid FROM messages WHERE state = 'held'", {}))
    held = {uid for (uid,) in rows}
    assert {one["uid"] for one in dones[-1]["held"]} <= held
    assert dones[-1]["held_total"] == len(held) > 0
    for uid in said:
        assert uid in held or settled(engine, uid) == "delivered"
    engine.act_on(engine.freeze(Action.RELEASE, expression="state:held"))
    for uid in sorted(held):
        assert settled(engine, uid) == "delivered"
    everything = engine.context.database.read(lambda tx: tx.search("SELECT uid, idempotency_key FROM messages", {}))
    assert {uid for uid, _key in everything} >= set(said)
    assert len({key for _uid, key in everything}) == len(everything) == received(tmp_path)


# It cannot go on


def test_an_engine_that_cannot_deliver_again_says_so(engine: Engine) -> None:
    """Else whoever watches over it would take it for one that rests, for ever."""
    engine.start("engine-only")
    marker = engine.paths.degraded

    def rest() -> None:
        with engine._quiesce():
            assert engine.turning(), "it rests"
            marker.write_text("the disk failed meanwhile\n")

    with pytest.raises(Degraded):
        rest()
    assert engine.ended()
    assert not engine.turning()
    marker.unlink()


def test_who_cannot_deliver_again_has_restored_all_the_same(site: Site) -> None:
    site.put(text="waits")
    file = site.back_up()

    @contextmanager
    def quiesce() -> Iterator[None]:
        yield
        raise TryAgain("the disk is full")

    done = site.apply(file, quiesce=quiesce)
    assert done.held_total == 1
    assert any("the disk is full" in note for note in done.notes)
    actions = [row[0] for row in site.rows("SELECT action FROM audit WHERE action LIKE 'restore.%'")]
    assert actions == ["restore.applied"]
    site.sound()


# It stops


@pytest.mark.parametrize(
    "stage", ["unpacking", "judging", "copying rows", "carrying", "draining", "putting it in place"]
)
def test_an_engine_that_stops_meanwhile_leaves_everything_as_it_was_or_wholly_restored(
    engine: Engine, tmp_path: Path, stage: str
) -> None:
    before = put(engine, "before")
    file = str(engine.backup_create(drill=False).path)
    engine.start("engine-only")
    assert settled(engine, before) == "delivered"
    later = put(engine, "later", not_before_ms=engine.context.clock.now_ms() + 3_600_000)
    here = threading.Event()

    def report(said: str, _done: int, _total: int) -> None:
        if said.startswith(stage):
            here.set()

    with asked(lambda: engine.restore_apply(file, report=report)) as found:
        here.wait(2)  # a stage may be over before whoever follows has looked
        engine.stop()
    assert engine.owner() is None
    restored = isinstance(found[0], dict)
    assert restored or isinstance(found[0], (Stopped, TryAgain)), found
    assert state(engine, later) == ("held" if restored else "queued")
    assert commanding.unfinished(engine.context) == []
    assert list(engine.paths.data_dir.glob("restore-*")) == []
    assert received(tmp_path) == 1
    engine.start("engine-only")
    other = put(engine, "other")
    assert settled(engine, other) == "delivered"


# What the asker hears


def test_whoever_dies_right_after_the_swap_has_done_it(site: Site) -> None:
    uid = site.put(text="waits").uid
    file = site.back_up()
    context = site.context
    row = commanding.ask(context, "restore", {"file": str(file)})
    assert site.database.write(lambda tx: commands.take(tx, site.clock.now_ms(), row.id, site.epoch))

    site.apply(file)  # and nobody lives to say so

    assert commanding.get(context, row.id).state == "running"
    commanding.settle(context, site.epoch)
    done = commanding.follow(context, row.id, alive=lambda: False)
    assert [one["uid"] for one in done["held"]] == [uid]
    assert done["safety_backup"] in {path.name for path in (site.directory / "backups").iterdir()}


def test_whoever_dies_before_the_swap_has_not(site: Site) -> None:
    file = site.back_up()
    context = site.context
    row = commanding.ask(context, "restore", {"file": str(file)})
    assert site.database.write(lambda tx: commands.take(tx, site.clock.now_ms(), row.id, site.epoch))
    site.take_over()
    commanding.settle(context, site.epoch)
    with pytest.raises(TryAgain, match="is there still"):
        commanding.follow(context, row.id, alive=lambda: False)
