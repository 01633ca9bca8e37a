"""The boxes of the overview: what they say, that they stay the same while nothing happens, and where they stand."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_tui.views import grid
from chronos_tui.views import overview as views
from chronos_tui.views.grid import Wish
from chronos_tui.views.overview import Item, Items, flow
from chronos_tui.views.spans import Span, line_text, width
from engine.model import Hold, Rate
from engine.operations.activity import Activity
from engine.operations.incidents import Incident
from engine.operations.reading import TargetState
from engine.operations.situation import Owner, Situation
from engine.rules.breaker import Breaker, BreakerState
from engine.store.lanes import Lane
from engine.store.leader import Leader
from tests.support import START_MS, target
from tests.tui.cockpit import MINUTE_MS, in_utc
from tests.tui.views.test_audit import HOSTILE, entry

HOUR_MS = 60 * MINUTE_MS
QUIET = Activity(START_MS - 59 * MINUTE_MS, (0,) * 60, (0,) * 60)


def situation(**changes: Any) -> Situation:
    """Return an owner at work with a few messages."""
    known: dict[str, Any] = {
        "instance": "box",
        "owner": Owner(77, "engine-only", START_MS - HOUR_MS),
        "here": False,
        "leader": Leader(5, 77, "box", "engine-only", "0.1.0", START_MS - HOUR_MS, START_MS - 5_000, "running"),
        "counts": MappingProxyType({"delivered": 1_204, "dead": 3, "queued": 0, "held": 0}),
        "oldest_due_ms": None,
        "holds": (),
        "troubles": MappingProxyType({}),
        "incidents": (),
        "audit_seq": 9,
        "audit_hash": "ab" * 32,
        "degraded": False,
    }
    return Situation(**known | changes)


def state(name: str = "ops", **lane: Any) -> TargetState:
    """Return a target with what is remembered of it."""
    return TargetState(target(name), Lane(name, **lane), None)


def text(items: Items, cells: int = 200) -> str:
    """Return what the box shows."""
    return "\n".join("".join(line_text(item.spans) for item in row) for row in flow(items, cells))


def outbox(changes: dict[str, Any] | None = None, activity: Activity = QUIET, cells: int = 118) -> Items:
    return views.outbox(situation(**changes or {}), activity, START_MS, cells)


# Outbox


def test_the_outbox_counts_each_state_with_symbol_and_word() -> None:
    items = outbox()

    assert "✗ 3 dead" in text(items)
    assert "✓ 1 204 delivered" in text(items)
    assert "· 0 queued" in text(items)
    assert "held" not in text(items)
    dead = next(item for item in items if item.key == "dead")
    assert (dead.panel, dead.place, dead.spans[0].role) == ("outbox", "state:dead", "failed")


def test_an_empty_outbox_says_what_to_do() -> None:
    assert text(outbox({"counts": {}})) == "No message yet. n writes one."


def test_what_is_late_stands_out_and_leads_there() -> None:
    late = outbox({"oldest_due_ms": START_MS - 10 * MINUTE_MS})

    assert "! oldest due 10 min ago" in text(late)
    assert next(item for item in late if item.key == "late").place == "state:queued due<0s"
    assert "! oldest" not in text(outbox({"oldest_due_ms": START_MS - MINUTE_MS}))


@pytest.mark.parametrize(("cells", "drawn", "each"), [(118, 60, 1), (80, 60, 1), (59, 30, 2), (40, 20, 3)])
def test_sparklines_state_total_and_axis_and_fit(cells: int, drawn: int, each: int) -> None:
    delivered = (*[0] * 56, 1, 4, 2, 3)
    failed = (*[0] * 59, 2)
    items = outbox(activity=Activity(QUIET.start_ms, delivered, failed), cells=cells)
    good, bad, axis = items[-3:]

    assert line_text(good.spans[:1]) == "delivered     10 "
    assert line_text(bad.spans[:1]) == "failed         2 "
    assert (len(good.spans[1].text), len(bad.spans[1].text)) == (drawn, drawn)
    assert good.spans[1].text[-1] != " "
    most = max(sum(delivered[max(0, end - each) : end]) for end in range(60, 0, -each))
    assert f"60 min, {each} min a bar" in line_text(axis.spans)
    assert (f", highest {most} and 2" in line_text(axis.spans)) == (cells > 40)
    assert all(2 + width(item.spans) <= cells for item in (good, bad, axis))


# Targets


@pytest.mark.parametrize(
    ("lane", "symbol", "words"),
    [
        ({}, "·", "no delivery yet"),
        ({"last_success_ms": START_MS - 5 * MINUTE_MS}, "✓", "sends"),
        ({"disabled_reason": "410 gone"}, "✗", "disabled: 410 gone"),
        ({"throttled_until_ms": START_MS + 90_000}, "⏸", "the receiver wants a pause, 2 min left"),
        (
            {"breaker": Breaker(BreakerState.OPEN, probe_ms=START_MS + 90_000, reason="refused")},
            "✗",
            "breaker open, next probe in 2 min: refused",
        ),
        ({"breaker": Breaker(BreakerState.OPEN, probe_ms=START_MS - 1)}, "✗", "next probe now"),
        ({"breaker": Breaker(BreakerState.HALF_OPEN, reason="refused")}, "✗", "a probe is under way"),
        ({"breaker": Breaker(failures_in_row=1), "last_word": "no"}, "!", "the last try failed: no"),
        ({"breaker": Breaker(failures_in_row=4), "last_word": "no"}, "!", "4 failed in a row: no"),
    ],
)
def test_a_target_says_how_it_fares(lane: dict[str, Any], symbol: str, words: str) -> None:
    (item,) = views.targets([state(**lane)], {}, START_MS, 118)

    assert line_text(item.spans).startswith(f"{symbol} ops")
    assert words in line_text(item.spans)
    assert (item.key, item.panel, item.place) == ("ops", "outbox", "target:ops")


def test_a_target_says_its_rate_and_when_it_last_went_well_and_badly() -> None:
    limited = replace(state(last_success_ms=START_MS - 5 * MINUTE_MS, last_failure_ms=START_MS - 3 * HOUR_MS))
    limited = replace(limited, spec=target("ops", rate=Rate(20, MINUTE_MS)))

    shown = text(views.targets([limited], {}, START_MS, 118))

    assert "at most 20 in 1 min" in shown
    assert "delivered 5 min ago, failed 3 h ago" in shown


def test_servers_of_ad_hoc_addresses_are_named_when_they_are_in_trouble() -> None:
    troubles = {"ops": "x", "smtp.example.org": "breaker open, next probe in 12 s: refused"}
    shown = text(views.targets([state()], troubles, START_MS, 118))

    assert "! smtp.example.org breaker open" in shown
    assert "12 s" not in shown


def test_without_targets_it_says_where_they_are_configured() -> None:
    assert "No target is configured" in text(views.targets([], {}, START_MS, 80))


def test_a_target_with_a_strange_name_is_found_by_the_filter() -> None:
    (item,) = views.targets([state('a "b" c')], {}, START_MS, 80)

    assert item.place == 'target:"a \\"b\\" c"'


# Holds, audit, engine


def test_holds_are_listed_the_first_to_end_first() -> None:
    found = [
        Hold(1, "channel:email", START_MS, START_MS + 3 * HOUR_MS, "", "cli:root"),
        Hold(2, "all", START_MS, START_MS + 90_000, "disk full", "cockpit:me"),
    ]
    first, second = views.holds(found, START_MS, 118)

    assert line_text(first.spans) == "⏸ everything  2 min left  by cockpit:me: disk full"
    assert line_text(second.spans) == "⏸ channel email  3 h left  by cli:root"
    assert first.line == 'resume "all"'
    assert text(views.holds([], START_MS, 80)) == "Nothing is held. p pauses."


def test_entries_lead_to_themselves() -> None:
    (item,) = views.entries([entry(detail={"id": 8, "target": "ops"})], START_MS + 5 * MINUTE_MS, 78)

    assert line_text(item.spans).split() == ["5", "min", "message.queued", "#8", "to", "ops", "cli:root"]
    assert (item.panel, item.place) == ("audit", "@812")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ["✓ delivered by pid 77 (engine-only), heartbeat ok", "since 13:13:20, epoch 5", "✓ database"]),
        ({"here": True}, ["✓ delivering here, heartbeat ok"]),
        ({"owner": None}, ["✗ nobody delivers; the last was pid 77 (engine-only), just now"]),
        ({"degraded": True}, ["✗ database DEGRADED", "chronos doctor --fix"]),
        (
            {"leader": Leader(5, 77, "box", "x", "0.1.0", START_MS, START_MS - MINUTE_MS, "running")},
            ["✗ delivered by pid 77 (x), but silent since 14:12:20"],
        ),
        (
            {"leader": Leader(5, 77, "box", "x", "0.0.9", START_MS, START_MS, "running")},
            ["! the engine is Chronos 0.0.9, this cockpit 0.1.0"],
        ),
        (
            {"incidents": (Incident(1, "target.disabled", "ops", "410 gone", "open", START_MS, START_MS, 3, "high"),)},
            ["✗ high  A receiver said never again: ops", "3 times, last just now"],
        ),
    ],
)
def test_the_engine_says_who_delivers_and_what_is_wrong(changes: dict[str, Any], words: list[str]) -> None:
    with in_utc():
        shown = text(views.engine(situation(**changes), "0.1.0", START_MS, 118))

    for part in words:
        assert part in shown


# What all of them keep


def _all(now_ms: int, cells: int, words: str = "plain") -> list[Items]:
    lane = {"last_success_ms": START_MS - 5 * MINUTE_MS, "disabled_reason": words, "last_word": words}
    opened = Breaker(BreakerState.OPEN, probe_ms=START_MS + 10 * MINUTE_MS, reason=words)
    troubles = {words: f"{words}, next probe in {now_ms} ms"}
    now = situation(
        holds=(Hold(1, f"target:{words}", START_MS, START_MS + 10 * MINUTE_MS, words, words),),
        oldest_due_ms=START_MS - MINUTE_MS,
        leader=Leader(5, 77, words, words, words, START_MS, START_MS, words),
        owner=Owner(77, words, START_MS),
        incidents=(Incident(1, words, words, words, words, START_MS, START_MS, 1),),
        troubles=troubles,
    )
    states = [state(words, **lane), state(words, breaker=opened), state("x", throttled_until_ms=START_MS + HOUR_MS)]
    said = entry(words, words, {words: words}, actor=words)
    return [
        views.outbox(now, QUIET, now_ms, cells),
        views.targets(states, troubles, now_ms, cells),
        views.holds(now.holds, now_ms, cells),
        views.entries([said], now_ms, cells),
        views.engine(now, "0.1.0", now_ms, cells),
    ]


def test_nothing_changes_within_a_minute() -> None:
    assert _all(START_MS, 118) == _all(START_MS + 15_000, 118)


@pytest.mark.parametrize("cells", [59, 80, 118, 200])
def test_hostile_words_are_text_and_every_line_fits(cells: int) -> None:
    for items in _all(START_MS, cells, HOSTILE * 20):
        for row in flow(items, cells):
            for item in row:
                shown = line_text(item.spans)
                assert shown.isprintable()
                assert not {"\u202e", "\u200b"} & set(shown)
            assert len(row) > 1 or 2 + width(row[0].spans) <= cells


# Flow and grid


def test_items_stand_beside_each_other_where_they_fit() -> None:
    beside = [Item((Span("x" * 8),), str(n), beside=True) for n in range(5)]
    items = (*beside, Item((Span("end"),)))

    assert [len(row) for row in flow(items, 30)] == [3, 2, 1]
    assert [len(row) for row in flow(items, 80)] == [5, 1]


BOXES = [Wish(6, 7), Wish(3, 3), Wish(2, 2), Wish(3, 61, endless=True), Wish(3, 4)]


def test_a_small_screen_is_a_stack_with_all_of_it() -> None:
    places = grid.place(BOXES, 80, 21)

    assert [place.x for place in places] == [0] * 5
    assert [place.height for place in places] == [7, 3, 2, 5, 4]
    assert {place.width for place in places} == {80}


@pytest.mark.parametrize(("width_", "height", "columns"), [(120, 37, 2), (200, 57, 2), (260, 57, 3)])
def test_a_big_screen_is_a_grid_that_is_filled(width_: int, height: int, columns: int) -> None:
    places = grid.place(BOXES, width_, height)

    assert len({place.x for place in places}) == columns
    for x in {place.x for place in places}:
        assert sum(place.height for place in places if place.x == x) == height
    assert max(place.x + place.width for place in places) == width_


def test_a_screen_too_low_leaves_out_the_last_boxes() -> None:
    assert [place.height for place in grid.place(BOXES, 80, 10)] == [7, 3, 0, 0, 0]


@given(
    st.lists(st.builds(Wish, st.integers(1, 6), st.integers(6, 70), st.booleans()), max_size=9),
    st.integers(1, 300),
    st.integers(0, 90),
)
def test_boxes_never_overlap_and_never_leave_the_screen(wishes: list[Wish], width_: int, height: int) -> None:
    places = grid.place(wishes, width_, height)
    seen: set[tuple[int, int]] = set()

    assert len(places) == len(wishes)
    for place in places:
        assert 0 <= place.x <= place.x + place.width <= max(width_, 1)
        assert 0 <= place.y <= place.y + place.height <= height
        rows = {(place.x, y) for y in range(place.y, place.y + place.height)}
        assert not rows & seen
        seen |= rows
