"""How often each API key was used, counted in memory until it is written down. Writes nothing itself."""

from __future__ import annotations

import threading

from engine.clock import Clock
from engine.store.apikeys import Use

EVERY_MS = 60_000
"""A key's row is written at most this often, however busy the key."""


class Usage:
    """May be used from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._uses: dict[str, Use] = {}
        self._written_ms: dict[str, int] = {}
        self.total = 0

    def add(self, key_id: str, remote: str) -> None:
        """Count one."""
        now_ms = self._clock.now_ms()
        with self._lock:
            before = self._uses.get(key_id)
            self._uses[key_id] = Use(key_id, before.uses + 1 if before else 1, now_ms, remote)
            self.total += 1

    def due(self, *, everything: bool) -> list[Use]:
        """Take out what is to be written: of keys whose last time is EVERY_MS ago, or of all."""
        now_ms = self._clock.monotonic_ms()
        with self._lock:
            due = [
                use
                for use in self._uses.values()
                if everything or now_ms - self._written_ms.get(use.id, now_ms - EVERY_MS) >= EVERY_MS
            ]
            for use in due:
                del self._uses[use.id]
                self._written_ms[use.id] = now_ms
        return due

    def put_back(self, uses: list[Use]) -> None:
        """Take back what `due` gave, because it could not be written."""
        with self._lock:
            for use in uses:
                later = self._uses.get(use.id)
                self._uses[use.id] = later._replace(uses=later.uses + use.uses) if later else use
                self._written_ms.pop(use.id, None)
