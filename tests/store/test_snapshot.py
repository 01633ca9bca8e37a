"""A copy of a live database is one moment of it, whoever writes meanwhile, and leaves the live one as it was."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ChronosError, DatabaseUnusable, NotPossible
from engine.host import children
from engine.host.archive.layout import local_header
from engine.operations import verifying
from engine.rules.canonical import GENESIS, verify_chain
from engine.store import audit, snapshot
from engine.store.database import Database
from engine.store.queries import Queries
from engine.store.tx import Tx
from tests.store import rig
from tests.support import PATIENCE_S, START_MS, Box, opened_box

PAGE = 4096


def files(folder: Path) -> tuple[Path, Path]:
    """Make the two empty files that a child is handed."""
    folder.mkdir(exist_ok=True)
    copy, archive = folder / "copy.db", folder / "archive.zip"
    for path in (copy, archive):
        path.write_bytes(b"")
        path.chmod(0o600)
    return copy, archive


def order(database: Path, copy: Path, archive: Path) -> dict[str, Any]:
    return {"database": str(database), "copy": str(copy), "archive": str(archive), "created_ms": START_MS}


def snap(database: Path, folder: Path, **limits: Any) -> tuple[Path, Path, snapshot.Snapshot]:
    copy, archive = files(folder)
    return copy, archive, snapshot.parsed(children.run(snapshot.MODULE, order(database, copy, archive), **limits))


@pytest.fixture
def big(tmp_path: Path) -> Iterator[Box]:
    """An outbox of some 20 MB: several steps of a copy."""
    with opened_box(tmp_path) as box:
        for number in range(20):
            box.put(text=f"{number} " * 300_000)
        yield box


# One moment


def both(tx: Tx, name: str) -> None:
    """Count two things up, which are equal after every transaction."""
    rig.add(tx, f"{name}-a")
    tx.search("SELECT 1 FROM messages LIMIT 50", {})
    rig.add(tx, f"{name}-b")


def test_a_copy_is_one_moment_while_eight_threads_write(big: Box, tmp_path: Path) -> None:
    done, written = threading.Event(), [0] * 8

    def write(number: int) -> None:
        while not done.is_set():
            big.put(text=f"{number}" * 2000)
            big.database.write(lambda tx: both(tx, f"t{number}"))
            written[number] += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    try:
        copies = [snap(big.database.path, tmp_path / f"out{number}") for number in range(5)]
    finally:
        done.set()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert min(written) > 0
    seen = []
    for copy, _archive, taken in copies:
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            pairs = dict(connection.execute("SELECT key, value FROM meta WHERE key LIKE 't_-_'").fetchall())
            assert all(pairs[f"t{number}-a"] == pairs[f"t{number}-b"] for number in range(8))
            tx = Tx(connection, Queries())
            rows = [
                (seq, body.decode(), digest.decode())
                for seq, body, digest in tx.search("SELECT seq, CAST(body AS BLOB), CAST(hash AS BLOB) FROM audit", {})
            ]
            assert verify_chain(rows, prev=GENESIS, first_seq=1).ok
            assert audit.head(tx) == audit.recorded(tx) == (taken.facts["audit"]["seq"], taken.facts["audit"]["hash"])
            counted = dict(connection.execute("SELECT state, count(*) FROM messages GROUP BY state").fetchall())
            kept = dict(connection.execute("SELECT name, n FROM counts").fetchall())
            assert counted == taken.facts["counts"]
            assert kept["queued"] == counted["queued"]
            for table, rows_of in taken.facts["rows"].items():
                assert connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] == rows_of, table
        seen.append(taken.facts["audit"]["seq"])
    assert seen == sorted(seen)
    assert seen[-1] > seen[0], "nobody wrote between the copies"
    assert verifying.verify(big.context).ok


def test_whoever_writes_between_the_steps_neither_delays_a_copy_nor_gets_into_it(big: Box, tmp_path: Path) -> None:
    copy, _archive = files(tmp_path / "out")
    told: list[int] = []

    def write(progress: dict[str, Any]) -> None:
        told.append(progress["done"])
        rig.put(big.database, f"during-{len(told)}")

    total = big.database.inspect(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    snapshot.take(big.database.path, copy, write)
    assert len(told) > 3
    assert told == sorted(set(told)), "the copy began anew"
    assert told[-1] == copy.stat().st_size == total * PAGE
    snapshot.look(copy)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM meta WHERE key LIKE 'during-%'").fetchone() == (0,)
    assert rig.get(big.database, "during-1") == "1"


def test_a_copy_is_one_file_that_anything_opens(database: Database, tmp_path: Path) -> None:
    rig.put(database, "here", "yes")
    copy, _archive, taken = snap(database.path, tmp_path / "out")
    assert sorted(path.name for path in copy.parent.iterdir()) == ["archive.zip", "copy.db"]
    assert copy.read_bytes()[18:20] == b"\1\1", "it would want a -wal beside it"
    with closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'here'").fetchone() == ("yes",)
        assert connection.execute("PRAGMA application_id").fetchone() == (0x4368726F,)
    assert taken.facts["schema"] == 3
    assert taken.facts["vault"] is None
    assert len(taken.facts["database_id"]) == 32


def test_the_first_member_of_the_archive_is_the_copy(big: Box, tmp_path: Path) -> None:
    copy, archive, taken = snap(big.database.path, tmp_path / "out")
    plain, packed = copy.read_bytes(), archive.read_bytes()
    entry, member = taken.entry, taken.member
    header = local_header(entry, START_MS)
    assert packed.startswith(header)
    data = packed[len(header) :]
    assert zlib.decompress(data, wbits=-15) == plain
    assert (entry.size, entry.packed_size, entry.crc) == (len(plain), len(data), zlib.crc32(plain))
    assert (member.sha256, member.packed_sha256) == (
        hashlib.sha256(plain).hexdigest(),
        hashlib.sha256(data).hexdigest(),
    )


# The live one


def test_the_last_to_close_a_database_does_not_fold_its_log(tmp_path: Path) -> None:
    """A process that was killed leaves a log with commits in it; taking a copy must not be what moves them."""
    rig.run(
        """
        import os, sys
        from pathlib import Path
        from tests.store import rig
        from tests.support import open_database
        database = open_database(Path(sys.argv[1]))
        rig.put(database, "kept", "yes")
        print("{}", flush=True)
        os._exit(0)
        """,
        tmp_path,
    )
    names = ("chronos.db", "chronos.db-wal")
    before = {name: (tmp_path / name).read_bytes() for name in names}
    assert len(before["chronos.db-wal"]) > 0
    copy, _archive, _taken = snap(tmp_path / "chronos.db", tmp_path / "out")
    assert {name: (tmp_path / name).read_bytes() for name in names} == before
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'kept'").fetchone() == ("yes",)
    with closing(sqlite3.connect(tmp_path / "chronos.db")) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'kept'").fetchone() == ("yes",)


def test_what_is_committed_during_and_after_a_copy_is_there_for_everybody(database: Database, tmp_path: Path) -> None:
    """Closing a file by path would have let go of the locks on it: here another process does both."""
    for number in range(20):
        rig.put(database, f"n{number}")
        if number % 5 == 0:
            snap(database.path, tmp_path / "out")
    database.checkpoint()
    assert (
        rig.run(
            """
        import json, sqlite3, sys
        rows = sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM meta WHERE key LIKE 'n%'").fetchone()
        print(json.dumps(rows[0]))
        """,
            database.path,
        )
        == 20
    )


def test_a_disk_that_takes_no_more_of_the_copy_says_nothing_against_the_live_database(big: Box, tmp_path: Path) -> None:
    with pytest.raises(ChronosError, match=r"cannot write .*out: the disk failed") as caught:
        snap(big.database.path, tmp_path / "out", file_bytes=8 << 20)
    assert isinstance(caught.value, NotPossible)
    assert not big.database.degraded
    assert not (tmp_path / "DEGRADED").exists()
    big.put(text="on it goes")


def test_what_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "chronos.db"
    path.write_bytes(b"x" * 8192)
    with pytest.raises(DatabaseUnusable, match=r"chronos\.db: file is not a database"):
        snap(path, tmp_path / "out")
    with pytest.raises(ChronosError, match=r"nobody\.db"):
        snap(tmp_path / "nobody.db", tmp_path / "out")
    assert not (tmp_path / "nobody.db").exists()


def test_an_empty_outbox_can_be_copied(database: Database, tmp_path: Path) -> None:
    _copy, _archive, taken = snap(database.path, tmp_path / "out")
    assert taken.facts["counts"] == {}
    assert taken.facts["audit"] == {"seq": 0, "hash": GENESIS, "pruned": 0, "checkpoint": None}
