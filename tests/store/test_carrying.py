"""What a restore makes of two databases: nothing leaves by itself, nothing is lost, no door opens again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import Sent
from engine.model import Attachment, OnUncertain, Outcome
from engine.operations import apikeys, bulk, delivering, holding, inbound, verifying
from engine.operations.acts import Action, act_on_one
from engine.operations.bulk import act, freeze
from engine.operations.delivering import Finish
from engine.rules.apikeys import Scope
from engine.rules.carrying import Log, Relation, relation
from engine.store import commands
from tests.store.staging import TAG, change, restore, rows, snapshot, staged
from tests.support import START_MS, Box, opened_box

_STATES = "SELECT state FROM messages WHERE uid = :uid"


def state(box: Box, uid: str) -> str:
    return str(rows(box.database, _STATES, uid=uid)[0][0])


def reason(box: Box, uid: str) -> str:
    return str(rows(box.database, "SELECT state_reason FROM messages WHERE uid = :uid", uid=uid)[0][0])


def tagged(box: Box) -> set[str]:
    sql = "SELECT m.uid FROM tags AS t JOIN messages AS m ON m.id = t.message_id WHERE t.tag = :tag"
    return {row[0] for row in rows(box.database, sql, tag=TAG)}


def sound(box: Box) -> None:
    """Nothing queued or on the wire, counts as counted, the log verified, and every page in order."""
    counted = dict(rows(box.database, "SELECT state, count(*) FROM messages GROUP BY state"))
    kept = dict(rows(box.database, "SELECT name, n FROM counts WHERE name NOT IN ('revision', 'audit_head')"))
    assert {name: n for name, n in kept.items() if n} == counted
    assert not counted.keys() & {"queued", "sending"}
    found = verifying.verify(box.context)
    assert found.ok, found.why
    assert rows(box.database, "PRAGMA integrity_check") == [("ok",)]
    assert rows(box.database, "PRAGMA foreign_key_check") == []


# One message


def queue(_box: Box, _number: int) -> None:
    """It waits."""


def send(box: Box, number: int) -> None:
    assert [claimed.taken.id for claimed in box.claim()] == [number]


def deliver(box: Box, _number: int) -> None:
    for claimed in box.claim():
        box.finish(claimed)


def kill(box: Box, _number: int) -> None:
    for claimed in box.claim():
        box.finish(claimed, Outcome(Sent.REJECTED, "no such user", "550"))


def lose(box: Box, _number: int) -> None:
    for claimed in box.claim():
        box.finish(claimed, Outcome(Sent.UNKNOWN, "hung up"))


def hold(box: Box, number: int) -> None:
    act_on_one(box.context, Action.HOLD, number)


def release(box: Box, number: int) -> None:
    act_on_one(box.context, Action.RELEASE, number)


def cancel(box: Box, number: int) -> None:
    act_on_one(box.context, Action.CANCEL, number)


def forget(box: Box, number: int) -> None:
    change(box.database, "DELETE FROM messages WHERE id = :id", id=number)


def finish(box: Box, _number: int) -> None:
    sql = "SELECT id, attempts FROM messages WHERE state = 'sending'"
    ended = [Finish(number, attempt, Outcome("delivered")) for number, attempt in rows(box.database, sql)]
    box.database.write(lambda tx: delivering.finish(tx, box.context, box.epoch, ended))


Step = Callable[[Box, int], None]

CASES: list[tuple[str, list[Step], list[Step], str, str]] = [
    # name, before the backup, after it, the state after the restore, how the reason begins
    ("queued both times", [], [], "held", "restored: was queued at 2026-09-21T14:13:20Z"),
    ("delivered since", [], [deliver], "delivered", ""),
    ("on the wire, then delivered", [send], [finish], "delivered", ""),
    ("on the wire both times", [send], [], "held", "restored: was being sent; it may have arrived"),
    ("put on the wire since", [], [send], "held", "restored: was being sent; it may have arrived"),
    ("held by an operator both times", [hold], [], "held", "held by test:me"),
    ("held by an operator since", [], [hold], "held", "held by test:me"),
    ("released since", [hold], [release], "held", "restored: was queued at"),
    ("released and delivered since", [hold], [release, deliver], "delivered", ""),
    (
        "cancelled since",
        [],
        [cancel],
        "held",
        "restored: was queued when the backup was taken; since then: cancelled by",
    ),
    ("died since", [], [kill], "held", "restored: was queued when the backup was taken; since then: "),
    ("cancelled both times", [cancel], [], "cancelled", "cancelled by test:me"),
    ("dead both times", [kill], [], "dead", ""),
    ("uncertain since", [], [lose], "uncertain", ""),
    ("uncertain both times", [lose], [], "uncertain", ""),
    ("delivered both times", [deliver], [], "delivered", ""),
    ("delivered and forgotten since", [], [deliver, forget], "delivered", "restored: the audit log says"),
    ("on the wire, delivered, forgotten", [send], [finish, forget], "delivered", "restored: the audit log says"),
    ("delivered, then forgotten", [deliver], [forget], "delivered", ""),
    ("cancelled and forgotten since", [], [cancel, forget], "held", "restored: was queued at"),
    ("gone without a word, on the wire", [send], [forget], "held", "restored: was being sent when the backup was"),
]


@pytest.mark.parametrize(("before", "since", "after", "why"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_a_message_ends_up_where_the_rule_says(
    box: Box, tmp_path: Path, before: list[Step], since: list[Step], after: str, why: str
) -> None:
    uid = box.put(on_uncertain=OnUncertain.ASK).uid
    for step in before:
        step(box, 1)
    backup = snapshot(box.database, tmp_path / "backup.db")
    box.put(text="the newest, which is never forgotten")
    cancel(box, 2)
    for step in since:
        step(box, 1)
    assert restore(box, backup) == Relation.CONTINUES
    assert state(box, uid) == after
    assert reason(box, uid).startswith(why)
    assert (uid in tagged(box)) == (after == "held" and why.startswith("restored: "))
    sound(box)


def test_what_came_after_the_backup_is_there_and_waits(box: Box, tmp_path: Path) -> None:
    backup = snapshot(box.database, tmp_path / "backup.db")
    sent = box.put(text="sent").uid
    deliver(box, 1)
    late = box.put(text="late", idempotency_key="once", tags=("nightly",)).uid
    restore(box, backup)
    assert (state(box, sent), state(box, late)) == ("delivered", "held")
    assert tagged(box) == {late}
    again = box.put(text="late", idempotency_key="once", tags=("nightly",))
    assert again.uid == late, "the key is known"
    texts = rows(box.database, "SELECT m.uid, b.text FROM messages AS m JOIN bodies AS b ON b.message_id = m.id")
    assert dict(texts) == {sent: "sent", late: "late"}
    sound(box)


def test_nothing_is_claimed_until_it_is_released_and_then_in_its_order(box: Box, tmp_path: Path) -> None:
    first = [box.put(ordering_key="a").id for _ in range(3)]
    backup = snapshot(box.database, tmp_path / "backup.db")
    first += [box.put(ordering_key="a").id for _ in range(12)]
    restore(box, backup)
    box.take_over()
    assert box.claim() == []
    frozen = freeze(box.context, Action.RELEASE, expression=f"tag:{TAG}")
    act(box.context, frozen.bulk_id)
    sent = []
    for _ in first:
        (claimed,) = box.claim()
        sent.append(claimed.taken.id)
        box.finish(claimed)
    assert sent == first
    assert box.claim() == []


def test_an_attempt_that_was_on_the_wire_is_ended_as_unknown(box: Box, tmp_path: Path) -> None:
    box.put()
    send(box, 1)
    backup = snapshot(box.database, tmp_path / "backup.db")
    box.put(text="another")
    forget(box, 1)
    restore(box, backup)
    found = rows(box.database, "SELECT message_id, attempt_no, outcome, finished_ms FROM attempts")
    assert found == [(1, 1, "abandoned", START_MS)]


def test_carrying_again_changes_nothing_and_takes_up_what_happened_since(box: Box, tmp_path: Path) -> None:
    for number in range(20):
        box.put(text=str(number))
    backup = snapshot(box.database, tmp_path / "backup.db")
    deliver(box, 1)
    box.put(text="since")
    dump = "SELECT uid, state, state_reason, finished_ms, attempts FROM messages ORDER BY id"
    with staged(box, backup) as copy:
        how, here = copy.relation()
        copy.carry(how, here)
        once = copy.tx.search(dump, {})
        copy.carry(how, here)
        assert copy.tx.search(dump, {}) == once
        deliver(box, 1)
        copy.carry(*copy.relation())
        states = {row[1] for row in copy.tx.search(dump, {})}
        assert states == {"delivered"}


# Everything else


def test_no_door_opens_again(box: Box, tmp_path: Path) -> None:
    apikeys.create(box.context, "ci", [Scope.SEND])
    apikeys.create(box.context, "old", [Scope.SEND])
    backup = snapshot(box.database, tmp_path / "backup.db")
    apikeys.revoke(box.context, "ci")
    apikeys.rotate(box.context, "old", overlap_ms=1_000)
    fresh = apikeys.create(box.context, "fresh", [Scope.SEND])
    before = rows(box.database, "SELECT * FROM api_keys ORDER BY id")
    with staged(box, backup) as copy:
        assert {(name, what.split()[0]) for _id, name, what in copy.keys_changed()} == {
            ("ci", "revoked"),
            ("old", "replaced"),
        }
    restore(box, backup)
    assert rows(box.database, "SELECT * FROM api_keys ORDER BY id") == before
    assert fresh.key.id in {row[0] for row in before}


def test_a_key_stays_revoked_where_the_older_database_is_the_one_here(tmp_path: Path) -> None:
    (tmp_path / "box").mkdir()
    with opened_box(tmp_path / "box") as box:
        apikeys.create(box.context, "ci", [Scope.SEND])
        old = snapshot(box.database, tmp_path / "old.db")
        apikeys.revoke(box.context, "ci")
        backup = snapshot(box.database, tmp_path / "backup.db")
    (tmp_path / "other").mkdir()
    old.rename(tmp_path / "other" / "chronos.db")
    with opened_box(tmp_path / "other") as box:
        assert restore(box, backup) == Relation.BEHIND
        assert rows(box.database, "SELECT count(*) FROM api_keys WHERE revoked_ms IS NULL") == [(0,)]
        sound(box)


_EVENT = (
    "INSERT INTO inbound_events (source, event_id, proof, body_sha256, received_ms, remote, size, outcome)"
    " VALUES ('shop', :id, :id, '', 1, '', 0, 'ignored')"
)


def test_what_was_seen_stays_seen(box: Box, tmp_path: Path) -> None:
    change(box.database, _EVENT, id="evt-1")
    backup = snapshot(box.database, tmp_path / "backup.db")
    change(box.database, _EVENT, id="evt-2")
    restore(box, backup)
    assert rows(box.database, "SELECT event_id FROM inbound_events ORDER BY id") == [("evt-1",), ("evt-2",)]


def test_a_hold_that_ended_stays_ended_and_one_that_began_stays(box: Box, tmp_path: Path) -> None:
    holding.pause(box.context, "target:hook", for_ms=60_000)
    backup = snapshot(box.database, tmp_path / "backup.db")
    holding.resume(box.context, "target:hook")
    holding.pause(box.context, "channel:test", for_ms=60_000)
    before = rows(box.database, "SELECT * FROM holds")
    restore(box, backup)
    assert rows(box.database, "SELECT * FROM holds") == before


def test_a_bulk_act_that_was_under_way_does_not_go_on(box: Box, tmp_path: Path) -> None:
    for _ in range(3):
        box.put()
    frozen = freeze(box.context, Action.HOLD, expression="state:queued")
    act(box.context, frozen.bulk_id)
    releasing = freeze(box.context, Action.RELEASE, expression="state:held")
    change(box.database, "UPDATE bulks SET state = 'acting' WHERE id = :id", id=releasing.bulk_id)
    backup = snapshot(box.database, tmp_path / "backup.db")
    box.put()
    restore(box, backup)
    assert rows(box.database, "SELECT state, skipped FROM bulks WHERE id = :id", id=releasing.bulk_id) == [("done", 3)]
    assert rows(box.database, "SELECT DISTINCT result FROM bulk_items WHERE bulk_id = :id", id=releasing.bulk_id) == [
        ("skipped",)
    ]
    assert bulk.unfinished(box.context) == []
    sound(box)


def test_what_was_asked_of_the_engine_when_the_backup_was_taken_is_over(box: Box, tmp_path: Path) -> None:
    def ask(kind: str) -> int:
        now_ms = box.clock.now_ms()
        return box.database.write(
            lambda tx: commands.ask(tx, now_ms, kind, {}, actor="cli:me", expires_ms=now_ms + 30_000)
        )

    old = ask("backup")
    backup = snapshot(box.database, tmp_path / "backup.db")
    change(box.database, "DELETE FROM commands")
    box.put()
    restoring = ask("restore")
    change(box.database, "UPDATE commands SET id = 7, asked_ms = 9 WHERE id = :id", id=restoring)
    restore(box, backup)
    assert rows(box.database, "SELECT id, kind, state FROM commands ORDER BY id") == [
        (old, "backup", "failed"),
        (7, "restore", "waiting"),
    ]


def test_the_new_epoch_is_above_both(box: Box, tmp_path: Path) -> None:
    backup = snapshot(box.database, tmp_path / "backup.db")
    for _ in range(4):
        box.take_over()
    restore(box, backup)
    assert rows(box.database, "SELECT epoch FROM leader")[0][0] > box.epoch
    assert box.take_over() > 5


def test_attachments_come_with_their_messages(box: Box, tmp_path: Path) -> None:
    box.put(attachments=(Attachment("a.txt", "text/plain", b"one"),))
    backup = snapshot(box.database, tmp_path / "backup.db")
    box.put(attachments=(Attachment("b.txt", "text/plain", b"one"), Attachment("c.txt", "text/plain", b"two")))
    restore(box, backup)
    sql = "SELECT a.message_id, a.name, b.content FROM attachments AS a JOIN blobs AS b USING (sha256) ORDER BY 1, 2"
    assert rows(box.database, sql) == [(1, "a.txt", b"one"), (2, "b.txt", b"one"), (2, "c.txt", b"two")]
    sound(box)


def test_a_pruned_log_stays_pruned_and_verifies(box: Box, tmp_path: Path) -> None:
    for _ in range(10):
        box.put()
    backup = snapshot(box.database, tmp_path / "backup.db")
    box.put()
    mark = "UPDATE meta SET value = '12' WHERE key = 'audit_pruned_seq'"
    for _ in range(3):
        box.put()
    change(box.database, mark)
    change(box.database, "DELETE FROM audit WHERE seq <= 12")
    before = rows(box.database, "SELECT seq, hash FROM audit")
    assert restore(box, backup) == Relation.CONTINUES
    assert rows(box.database, "SELECT seq, hash FROM audit") == before
    assert rows(box.database, "SELECT value FROM meta WHERE key = 'audit_pruned_seq'") == [("12",)]


# Histories


@pytest.fixture
def forked(tmp_path: Path) -> tuple[Path, Path]:
    """A database that was copied and went on in two places: (a backup of the one, the other's directory)."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with opened_box(tmp_path / "one") as box:
        box.put(text="both", idempotency_key="both")
        snapshot(box.database, tmp_path / "two" / "chronos.db")
        deliver(box, 1)
        box.put(text="backup", idempotency_key="key", tags=("theirs",))
        hold(box, 2)
        box.put(text="sent there")
        change(box.database, _EVENT, id="evt-theirs")
        holding.pause(box.context, "target:hook", for_ms=60_000)
        backup = snapshot(box.database, tmp_path / "backup.db")
    return backup, tmp_path / "two"


def test_of_two_histories_nothing_is_lost(forked: tuple[Path, Path]) -> None:
    backup, directory = forked
    with opened_box(directory) as box:
        box.context.entropy = lambda n: (1 << 40).to_bytes(n, "big")
        box.clock.advance_ms(5_000)
        box.put(text="today", idempotency_key="key", tags=("ours",))
        hold(box, 2)
        change(box.database, _EVENT, id="evt-ours")
        holding.pause(box.context, "channel:test", for_ms=60_000)
        assert restore(box, backup) == Relation.FORKED
        texts = dict(
            rows(box.database, "SELECT b.text, m.id FROM messages AS m JOIN bodies AS b ON b.message_id = m.id")
        )
        assert texts.keys() == {"both", "backup", "sent there", "today"}
        assert texts["today"] == 2, "the number that is known here stays"
        keys = dict(rows(box.database, "SELECT id, idempotency_key FROM messages"))
        assert (keys[texts["today"]], keys[texts["backup"]], keys[texts["both"]]) == ("key", None, "both")
        tags = dict(rows(box.database, "SELECT tag, message_id FROM tags WHERE tag IN ('ours', 'theirs')"))
        assert tags == {"ours": texts["today"], "theirs": texts["backup"]}
        events = rows(box.database, "SELECT event_id FROM inbound_events ORDER BY event_id")
        assert events == [("evt-ours",), ("evt-theirs",)]
        assert len(rows(box.database, "SELECT scope FROM holds WHERE ended_ms IS NULL")) == 2
        assert rows(box.database, "SELECT state FROM messages WHERE id = :id", id=texts["both"]) == [("delivered",)]
        # Each one's last act is still about its own message, and can be taken back.
        items = rows(box.database, "SELECT i.bulk_id, i.message_id FROM bulk_items AS i ORDER BY 1")
        assert [message for _bulk, message in items] == [texts["today"], texts["backup"]]
        assert {bulk for bulk, _message in items} == {row[0] for row in rows(box.database, "SELECT id FROM bulks")}
        sound(box)


def test_a_backup_that_goes_on_from_here_keeps_what_it_knows(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with opened_box(tmp_path / "one") as box:
        uid = box.put(text="sent").uid
        snapshot(box.database, tmp_path / "two" / "chronos.db")
        deliver(box, 1)
        late = box.put(text="late").uid
        backup = snapshot(box.database, tmp_path / "backup.db")
    with opened_box(tmp_path / "two") as box:
        assert restore(box, backup) == Relation.BEHIND
        assert (state(box, uid), state(box, late)) == ("delivered", "held")
        sound(box)


def test_into_an_empty_box_and_out_of_another_one(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    with opened_box(tmp_path / "one") as box:
        uid = box.put(text="theirs").uid
        backup = snapshot(box.database, tmp_path / "backup.db")
    with opened_box(tmp_path / "two") as box:
        assert restore(box, backup) == Relation.EMPTY
        assert state(box, uid) == "held"
        sound(box)
    with opened_box(tmp_path / "three") as box:
        box.context.entropy = lambda n: (1 << 40).to_bytes(n, "big")
        box.put(text="ours")
        deliver(box, 1)
        assert restore(box, backup) == Relation.FOREIGN
        texts = rows(
            box.database,
            "SELECT b.text, m.state FROM messages AS m JOIN bodies AS b ON b.message_id = m.id ORDER BY b.text",
        )
        assert texts == [("ours", "delivered"), ("theirs", "held")]
        sound(box)


def _log(**fields: Any) -> Log:
    return Log(**{"database_id": "a", "head": 5, "hash": "h5", "pruned": 0, "at_others_head": None, **fields})


@pytest.mark.parametrize(
    ("here", "backup", "found"),
    [
        (_log(), _log(at_others_head="h5"), Relation.BEHIND),
        (_log(head=9, at_others_head="h5"), _log(), Relation.CONTINUES),
        (_log(head=9, at_others_head="x"), _log(), Relation.FORKED),
        (_log(head=9, at_others_head="x"), _log(database_id="b"), Relation.FOREIGN),
        (_log(head=9, at_others_head="h5"), _log(database_id="b"), Relation.CONTINUES),
        (_log(head=9, pruned=7), _log(), Relation.CONTINUES),
        (_log(head=9, pruned=7), _log(database_id="b"), Relation.FOREIGN),
        (_log(head=3, hash="h3"), _log(pruned=4), Relation.BEHIND),
        (_log(head=0, hash=""), _log(database_id="b"), Relation.EMPTY),
        (_log(), _log(head=0, hash=""), Relation.CONTINUES),
        (_log(), _log(head=0, hash="", database_id="b"), Relation.FOREIGN),
    ],
)
def test_two_logs_say_how_they_stand_to_each_other(here: Log, backup: Log, found: Relation) -> None:
    assert relation(here, backup) == found


def test_events_are_still_listed(box: Box, tmp_path: Path) -> None:
    change(box.database, _EVENT, id="evt-1")
    backup = snapshot(box.database, tmp_path / "backup.db")
    box.put()
    restore(box, backup)
    assert [one.event_id for one in inbound.events(box.context)] == ["evt-1"]
