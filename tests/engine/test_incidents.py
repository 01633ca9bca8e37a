"""Incidents: counted once, told once through the outbox, looked after, resolved; bounded whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput, NotFound, NotPossible, Sent, StorageFull
from engine.model import Message, Priority, RouteStep
from engine.operations import alerting, auditing, incidents, reading
from engine.operations.context import Context, Machine
from engine.operations.incidents import Incident
from engine.rules import playbook
from engine.rules.incidents import MANY, MOST_SUBJECTS, SEVERITIES, Kind, Severity
from engine.store import audit
from engine.store import incidents as store
from engine.store.database import Database
from tests.support import Box, EventLog, FakeClock, opened_box, settings, target

MINUTE_MS = 60_000
DAY_MS = 86_400_000


def told(**monitoring: Any) -> Any:
    """Return a configuration whose alerts go to the target "mail"."""
    return settings(monitoring={"alert_route": "mail", **monitoring})


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with opened_box(tmp_path, told()) as opened:
        opened.context.machine = Machine(log=EventLog())
        yield opened


def happen(box: Box, kind: Kind = Kind.PERMISSIONS, subject: str = "/x", detail: str = "open", **more: Any) -> None:
    box.database.write(lambda tx: incidents.raise_incident(tx, box.context, kind, subject, detail, **more))


def over(box: Box, kind: Kind = Kind.PERMISSIONS, subject: str = "/x") -> bool:
    return box.database.write(lambda tx: incidents.settle(tx, box.context, kind, subject, "mended"))


def only(box: Box) -> Incident:
    [found] = incidents.listing(box.context)
    return found


def alerts(box: Box) -> list[Message]:
    """The messages that tell of incidents, oldest first."""
    page = reading.page(box.context, "tag:incident", newest_first=False, limit=200)
    return list(page.messages)


def story(box: Box, number: int) -> list[str]:
    entries = auditing.page(box.context, f"subject:incident:{number}")[::-1]
    return [entry.action for entry in entries]


def log(box: Box) -> EventLog:
    found = box.context.log
    assert isinstance(found, EventLog)
    return found


# One life


def test_a_repeat_is_a_counter_with_the_newest_words(box: Box) -> None:
    happen(box, detail="mode 0755")
    box.clock.advance_ms(MINUTE_MS)
    happen(box, detail="mode 0777")
    found = only(box)
    assert (found.count, found.detail, found.state) == (2, "mode 0777", "open")
    assert found.last_ms - found.first_ms == MINUTE_MS
    assert found.severity == SEVERITIES[Kind.PERMISSIONS]
    assert story(box, found.id) == ["incident.opened"], "the log tells of the first one"


def test_who_looks_after_it_is_noted_and_a_repeat_leaves_it_so(box: Box) -> None:
    happen(box)
    done = incidents.acknowledge(box.context, 1)
    assert (done.state, done.changed_by, done.changed_ms) == ("acknowledged", "test:me", box.clock.now_ms())
    happen(box)
    assert (only(box).state, only(box).count) == ("acknowledged", 2)
    with pytest.raises(NotPossible, match="acknowledged already, by test:me"):
        incidents.acknowledge(box.context, 1)
    assert len(alerts(box)) == 1


def test_what_is_resolved_stays_so_and_a_repeat_opens_a_new_one(box: Box) -> None:
    happen(box)
    incidents.acknowledge(box.context, 1)
    done = incidents.resolve(box.context, 1, "an old installer")
    assert (done.state, done.note) == ("resolved", "an old installer")
    assert incidents.listing(box.context) == []
    happen(box)
    assert [(one.id, one.state, one.count) for one in incidents.listing(box.context, everything=True)] == [
        (2, "open", 1),
        (1, "resolved", 1),
    ]
    assert story(box, 1) == ["incident.opened", "incident.acknowledged", "incident.resolved"]
    for act in (incidents.acknowledge, lambda context, number: incidents.resolve(context, number, "again")):
        with pytest.raises(NotPossible, match="resolved already"):
            act(box.context, 1)


def test_a_cause_that_is_gone_settles_it(box: Box) -> None:
    happen(box)
    assert over(box)
    assert not over(box), "there is none any more"
    [found] = incidents.listing(box.context, everything=True)
    assert (found.state, found.note, found.changed_by) == ("resolved", "mended", "engine")
    assert story(box, 1) == ["incident.opened", "incident.settled"]


def test_what_gets_worse_is_open_again_and_told_again(box: Box) -> None:
    happen(box, severity=Severity.HIGH)
    incidents.acknowledge(box.context, 1)
    happen(box, severity=Severity.MEDIUM)
    assert (only(box).severity, only(box).state) == ("high", "acknowledged"), "less bad than it was is a repeat"
    happen(box, detail="now they may write it", severity=Severity.CRITICAL)
    assert (only(box).severity, only(box).state, only(box).count) == ("critical", "open", 3)
    assert story(box, 1) == ["incident.opened", "incident.acknowledged", "incident.worsened"]
    assert [one.idempotency_key for one in alerts(box)] == ["incident:1", "incident:1:critical"]


def test_an_act_needs_an_incident_and_a_note(box: Box) -> None:
    for act in (incidents.get, incidents.acknowledge):
        with pytest.raises(NotFound, match="incident 7"):
            act(box.context, 7)
    happen(box)
    with pytest.raises(BadInput, match="note"):
        incidents.resolve(box.context, 1, " \n ")
    box.context.read_only = True
    with pytest.raises(NotPossible, match="read-only"):
        incidents.acknowledge(box.context, 1)


def test_the_worst_come_first(box: Box) -> None:
    happen(box, Kind.CLOCK_JUMP, "clock")
    happen(box, Kind.AUDIT_BROKEN, "audit")
    happen(box, Kind.REPLAY, "n8n")
    assert [one.severity for one in incidents.listing(box.context)] == ["critical", "high", "medium"]
    assert [one.kind for one in incidents.listing(box.context, limit=1)] == ["audit.broken"]


def test_hostile_words_are_kept_on_one_line(box: Box) -> None:
    happen(box, Kind.TARGET_DISABLED, "ho\ud800ok", "410 \x1b[2Jgone\r\nBcc: x" + "x" * 9_000)
    found = only(box)
    assert found.subject == "ho?ok"
    assert found.detail.isprintable()
    assert len(found.detail) <= 500
    assert over(box, Kind.TARGET_DISABLED, "ho\ud800ok"), "the same subject names it again"
    [alert] = alerts(box)
    assert alert.subject.isprintable()


def test_old_ones_go_when_they_have_been_resolved_for_long(box: Box) -> None:
    happen(box, subject="/old")
    over(box, subject="/old")
    happen(box, subject="/open")
    box.clock.advance_ms(incidents.KEEP_MS + 1)
    happen(box, subject="/new")
    over(box, subject="/new")
    assert incidents.retain(box.context) == 1
    assert incidents.retain(box.context) == 0
    assert [one.subject for one in incidents.listing(box.context, everything=True)] == ["/new", "/open"]
    assert story(box, 1) == ["incident.opened", "incident.settled"], "the audit log still tells it"


def test_a_number_is_given_once_even_if_the_newest_is_old(box: Box) -> None:
    happen(box)
    over(box)
    box.clock.advance_ms(incidents.KEEP_MS + 1)
    assert incidents.retain(box.context) == 0
    happen(box)
    assert only(box).id == 2


# Bounds


def test_a_flood_of_subjects_is_a_bounded_number_of_rows_and_alerts(box: Box) -> None:
    for number in range(300):
        happen(box, Kind.AUTH_FAILURES, f"10.0.{number // 256}.{number % 256}/32", "refused")
    found = incidents.listing(box.context)
    assert len(found) == MOST_SUBJECTS + 1
    [rest] = [one for one in found if one.subject == MANY]
    assert rest.count == 300 - MOST_SUBJECTS
    assert rest.detail == "10.0.1.43/32: refused"
    assert len(alerts(box)) == MOST_SUBJECTS + 1
    happen(box, Kind.AUTH_FAILURES, "10.0.0.1/32", "refused")
    assert [one.count for one in incidents.listing(box.context) if one.subject == "10.0.0.1/32"] == [2]
    happen(box, Kind.REPLAY, "n8n")
    assert len(incidents.listing(box.context)) == MOST_SUBJECTS + 2, "another kind has room of its own"


def test_reports_within_a_second_are_one_write(box: Box) -> None:
    before = box.database.read(lambda tx: audit.head(tx)[0])
    for _ in range(500):
        incidents.report(box.context, Kind.KDF_FLOOD, "10.0.0.1/32", "wrong secrets")
    assert only(box).count == 1, "the rest waits in memory"
    box.clock.advance_ms(1_000)
    incidents.report(box.context, Kind.KDF_FLOOD, "10.0.0.1/32", "wrong secrets")
    assert only(box).count == 501
    assert box.database.read(lambda tx: audit.head(tx)[0]) - before == 2, "opened, and its alert"


def test_what_waits_in_memory_is_written_by_the_chore(box: Box) -> None:
    for _ in range(5):
        incidents.report(box.context, Kind.REPLAY, "n8n", "old signature")
    assert incidents.flush(box.context) == 1
    assert incidents.flush(box.context) == 0
    assert only(box).count == 5


def test_ten_thousand_addresses_in_a_second_are_a_few_writes(box: Box) -> None:
    counted = _Full(box.database, full=False)
    box.context.database = counted
    for number in range(10_000):
        incidents.report(box.context, Kind.AUTH_FAILURES, f"2001:db8:{number:x}::/64", "refused")
    incidents.flush(box.context)
    found = incidents.listing(box.context)
    assert len(found) == MOST_SUBJECTS + 1
    assert sum(one.count for one in found) == 10_000
    assert counted.writes < 30


def test_many_threads_lose_no_count(box: Box) -> None:
    def knock() -> None:
        for _ in range(100):
            incidents.report(box.context.acting_as("key:1"), Kind.REPLAY, "n8n", "again")

    threads = [threading.Thread(target=knock) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    incidents.flush(box.context)
    assert only(box).count == 800


class _Full(Database):
    """A database whose disk is full until somebody frees space; counts what was asked of it."""

    def __init__(self, good: Database, *, full: bool = True) -> None:
        self.good = good
        self.full = full
        self.writes = 0

    def write(self, work: Any) -> Any:
        self.writes += 1
        if self.full:
            raise StorageFull("the disk is full")
        return self.good.write(work)

    def read(self, work: Any, *, within_ms: int | None = None, single: bool = False) -> Any:
        return self.good.read(work, within_ms=within_ms, single=single)


def test_a_report_never_raises_and_is_written_when_the_disk_has_room(box: Box) -> None:
    disk = _Full(box.database)
    box.context.database = disk
    for _ in range(3):
        incidents.report(box.context, Kind.REPLAY, "n8n", "old signature")
    assert log(box).names() == ["incident_not_recorded"]
    assert log(box).events[0][2]["channel"] == "security"
    disk.full = False
    assert incidents.flush(box.context) == 1
    assert only(box).count == 3


# Telling


def test_an_incident_is_told_in_the_transaction_that_opens_it(box: Box) -> None:
    happen(box, Kind.AUDIT_BROKEN, "audit", "entry 5 was changed")
    [alert] = alerts(box)
    page = playbook.page(Kind.AUDIT_BROKEN)
    assert page is not None
    assert alert.uid == only(box).alert_uid
    assert (alert.target, alert.queued_by, alert.priority) == ("mail", "engine", Priority.URGENT)
    assert alert.subject == f"[critical] {box.context.settings.instance}: {page.title} (audit)"
    text = reading.content(box.context, alert.id).text or ""
    for words in ("entry 5 was changed", page.means, page.act[0], "'chronos incident show 1'"):
        assert words in text

    def fail(tx: Any) -> None:
        incidents.raise_incident(tx, box.context, Kind.REPLAY, "n8n", "x")
        raise NotPossible("something else in the same act")

    with pytest.raises(NotPossible):
        box.database.write(fail)
    assert len(alerts(box)) == len(incidents.listing(box.context)) == 1, "neither without the other"


def test_without_a_route_nobody_is_told_until_there_is_one(tmp_path: Path) -> None:
    with opened_box(tmp_path, settings()) as box:
        happen(box, subject="/one")
        happen(box, subject="/two")
        incidents.acknowledge(box.context, 2)
        assert only_uids(box) == [None, None]
        assert alerting.tell_untold(box.context) == 0
        box.context.settings = told()
        assert alerting.tell_untold(box.context) == 1, "the one that nobody looks after"
        assert alerting.tell_untold(box.context) == 0
        assert [one.idempotency_key for one in alerts(box)] == ["incident:1"]


def only_uids(box: Box) -> list[str | None]:
    return [one.alert_uid for one in incidents.listing(box.context)]


def test_a_route_that_is_gone_does_not_keep_the_incident_from_being(box: Box) -> None:
    box.context.settings = told(alert_route="nowhere")
    happen(box)
    assert only(box).alert_uid is None
    assert log(box).names() == ["incident_opened", "alert_not_queued"]
    assert alerting.tell_untold(box.context) == 0
    assert log(box).names().count("alert_not_queued") == 1, "said once, not each minute"
    box.context.settings = told()
    assert alerting.tell_untold(box.context) == 1
    assert only(box).alert_uid == alerts(box)[0].uid


def test_a_key_that_somebody_used_beforehand_does_not_silence_an_alarm(box: Box) -> None:
    """Whoever may send may choose idempotency keys, and numbers of incidents can be guessed."""
    box.put(idempotency_key="incident:1")
    happen(box)
    [alert] = alerts(box)
    assert only(box).alert_uid == alert.uid
    assert (alert.idempotency_key or "").startswith("incident:1:")


def test_a_target_in_trouble_is_not_asked_to_carry_its_own_alarm(box: Box) -> None:
    happen(box, Kind.TARGET_MISCONFIGURED, "mail", "535 no")
    assert alerts(box) == []
    assert alerting.tell_untold(box.context) == 0
    happen(box, Kind.TARGET_MISCONFIGURED, "hook", "401 no")
    assert [one.idempotency_key for one in alerts(box)] == ["incident:2"]


def test_a_route_with_another_step_carries_it(tmp_path: Path) -> None:
    routes = {"alerts": (RouteStep("mail"), RouteStep("hook", 15 * MINUTE_MS))}
    known = {"hook": target("hook"), "mail": target("mail", channel="other")}
    with opened_box(tmp_path, settings(known, routes, monitoring={"alert_route": "alerts"})) as box:
        happen(box, Kind.TARGET_MISCONFIGURED, "mail", "535 no")
        [alert] = alerts(box)
        assert (alert.route, alert.target) == ("alerts", "mail")


def test_what_comes_and_goes_is_told_once_in_a_quarter_of_an_hour(box: Box) -> None:
    happen(box)
    over(box)
    box.clock.advance_ms(MINUTE_MS)
    happen(box)
    assert len(alerts(box)) == 1
    assert alerting.tell_untold(box.context) == 0
    box.clock.advance_ms(15 * MINUTE_MS)
    assert alerting.tell_untold(box.context) == 1, "it stayed"
    assert len(alerts(box)) == 2


def test_what_somebody_resolved_and_comes_again_is_told_at_once(box: Box) -> None:
    happen(box)
    incidents.resolve(box.context, 1, "mended by hand")
    happen(box)
    assert len(alerts(box)) == 2, "somebody thought that it was over"


def test_a_failed_login_raises_tells_and_settles(tmp_path: Path) -> None:
    """The whole way: the dispatcher's own incident, by a route around the target."""
    known = {"hook": target("hook"), "mail": target("mail", channel="other")}
    with opened_box(tmp_path, settings(known, monitoring={"alert_route": "mail"}), FakeClock()) as box:
        message = box.put()
        [claimed] = box.claim()
        box.finish(claimed, Sent.MISCONFIGURED, detail="535 authentication failed")
        assert [one.kind for one in incidents.listing(box.context)] == ["target.misconfigured"]
        assert [one.target for one in alerts(box)] == ["mail"]
        box.clock.advance_ms(DAY_MS // 24)
        again = [one for one in box.claim() if one.taken.id == message.id]
        box.finish(again[0])
        assert incidents.listing(box.context) == []
        assert box.database.read(lambda tx: store.newest(tx, 1))[0].note.endswith("was accepted")


def test_a_target_without_a_breaker_settles_too(tmp_path: Path) -> None:
    """Regression: what settled it was the breaker closing, and such a target has none."""
    with opened_box(tmp_path, settings({"hook": target("hook", breaker=False)})) as box:
        box.put()
        box.finish(box.claim()[0], Sent.MISCONFIGURED, detail="401 no")
        assert only(box).kind == "target.misconfigured"
        box.clock.advance_ms(DAY_MS)
        box.finish(box.claim()[0])
        assert incidents.listing(box.context) == []


def test_a_context_without_a_machine_is_enough(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        context = Context(box.database, box.clock, box.context.settings, "x", box.context.entropy, 1)
        incidents.report(context, Kind.REPLAY, "n8n", "x")
        assert only(box).kind == "inbound.replay"
