"""Rate limits of those who knock: one bucket a key and a network, in memory. Writes nothing; `Gate.flush` does.

A bucket is one number (rules.rate). A bucket that rested is no different from one that is not there.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engine.model import Rate
from engine.rules import rate as rates

MOST = 10_000
"""Buckets in memory and in the database: half a megabyte. A flood from more networks than that forgets the least used
ones first."""


class Room(NamedTuple):
    """What a bucket has to give. limit: the most there can be; reset_ms: until it is full again; retry_ms: until the
    next one may go, 0 for at once.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_ms: int
    retry_ms: int


class Buckets:
    """May be used from any thread. stored: what an earlier process left behind."""

    def __init__(self, stored: Mapping[str, int]) -> None:
        self._lock = threading.Lock()
        self._tats = dict(stored)
        self._changed: set[str] = set()
        self._dropped = False

    def __len__(self) -> int:
        return len(self._tats)

    def peek(self, names: Sequence[str], rate: Rate, now_ms: int) -> Room:
        """Return the tightest of these buckets and take nothing."""
        with self._lock:
            return self._tightest(names, rate, now_ms)

    def take(self, names: Sequence[str], rate: Rate, now_ms: int) -> Room:
        """Take one from each of these buckets, or from none where one of them is empty; return the tightest."""
        with self._lock:
            after = {name: rates.allow(self._tats.get(name, 0), rate, now_ms) for name in names}
            if all(allowed for allowed, _tat_ms in after.values()):
                for name, (_allowed, tat_ms) in after.items():
                    self._set(name, tat_ms, now_ms)
                return self._tightest(names, rate, now_ms)._replace(allowed=True)
            return self._tightest(names, rate, now_ms)

    def _tightest(self, names: Sequence[str], rate: Rate, now_ms: int) -> Room:
        # A clock that was set back must not keep a bucket empty: rules.rate caps what lies ahead.
        ahead_ms = [min(max(self._tats.get(name, 0) - now_ms, 0), rate.per_ms) for name in names]
        tat_ms = now_ms + max(ahead_ms)
        remaining = rates.capacity(tat_ms, rate, now_ms)
        retry_ms = rates.next_ms(tat_ms, rate, now_ms) - now_ms
        return Room(remaining >= 1, rate.limit, remaining, tat_ms - now_ms, retry_ms)

    def _set(self, name: str, tat_ms: int, now_ms: int) -> None:
        if name not in self._tats and len(self._tats) >= MOST:
            self._make_room(now_ms)
        self._tats[name] = tat_ms
        self._changed.add(name)

    def _make_room(self, now_ms: int) -> None:
        """Drop what rested; where that is not enough, a tenth: those that are nearest to it."""
        unrested = {name: tat_ms for name, tat_ms in self._tats.items() if tat_ms > now_ms}
        if len(unrested) >= MOST:
            kept = sorted(unrested, key=unrested.__getitem__, reverse=True)[: MOST * 9 // 10]
            unrested = {name: unrested[name] for name in kept}
            self._dropped = True
        self._tats = unrested
        self._changed &= unrested.keys()

    def changes(self) -> tuple[dict[str, int], bool]:
        """Return what changed since the last call, and whether it is all there is and stands in place of the rest."""
        with self._lock:
            anew, self._dropped = self._dropped, False
            names = self._tats if anew else self._changed
            changed = {name: self._tats[name] for name in names}
            self._changed = set()
            return changed, anew

    def unsaved(self, changed: Mapping[str, int], *, anew: bool) -> None:
        """Take back what `changes` gave, because it could not be written."""
        with self._lock:
            self._changed |= changed.keys() & self._tats.keys()
            self._dropped = self._dropped or anew
