"""The child that copies a live database and packs the copy into a backup's ZIP. Never writes to the live one.

The copy is made by SQLite's backup API inside one read transaction. That transaction is what makes it one moment: a
backup that begins one by itself at each step starts anew whenever somebody writes in between, and never ends beside a
busy writer; in a single step it cannot be held back and says nothing on the way. As it is, writers go on, steps are
4 MiB, and each waits until the disk has taken what came before (measured beside a writer, 1 GB: 1.3 s, its slowest
commit 12 ms; in one step without waiting 108 ms).

The live file is opened read-only. Else this process could be the last to close it, and SQLite would then fold its log
into it and delete that: the act of an owner.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from engine.errors import ChronosError, NotPossible, StorageFull
from engine.host.archive.layout import CHUNK_BYTES, Entry
from engine.host.archive.writer import ZipWriter
from engine.host.files import NO_SPACE
from engine.host.trickle import Trickle
from engine.rules import checkpoints
from engine.rules.backups import DATABASE, Member
from engine.store import audit, backups, faults, opening
from engine.store import vault as vaults
from engine.store.queries import Queries
from engine.store.tx import Tx

MODULE = "engine.store.snapshot"
_STEP_PAGES = 1024
_WAIT_S = 5.0
"""How long the live database may be locked by somebody who recovers its log."""

Tell = Callable[[dict[str, Any]], None]


class Snapshot(NamedTuple):
    """What the child answers. facts: the part of the manifest that the copy itself tells."""

    entry: Entry
    member: Member
    facts: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"entry": list(self.entry), "member": list(self.member), "facts": self.facts}


def parsed(document: dict[str, Any]) -> Snapshot:
    """Read what `document` returned."""
    return Snapshot(Entry(*document["entry"]), Member(*document["member"]), document["facts"])


def main(order: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Do one order: {"database", "copy", "archive": paths; "created_ms"}.

    copy, archive: files that exist and are empty. The copy is of no use afterwards; the archive holds its first member.
    """
    source, copy, archive = (Path(order[name]) for name in ("database", "copy", "archive"))
    try:
        take(source, copy, tell)
        facts = look(copy)
        with archive.open("r+b") as file:
            entry, member = _pack(copy, file, order["created_ms"], tell)
    except OSError as error:
        raise _translated(error, archive) from error
    return Snapshot(entry, member, facts).document()


def take(source: Path, copy: Path, tell: Tell) -> None:
    """Copy a live database as it is at one moment to `copy`, a file that exists and is empty."""
    try:
        live = sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=_WAIT_S, isolation_level=None)
    except sqlite3.Error as error:
        raise faults.translate(error, str(source)) from error
    with closing(live), closing(sqlite3.connect(copy, isolation_level=None)) as target, copy.open("rb") as written:
        # Nobody needs a half copy, nor one that survives a power cut: no journal, no sync.
        for pragma in (f"page_size = {opening.PAGE_BYTES}", "journal_mode = OFF", "synchronous = OFF"):
            target.execute(f"PRAGMA {pragma}")
        trickle = Trickle(written.fileno())

        def went(_status: int, remaining: int, total: int) -> None:
            trickle.wrote()
            size = opening.PAGE_BYTES
            tell({"stage": "copying", "done": (total - remaining) * size, "total": total * size})

        try:
            live.execute("BEGIN")
            live.execute("SELECT count(*) FROM sqlite_master").fetchone()
            live.backup(target, pages=_STEP_PAGES, progress=went)
            live.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise _copying(error, source, copy) from error


def _copying(error: sqlite3.Error, source: Path, copy: Path) -> ChronosError:
    """What the disk did not take was the copy: nothing is wrong with the live database, which nobody wrote to."""
    code = faults.primary_code(error)
    if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
        reason = "the disk is full; free some space" if code == sqlite3.SQLITE_FULL else f"the disk failed ({error})"
        return (StorageFull if code == sqlite3.SQLITE_FULL else NotPossible)(f"cannot write {copy.parent}: {reason}")
    return faults.translate(error, str(source))


def look(copy: Path) -> dict[str, Any]:
    """Make a copy a database of one file, and return what the manifest says of it."""
    try:
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            # Alone: its log needs no memory that is shared, so no -shm comes to lie beside it.
            for pragma in ("locking_mode = EXCLUSIVE", "synchronous = OFF", "journal_mode = DELETE"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            return _facts(connection)
    except sqlite3.Error as error:
        raise faults.translate(error, str(copy)) from error


def _facts(connection: sqlite3.Connection) -> dict[str, Any]:
    tx = Tx(connection, Queries())
    count = tx.text("snapshot.rows")
    seq, digest = audit.head(tx)
    vault = vaults.read(tx)
    tables = [row[0] for row in tx.rows("snapshot.tables")]
    return {
        "database_id": backups.database_id(tx),
        "sqlite": sqlite3.sqlite_version,
        "schema": int(connection.execute("PRAGMA user_version").fetchone()[0]),
        "counts": dict(tx.rows("snapshot.states")),
        "rows": {table: tx.search(count.format(table), {})[0][0] for table in tables},
        "audit": {"seq": seq, "hash": digest, "pruned": audit.pruned_seq(tx), "checkpoint": _checkpoint(tx)},
        "vault": None
        if vault is None
        else {"vault_id": vault.vault_id, "root_id": vault.root_id, "key_version": vault.key_version},
    }


def _checkpoint(tx: Tx) -> dict[str, Any] | None:
    """Return the newest signature over the log; None where there is none that is one."""
    stored = audit.newest_of(tx, checkpoints.CHECKPOINT)
    try:
        return None if stored is None else checkpoints.from_document(audit.detail_of(stored.body)).detail()
    except checkpoints.NoCheckpoint:
        return None


def _pack(copy: Path, file: BinaryIO, created_ms: int, tell: Tell) -> tuple[Entry, Member]:
    """Write the copy into the ZIP, summed and deflated on the way, in one pass."""
    writer = ZipWriter(file, created_ms)
    writer.begin_deflated(DATABASE)
    trickle, total, done = Trickle(file.fileno()), copy.stat().st_size, 0
    with copy.open("rb", buffering=0) as source:
        while chunk := source.read(CHUNK_BYTES):
            writer.write(chunk)
            done += len(chunk)
            trickle.wrote()
            tell({"stage": "packing", "done": done, "total": total})
    member = writer.end()
    file.flush()
    return writer.entries[0], member


def _translated(error: OSError, path: Path) -> ChronosError:
    if error.errno in NO_SPACE:
        return StorageFull(f"cannot write {path.parent}: the disk is full; free some space")
    return NotPossible(f"cannot write {path.parent}: {error.strerror or error}")


if __name__ == "__main__":
    from engine.host.children import serve

    serve(main)
