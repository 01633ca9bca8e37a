"""Durations, points in time, sizes and rates as people write them. Never asks for the time: `now_ms` is handed in."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta, tzinfo

from engine.errors import BadInput
from engine.model import Rate

# Patterns are compiled at first use: a command from cron that sends now needs none of them.
_UNITS_MS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_LONG_NAMES = (("d", "d"), ("h", "h"), ("m", "min"), ("s", "s"), ("ms", "ms"))
_DURATION = r"(?:\d{1,12}(?:ms|[wdhms]))+"
_PART = r"(\d+)(ms|[wdhms])"
_RATE = r"(\d{1,9})/([smhd])"
_SIZE = r"(\d{1,15}) ?([kmgt]?)(i?b?)"
_RFC3339 = r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)([Zz]|[+-]\d\d:\d\d)?"
_DATE = r"\d{4}-\d\d-\d\d"
_CLOCK = r"(?:(today|tomorrow) +)?(\d{1,2}):(\d\d)"
_LONGEST_MS = 100 * 366 * 86_400_000
_DURATION_FORMS = "write it like 500ms, 90s, 15m, 2h, 3d or 1h30m"
_TIME_FORMS = "write it like 14:00, tomorrow 9:00, 2026-11-23 14:00, 2026-11-23T14:00:00Z or +15m"
# 9999-12-31T23:59:59.999Z
_LAST_MS = 253_402_300_799_999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_duration_ms(text: str) -> int:
    """Return the milliseconds of "90s", "15m", "2h", "3d", "1w", "1h30m" or "500ms".

    Units go from long to short, each at most once. Raises BadInput otherwise, and beyond 100 years.
    """
    word = text.strip()
    if not re.fullmatch(_DURATION, word, re.ASCII):
        raise BadInput(f"{_shown(text)} is not a duration; {_DURATION_FORMS}")
    total = 0
    smallest = _LONGEST_MS
    for number, unit in re.findall(_PART, word, re.ASCII):
        unit_ms = _UNITS_MS[unit]
        if unit_ms >= smallest:
            raise BadInput(f"{_shown(text)} is not a duration: units go from long to short; {_DURATION_FORMS}")
        smallest = unit_ms
        total += int(number) * unit_ms
    if total > _LONGEST_MS:
        raise BadInput(f"{_shown(text)} is longer than 100 years; {_DURATION_FORMS}")
    return total


def format_duration(ms: int) -> str:
    """Return the two greatest units in short words: "2 h 5 min", "3 d", "500 ms". Cuts off, never rounds up."""
    return _two_units(ms, " ", _LONG_NAMES)


def compact_duration(ms: int, *, exact: bool = False) -> str:
    """Return the two greatest units without spaces: "2h5m".

    exact: all units, so that parse_duration_ms gives `ms` back (for `ms` ≥ 0).
    """
    if not exact:
        return _two_units(ms, "", tuple((unit, unit) for unit, _ in _LONG_NAMES))
    parts = [f"{count}{unit}" for unit, count in _split(abs(ms)) if count]
    return ("-" if ms < 0 else "") + ("".join(parts) or "0s")


def _split(ms: int) -> list[tuple[str, int]]:
    parts = []
    for unit, _ in _LONG_NAMES:
        count, ms = divmod(ms, _UNITS_MS[unit])
        parts.append((unit, count))
    return parts


def _two_units(ms: int, space: str, names: tuple[tuple[str, str], ...]) -> str:
    parts = _split(abs(ms))
    first = next((index for index, (_, count) in enumerate(parts) if count), None)
    if first is None:
        return f"0{space}s"
    # Milliseconds beside seconds are noise in "12 s 7 ms".
    last = first + 2 if parts[first][0] != "s" else first + 1
    words = [f"{parts[i][1]}{space}{names[i][1]}" for i in range(first, min(last, len(parts))) if parts[i][1]]
    return ("-" if ms < 0 else "") + space.join(words)


def rfc3339(ms: int) -> str:
    """Return `ms` as RFC 3339 in UTC with milliseconds: "2026-11-23T14:00:00.000Z".

    Raises BadInput outside the years 0 to 9999, for which the format has no words.
    """
    try:
        t = time.gmtime(ms // 1000)
    except (OverflowError, OSError, ValueError) as error:
        raise BadInput(f"{ms} ms is no time that RFC 3339 can name") from error
    if not 0 <= t.tm_year <= 9999:
        raise BadInput(f"{ms} ms is no time that RFC 3339 can name")
    date = f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}"
    return f"{date}T{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}.{ms % 1000:03}Z"


def parse_time_ms(text: str, now_ms: int, tz: tzinfo) -> int:
    """Return the moment that `text` names, in milliseconds UTC.

    "14:00" is the next such time in `tz`, "today 14:00" and "tomorrow 9:00" go by the date in `tz`, a time without a
    zone is local to `tz`, a date alone is its midnight, "+15m" counts from `now_ms`, "now" is `now_ms`. A local time
    that comes twice (end of summer time) is the first that is still ahead.

    Raises BadInput if the text is none of these, or names a local time that the clocks skip.
    """
    word = text.strip()
    if word.lower() == "now":
        return now_ms
    if word.startswith("+"):
        return now_ms + parse_duration_ms(word[1:])
    try:
        moment_ms = _named_ms(text, word, now_ms, tz)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{_shown(text)} is no time that exists: {error}; {_TIME_FORMS}") from error
    if moment_ms is None or not 0 <= moment_ms <= _LAST_MS:
        raise BadInput(f"{_shown(text)} is not a time from 1970 to 9999; {_TIME_FORMS}")
    return moment_ms


def _named_ms(text: str, word: str, now_ms: int, tz: tzinfo) -> int | None:
    if match := re.fullmatch(_CLOCK, word, re.ASCII | re.IGNORECASE):
        return _clock_time_ms(text, match, now_ms, tz)
    if re.fullmatch(_DATE, word, re.ASCII):
        return _local_ms(text, datetime.fromisoformat(word), tz, None)
    if match := re.fullmatch(_RFC3339, word, re.ASCII):
        day, clock, zone = match.groups()
        moment = datetime.fromisoformat(f"{day}T{clock}{(zone or '').upper()}")
        return _ms(moment) if moment.tzinfo else _local_ms(text, moment, tz, now_ms)
    return None


def _clock_time_ms(text: str, match: re.Match[str], now_ms: int, tz: tzinfo) -> int:
    day_word = (match[1] or "").lower()
    today = (_EPOCH + timedelta(milliseconds=now_ms)).astimezone(tz)
    wanted = datetime(today.year, today.month, today.day, int(match[2]), int(match[3]))  # noqa: DTZ001 - local by intent
    if day_word:
        return _local_ms(text, wanted + timedelta(days=day_word == "tomorrow"), tz, now_ms)
    for days in range(3):
        moments = _moments(wanted + timedelta(days=days), tz)
        ahead = [ms for ms in moments if ms > now_ms]
        if ahead:
            return ahead[0]
    raise ValueError("the clocks skip it")


def _local_ms(text: str, moment: datetime, tz: tzinfo, now_ms: int | None) -> int:
    moments = _moments(moment, tz)
    if not moments:
        raise BadInput(f"{_shown(text)} does not exist in {tz}: the clocks skip it; name another time, or add the zone")
    ahead = [ms for ms in moments if now_ms is not None and ms > now_ms]
    return (ahead or moments)[0]


def _moments(local: datetime, tz: tzinfo) -> list[int]:
    """The moments, in order, at which the clocks of `tz` show `local`: none, one, or two."""
    found = set()
    for fold in (0, 1):
        moment = local.replace(tzinfo=tz, fold=fold).astimezone(UTC)
        if moment.astimezone(tz).replace(tzinfo=None, fold=0) == local:
            found.add(_ms(moment))
    return sorted(found)


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def parse_rate(text: str) -> Rate:
    """Return the rate of "5/s", "20/m", "100/h" or "1000/d". Raises BadInput otherwise, and for a count of 0."""
    match = re.fullmatch(_RATE, text.strip(), re.ASCII)
    if not match or int(match[1]) == 0:
        raise BadInput(f"{_shown(text)} is not a rate; write it like 5/s, 20/m, 100/h or 1000/d")
    return Rate(limit=int(match[1]), per_ms=_UNITS_MS[match[2]])


def parse_size(text: str) -> int:
    """Return the bytes of "512", "64k", "10MiB" or "2GB".

    k, m, g, t and KiB, MiB … count by 1024; kB, MB … by 1000. Upper and lower case are alike.
    Raises BadInput otherwise.
    """
    match = re.fullmatch(_SIZE, text.strip(), re.ASCII | re.IGNORECASE)
    if not match or match[3].lower() == "i" or (match[3].lower() == "ib" and not match[2]):
        raise BadInput(f"{_shown(text)} is not a size; write it like 512, 64k, 10MiB or 2GB")
    base = 1000 if match[3].lower() == "b" and match[2] else 1024
    return int(match[1]) * int(base ** " kmgt".index(match[2].lower() or " "))


def format_size(size_bytes: int) -> str:
    """Return a size with at most one decimal: "512 B", "64 KiB", "1.5 MiB"."""
    amount = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(amount) < 1024:
            return f"{amount:.1f}".removesuffix(".0") + f" {unit}"
        amount /= 1024
    return f"{amount:.1f}".removesuffix(".0") + " TiB"


def _shown(text: str) -> str:
    """The offending word, short and without control characters."""
    return ascii(text if len(text) <= 40 else text[:40] + "…") if not text.isprintable() else repr(text[:40])
