"""The only module that says BEGIN. Owns the writing connection and the rule when a write counts as stored."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from engine.errors import ChronosError, DatabaseBusy, Degraded, TryAgain
from engine.host.files import private_umask, sync_dir
from engine.store import faults, opening
from engine.store.combining import Combiner, Request
from engine.store.queries import Queries
from engine.store.readers import ReaderPool
from engine.store.tx import Tx, Watch

T = TypeVar("T")
Work = Callable[[Tx], Any]

_PROGRESS_STEPS = 20_000  # virtual machine steps between two looks at the deadline, about a millisecond
_LOG_STEP_BYTES = 4 * 1024 * 1024
_COMMITS_PER_FOLD = 100  # about 4 MiB of small messages
_BUSY_PAUSE_S = (0.001, 0.05)


class Turn(Protocol):
    """Whose turn it is to write, across processes. host.locks.WriteTurn is the real one."""

    def acquire(self, timeout_s: float) -> bool: ...
    def release(self) -> None: ...


class Options(NamedTuple):
    """What the section `database` of the configuration asks for.

    busy_ms: how long a write waits for other processes. statement_ms: how long one transaction may run.
    max_connections: readers and the writer together.
    """

    busy_ms: int = 5_000
    statement_ms: int = 30_000
    max_connections: int = 20


DEFAULTS = Options()


class Database:
    """One SQLite file. `write` and `read` may be called from any thread.

    A write that returned is on the disk (WAL, synchronous=FULL): it survives kill -9 and a power cut. Anything else is
    an exception, and then nothing of it was stored.
    """

    def __init__(
        self,
        path: Path,
        *,
        turn: Turn,
        degraded_marker: Path,
        options: Options = DEFAULTS,
        may_checkpoint: bool = False,
    ) -> None:
        """Open or create the file. Migrations are a separate step: store.migrate.migrate.

        may_checkpoint: only for the owner of the engine lock; every other process leaves the WAL alone, because SQLite
        before 3.51.3 can corrupt it when several connections checkpoint.

        Raises DatabaseUnusable when the file is not ours or damaged, DatabaseBusy when it stays locked.
        """
        self.path = path
        self.options = options
        self._turn = turn
        self._marker = degraded_marker
        self._may_checkpoint = may_checkpoint
        self._queries = Queries()
        self._combiner: Combiner[Work] = Combiner(self._run_batch)
        # Of max_connections one writes and one watches for changes.
        self._readers = ReaderPool(self._connect_reader, max(1, options.max_connections - 2), options.busy_ms / 1000)
        self._writer_lock = threading.Lock()
        self._deadline = 0.0
        self._unfolded = self._log_peak_bytes = 0
        self._broken: ChronosError | None = None
        self._closed = False
        with self._translated(), self._exclusive():
            self._writer = self._open_writer()
            self._inode = opening.identity(path)

    # Opening

    def _open_writer(self) -> sqlite3.Connection:
        with private_umask():
            connection = self._retry_busy(lambda: opening.connect_writer(self.path))
        connection.set_progress_handler(self._past_deadline, _PROGRESS_STEPS)
        return connection

    # Writing

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a transaction and return its result once that is durable.

        Threads that wait at the same time share one commit; each one's failure is its own (a savepoint). `work` must
        not touch the network or the disk and may run on another thread.

        Raises what `work` raises; DatabaseBusy, StorageFull, DeadlineExceeded or Degraded when nothing was stored.
        """
        result: T = self._combiner.submit(work)
        return result

    def _run_batch(self, batch: list[Request[Work]]) -> None:
        try:
            with self._translated(), self._write_turn():
                self._transact(batch)
                self._fold_log()
        except ChronosError as error:
            for request in batch:
                if not request.done:
                    request.settle(None, error)

    def _transact(self, batch: list[Request[Work]]) -> None:
        connection = self._writer
        self._retry_busy(lambda: connection.execute("BEGIN IMMEDIATE"))
        self._deadline = time.monotonic() + self.options.statement_ms / 1000
        tx = Tx(connection, self._queries)
        try:
            good = self._run_all(tx, connection, batch)
            self._deadline = 0.0
            if good:
                connection.execute("COMMIT")
            # Not a moment earlier: whatever comes in between leaves a request unsettled, which is never a success.
            for request, result in good:
                request.settle(result)
        finally:
            self._deadline = 0.0
            if connection.in_transaction:
                with suppress(sqlite3.Error):  # the error on its way is the one to report
                    connection.execute("ROLLBACK")

    def _run_all(
        self, tx: Tx, connection: sqlite3.Connection, batch: list[Request[Work]]
    ) -> list[tuple[Request[Work], Any]]:
        """Run each one's work, in a savepoint where it is not alone; return those that did not fail."""
        good = []
        alone = len(batch) == 1
        for request in batch:
            if not alone:
                connection.execute("SAVEPOINT one")
            try:
                result = request.work(tx)
                tx.end_part()
                good.append((request, result))
            except BaseException as error:
                if not isinstance(error, Exception) or not connection.in_transaction or _is_sqlites(error):
                    raise  # the whole transaction is gone or suspect: nobody's work is stored
                if not alone:
                    connection.execute("ROLLBACK TO one")
                tx.forget_part()
                request.settle(None, error)
            if not alone:
                connection.execute("RELEASE one")
        return good

    def _fold_log(self) -> None:
        """Keep the WAL short under load: growing it makes commits dear. The commit before it stands in any case."""
        if not self._may_checkpoint:
            return
        self._unfolded += 1
        if self._unfolded < _COMMITS_PER_FOLD and not self._log_grows():
            return
        try:
            self._fold("PASSIVE")
        except sqlite3.Error as error:
            if faults.breaks_trust(error):
                self._degrade(faults.translate(error, str(self.path)))

    def _log_grows(self) -> bool:
        """Whether the file is longer than ever. It keeps its length when it is folded: SQLite writes over it."""
        return self.wal_bytes > self._log_peak_bytes + _LOG_STEP_BYTES

    def _fold(self, mode: str) -> None:
        self._writer.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
        self._unfolded = 0
        self._log_peak_bytes = self.wal_bytes

    @contextmanager
    def _write_turn(self) -> Iterator[None]:
        if self._broken is not None:
            raise self._broken
        with self._exclusive():
            if self._closed:
                raise TryAgain(f"{self.path}: closed; nothing was stored")
            if os.path.exists(self._marker):  # noqa: PTH110 - on the hot path
                raise Degraded(self._degraded_words())
            if opening.identity(self.path) != self._inode:
                self._reopen()
            yield

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        wait_s = self.options.busy_ms / 1000
        if not self._writer_lock.acquire(timeout=wait_s):
            raise DatabaseBusy(f"{self.path}: this process has been writing for too long; nothing was stored")
        try:
            if not self._turn.acquire(wait_s):
                raise DatabaseBusy(f"{self.path}: another process has been writing for too long; nothing was stored")
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._writer_lock.release()

    def _reopen(self) -> None:
        """Follow a file that was replaced under us (a rewrite after a failed disk, a restore)."""
        self._readers.drop()
        self._writer.close()
        self._writer = self._open_writer()
        self._inode = opening.identity(self.path)

    def _retry_busy(self, act: Callable[[], T]) -> T:
        give_up = time.monotonic() + self.options.busy_ms / 1000
        pause_s = _BUSY_PAUSE_S[0]
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if not faults.is_busy(error) or time.monotonic() >= give_up:
                    raise
            import random  # 5 ms that only a contended database needs

            time.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, guards nothing
            pause_s = min(pause_s * 2, _BUSY_PAUSE_S[1])

    # Reading

    def read(self, work: Callable[[Tx], T], *, within_ms: int | None = None, single: bool = False) -> T:
        """Run `work` against one consistent snapshot on a connection that cannot write.

        within_ms: its deadline, instead of the one for statements. single: it is one statement, a snapshot by itself.
        Raises what `work` raises; DatabaseBusy when every connection is taken, DeadlineExceeded past the deadline.
        """
        with self._reader() as connection:
            deadline = time.monotonic() + (self.options.statement_ms if within_ms is None else within_ms) / 1000
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
            if not single:
                connection.execute("BEGIN")
            try:
                return work(Tx(connection, self._queries))
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def inspect(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on a connection that cannot write, without a deadline and without stopping writers."""
        with self._reader() as connection:
            connection.set_progress_handler(None, 0)
            return work(connection)

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with self._translated():
            if opening.identity(self.path) != self._inode:
                self._readers.drop()
            with self._readers.borrow() as connection:
                yield connection

    def _connect_reader(self) -> sqlite3.Connection:
        return opening.connect_reader(self.path, wait_ms=self.options.busy_ms)

    # Deadlines, trust, the WAL

    def _past_deadline(self) -> bool:
        return bool(self._deadline) and time.monotonic() > self._deadline

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            translated = faults.translate(error, str(self.path))
            if faults.breaks_trust(error):
                self._degrade(translated)
            raise translated from error

    def _degrade(self, error: ChronosError) -> None:
        """Acknowledge nothing more, here and in every other process, until the database was rewritten."""
        self._broken = error
        note = json.dumps({"at_ms": time.time_ns() // 1_000_000, "pid": os.getpid(), "error": str(error)})
        with suppress(OSError), private_umask():  # the disk is the trouble; this process refuses in any case
            self._marker.write_text(note + "\n", encoding="utf-8")

    def _degraded_words(self) -> str:
        return f"{self.path}: DEGRADED: a write failed and nothing is acknowledged; 'chronos doctor --fix' rewrites it"

    @property
    def degraded(self) -> bool:
        """Whether a failed write ended the acknowledging."""
        return self._broken is not None or self._marker.exists()

    @property
    def wal_bytes(self) -> int:
        """Size of the write-ahead log in bytes."""
        try:
            return os.stat(f"{self.path}-wal").st_size  # noqa: PTH116 - stat opens nothing, so no lock is lost
        except FileNotFoundError:
            return 0

    def checkpoint(self, *, truncate: bool = False) -> None:
        """Move the WAL into the database, as far as readers allow. Only the owner may; for others it does nothing."""
        if not self._may_checkpoint:
            return
        with suppress(DatabaseBusy), self._translated(), self._write_turn():
            self._fold("TRUNCATE" if truncate else "PASSIVE")

    def checkpoint_if_long(self) -> None:
        """The same for what other processes wrote: they leave the log to the owner."""
        if self._may_checkpoint and self._log_grows():
            self.checkpoint()

    def allow_checkpoints(self, *, allowed: bool = True) -> None:
        """From now on this process owns the engine lock; allowed=False: it lets go of it."""
        self._may_checkpoint = allowed

    def outside_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the writing connection in this process's and nobody else's turn, for what no transaction can
        hold (VACUUM INTO, PRAGMA quick_check).
        """
        with self._translated(), self._write_turn():
            return work(self._writer)

    def change_schema(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction of its own without a deadline. For store.migrate alone."""

        def whole(connection: sqlite3.Connection) -> T:
            self._retry_busy(lambda: connection.execute("BEGIN IMMEDIATE"))
            try:
                result = work(connection)
                connection.execute("COMMIT")
                return result
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

        return self.outside_transaction(whole)

    def rewrite(self) -> None:
        """Write everything to a fresh file, prove it, put it in place, and acknowledge again.

        For a database whose disk failed a write: what the kernel claims to have stored is in doubt, so every page is
        written anew. The old file is in place until the fresh one is proven and synced. Only for the owner of the
        engine lock.

        Raises DatabaseBusy while anybody else has the database open, DatabaseUnusable when the copy is not sound; the
        old file then stays.
        """
        fresh = self.path.with_name(f"{self.path.name}.rewrite")
        with self._translated(), self._exclusive():
            self._readers.drop()
            self._writer.close()
            try:
                with private_umask():  # VACUUM INTO would let others read the copy while it grows
                    opening.copy_afresh(self.path, fresh)
                fresh.replace(self.path)
                sync_dir(self.path.parent)
                self._broken = None
                self._marker.unlink(missing_ok=True)
            finally:
                fresh.unlink(missing_ok=True)
                self._writer = self._open_writer()
                self._inode = opening.identity(self.path)

    def watch(self) -> Watch:
        """Return a fresh watch on commits by other connections."""
        return Watch(self._connect_reader, lambda: opening.identity(self.path), self._translated)

    def close(self) -> None:
        """Close every connection. Idempotent; a running read closes its own when it ends, a running write goes first.

        SQLite crashes when a connection is closed under a statement. Where a write does not end, its connection stays.
        """
        self._closed = True
        self._readers.close()
        if self._writer_lock.acquire(timeout=self.options.busy_ms / 1000):
            try:
                self._writer.close()
            finally:
                self._writer_lock.release()


def _is_sqlites(error: BaseException) -> bool:
    """Whether SQLite itself failed; a violated constraint is the caller's doing."""
    return isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError)
