"""Counts requests by route and status, and the time they took, and numbers them. In memory; thread-safe."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple


def ids(entropy: Callable[[int], bytes]) -> Callable[[], str]:
    """Return what makes a new request's id: 48 random bits of this process's, and a count.

    Random bytes for each request would be a system call for each.
    """
    own, numbers = entropy(6).hex(), itertools.count(1)
    return lambda: f"req_{own}{next(numbers):06x}"


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
