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
    """May be used from any thread. Times are of a clock that never goes back.

    stored: bucket → how far its theoretical arrival time lies ahead, in ms, as an earlier process left it behind.
    """

    def __init__(self, stored: Mapping[str, int], now_ms: int) -> None:
        self._lock = threading.Lock()
        self._tats = {name: now_ms + ahead_ms for name, ahead_ms in stored.items()}
        self._moved = False

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
            allowed = all(room for room, _tat_ms in after.values())
            if allowed:
                for name, (_room, tat_ms) in after.items():
                    self._set(name, tat_ms, now_ms)
            return self._tightest(names, rate, now_ms)._replace(allowed=allowed)

    def _tightest(self, names: Sequence[str], rate: Rate, now_ms: int) -> Room:
        tat_ms = max(self._capped(name, rate, now_ms) for name in names)
        remaining = rates.capacity(tat_ms, rate, now_ms)
        retry_ms = rates.next_ms(tat_ms, rate, now_ms) - now_ms
        return Room(remaining >= 1, rate.limit, remaining, max(0, tat_ms - now_ms), retry_ms)

    def _capped(self, name: str, rate: Rate, now_ms: int) -> int:
        """What lies further ahead than the rate can bring about was stored under another clock or another rate."""
        tat_ms = self._tats.get(name, 0)
        if tat_ms > now_ms + rate.per_ms:
            tat_ms = self._tats[name] = now_ms + rate.per_ms
        return tat_ms

    def _set(self, name: str, tat_ms: int, now_ms: int) -> None:
        if name not in self._tats and len(self._tats) >= MOST:
            self._make_room(now_ms)
        self._tats[name] = tat_ms
        self._moved = True

    def _make_room(self, now_ms: int) -> None:
        """Drop what rested; where that is not enough, a tenth: those that are nearest to it."""
        unrested = {name: tat_ms for name, tat_ms in self._tats.items() if tat_ms > now_ms}
        if len(unrested) >= MOST:
            kept = sorted(unrested, key=unrested.__getitem__, reverse=True)[: MOST * 9 // 10]
            unrested = {name: unrested[name] for name in kept}
        self._tats = unrested

    def unsaved(self, now_ms: int) -> dict[str, int] | None:
        """Return what is to be stored, as `stored` above; None when nothing moved since the last call."""
        with self._lock:
            if not self._moved:
                return None
            self._moved = False
            return {name: tat_ms - now_ms for name, tat_ms in self._tats.items() if tat_ms > now_ms}

    def not_saved(self) -> None:
        """What `unsaved` gave could not be written."""
        with self._lock:
            self._moved = True
