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

from engine.errors import ChronosError, DatabaseBusy, DatabaseUnusable, Degraded
from engine.host.files import sync_dir
from engine.store import faults
from engine.store.combining import Combiner, Request
from engine.store.queries import Queries
from engine.store.readers import ReaderPool
from engine.store.tx import Tx, Watch

T = TypeVar("T")
Work = Callable[[Tx], Any]

APPLICATION_ID = 0x4368726F  # "Chro": tells our file from any other SQLite database
PAGE_BYTES = 4096  # fixed, because the backup API can only overwrite a database of the same page size
_PROGRESS_STEPS = 20_000  # virtual machine steps between two looks at the deadline, about a millisecond
_COMMITS_PER_LOOK = 32
WAL_CHECKPOINT_BYTES = 4 * 1024 * 1024
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
        self._commits = 0
        self._broken: ChronosError | None = None
        with self._translated():
            self._writer = self._open_writer()
        self._inode = self._file_identity()

    # Opening

    def _open_writer(self) -> sqlite3.Connection:
        old_umask = os.umask(0o077)
        try:
            connection = self._retry_busy(self._connect_writer)
        finally:
            os.umask(old_umask)
        connection.set_progress_handler(self._past_deadline, _PROGRESS_STEPS)
        return connection

    def _connect_writer(self) -> sqlite3.Connection:
        connection = self._connect()
        try:
            application_id = connection.execute("PRAGMA application_id").fetchone()[0]
            if application_id != APPLICATION_ID:
                self._claim_file(connection, application_id)
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA recursive_triggers = OFF")
            connection.execute("PRAGMA temp_store = MEMORY")
            synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
            if mode != "wal" or synchronous != 2:
                raise DatabaseUnusable(
                    f"{self.path}: SQLite gave journal_mode={mode}, synchronous={synchronous} instead of wal, 2; "
                    "a network file system? put the data directory on a local disk"
                )
        except BaseException:
            connection.close()
            raise
        return connection

    def _claim_file(self, connection: sqlite3.Connection, application_id: int) -> None:
        if application_id or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise DatabaseUnusable(f"{self.path}: a database of another program; choose another data directory")
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            connection.execute("PRAGMA wal_autocheckpoint = 0")
        except BaseException:
            connection.close()
            raise
        return connection

    def _file_identity(self) -> tuple[int, int]:
        status = os.stat(self.path)  # noqa: PTH116 - on the hot path
        return status.st_dev, status.st_ino

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
        except ChronosError as error:
            for request in batch:
                request.settle(None, error)

    def _transact(self, batch: list[Request[Work]]) -> None:
        connection = self._writer
        self._retry_busy(lambda: connection.execute("BEGIN IMMEDIATE"))
        self._deadline = time.monotonic() + self.options.statement_ms / 1000
        tx = Tx(connection, self._queries)
        try:
            if len(batch) == 1:
                self._run_alone(tx, batch[0])
            else:
                for request in batch:
                    self._run_in_savepoint(tx, connection, request)
            self._deadline = 0.0
            if connection.in_transaction:
                connection.execute("COMMIT")
        finally:
            self._deadline = 0.0
            if connection.in_transaction:
                with suppress(sqlite3.Error):  # the error on its way is the one to report
                    connection.execute("ROLLBACK")
        self._fold_log()

    def _fold_log(self) -> None:
        """Keep the WAL short under load: growing it makes commits dear. The commit before it stands in any case."""
        if not self._may_checkpoint:
            return
        self._commits += 1
        if self._commits % _COMMITS_PER_LOOK or self.wal_bytes < WAL_CHECKPOINT_BYTES:
            return
        try:
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            if faults.breaks_trust(error):
                self._degrade(faults.translate(error, str(self.path)))

    def _run_alone(self, tx: Tx, request: Request[Work]) -> None:
        try:
            request.settle(request.work(tx))
        except BaseException as error:
            if _is_sqlites(error):
                raise
            request.settle(None, error)
            self._writer.execute("ROLLBACK")

    def _run_in_savepoint(self, tx: Tx, connection: sqlite3.Connection, request: Request[Work]) -> None:
        connection.execute("SAVEPOINT one")
        try:
            request.settle(request.work(tx))
        except BaseException as error:
            if not connection.in_transaction or _is_sqlites(error):
                raise  # the whole transaction is gone or suspect: nobody's work is stored
            connection.execute("ROLLBACK TO one")
            request.settle(None, error)
        connection.execute("RELEASE one")

    @contextmanager
    def _write_turn(self) -> Iterator[None]:
        if self._broken is not None:
            raise self._broken
        with self._exclusive():
            if os.path.exists(self._marker):  # noqa: PTH110 - on the hot path
                raise Degraded(self._degraded_words())
            if self._file_identity() != self._inode:
                self._reopen()
            yield

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        wait_s = self.options.busy_ms / 1000
        if not self._writer_lock.acquire(timeout=wait_s):
            raise DatabaseBusy(f"{self.path}: this process has been writing for too long; nothing was stored")
        if not self._turn.acquire(wait_s):
            self._writer_lock.release()
            raise DatabaseBusy(f"{self.path}: another process has been writing for too long; nothing was stored")
        try:
            yield
        finally:
            self._turn.release()
            self._writer_lock.release()

    def _reopen(self) -> None:
        """Follow a file that was replaced under us (a rewrite after a failed disk, a restore)."""
        self._readers.drop()
        self._writer.close()
        self._writer = self._open_writer()
        self._inode = self._file_identity()

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

    def read(self, work: Callable[[Tx], T]) -> T:
        """Run `work` against one consistent snapshot on a connection that cannot write.

        Raises what `work` raises; DatabaseBusy when every connection is taken, DeadlineExceeded past the deadline.
        """
        with self._reader() as connection:
            deadline = time.monotonic() + self.options.statement_ms / 1000
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
            connection.execute("BEGIN")
            try:
                return work(Tx(connection, self._queries))
            finally:
                connection.execute("ROLLBACK")

    def inspect(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on a connection that cannot write, without a deadline and without stopping writers."""
        with self._reader() as connection:
            connection.set_progress_handler(None, 0)
            return work(connection)

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with self._translated():
            if self._file_identity() != self._inode:
                self._readers.drop()
            with self._readers.borrow() as connection:
                yield connection

    def _connect_reader(self) -> sqlite3.Connection:
        connection = self._connect()
        connection.execute(f"PRAGMA busy_timeout = {self.options.busy_ms}")
        connection.execute("PRAGMA query_only = ON")
        return connection

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
        with suppress(OSError):  # the disk is the trouble; this process refuses in any case
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
        mode = "TRUNCATE" if truncate else "PASSIVE"
        with suppress(DatabaseBusy), self._translated(), self._write_turn():
            self._writer.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()

    def allow_checkpoints(self) -> None:
        """From now on this process owns the engine lock."""
        self._may_checkpoint = True

    def outside_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the writing connection in this process's and nobody else's turn, for what no transaction can
        hold (VACUUM INTO, PRAGMA quick_check, migrations). `work` leaves no transaction open.
        """
        with self._translated(), self._write_turn():
            try:
                return work(self._writer)
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    def rewrite(self) -> None:
        """Write everything to a fresh file, prove it, put it in place, and acknowledge again.

        For a database whose disk failed a write: what the kernel claims to have stored is in doubt, so every page is
        written anew. The old file is in place until the fresh one is proven and synced. Only for the owner of the
        engine lock. Raises DatabaseUnusable when the copy is not sound; the old file then stays.
        """
        fresh = self.path.with_name(f"{self.path.name}.rewrite")
        fresh.unlink(missing_ok=True)
        with self._translated(), self._exclusive():
            self._writer.close()
            source = self._connect()
            try:
                source.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                if self.wal_bytes:
                    # A log left behind would be replayed over the fresh file.
                    raise DatabaseUnusable(
                        f"{self.path}: its log cannot be folded in; stop every chronos and try again"
                    )
                source.execute("VACUUM INTO ?", (str(fresh),))
            finally:
                source.close()
            _prove(fresh)
            fresh.chmod(0o600)
            fresh.replace(self.path)
            sync_dir(self.path.parent)
            self._broken = None
            self._readers.drop()
            self._writer = self._open_writer()
            self._inode = self._file_identity()
            self._marker.unlink(missing_ok=True)

    def watch(self) -> Watch:
        """Return a fresh watch on commits by other connections."""
        with self._translated():
            return Watch(self._connect())

    def close(self) -> None:
        """Close every connection. Idempotent; a running read closes its own when it ends."""
        self._readers.close()
        self._writer.close()


def _prove(path: Path) -> None:
    """Check a database that nobody uses yet, and sync it. Raises DatabaseUnusable."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    finally:
        connection.close()
    if found != "ok":
        raise DatabaseUnusable(f"{path}: the copy is not sound ({found}); restore a backup")
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _is_sqlites(error: BaseException) -> bool:
    """Whether SQLite itself failed; a violated constraint is the caller's doing."""
    return isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError)
