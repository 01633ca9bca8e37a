"""Events that come in: one effect each, whatever comes again; what was refused is told to the operator alone."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import NotFound, NotPossible, TryAgain
from engine.operations import auditing, inbound, incidents, reading
from engine.operations.context import Machine
from engine.operations.inbound import Event, Received, SourceState, Verdict
from engine.rules.incidents import Kind
from engine.store.database import Database
from engine.store.queries import Queries
from tests import inbox
from tests.inbox import BODY, ENV, SECRET, github, plain, standard, stripe
from tests.support import START_MS, Box, EventLog, FakeClock, open_database, opened_box

DAY_MS = 86_400_000


@pytest.fixture
def box(box: Box) -> Box:
    return inbox.ready(box)


def take(
    box: Box, source: str, headers: Mapping[str, str], body: bytes = BODY, remote: str = "192.0.2.7", **more: Any
) -> Received:
    return inbound.receive(box.context, source, headers, body, remote=remote, **more)


def state(box: Box, name: str) -> SourceState:
    inbound.flush_counts(box.context)
    return inbound.source(box.context, name)


def only(box: Box, source: str | None = None) -> Event:
    (found,) = inbound.events(box.context, source)
    return inbound.event(box.context, found.id)


def messages(box: Box) -> int:
    return sum(reading.counts(box.context).values())


def actions(box: Box, action: str) -> list[auditing.Entry]:
    return auditing.page(box.context, f"action:{action}", limit=500)


# Accepted


@pytest.mark.parametrize("source", ["github", "n8n"])
def test_a_clock_that_ran_ahead_makes_no_replay_new(box: Box, source: str) -> None:
    headers = github(BODY) if source == "github" else standard()
    take(box, source, headers)
    inbound.retain_events(box.context)
    box.clock.jump_ms(500 * DAY_MS)
    assert inbound.retain_events(box.context) == 0
    box.clock.jump_ms(-500 * DAY_MS)
    inbound.retain_events(box.context)
    assert take(box, source, headers).verdict is Verdict.DUPLICATE
    box.clock.jump_ms(500 * DAY_MS)
    inbound.retain_events(box.context)
    box.clock.advance_ms(DAY_MS)
    assert inbound.retain_events(box.context) > 0, "a clock that stands for a day is believed"


def test_an_event_becomes_a_message_and_is_remembered_in_one_go(box: Box) -> None:
    found = take(box, "n8n", standard())
    assert (found.verdict, found.event_id) == (Verdict.ACCEPTED, "m1")
    event = only(box)
    assert (event.source, event.kind, event.outcome, event.remote) == ("n8n", "backup.failed", "queued", "192.0.2.7")
    assert (event.message_uid, event.body, event.received_ms) == (found.message_uid, BODY, START_MS)
    message = box.message(reading.detail(box.context, found.message_uid or "").message)
    assert (message.subject, message.queued_by) == ("n8n: backup.failed", "source:n8n")
    (entry,) = actions(box, "event.accepted")
    assert (entry.actor, entry.subject) == ("source:n8n", "source:n8n")
    assert entry.detail["message"] == found.message_uid
    assert entry.detail["event_id"] == "m1"
    assert len(str(entry.detail["sha256"])) == 64
    assert state(box, "n8n").accepted == 1


def test_places_without_a_value_are_named_in_the_event(box: Box) -> None:
    take(box, "stripe", stripe())
    assert only(box).detail == "not in the event: no.such"
    content = reading.content(box.context, 1)
    assert content.text == "sda"


def test_an_event_that_is_not_wanted_is_kept_and_sends_nothing(box: Box) -> None:
    body = b'{"action": "labeled"}'
    found = take(box, "github", github(body), body)
    assert (found.verdict, found.message_uid) == (Verdict.ACCEPTED, None)
    event = only(box)
    assert (event.outcome, event.detail, event.kind) == (
        "ignored",
        "deliver.when: action is 'labeled'",
        "issues.labeled",
    )
    assert messages(box) == 0


def test_the_older_secret_of_a_rotation_is_as_good(box: Box) -> None:
    box.context.machine = Machine(env={"CHRONOS_SECRET_IN": "brand new", "CHRONOS_SECRET_OLD": SECRET})
    assert take(box, "n8n", standard()).verdict is Verdict.ACCEPTED
    box.context.machine = Machine(env={"CHRONOS_SECRET_OLD": SECRET})
    assert take(box, "n8n", standard(event_id="m2")).verdict is Verdict.ACCEPTED


def test_a_body_that_is_text_is_passed_on_as_text(box: Box) -> None:
    body = b"disk \xff full"
    take(box, "plain", plain(body), body)
    assert reading.content(box.context, 1).text == "disk � full"


def test_an_api_key_stands_for_the_sender(box: Box) -> None:
    caller: Any = SimpleNamespace(actor="key:0a1b2c3d")
    first = take(box, "keyed", {}, caller=caller)
    again = take(box, "keyed", {}, caller=caller)
    assert first.verdict is again.verdict is Verdict.ACCEPTED, "nothing says that it is the same"
    assert first.event_id != again.event_id
    named = {"Idempotency-Key": "k1"}
    assert take(box, "keyed", named, caller=caller).verdict is Verdict.ACCEPTED
    assert take(box, "keyed", named, caller=caller).verdict is Verdict.DUPLICATE
    assert take(box, "keyed", named, b"{}", caller=caller).verdict is Verdict.REPLAY
    assert actions(box, "event.accepted")[0].actor == "key:0a1b2c3d"
    assert reading.content(box.context, 1).data == BODY.decode()
    assert take(box, "keyed", named).verdict is Verdict.REFUSED


# Again


def test_a_copy_is_a_duplicate_and_has_no_effect(box: Box) -> None:
    first = take(box, "n8n", standard())
    later = take(box, "n8n", standard(at_s=START_MS // 1000 + 60))
    assert later.verdict is Verdict.DUPLICATE
    assert later.message_uid == first.message_uid
    assert messages(box) == 1
    assert (state(box, "n8n").duplicates, state(box, "n8n").rejected) == (1, 0)
    assert only(box).duplicates == 1
    assert len(actions(box, "event.accepted")) == 1


def test_a_known_id_with_another_body_is_a_replay(box: Box) -> None:
    take(box, "n8n", standard())
    other = b'{"id": "evt_1", "more": 1}'
    found = take(box, "n8n", standard(other), other)
    assert found.verdict is Verdict.REPLAY
    assert messages(box) == 1
    found_state = state(box, "n8n")
    assert (found_state.replays, found_state.rejected) == (1, 1)
    assert "came with another body" in found_state.last_reason
    (incident,) = incidents.listing(box.context)
    assert (incident.kind, incident.subject) == (Kind.REPLAY.value, "n8n")


def test_an_id_in_the_signed_body_is_the_event_whatever_else_changed_in_it(box: Box) -> None:
    first = take(box, "stripe", stripe())
    other = BODY.replace(b'"left": 3', b'"left": 2')
    later = take(box, "stripe", stripe(other), other)
    assert (later.verdict, later.message_uid) == (Verdict.DUPLICATE, first.message_uid)
    assert messages(box) == 1


@pytest.mark.parametrize("source", ["github", "byid"])
def test_an_old_signature_under_a_new_id_is_a_replay(box: Box, source: str) -> None:
    """Neither scheme signs the id, so whoever recorded a request could send it for ever under new ones."""
    body = b'{"action": "opened"}'

    def headers(event_id: str) -> dict[str, str]:
        return github(body, event_id) if source == "github" else plain(body, X_Id=event_id)

    assert take(box, source, headers("a"), body).verdict is Verdict.ACCEPTED
    assert take(box, source, headers("a"), body).verdict is Verdict.DUPLICATE
    assert take(box, source, headers("b"), body).verdict is Verdict.REPLAY
    assert messages(box) == 1


def test_without_an_id_the_signed_content_is_the_identity(box: Box) -> None:
    assert take(box, "plain", plain()).event_id.startswith("sha256:")
    assert take(box, "plain", plain()).verdict is Verdict.DUPLICATE
    assert take(box, "plain", plain(b"other"), b"other").verdict is Verdict.ACCEPTED


def test_the_same_id_of_two_sources_is_two_events(box: Box) -> None:
    assert take(box, "plain", plain(X_Id="1")).verdict is Verdict.ACCEPTED
    assert take(box, "byid", plain(X_Id="1")).verdict is Verdict.ACCEPTED


def test_a_hundred_parallel_copies_have_one_effect_and_none_after_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    with opened_box(tmp_path, inbox.configured(), clock) as box:
        inbox.ready(box)
        together = threading.Barrier(20)

        def copies() -> list[Verdict]:
            together.wait()
            return [take(box, "n8n", standard()).verdict for _ in range(5)]

        with ThreadPoolExecutor(20) as pool:
            verdicts = [one for future in [pool.submit(copies) for _ in range(20)] for one in future.result()]
        assert sorted(verdicts) == [Verdict.ACCEPTED, *[Verdict.DUPLICATE] * 99]
        assert messages(box) == 1
        assert state(box, "n8n").duplicates == 99
    with opened_box(tmp_path, inbox.configured(), clock) as box:
        inbox.ready(box)
        assert take(box, "n8n", standard()).verdict is Verdict.DUPLICATE
        assert messages(box) == 1


def test_copies_that_race_through_two_processes_have_one_effect(tmp_path: Path, clock: FakeClock) -> None:
    with opened_box(tmp_path, inbox.configured(), clock) as box:
        inbox.ready(box)
        second = open_database(tmp_path, migrated=False, owner=False)
        context = box.context.acting_as("test:me")
        context.database = second
        together = threading.Barrier(2)

        def copy(which: Any) -> Verdict:
            together.wait()
            return inbound.receive(which, "n8n", standard(), BODY, remote="x").verdict

        with ThreadPoolExecutor(2) as pool:
            verdicts = [future.result() for future in [pool.submit(copy, one) for one in (box.context, context)]]
        second.close()
        assert sorted(verdicts) == [Verdict.ACCEPTED, Verdict.DUPLICATE]
        assert messages(box) == 1


# Refused


def test_a_refusal_leaves_nothing_but_a_reason(box: Box) -> None:
    found = take(box, "n8n", {**standard(), "Webhook-Signature": "v1,AAAA"})
    assert found.verdict is Verdict.REFUSED
    assert (found.event_id, found.message_uid) == ("", None)
    assert messages(box) == 0
    assert inbound.events(box.context) == []
    found_state = state(box, "n8n")
    assert (found_state.accepted, found_state.rejected) == (0, 1)
    assert found_state.last_reason == "the signature fits none of the known secrets"
    (why,) = found_state.rejections
    assert (why.reason, why.remote, why.count) == ("signature", "192.0.2.7", 1)


def test_a_clock_that_is_off_is_named(box: Box) -> None:
    take(box, "n8n", standard(at_s=START_MS // 1000 - 400))
    assert "400 s ago" in state(box, "n8n").last_reason
    assert "clock is behind" in state(box, "n8n").last_reason


def test_repeats_are_one_row_and_a_counter_and_cost_no_write_each(box: Box, clock: FakeClock) -> None:
    log = EventLog()
    box.context.machine = Machine(env=ENV, log=log)
    watch = box.database.watch()
    watch.moved()
    writes = 0
    for number in range(1_000):
        take(box, "n8n", {}, remote=f"198.51.100.{number % 3}")
        writes += watch.moved()
        clock.advance_ms(5)
    watch.close()
    # Five seconds: one write a second for the counts, one for the incident.
    assert writes <= 12
    found = state(box, "n8n")
    assert (found.rejected, len(found.rejections)) == (1_000, 3)
    assert sum(one.count for one in found.rejections) == 1_000
    refused = [fields for _level, name, fields in log.events if name == "event_refused"]
    assert len(refused) <= 12
    assert sum(fields["count"] for fields in refused) == 1_000


def test_a_flood_from_many_addresses_stays_small(box: Box, clock: FakeClock, tmp_path: Path) -> None:
    before = _bytes(box.database, tmp_path)
    for number in range(20_000):
        take(box, "n8n", {}, remote=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" + "x" * 200)
        clock.advance_ms(10)
    found = state(box, "n8n")
    assert found.rejected == 20_000
    rows = box.database.read(lambda tx: tx.rows("inbound.rejections", {"source": "n8n", "n": 10_000}))
    assert len(rows) == 100
    assert _bytes(box.database, tmp_path) - before < 1_000_000


def _bytes(database: Database, directory: Path) -> int:
    database.checkpoint(truncate=True)
    return sum(file.stat().st_size for file in directory.glob("chronos.db*"))


def test_what_cannot_be_written_now_is_counted_later(box: Box, tmp_path: Path) -> None:
    (tmp_path / "DEGRADED").write_text("")
    take(box, "n8n", {})
    take(box, "n8n", {}, remote="198.51.100.1")
    assert inbound.flush_counts(box.context) == 0
    (tmp_path / "DEGRADED").unlink()
    assert inbound.flush_counts(box.context) == 2
    assert state(box, "n8n").rejected == 2


def test_five_refusals_within_ten_minutes_are_an_incident(box: Box, clock: FakeClock) -> None:
    for _ in range(4):
        take(box, "n8n", {})
        clock.advance_ms(151_000)
    take(box, "n8n", {})
    assert incidents.listing(box.context) == [], "ten minutes and four seconds"
    take(box, "n8n", {})
    (found,) = incidents.listing(box.context)
    assert (found.kind, found.subject) == (Kind.SIGNATURE_FAILURES.value, "n8n")
    assert "header webhook-id is missing" in found.detail


def test_without_a_secret_the_sender_is_asked_to_come_again(box: Box) -> None:
    for _ in range(6):
        with pytest.raises(TryAgain, match=r"secret:none: not set"):
            take(box, "nokey", {"X-Telegram-Bot-Api-Secret-Token": "x"})
    found = state(box, "nokey")
    assert (found.secret_ok, found.secrets_missing) == (False, ("secret:none",))
    assert found.rejections[0].reason == "secret"
    assert incidents.listing(box.context) == [], "nobody signed anything wrong"
    assert state(box, "n8n").secret_ok is True
    assert state(box, "keyed").secret_ok is None


def test_an_unknown_source_is_not_found_and_leaves_no_row(box: Box) -> None:
    with pytest.raises(NotFound):
        take(box, "nobody", {})
    inbound.flush_counts(box.context)
    assert box.database.read(lambda tx: tx.rows("inbound.states")) == []
    with pytest.raises(NotFound, match="did you mean github"):
        inbound.source(box.context, "githb")


def test_when_nothing_can_be_stored_nothing_is_acknowledged(box: Box, tmp_path: Path) -> None:
    (tmp_path / "DEGRADED").write_text("")
    with pytest.raises(TryAgain):
        take(box, "n8n", standard())
    (tmp_path / "DEGRADED").unlink()
    assert take(box, "n8n", standard()).verdict is Verdict.ACCEPTED


def test_a_copy_is_known_without_a_write(box: Box, tmp_path: Path) -> None:
    take(box, "n8n", standard())
    (tmp_path / "DEGRADED").write_text("")
    assert take(box, "n8n", standard()).verdict is Verdict.DUPLICATE


def test_a_read_only_engine_takes_nothing_in(box: Box) -> None:
    box.context.read_only = True
    with pytest.raises(NotPossible):
        take(box, "n8n", standard())


# Accepted and not made a message; replayed


def test_an_event_that_cannot_be_made_a_message_is_kept_and_told(box: Box) -> None:
    found = take(box, "lost", plain(b"not json"), b"not json")
    assert (found.verdict, found.message_uid) == (Verdict.ACCEPTED, None)
    event = only(box)
    assert event.outcome == "failed"
    assert "not JSON" in event.detail
    (incident,) = incidents.listing(box.context)
    assert (incident.kind, incident.subject) == (Kind.NOT_MAPPED.value, "lost")
    assert state(box, "lost").failed == 1
    assert take(box, "lost", plain(b"not json"), b"not json").verdict is Verdict.DUPLICATE


def test_an_event_for_a_target_that_is_gone_waits_for_its_replay(box: Box) -> None:
    settings = box.context.settings
    box.context.settings = settings._replace(targets={"mail": settings.targets["mail"]})
    take(box, "n8n", standard())
    event = only(box)
    assert event.outcome == "failed"
    assert "hook" in event.detail
    with pytest.raises(NotFound):
        inbound.replay(box.context, event.id)
    uid = inbound.replay(box.context, event.id, target="mail")
    assert reading.detail(box.context, uid).message.target == "mail"
    assert replace(only(box), outcome="", message_uid=None) == replace(
        event, outcome="", detail="", replayed=1, message_uid=None
    )
    assert only(box).message_uid == uid
    assert incidents.listing(box.context) == [], "nothing is left to replay"


def test_a_replay_is_a_message_of_its_own_with_its_own_entry(box: Box) -> None:
    body = b'{"action": "labeled"}'
    take(box, "github", {**github(body), "X-Other": "kept"}, body)
    event = only(box)
    first, second = (inbound.replay(box.context, event.id) for _ in range(2))
    assert first != second
    assert only(box).replayed == 2
    entries = actions(box, "event.replayed")
    assert {entry.detail["message"] for entry in entries} == {first, second}
    assert entries[0].subject == "source:github"
    assert entries[0].actor == "test:me"
    assert reading.content(box.context, 1).text == "labeled"


def test_what_cannot_be_replayed_says_why(box: Box, clock: FakeClock) -> None:
    with pytest.raises(NotFound, match="no event 99"):
        inbound.replay(box.context, 99)
    take(box, "plain", plain())
    clock.advance_ms(3 * DAY_MS)
    inbound.retain_events(box.context)
    with pytest.raises(NotPossible, match="no longer kept"):
        inbound.replay(box.context, 1)
    take(box, "byid", plain(b"2", X_Id="2"), b"2")
    box.context.settings = box.context.settings._replace(sources={})
    with pytest.raises(NotPossible, match="no longer configured"):
        inbound.replay(box.context, 2)
    assert [one.source for one in inbound.events(box.context, "byid")] == ["byid"], "it is gone, its events are not"


# Time


def test_bodies_go_first_and_ids_stay_known_for_as_long_as_a_signature_is_good(box: Box, clock: FakeClock) -> None:
    take(box, "plain", plain(), remote="a")
    take(box, "n8n", standard())
    clock.advance_ms(2 * DAY_MS + 1)
    assert inbound.retain_events(box.context) == 1
    kept = {one.source: inbound.event(box.context, one.id).body for one in inbound.events(box.context)}
    assert kept == {"plain": None, "n8n": BODY}
    assert box.database.read(lambda tx: tx.value("inbound.headers", {"id": 1})) == "{}"
    clock.advance_ms(29 * DAY_MS)
    inbound.retain_events(box.context)
    assert [one.source for one in inbound.events(box.context)] == ["plain"], "a signed time makes it old by itself"
    clock.advance_ms(300 * DAY_MS)
    inbound.retain_events(box.context)
    assert take(box, "plain", plain()).verdict is Verdict.DUPLICATE
    clock.advance_ms(100 * DAY_MS)
    assert inbound.retain_events(box.context) == 1
    assert inbound.events(box.context) == []
    assert inbound.retain_events(box.context) == 0


def test_retention_goes_in_slices(box: Box, clock: FakeClock) -> None:
    for number in range(inbound.SLICE + 1):
        body = str(number).encode()
        take(box, "plain", plain(body), body)
    clock.advance_ms(3 * DAY_MS)
    assert inbound.retain_events(box.context) == inbound.SLICE + 1


def test_events_are_paged_newest_first(box: Box) -> None:
    for number in range(5):
        take(box, "plain" if number % 2 else "byid", plain(bytes([number]), X_Id=str(number)), bytes([number]))
    assert [one.id for one in inbound.events(box.context, limit=2)] == [5, 4]
    assert [one.id for one in inbound.events(box.context, limit=2, before=4)] == [3, 2]
    assert [one.id for one in inbound.events(box.context, "plain")] == [4, 2]
    with pytest.raises(NotFound):
        inbound.events(box.context, "nobody")
    with pytest.raises(NotFound):
        inbound.event(box.context, 1 << 70)


PLANS = {
    "inbound.known": "inbound_events_id",
    "inbound.known_proof": "inbound_events_proof",
    "inbound.page_of": "inbound_events_source",
    "inbound.failed": "inbound_events_failed",
    "inbound.kept": "inbound_events_kept",
    "inbound.known_for_long": "inbound_events_received",
}


@pytest.mark.parametrize(("name", "index"), PLANS.items())
def test_a_statement_about_events_seeks_in_its_own_index(box: Box, name: str, index: str) -> None:
    params = {"source": "n8n", "event_id": "x", "proof": "x", "before": 9, "n": 5, "before_ms": 9}
    plan = box.database.inspect(lambda c: c.execute(f"EXPLAIN QUERY PLAN {Queries()[name]}", params).fetchall())
    assert any(index in row[3] for row in plan), plan
    assert not any("TEMP B-TREE" in row[3] for row in plan), plan
