"""Times as people write and read them."""

from __future__ import annotations

import pytest

from chronos_tui.commands import times
from engine.errors import BadInput

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("distance_ms", "words"),
    [(0, "now"), (-999, "now"), (-125_000, "2 min ago"), (7_384_000, "in 2 h"), (-3 * DAY_MS - 5, "3 d ago")],
)
def test_a_list_shows_the_greatest_unit(distance_ms: int, words: str) -> None:
    assert times.relative(10 * DAY_MS + distance_ms, 10 * DAY_MS) == words


def test_since_counts_back_and_a_time_of_day_is_the_last_one() -> None:
    now = times.now_ms()
    assert abs(times.parse_since("2h", {"TZ": "UTC"}) - (now - 7_200_000)) < 60_000
    for clock in ("00:00", "12:00", "23:59"):
        found = times.parse_since(clock, {"TZ": "Europe/Berlin"})
        assert now - DAY_MS - 3_600_000 <= found <= times.now_ms()  # the day may have had 25 hours
    assert times.parse_since("2026-11-23T14:00:00Z", {}) == 1_795_442_400_000
    with pytest.raises(BadInput):
        times.parse_since("yesterday", {})


@pytest.mark.parametrize("named", ["CET-1CEST,M3.5.0,M10.5.0/3", ":Europe/Berlin", "Nowhere/Atall"])
def test_a_time_zone_that_is_no_name_still_gives_one(named: str) -> None:
    assert times.parse("2026-11-23T14:00:00Z", {"TZ": named}) == 1_795_442_400_000
    assert times.local_zone({"TZ": named}).utcoffset(None) is not None or named == ":Europe/Berlin"


def test_a_document_has_rfc_3339_or_null() -> None:
    assert times.stamp(1_795_442_400_000) == "2026-11-23T14:00:00.000Z"
    assert times.stamp(None) is None
