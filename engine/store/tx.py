"""A transaction in progress, and a watch on commits, as the rest of the store sees them. Begins and ends nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from engine.store.queries import Queries

Params = Mapping[str, Any]
Row = tuple[Any, ...]


class Tx:
    """A transaction in progress: named statements with parameters by name. Never outlives the call it was given to.

    memo: what was read or written in this transaction and need not be read again; emptied when a part is rolled back.
    last: what is written once at the end of a part, however often it was asked for, by name; emptied likewise.
    """

    __slots__ = ("_connection", "_queries", "last", "memo")

    def __init__(self, connection: sqlite3.Connection, queries: Queries) -> None:
        self._connection = connection
        self._queries = queries
        self.memo: dict[str, Any] = {}
        self.last: dict[str, Callable[[Tx], None]] = {}

    def end_part(self) -> None:
        """Write what was left for the end."""
        while self.last:
            self.last.popitem()[1](self)

    def forget_part(self) -> None:
        """The part was rolled back: nothing that is known of it holds any more."""
        self.memo.clear()
        self.last.clear()

    def run(self, name: str, params: Params = {}) -> int:  # noqa: B006 - never written to
        """Execute; return how many rows changed."""
        return self._connection.execute(self._queries[name], params).rowcount

    def insert(self, name: str, params: Params) -> int:
        """Execute an INSERT; return the new rowid."""
        rowid = self._connection.execute(self._queries[name], params).lastrowid
        assert rowid is not None
        return rowid

    def run_many(self, name: str, rows: Sequence[Params]) -> None:
        """Execute once per row."""
        self._connection.executemany(self._queries[name], rows)

    def rows(self, name: str, params: Params = {}) -> list[Row]:  # noqa: B006 - never written to
        """Fetch everything: a LIMITed page or a small table, because a half-read cursor blocks checkpoints."""
        return self._connection.execute(self._queries[name], params).fetchall()

    def row(self, name: str, params: Params = {}) -> Row | None:  # noqa: B006 - never written to
        """Fetch the first row or None."""
        row: Row | None = self._connection.execute(self._queries[name], params).fetchone()
        return row

    def value(self, name: str, params: Params = {}) -> Any:  # noqa: B006 - never written to
        """Fetch the first column of the first row, None when there is no row."""
        row = self.row(name, params)
        return None if row is None else row[0]

    def text(self, name: str) -> str:
        """Return a named fragment without its comment, for store.search to build on."""
        return self._queries[name].partition("\n")[2]

    def search(self, sql: str, params: Params) -> list[Row]:
        """Fetch a statement that store.search put together from named fragments."""
        return self._connection.execute(sql, params).fetchall()


class Watch:
    """Says whether anything was committed since the last look (PRAGMA data_version, 13 µs). For one thread.

    connect: opens a connection. identity: which file stands at the path, so that one that was put there instead is
    followed. translated: turns SQLite's errors into ours.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        identity: Callable[[], object],
        translated: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._connect = connect
        self._identity = identity
        self._translated = translated
        self._seen = -1
        with translated():
            self._file = identity()
            self._connection = connect()

    def moved(self) -> bool:
        """Whether any connection committed since the last call; True at the first.

        Raises what reading raises.
        """
        with self._translated():
            if (file := self._identity()) != self._file:
                self._connection.close()
                self._connection = self._connect()
                self._file, self._seen = file, -1
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        moved = version != self._seen
        self._seen = version
        return moved

    def close(self) -> None:
        self._connection.close()
