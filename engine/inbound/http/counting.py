"""Counts requests by route and status, and the time they took, for /metrics. In memory; thread-safe."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple


class Seen(NamedTuple):
    """requests: (route, status) → how many. seconds: route → how long all its requests took together."""

    requests: Mapping[tuple[str, int], int]
    seconds: Mapping[str, float]


class Counts:
    """Routes are templates and "unmatched": whoever asks for a million paths makes one row."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: Counter[str] = Counter()

    def note(self, route: str, status: int, took_s: float) -> None:
        with self._lock:
            self._requests[route, status] += 1
            self._seconds[route] += took_s  # type: ignore[assignment] # a Counter of floats

    def seen(self) -> Seen:
        with self._lock:
            return Seen(dict(self._requests), dict(self._seconds))
