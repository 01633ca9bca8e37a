"""Durations, times, sizes and rates: what people write, exactly, or a clear refusal."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.model import Rate
from engine.rules.durations import (
    compact_duration,
    format_duration,
    format_size,
    parse_duration_ms,
    parse_rate,
    parse_size,
    parse_time_ms,
    rfc3339,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOW = int(datetime(2026, 11, 23, 14, 30, tzinfo=UTC).timestamp() * 1000)  # 15:30 in Berlin


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("90s", 90_000),
        ("15m", 900_000),
        ("2h", 7_200_000),
        ("3d", 259_200_000),
        ("1w", 604_800_000),
        ("1h30m", 5_400_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("500ms", 500),
        ("1m500ms", 60_500),
        (" 0s ", 0),
    ],
)
def test_durations(text: str, ms: int) -> None:
    assert parse_duration_ms(text) == ms


@pytest.mark.parametrize(
    "text", ["", "5", "m", "-5m", "1.5h", "5 m", "30m1h", "1h1h", "5M", "٣m", "1h30", "99999999999d", "5y", "1ms1s"]
)
def test_what_is_no_duration_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(BadInput, match="write it like 500ms, 90s, 15m, 2h, 3d or 1h30m"):
        parse_duration_ms(text)


@given(st.integers(0, 36_600 * 86_400_000))
def test_the_exact_form_reads_back(ms: int) -> None:
    assert parse_duration_ms(compact_duration(ms, exact=True)) == ms


@given(st.integers(1, 10**13))
def test_the_short_form_cuts_off_less_than_its_last_unit(ms: int) -> None:
    short = parse_duration_ms(compact_duration(ms)) if ms < 36_600 * 86_400_000 else ms
    assert short <= ms
    assert ms - short < max(1_000, ms / 12)


@pytest.mark.parametrize(
    ("ms", "words", "compact"),
    [
        (0, "0 s", "0s"),
        (5, "5 ms", "5ms"),
        (12_007, "12 s", "12s"),
        (90_000, "1 min 30 s", "1m30s"),
        (7_500_999, "2 h 5 min", "2h5m"),
        (3_605_000, "1 h", "1h"),
        (93_784_005, "1 d 2 h", "1d2h"),
        (259_200_000, "3 d", "3d"),
        (-5_000, "-5 s", "-5s"),
    ],
)
def test_durations_in_words(ms: int, words: str, compact: str) -> None:
    assert format_duration(ms) == words
    assert compact_duration(ms) == compact


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("now", "2026-11-23T14:30:00.000Z"),
        ("+15m", "2026-11-23T14:45:00.000Z"),
        ("16:00", "2026-11-23T15:00:00.000Z"),
        ("14:00", "2026-11-24T13:00:00.000Z"),
        ("15:30", "2026-11-24T14:30:00.000Z"),
        ("9:05", "2026-11-24T08:05:00.000Z"),
        ("today 9:05", "2026-11-23T08:05:00.000Z"),
        ("tomorrow 9:00", "2026-11-24T08:00:00.000Z"),
        ("Tomorrow  23:59", "2026-11-24T22:59:00.000Z"),
        ("2026-11-30", "2026-11-29T23:00:00.000Z"),
        ("2026-11-30 14:00", "2026-11-30T13:00:00.000Z"),
        ("2026-07-01T14:00:30", "2026-07-01T12:00:30.000Z"),
        ("2026-11-30T14:00:00Z", "2026-11-30T14:00:00.000Z"),
        ("2026-11-30t14:00:00.25z", "2026-11-30T14:00:00.250Z"),
        ("2026-11-30T14:00:00+05:30", "2026-11-30T08:30:00.000Z"),
        ("2026-11-30 14:00-08:00", "2026-11-30T22:00:00.000Z"),
    ],
)
def test_times(text: str, utc: str) -> None:
    assert rfc3339(parse_time_ms(text, NOW, BERLIN)) == utc


@pytest.mark.parametrize(
    "text",
    [
     "", "soon", "25:00", "12:60", "24:00", "2026-13-01", "2026-02-30 10:00", "1969-12-31T23:59:59Z", "-5m",
     "14:00 tomorrow",
     "yesterday 9:00", "2026-11-30T14:00:00+99:99", "\u0660\u0669:00", "9999-12-31T23:59:59-23:59", "14:00\x00",
     "0001-01-01"],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(BadInput, match="write it like 14:00, tomorrow 9:00") as caught:
        parse_time_ms(text, NOW, BERLIN)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", ["+", "+5", "+-5m", "+ "])
def test_a_wait_that_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is not a duration"):
        parse_time_ms(text, NOW, BERLIN)


def test_a_local_time_that_the_clocks_skip_is_refused() -> None:
    with pytest.raises(BadInput, match="does not exist in Europe/Berlin"):
        parse_time_ms("2026-03-29 02:30", NOW, BERLIN)


def test_the_next_such_time_is_the_day_after_when_the_clocks_skip_it() -> None:
    evening = int(datetime(2026, 3, 28, 20, 0, tzinfo=UTC).timestamp() * 1000)
    assert rfc3339(parse_time_ms("2:30", evening, BERLIN)) == "2026-03-30T00:30:00.000Z"


def test_a_time_that_comes_twice_is_the_first_still_ahead() -> None:
    day_before = int(datetime(2026, 10, 24, 20, 0, tzinfo=UTC).timestamp() * 1000)
    between = int(datetime(2026, 10, 25, 0, 45, tzinfo=UTC).timestamp() * 1000)
    for text in ("2:30", "2026-10-25 02:30"):
        assert rfc3339(parse_time_ms(text, day_before, BERLIN)) == "2026-10-25T00:30:00.000Z"
        assert rfc3339(parse_time_ms(text, between, BERLIN)) == "2026-10-25T01:30:00.000Z"


@given(st.integers(0, 4_102_444_800_000), st.sampled_from([UTC, BERLIN, ZoneInfo("Australia/Lord_Howe")]))
def test_a_written_time_reads_back_in_every_zone(ms: int, tz: ZoneInfo) -> None:
    assert parse_time_ms(rfc3339(ms), 0, tz) == ms


@given(st.integers(0, 4_102_444_800_000), st.integers(0, 23), st.integers(0, 59))
def test_a_time_of_day_is_ahead_within_two_days(now_ms: int, hour: int, minute: int) -> None:
    at = parse_time_ms(f"{hour}:{minute:02}", now_ms, BERLIN)
    assert now_ms < at <= now_ms + 2 * 86_400_000
    local = datetime.fromtimestamp(at / 1000, BERLIN)
    assert (local.hour, local.minute) == (hour, minute)


@pytest.mark.parametrize("ms", [-(10**17), 10**17, 253_402_300_800_000])
def test_a_time_beyond_year_9999_is_refused(ms: int) -> None:
    with pytest.raises(BadInput, match="no time that RFC 3339 can name"):
        rfc3339(ms)


def test_times_before_1970_are_written_right() -> None:
    assert rfc3339(-1) == "1969-12-31T23:59:59.999Z"


@pytest.mark.parametrize(
    ("text", "rate"),
    [("20/m", Rate(20, 60_000)),
     ("5/s", Rate(5, 1_000)), ("100/h", Rate(100, 3_600_000)), ("1000/d", Rate(1000, 86_400_000))],
)  # fmt: skip
def test_rates(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "20", "0/m", "-1/m", "1.5/s", "20/x", "20 / m", "20/ms"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="write it like 5/s, 20/m, 100/h or 1000/d"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512", 512), ("64k", 65_536), ("64K", 65_536), ("1m", 1_048_576), ("10MiB", 10_485_760), ("10 MiB", 10_485_760),
     ("2GB", 2_000_000_000), ("1kb", 1_000), ("1t", 1_099_511_627_776), ("7B", 7), ("0", 0)],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1.5m", "10iB", "10Ki", "10x", "1e6"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="write it like 512, 64k, 10MiB or 2GB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (10_485_760, "10 MiB"), (2**50, "1024 TiB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert format_size(size) == words
