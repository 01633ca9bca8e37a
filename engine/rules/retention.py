"""Which backups are kept and which go: by slots of hours, days, weeks, months, years. Removes nothing, has no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

from engine.rules.backups import Kind

SAFETY_MS = 7 * 86_400_000
"""How long what was saved before a restore is kept at least: a restore that was wrong shows within a week."""


class Item(NamedTuple):
    """One backup. at_ms: Unix time in ms of what it holds. proven: its last drill restored it."""

    name: str
    at_ms: int
    proven: bool
    kind: Kind


class Keep(NamedTuple):
    """How many hours, days … keep one backup each, and for how many ms every one is kept besides."""

    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within_ms: int = 0


class Decision(NamedTuple):
    """reason: in words, why it is kept or goes."""

    item: Item
    keep: bool
    reason: str


_PERIODS: tuple[tuple[str, Callable[[datetime], object]], ...] = (
    # With the offset: in October the hour from two to three comes twice.
    ("hour", lambda at: (at.date(), at.hour, at.utcoffset())),
    ("day", lambda at: at.date()),
    ("week", lambda at: at.isocalendar()[:2]),
    ("month", lambda at: (at.year, at.month)),
    ("year", lambda at: at.year),
)


def decide(items: Iterable[Item], keep: Keep, now_ms: int, zone: tzinfo) -> list[Decision]:
    """Decide about every backup, newest first.

    Of each of the last n hours (days, weeks …) that have a backup one is kept, the newest; periods are those of the
    clocks in `zone`. A proven backup is never counted against by one that is not: unproven ones have slots of their
    own, and only in periods without a proven one. By number and not by age, so that a clock that is wrong, or a box
    that was off for a year, costs no backup.

    Always kept: the newest proven one; what is dated ahead of now, which fills no slot either; files that lay in the
    folder and were not made here (kind found), which fill none; what was saved before a restore for SAFETY_MS, which
    fills none.
    """
    ordered = sorted(items, key=lambda one: (one.at_ms, one.name), reverse=True)
    past = [one for one in ordered if one.at_ms <= now_ms and one.kind != Kind.FOUND]
    newest_proven = next((one for one in past if one.proven), None)
    slots = _Slots([one for one in past if one.kind != Kind.SAFETY], keep, zone)
    found = []
    for one in ordered:
        reasons = _always(one, now_ms, keep, newest=one is newest_proven) or slots.reasons(one)
        found.append(Decision(one, bool(reasons), "; ".join(reasons) if reasons else slots.why_not(one)))
    return found


def _always(one: Item, now_ms: int, keep: Keep, *, newest: bool) -> list[str]:
    """What keeps it whatever the slots say."""
    if one.kind == Kind.FOUND:
        return ["not made here: whoever put it there takes it away"]
    if one.at_ms > now_ms:
        return ["dated ahead of now: a clock was wrong, so its age is not known"]
    reasons = ["the newest proven one"] if newest else []
    if one.kind == Kind.SAFETY and now_ms - one.at_ms < SAFETY_MS:
        reasons.append("saved before a restore, less than 7 days ago")
    if now_ms - one.at_ms < keep.within_ms:
        reasons.append("younger than backup.keep.within")
    return reasons


class _Slots:
    """Who stands for which period."""

    def __init__(self, items: Sequence[Item], keep: Keep, zone: tzinfo) -> None:
        self._rules = [
            (words, key, number) for (words, key), number in zip(_PERIODS, keep[:5], strict=True) if number > 0
        ]
        self._zone = zone
        self._kept: dict[Item, list[str]] = {}
        self._stands: dict[tuple[str, object], Item] = {}
        for rule in self._rules:
            self._fill(items, *rule)

    def _fill(self, items: Sequence[Item], words: str, key: Callable[[datetime], object], number: int) -> None:
        """Count what is proven and what is not apart. An unproven one uses up its slot although a proven one stands for
        the same period: else, once that is gone, it would take the slot of an older one that was kept before.
        """
        taken: set[object] = set()
        for proven in (True, False):
            seen: set[object] = set()
            for one in items:
                period = key(self._local(one))
                if one.proven is not proven or period in seen:
                    continue
                seen.add(period)
                if len(seen) <= number and period not in taken:
                    self._kept.setdefault(one, []).append(words)
                    self._stands[words, period] = one
            taken |= seen

    def _local(self, one: Item) -> datetime:
        return datetime.fromtimestamp(one.at_ms / 1000, tz=self._zone)

    def reasons(self, one: Item) -> list[str]:
        """Return why a slot keeps it; nothing where none does."""
        words = self._kept.get(one)
        if not words:
            return []
        what = "the newest proven one" if one.proven else "the newest, none being proven,"
        return [f"{what} of its {', '.join(words[:-1]) + ' and ' if words[1:] else ''}{words[-1]}"]

    def why_not(self, one: Item) -> str:
        """Return why none keeps it."""
        if one.kind == Kind.SAFETY:
            return "saved before a restore, 7 days ago or longer"
        for words, key, _number in self._rules:
            other = self._stands.get((words, key(self._local(one))))
            if other is not None:
                return f"{other.name} stands for the same {words}"
        rules = ", ".join(f"{number} {words}{'s' if number > 1 else ''}" for words, _key, number in self._rules)
        return f"older than what is kept: {rules}" if rules else "backup.keep keeps nothing but the newest proven one"
