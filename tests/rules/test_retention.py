"""Retention: slots by the clocks of a zone, and what is never removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules.backups import Kind
from engine.rules.retention import SAFETY_MS, Item, Keep, decide

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def _item(at: datetime | int, *, proven: bool = True, kind: Kind = Kind.SCHEDULED, name: str = "") -> Item:
    at_ms = at if isinstance(at, int) else round(at.timestamp() * 1000)
    return Item(name or f"b{at_ms}", at_ms, proven, kind)


def _kept(items: list[Item], keep: Keep, now_ms: int = NOW_MS) -> list[Item]:
    return [one.item for one in decide(items, keep, now_ms, BERLIN) if one.keep]


ITEMS = st.lists(
    st.builds(
        Item,
        name=st.integers(0, 10**6).map("b{}".format),
        at_ms=st.integers(NOW_MS - 800 * DAY_MS, NOW_MS + 3 * DAY_MS),
        proven=st.booleans(),
        kind=st.sampled_from(Kind),
    ),
    max_size=60,
    unique_by=lambda one: one.name,
)
COUNTS = st.integers(0, 5)
KEEPS = st.builds(Keep, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.integers(0, 30 * DAY_MS))


@given(ITEMS, KEEPS)
def test_every_backup_gets_one_decision_with_a_reason(items: list[Item], keep: Keep) -> None:
    found = decide(items, keep, NOW_MS, BERLIN)

    assert sorted(one.item for one in found) == sorted(items)
    assert all(one.reason and "\n" not in one.reason for one in found)
    assert [one.item.at_ms for one in found] == sorted((one.at_ms for one in items), reverse=True)


@given(ITEMS, KEEPS)
def test_the_newest_proven_one_is_never_removed(items: list[Item], keep: Keep) -> None:
    proven = [one for one in items if one.proven and one.at_ms <= NOW_MS and one.kind != Kind.FOUND]
    if proven:
        newest_ms = max(one.at_ms for one in proven)
        assert any(one.at_ms == newest_ms and one.proven for one in _kept(items, keep))


@given(ITEMS, KEEPS)
def test_what_is_dated_ahead_of_now_is_kept_and_changes_nothing_for_the_others(items: list[Item], keep: Keep) -> None:
    ahead = [one for one in items if one.at_ms > NOW_MS]
    past = [one for one in items if one.at_ms <= NOW_MS]

    assert set(_kept(items, keep)) == set(_kept(past, keep)) | set(ahead)


@given(ITEMS, KEEPS)
def test_found_files_are_kept_and_change_nothing_for_the_others(items: list[Item], keep: Keep) -> None:
    found = [one for one in items if one.kind == Kind.FOUND]
    ours = [one for one in items if one.kind != Kind.FOUND]

    assert set(_kept(items, keep)) == set(_kept(ours, keep)) | set(found)


@given(ITEMS, KEEPS)
def test_what_was_saved_before_a_restore_is_kept_for_a_week(items: list[Item], keep: Keep) -> None:
    young = {one for one in items if one.kind == Kind.SAFETY and NOW_MS - one.at_ms < SAFETY_MS}

    assert young <= set(_kept(items, keep))


@given(ITEMS, KEEPS)
def test_an_unproven_one_never_costs_a_proven_one_its_place(items: list[Item], keep: Keep) -> None:
    proven = [one for one in items if one.proven]

    assert set(_kept(proven, keep)) <= set(_kept(items, keep))


@given(ITEMS, KEEPS)
@settings(max_examples=500)
def test_pruning_twice_removes_nothing_more(items: list[Item], keep: Keep) -> None:
    once = _kept(items, keep)

    assert _kept(once, keep) == once


@given(ITEMS, KEEPS, st.integers(0, 4000 * DAY_MS))
def test_a_clock_that_runs_ahead_costs_no_slot(items: list[Item], keep: Keep, jump_ms: int) -> None:
    """By number and not by age: with the same backups, later is not fewer, but for what is kept by its age."""
    past = [one for one in items if one.at_ms <= NOW_MS and one.kind != Kind.SAFETY]
    without_age = keep._replace(within_ms=0)

    assert _kept(past, without_age, NOW_MS + jump_ms) == _kept(past, without_age)


@given(ITEMS, KEEPS)
def test_no_more_are_kept_than_twice_the_slots_and_what_is_always_kept(items: list[Item], keep: Keep) -> None:
    slots_alone = [one for one in items if one.kind in {Kind.SCHEDULED, Kind.MANUAL} and one.at_ms <= NOW_MS]

    assert len(_kept(slots_alone, keep._replace(within_ms=0))) <= 2 * sum(keep[:5]) + 1


@given(ITEMS, KEEPS)
def test_everything_within_is_kept(items: list[Item], keep: Keep) -> None:
    young = {one for one in items if 0 <= NOW_MS - one.at_ms < keep.within_ms}

    assert young <= set(_kept(items, keep))


def test_each_rule_keeps_the_newest_of_its_periods() -> None:
    every_hour = [_item(NOW_MS - n * HOUR_MS) for n in range(24 * 60)]

    assert len(_kept(every_hour, Keep(hourly=24))) == 24
    local = [datetime.fromtimestamp(one.at_ms / 1000, BERLIN) for one in _kept(every_hour, Keep(daily=7))]
    assert len(local) == 7
    assert [at.hour for at in local] == [13, 23, 23, 23, 23, 23, 23]  # today so far, and the last hour of each day
    weeks = [datetime.fromtimestamp(one.at_ms / 1000, BERLIN) for one in _kept(every_hour, Keep(weekly=3))]
    assert [at.isoweekday() for at in weeks] == [2, 7, 7]
    months = [datetime.fromtimestamp(one.at_ms / 1000, BERLIN).day for one in _kept(every_hour, Keep(monthly=9))]
    assert months == [24, 31, 30]


def test_a_slot_is_the_newest_proven_ones_not_the_newest_ones() -> None:
    good, bad = _item(NOW - timedelta(minutes=40)), _item(NOW - timedelta(minutes=10), proven=False)

    # 13:20 and 13:50 in Berlin are of different hours than 12:50 and of the same day.
    found = {one.item: one for one in decide([good, bad], Keep(daily=3), NOW_MS, BERLIN)}

    assert found[good].keep
    assert not found[bad].keep
    assert found[bad].reason == f"{good.name} stands for the same day"


def test_the_hour_that_comes_twice_has_two_slots() -> None:
    first = _item(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))  # 02:30 summer time
    second = _item(datetime(2026, 10, 25, 1, 30, tzinfo=UTC))  # 02:30 winter time

    assert _kept([first, second], Keep(hourly=2)) == [second, first]


def test_reasons_say_which_rules_keep_it_or_why_none_does() -> None:
    newest, same_day, old = _item(NOW), _item(NOW - timedelta(hours=5)), _item(NOW - timedelta(days=400))
    safety = _item(NOW - timedelta(days=8), kind=Kind.SAFETY)

    found = {one.item: one for one in decide([old, same_day, newest, safety], Keep(daily=1), NOW_MS, BERLIN)}

    assert found[newest].reason == "the newest proven one"
    assert found[same_day].reason == f"{newest.name} stands for the same day"
    assert found[old].reason == "older than what is kept: 1 day"
    assert found[safety].reason == "saved before a restore, 7 days ago or longer"
    two = decide([_item(NOW - timedelta(days=1)), newest], Keep(daily=7, weekly=4), NOW_MS, BERLIN)
    assert two[1].reason == "the newest proven one of its day"


@pytest.mark.parametrize("kind", [Kind.SCHEDULED, Kind.MANUAL, Kind.SAFETY])
def test_with_nothing_to_be_kept_one_proven_backup_stays(kind: Kind) -> None:
    old, older = _item(NOW_MS - 900 * DAY_MS, kind=kind), _item(NOW_MS - 901 * DAY_MS)

    assert _kept([older, old], Keep()) == [old]
