"""The owner's part in backups: the schedule over downtime, clock changes and owners; old files; incidents; health."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engine.operations import incidents, metrics
from engine.operations.backup import backuphealth, backups, backupwatch, drilling
from engine.operations.commanding import Command
from engine.operations.health import Check, Level
from engine.rules.backups import Kind, Proof
from engine.rules.cron import next_after
from engine.store import audit, commands, copies
from engine.store import backups as ledger
from engine.store.incidents import Incident
from tests.backuprig import box_with_paths, enter, fake, listed, make_archive
from tests.support import PATIENCE_S, START_MS, Box, settings

BERLIN = ZoneInfo("Europe/Berlin")
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with box_with_paths(tmp_path / "data") as found:
        yield found


def configured(box: Box, **sections: Any) -> None:
    box.context.settings = settings(**sections)


def at(box: Box, *when: int) -> None:
    """Set the clock to a time in Berlin."""
    moment = datetime(*when, tzinfo=BERLIN)  # type: ignore[misc, arg-type]
    box.clock.advance_ms(round(moment.timestamp() * 1000) - box.clock.now_ms())


def asked(box: Box) -> list[Command]:
    """Return every act that was asked for."""
    found = (box.database.read(lambda tx, n=n: commands.get(tx, n)) for n in range(1, 500))  # type: ignore[misc]
    return [one for one in found if one is not None]


def local(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, BERLIN).strftime("%d. %H:%M %Z")


# The schedule


def test_a_box_that_never_looked_begins_with_the_next_time(box: Box) -> None:
    at(box, 2026, 11, 24, 12, 0)
    assert backupwatch.tick(box.context) is None
    at(box, 2026, 11, 25, 2, 59)
    assert backupwatch.tick(box.context) is None
    at(box, 2026, 11, 25, 3, 0)

    found = backupwatch.tick(box.context)

    assert found is not None
    assert (found.kind, found.actor, found.state) == ("backup", "engine", "waiting")
    assert found.arguments["kind"] == Kind.SCHEDULED.value
    assert local(found.arguments["due_ms"]) == "25. 03:00 CET"
    assert backupwatch.tick(box.context) is None
    assert len(asked(box)) == 1


def test_what_was_missed_while_the_box_was_off_is_made_up_for_once(box: Box) -> None:
    at(box, 2026, 11, 24, 12, 0)
    backupwatch.tick(box.context)
    at(box, 2026, 12, 9, 17, 30)

    for _look in range(5):
        backupwatch.tick(box.context)
        box.clock.advance_ms(5_000)

    assert [local(one.arguments["due_ms"]) for one in asked(box)] == ["25. 03:00 CET"]
    at(box, 2026, 12, 10, 3, 0)
    assert backupwatch.tick(box.context) is not None


@pytest.mark.parametrize(
    ("schedule", "begin", "end", "times"),
    [
        # The clocks go from 02:00 to 03:00: what the night leaves out is made right after.
        ("30 2 * * *", (2027, 3, 27, 12, 0), (2027, 3, 29, 12, 0), ["28. 03:00 CEST", "29. 02:30 CEST"]),
        # From 03:00 to 02:00: what comes twice is made once.
        ("30 2 * * *", (2026, 10, 24, 12, 0), (2026, 10, 26, 12, 0), ["25. 02:30 CEST", "26. 02:30 CET"]),
        # Every hour is every hour.
        ("0 * * * *", (2026, 10, 25, 0, 30), (2026, 10, 25, 4, 30),
         ["25. 01:00 CEST", "25. 02:00 CEST", "25. 02:00 CET", "25. 03:00 CET", "25. 04:00 CET"]),
    ],
)  # fmt: skip
def test_a_change_of_the_clocks_costs_no_backup_and_makes_none_twice(
    box: Box, schedule: str, begin: tuple[int, ...], end: tuple[int, ...], times: list[str]
) -> None:
    configured(box, backup={"schedule": schedule})
    at(box, *begin)
    stop_ms = round(datetime(*end, tzinfo=BERLIN).timestamp() * 1000)  # type: ignore[misc, arg-type]
    while box.clock.now_ms() < stop_ms:
        backupwatch.tick(box.context)
        box.clock.advance_ms(300_000)

    assert [local(one.arguments["due_ms"]) for one in asked(box)] == times


def test_a_clock_that_is_set_back_makes_no_second_one(box: Box) -> None:
    at(box, 2026, 11, 24, 12, 0)
    backupwatch.tick(box.context)
    at(box, 2026, 11, 25, 3, 0)
    assert backupwatch.tick(box.context) is not None

    box.clock.jump_ms(-HOUR_MS)
    for _look in range(30):
        backupwatch.tick(box.context)
        box.clock.advance_ms(300_000)

    assert len(asked(box)) == 1
    at(box, 2026, 11, 26, 3, 0)
    assert backupwatch.tick(box.context) is not None


def test_a_clock_that_was_years_ahead_does_not_stop_the_schedule_for_years(box: Box) -> None:
    at(box, 2026, 11, 24, 12, 0)
    backupwatch.tick(box.context)
    box.clock.jump_ms(3_650 * DAY_MS)
    assert backupwatch.tick(box.context) is not None
    box.clock.jump_ms(-3_650 * DAY_MS)

    assert backupwatch.tick(box.context) is None
    at(box, 2026, 11, 25, 3, 0)
    assert backupwatch.tick(box.context) is not None


@pytest.mark.parametrize("off", [{"backup": {"schedule": "off"}}, {"database": {"backup_enabled": False}}])
def test_nothing_is_asked_for_while_it_is_off_nor_made_up_for_afterwards(box: Box, off: dict[str, Any]) -> None:
    at(box, 2026, 11, 24, 12, 0)
    backupwatch.tick(box.context)
    configured(box, **off)
    at(box, 2026, 11, 25, 12, 0)
    assert backupwatch.tick(box.context) is None

    configured(box)
    assert backupwatch.tick(box.context) is None
    assert asked(box) == []
    at(box, 2026, 11, 26, 3, 0)
    assert backupwatch.tick(box.context) is not None


def test_another_schedule_begins_now(box: Box) -> None:
    at(box, 2026, 11, 24, 12, 0)
    backupwatch.tick(box.context)
    at(box, 2026, 11, 24, 13, 30)
    configured(box, backup={"schedule": "0 * * * *"})

    assert backupwatch.tick(box.context) is None
    at(box, 2026, 11, 24, 14, 0)
    assert backupwatch.tick(box.context) is not None


def test_two_owners_at_the_same_moment_ask_once(box: Box) -> None:
    at(box, 2026, 11, 24, 12, 0)
    backupwatch.tick(box.context)
    at(box, 2026, 11, 25, 3, 0)
    together = threading.Barrier(8)

    def look() -> None:
        together.wait(PATIENCE_S)
        backupwatch.tick(box.context)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert len(asked(box)) == 1


def test_a_word_that_somebody_wrote_over_is_a_beginning(box: Box) -> None:
    at(box, 2026, 11, 24, 12, 0)
    for word in ("", "[]", "{}", '{"schedule": "0 3 * * *"}', '{"schedule": "0 3 * * *", "until_ms": "x"}'):
        box.database.write(lambda tx, word=word: _put(tx, word))  # type: ignore[misc]
        assert backupwatch.tick(box.context) is None
    at(box, 2026, 11, 25, 3, 0)
    assert backupwatch.tick(box.context) is not None


def _put(tx: Any, word: str) -> None:
    from engine.store import backupkeeping

    backupkeeping.note(tx, backupkeeping.SCHEDULE, word)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    st.sampled_from(["0 3 * * *", "*/20 * * * *", "30 2 * * *", "0 */6 * * 1"]),
    st.lists(st.integers(1_000, 3 * DAY_MS), min_size=1, max_size=25),
)
def test_every_look_asks_exactly_where_a_time_has_passed_since_the_last(
    tmp_path_factory: pytest.TempPathFactory, schedule: str, steps: list[int]
) -> None:
    with box_with_paths(tmp_path_factory.mktemp("box"), settings(backup={"schedule": schedule})) as box:
        backupwatch.tick(box.context)
        for step_ms in steps:
            before_ms = box.clock.now_ms()
            box.clock.advance_ms(step_ms)
            passed = next_after(schedule, before_ms, BERLIN) <= box.clock.now_ms()
            assert (backupwatch.tick(box.context) is not None) == passed


# After it


def test_retention_runs_once_after_each_scheduled_backup(box: Box) -> None:
    configured(box, backup={"keep": {**settings().backup["keep"], "hourly": 1, "daily": 1}})
    now_ms = box.clock.now_ms()
    old = fake(box.context, now_ms - 2 * HOUR_MS)
    assert backupwatch.keep_backups(box.context)
    assert listed(box.context, old).pruned_ms is None

    fake(box.context, now_ms - HOUR_MS, kind=Kind.MANUAL)
    assert not backupwatch.keep_backups(box.context)
    assert listed(box.context, old).pruned_ms is None

    fake(box.context, now_ms)
    assert backupwatch.keep_backups(box.context)
    assert not backupwatch.keep_backups(box.context)
    assert listed(box.context, old).pruned_ms is not None


def test_files_that_vanish_and_come_back_are_noticed(box: Box) -> None:
    number = fake(box.context, box.clock.now_ms())
    row = listed(box.context, number)
    place = Path(row.folder, row.name)
    away = place.rename(place.with_name("away"))

    assert backupwatch.look_for_files(box.context) == 1
    assert listed(box.context, number).gone_ms == box.clock.now_ms()
    assert backupwatch.look_for_files(box.context) == 0
    away.rename(place)
    assert backupwatch.look_for_files(box.context) == 1
    assert listed(box.context, number).gone_ms is None


def test_old_files_are_read_again_one_a_look_the_longest_unread_first(box: Box) -> None:
    first = make_archive(box.context)
    enter(box.context, first)
    box.clock.advance_ms(60_000)
    second = make_archive(box.context)
    number = enter(box.context, second)
    second.write_bytes(second.read_bytes()[:-1])
    box.clock.advance_ms(6 * DAY_MS)
    assert backupwatch.verify_old(box.context) is None
    box.clock.advance_ms(2 * DAY_MS)

    assert [backupwatch.verify_old(box.context) for _look in range(3)] == [first.name, second.name, None]
    assert listed(box.context, number).proof is Proof.FAILED
    [incident] = found_incidents(box, watch=True)["backup.damaged"]
    assert incident.subject == second.name
    assert "SHA-256" in incident.detail

    second.unlink()
    backupwatch.look_for_files(box.context)
    assert "backup.damaged" not in found_incidents(box, watch=True)


def test_what_a_killed_drill_left_is_swept(box: Box) -> None:
    left = box.directory / f"{drilling.SCRATCH}-0123456789ab"
    left.mkdir()
    (left / "chronos.db").write_bytes(b"half")

    assert backupwatch.sweep_scratch(box.context) == 1
    assert not left.exists()


# Incidents


def found_incidents(box: Box, *, watch: bool = False) -> dict[str, list[Incident]]:
    """Return what is open, by kind."""
    if watch:
        backupwatch.watch_backups(box.context)
    found: dict[str, list[Incident]] = {}
    for one in incidents.listing(box.context):
        found.setdefault(one.kind, []).append(one)
    return found


def test_an_old_proof_is_an_incident_that_gets_worse_and_ends_by_itself(box: Box) -> None:
    fake(box.context, box.clock.now_ms())
    assert found_incidents(box, watch=True) == {}
    box.clock.advance_ms(37 * HOUR_MS)
    [warned] = found_incidents(box, watch=True)["backup.stale"]
    assert warned.severity == "medium"
    box.clock.advance_ms(60_000)
    assert found_incidents(box, watch=True)["backup.stale"][0].count == 1, "one trouble, not one more a minute"
    box.clock.advance_ms(4 * DAY_MS)
    assert found_incidents(box, watch=True)["backup.stale"][0].severity == "high"

    fake(box.context, box.clock.now_ms())
    assert found_incidents(box, watch=True) == {}


def test_a_backup_that_could_not_be_made_is_an_incident_until_one_is(box: Box) -> None:
    def say(action: str, **detail: object) -> None:
        box.database.write(lambda tx: audit.append(tx, box.clock.now_ms(), "engine", action, "backup:x", detail))

    say("backup.created")
    say("backup.failed", error="the disk is full", kind="StorageFull")
    [incident] = found_incidents(box, watch=True)["backup.failed"]
    assert (incident.detail, incident.severity) == ("the disk is full", "high")

    say("backup.created")
    assert "backup.failed" not in found_incidents(box, watch=True)


def test_the_newest_backup_being_unproven_is_an_incident_until_one_is(box: Box) -> None:
    fake(box.context, box.clock.now_ms() - HOUR_MS)
    fake(box.context, box.clock.now_ms(), proof=Proof.UNPROVEN, detail="the vault is locked")
    assert found_incidents(box, watch=True)["backup.unproven"][0].detail == "the vault is locked"

    box.clock.advance_ms(60_000)
    fake(box.context, box.clock.now_ms())
    assert found_incidents(box, watch=True) == {}


def test_what_a_restore_saves_before_it_begins_is_no_backup_that_waits_for_its_proof(box: Box) -> None:
    fake(box.context, box.clock.now_ms() - HOUR_MS)
    fake(box.context, box.clock.now_ms(), kind=Kind.SAFETY, proof=Proof.UNPROVEN, detail="not drilled")

    assert found_incidents(box, watch=True) == {}


def test_who_wants_no_drills_is_not_told_of_each_backup(box: Box) -> None:
    configured(box, backup={"drill": False})
    fake(box.context, box.clock.now_ms(), proof=Proof.UNPROVEN)

    assert "backup.unproven" not in found_incidents(box, watch=True)


def _copy(box: Box, number: int, **fields: object) -> None:
    """Let a copy of a backup stand as somebody who copies leaves it."""
    values = {"destination": "/mnt/nas", "attempts": 0, "detail": "", "copied_ms": None, **fields}

    def work(tx: Any) -> None:
        copies.enqueue(tx, number, ["/mnt/nas"], box.clock.now_ms())
        sets = ", ".join(f"{name} = :{name}" for name in values)
        tx._connection.execute(f"UPDATE backup_copies SET {sets} WHERE backup_id = {number}", values)

    box.database.write(work)


def test_a_place_that_stays_away_for_hours_is_an_incident_until_newer_backups_lie_there(box: Box) -> None:
    configured(box, backup={"copy_to": ["/mnt/nas"]})
    first = fake(box.context, box.clock.now_ms())
    _copy(box, first, attempts=3, detail="not mounted")
    assert found_incidents(box, watch=True) == {}, "it may be away for a while"

    for _hour in range(7):  # however many newer ones are made meanwhile
        box.clock.advance_ms(HOUR_MS)
        _copy(box, fake(box.context, box.clock.now_ms()), attempts=1, detail="still not")
    [incident] = found_incidents(box, watch=True)["backup.copy_failed"]
    assert (incident.subject, incident.detail) == ("/mnt/nas", "not mounted")

    box.clock.advance_ms(60_000)
    _copy(box, fake(box.context, box.clock.now_ms()), state="copied", attempts=1, copied_ms=box.clock.now_ms())
    assert found_incidents(box, watch=True) == {}


# Health


def proven(box: Box) -> Check:
    return backuphealth.proven(box.context)


def test_a_new_box_is_neither_healthy_nor_an_alarm_until_the_first_time_is_past(box: Box) -> None:
    assert (proven(box).level, "due in" in proven(box).value) == (Level.UNKNOWN, True)
    due_ms = next_after("0 3 * * *", START_MS, BERLIN)
    box.clock.advance_ms(due_ms - START_MS + 60_000)
    assert (proven(box).level, "under way" in proven(box).value) == (Level.UNKNOWN, True)
    assert found_incidents(box, watch=True) == {}
    box.clock.advance_ms(HOUR_MS)
    assert proven(box).level is Level.WARNING
    assert "backup.stale" in found_incidents(box, watch=True)
    box.clock.advance_ms(5 * DAY_MS)
    assert proven(box).level is Level.CRITICAL


def test_it_says_when_a_restore_was_proven_last(box: Box) -> None:
    fake(box.context, box.clock.now_ms())
    box.clock.advance_ms(3 * HOUR_MS)

    assert (proven(box).level, proven(box).value) == (Level.OK, "last proven restore: 3 h ago")


def test_an_old_backup_that_is_drilled_again_is_still_old(box: Box) -> None:
    number = fake(box.context, box.clock.now_ms())
    box.clock.advance_ms(5 * DAY_MS)
    box.database.write(
        lambda tx: ledger.record_drill(tx, number, Proof.PROVEN, "", at_ms=box.clock.now_ms(), took_ms=1)
    )

    found = proven(box)

    assert found.level is Level.CRITICAL
    assert found.value == "last proven restore: 0 s ago, of a backup that is 5 d old"


def test_newer_ones_that_are_not_proven_are_named_and_do_not_count(box: Box) -> None:
    fake(box.context, box.clock.now_ms())
    box.clock.advance_ms(2 * DAY_MS)
    fake(box.context, box.clock.now_ms(), proof=Proof.UNPROVEN, detail="the vault is locked")

    found = proven(box)

    assert found.level is Level.WARNING
    assert "the newest is unproven (the vault is locked)" in found.value
    assert found.advice


def test_what_is_dated_ahead_of_now_or_gone_proves_nothing(box: Box) -> None:
    fake(box.context, box.clock.now_ms() + DAY_MS)
    number = fake(box.context, box.clock.now_ms())
    box.database.write(lambda tx: ledger.record_gone(tx, number, box.clock.now_ms()))

    assert proven(box).level is Level.UNKNOWN


def test_without_a_schedule_it_is_never_healthy(box: Box) -> None:
    configured(box, backup={"schedule": "off"})
    assert proven(box).level is Level.UNKNOWN
    box.clock.advance_ms(2 * DAY_MS)
    assert (proven(box).level, "no backup is scheduled" in proven(box).value) == (Level.WARNING, True)


def test_copies_are_healthy_where_the_newest_backup_lies(box: Box) -> None:
    assert backuphealth.copied(box.context).level is Level.OK
    configured(box, backup={"copy_to": ["/mnt/nas", "rclone:b2:x"]})
    assert backuphealth.copied(box.context).level is Level.UNKNOWN

    number = fake(box.context, box.clock.now_ms())
    box.database.write(lambda tx: copies.enqueue(tx, number, ["/mnt/nas", "rclone:b2:x"], START_MS))
    assert "2 under way" in backuphealth.copied(box.context).value
    box.database.write(
        lambda tx: tx._connection.execute(
            "UPDATE backup_copies SET attempts = 3, detail = 'not mounted' WHERE destination = '/mnt/nas'"
        )
    )

    found = backuphealth.copied(box.context)

    assert (found.level, found.value) == (Level.WARNING, "1 of 2 places behind: /mnt/nas: not mounted")


def test_the_figures_of_backups_stand_in_the_metrics(box: Box) -> None:
    before = metrics.render(metrics.of_outbox(box.context))
    assert "chronos_backup_last_proven_age_seconds " not in before
    fake(box.context, box.clock.now_ms())
    box.clock.advance_ms(90_000)

    found = metrics.render(metrics.of_outbox(box.context)).splitlines()

    assert "chronos_backup_last_proven_age_seconds 90" in found
    assert 'chronos_backups{proof="proven"} 1' in found
    assert 'chronos_backups{proof="failed"} 0' in found
    assert f"chronos_backup_bytes {len(b'backup')}" in found
    assert backups.listing(box.context)[0].proof is Proof.PROVEN
