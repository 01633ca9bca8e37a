"""The bounded pool of connections that cannot write. Begins no transaction."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.errors import DatabaseBusy


class ReaderPool:
    """Up to `most` connections from `connect`, handed out to one thread at a time and kept for the next.

    A thread that finds all of them taken waits for `wait_s`, then gets DatabaseBusy.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], most: int, wait_s: float) -> None:
        self._connect = connect
        self._most = most
        self._wait_s = wait_s
        self._seats = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._generation = 0
        self._closed = False

    @contextmanager
    def borrow(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection. Raises DatabaseBusy when none becomes free in time."""
        if not self._seats.acquire(timeout=self._wait_s):
            raise DatabaseBusy(f"all {self._most} reading connections are busy; try again")
        try:
            with self._lock:
                generation = self._generation
                connection = self._idle.pop() if self._idle else None
            connection = connection or self._connect()
            try:
                yield connection
            finally:
                self._give_back(connection, generation)
        finally:
            self._seats.release()

    def _give_back(self, connection: sqlite3.Connection, generation: int) -> None:
        with self._lock:
            keep = not self._closed and generation == self._generation
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def drop(self) -> None:
        """Close what is idle, and what is lent when it comes back: the file under it was replaced."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._generation += 1
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Close for good; what is lent is closed when it comes back."""
        with self._lock:
            self._closed = True
        self.drop()
