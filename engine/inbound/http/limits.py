"""How much one client, and all clients together, may ask of the HTTP door. Numbers and a counter; no socket."""

from __future__ import annotations

import threading
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers behind docs/http.md, "Limits".

    request_s: from the first byte of a request to its last; handshake_s: TLS alone. idle_s: between two requests.
    send_s: without the client taking one byte of an answer; stalled_s: the same where somebody else needs the place.
    linger_s: reading what a refused client still sends, so that the answer is not lost to a reset. threads: those that
    store wait for one sync together; 16 take in 1.3 times what 8 do, 32 no more than 16. small_bytes: a body up to here
    counts against no budget, so that clients with big bodies cannot keep those with small ones out. body_budget_bytes:
    of all bigger bodies together. target_bytes: a filter of 2 000 characters, each of them 12 bytes in a URL, fits.
    """

    max_body_bytes: int = 10 * MIB
    header_bytes: int = 64 * KIB
    header_lines: int = 100
    target_bytes: int = 32 * KIB
    chunk_line_bytes: int = 1 * KIB
    connections: int = 100
    requests: int = 1_000
    threads: int = 16
    handshake_s: float = 10.0
    request_s: float = 30.0
    idle_s: float = 60.0
    send_s: float = 30.0
    stalled_s: float = 5.0
    linger_s: float = 2.0
    small_bytes: int = 64 * KIB
    body_budget_bytes: int = 64 * MIB

    @property
    def budget_bytes(self) -> int:
        """One body of the biggest size always fits while nobody else sends a big one."""
        return max(self.body_budget_bytes, self.max_body_bytes)


class Budget:
    """What bodies beyond the small ones may hold in memory, all together."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        return self._taken

    def take(self, n_bytes: int) -> bool:
        """Take that much if it is there."""
        with self._lock:
            if self._taken + n_bytes > self._most:
                return False
            self._taken += n_bytes
            return True

    def give_back(self, n_bytes: int) -> None:
        with self._lock:
            self._taken -= n_bytes
