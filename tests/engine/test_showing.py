"""What a cockpit asks for beside pages: the situation, activity, known values, tags and attachments, documents."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import BadInput, NotFound
from engine.model import Attachment, NewMessage, Outcome
from engine.operations import activity, holding, incidents, knowing, reading, shapes
from engine.operations.activity import MINUTE_MS, Activity
from engine.operations.acts import Action, act_on_one
from engine.operations.situation import Owner, situation
from engine.rules.incidents import Kind
from engine.store import lanes
from engine.store.tx import Tx
from tests.support import START_MS, Box, data_dir, opened_box, opened_engine


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with opened_box(tmp_path) as opened:
        yield opened


def _finish_all(box: Box, kind: str) -> None:
    for claimed in box.claim():
        box.finish(claimed, Outcome(kind, "550 no"))


def test_activity_counts_each_end_in_its_minute(box: Box) -> None:
    box.clock.jump_ms(MINUTE_MS // 2 - START_MS % MINUTE_MS)
    first_ms = box.clock.now_ms() // MINUTE_MS * MINUTE_MS
    box.put()
    box.put()
    _finish_all(box, "delivered")
    box.clock.advance_ms(2 * MINUTE_MS)
    box.put()
    _finish_all(box, "delivered")
    box.put()
    _finish_all(box, "rejected")
    box.put(expires_ms=box.clock.now_ms() + 1_000)
    box.put()

    assert activity.activity(box.context, 3) == Activity(first_ms, (2, 0, 1), (0, 0, 1))
    assert activity.activity(box.context, 2) == Activity(first_ms + MINUTE_MS, (0, 1), (0, 1))
    assert activity.activity(box.context, 5).delivered == (0, 0, 2, 0, 1)


def test_activity_is_read_from_a_minute_on(box: Box) -> None:
    box.put()
    _finish_all(box, "delivered")
    box.clock.advance_ms(5 * MINUTE_MS)
    whole = activity.activity(box.context, 60)
    now_ms = box.clock.now_ms()
    assert whole.delivered[-6] == 1
    present = activity.activity(box.context, 60, since_ms=now_ms)
    assert present == Activity(now_ms // MINUTE_MS * MINUTE_MS, (0,), (0,))
    some = activity.activity(box.context, 60, since_ms=now_ms - 5 * MINUTE_MS)
    assert some == Activity(present.start_ms - 5 * MINUTE_MS, (1, 0, 0, 0, 0, 0), (0,) * 6)
    assert activity.activity(box.context, 60, since_ms=0) == whole
    assert activity.activity(box.context, 60, since_ms=now_ms + 10 * MINUTE_MS) == present, "the clock was set back"
    for minutes in (0, -1, activity.MOST_MINUTES + 1):
        with pytest.raises(ValueError, match="1 to 1440"):
            activity.activity(box.context, minutes)


def test_known_values_are_those_configured_and_those_in_use(box: Box) -> None:
    box.put(target="mail", tags=("nightly", "nas"), template="weekly")
    box.put(target="https://example.org/hook", tags=("nightly",))
    act_on_one(box.context, Action.HOLD, 1)
    assert knowing.known_values(box.context) == {
        "channel": ("other", "test", "webhook"),
        "target": ("hook", "https://example.org/hook", "mail"),
        "template": ("weekly",),
        "route": (),
        "tag": ("nas", "nightly"),
        "action": ("message", "message.delivered", "message.held", "message.queued"),
        "actor": ("test:me",),
    }


def test_known_values_are_bounded_and_cheap(box: Box) -> None:
    def work(tx: Tx) -> None:
        rows = [{"tag": f"tag{number:05}", "message_id": message.id} for number in range(20_000)]
        tx.run_many("messages.insert_tag", rows)

    message = box.put()
    box.database.write(work)
    found = knowing.known_values(box.context)["tag"]
    assert found == tuple(f"tag{number:05}" for number in range(knowing.MOST))


def test_a_word_of_a_template_in_use_is_a_scope(box: Box) -> None:
    box.put(template="weekly", target="mail")
    assert knowing.scope_of(box.context, "weekly") == "template:weekly"
    assert knowing.scope_of(box.context, "other") == "channel:other"
    holding.pause(box.context, knowing.scope_of(box.context, "mail"), for_ms=60_000)
    assert [hold.scope for hold in reading.holds(box.context)] == ["target:mail"]
    with pytest.raises(NotFound, match="did you mean weekly"):
        knowing.scope_of(box.context, "wekly")
    with pytest.raises(BadInput):
        knowing.scope_of(box.context, "template:")


def test_the_situation_is_what_status_says_in_types(box: Box) -> None:
    late = box.put()
    box.put(not_before_ms=box.clock.now_ms() + 60_000)
    box.clock.advance_ms(1_000)
    holding.pause(box.context, "channel:test", for_ms=60_000, reason="moving")
    box.database.write(lambda tx: incidents.raise_incident(tx, box.context, Kind.TARGET_MISCONFIGURED, "hook", "no"))
    box.database.write(lambda tx: lanes.save(tx, lanes.Lane("hook", disabled_reason="410 gone")))
    owner = {"pid": 7, "mode": "engine-only", "started_ms": START_MS}

    found = situation(box.context, owner, here=False)
    assert found.owner == Owner(7, "engine-only", START_MS)
    assert (found.here, found.degraded, found.leader.epoch, found.heartbeat_ms) == (False, False, 1, START_MS)
    assert found.counts["queued"] == 2
    assert found.oldest_due_ms == late.due_ms
    assert [(hold.scope, hold.reason) for hold in found.holds] == [("channel:test", "moving")]
    assert list(found.troubles) == ["hook"]
    assert [(one.kind, one.subject, one.count, one.state) for one in found.incidents] == [
        ("target.misconfigured", "hook", 1, "open")
    ]
    assert found == situation(box.context, owner, here=False), "equal: nothing to repaint"
    assert situation(box.context, {}, here=True).owner == Owner(None, "", None), "it could not write who it is"
    assert situation(box.context, None, here=False).owner is None


def test_an_engine_tells_who_delivers(tmp_path: Path) -> None:
    with opened_engine(data_dir(tmp_path)) as engine, opened_engine(data_dir(tmp_path)) as other:
        assert engine.situation().owner is None
        assert engine.status()["engine"]["running"] is False
        engine.start("cockpit")
        mine, theirs = engine.situation(), other.situation()
        assert (mine.here, theirs.here) == (True, False)
        assert theirs.owner is not None
        assert (theirs.owner.pid, theirs.owner.mode) == (os.getpid(), "cockpit")
        assert other.status()["engine"]["pid"] == os.getpid()


def test_tags_of_a_page_and_one_attachment(tmp_path: Path) -> None:
    files = (Attachment("a.txt", "text/plain", b"a"), Attachment("b.bin", "application/octet-stream", b"\0" * 100))
    with opened_engine(data_dir(tmp_path)) as engine:
        one = engine.enqueue(NewMessage("mail", text="x", tags=("b", "a"), attachments=files)).message
        two = engine.enqueue(NewMessage("mail", text="y")).message
        assert engine.tags_of([two.id, one.id, 99]) == {two.id: (), one.id: ("a", "b"), 99: ()}
        assert engine.tags_of([]) == {}
        assert engine.attachment(one.uid, 1) == files[1]
        assert engine.attachment(one.id, 0) == files[0]
        for handle, position in ((one.id, 2), (one.id, -1), (two.id, 0), (99, 0)):
            with pytest.raises(NotFound):
                engine.attachment(handle, position)


def test_documents_are_plain_json(box: Box) -> None:
    message = box.put(tags=("a",), attachments=(Attachment("a.txt", "text/plain", b"a"),))
    _finish_all(box, "rejected")
    found = reading.detail(box.context, message.id)
    document = shapes.detail(found)
    assert json.loads(json.dumps(document)) == document
    assert document["state"] == "dead"
    assert document["tags"] == ["a"]
    assert document["history"][0]["outcome"] == "rejected"
    assert document["attachments"] == [{"name": "a.txt", "content_type": "text/plain", "size_bytes": 1}]
    assert "tags" not in shapes.message(found.message)
    assert shapes.content(reading.content(box.context, message.id))["text"] == "hi"
