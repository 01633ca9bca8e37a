"""The judge of a database from a backup: what is ours holds, what was made to harm is refused in one line."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.errors import DeadlineExceeded
from engine.host import children
from engine.store import judging, migrate
from tests.support import START_MS, opened_box


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """Return a copy of a database with something in it, as a snapshot makes it."""
    live = tmp_path / "live"
    live.mkdir()
    copy = tmp_path / "chronos.db"
    with opened_box(live) as box:
        box.put(text="one")
        [claimed] = box.claim()
        box.finish(claimed)
        box.put(text="two")
        with closing(sqlite3.connect(live / "chronos.db")) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
    return copy


def manifest_of(path: Path) -> dict[str, Any]:
    """Count what is in a database as whoever backs it up does."""
    with closing(sqlite3.connect(path)) as found:
        tables = [
            name
            for (name,) in found.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not name.startswith("search")
        ]
        seq, digest = found.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        return {
            "schema": found.execute("PRAGMA user_version").fetchone()[0],
            "counts": dict(found.execute("SELECT state, count(*) FROM messages GROUP BY state")),
            "rows": {name: found.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables},
            "audit": {"seq": seq, "hash": digest, "pruned": 0},
        }


def judged(path: Path, manifest: dict[str, Any] | None = None) -> dict[str, Any]:
    """Judge in this process; return the steps by name."""
    found = judging.judge(path, manifest or manifest_of(path), lambda _words: None)
    return {one["name"]: one for one in found["steps"]}


def changed(path: Path, *statements: str) -> None:
    """Change a database behind everybody's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as found:
        found.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            found.execute(statement)


def test_a_database_of_ours_holds_in_every_step(original: Path) -> None:
    told: list[dict[str, Any]] = []

    found = judging.judge(original, manifest_of(original), told.append)

    assert [one["name"] for one in found["steps"]] == ["schema", "integrity", "text", "counts", "audit", "vault"]
    assert all(one["ok"] for one in found["steps"])
    assert {one["stage"] for one in told} == {"schema", "integrity", "text", "counts", "audit", "vault"}
    assert (found["vault"], found["secrets"]) == (None, [])


def test_a_child_within_its_limits_says_the_same(original: Path) -> None:
    order = {"database": str(original), "manifest": manifest_of(original), "cpu_s": 60}

    found = children.run(judging.MODULE, order, limit_s=60, memory_bytes=512 << 20, file_bytes=0)

    assert all(one["ok"] for one in found["steps"])


@pytest.mark.parametrize("version", [1, 2, 3])
def test_an_older_schema_is_compared_with_what_it_was(tmp_path: Path, version: int) -> None:
    path = tmp_path / "chronos.db"
    with closing(migrate.blueprint(version)) as ours, closing(sqlite3.connect(path)) as target:
        ours.backup(target)
        target.execute(f"PRAGMA application_id = {0x4368726F}")
    with closing(judging.open_untrusted(path)) as connection:
        assert judging.inspect(connection, version) == judging.Report(version, "")
        assert "manifest says" in judging.inspect(connection, version + 1).problem


def _spoil(*statements: str) -> Callable[[Path], None]:
    return lambda path: changed(path, *statements)


_ENDLESS = "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n, n FROM r"
HOSTILE = {
    "a view in a table's place": _spoil("DROP TABLE meta", f"CREATE VIEW meta (key, value) AS {_ENDLESS}"),
    "a trigger": _spoil("CREATE TRIGGER boom AFTER INSERT ON messages BEGIN SELECT load_extension('/tmp/x'); END"),
    "one view more": _spoil("CREATE VIEW more AS SELECT load_extension('/tmp/x')"),
    "one index more": _spoil("CREATE INDEX more ON messages (abs(size))"),
    "a name that is more than text": _spoil('CREATE VIEW "\x1b]0;owned\x07\u202e" AS SELECT 1'),
    "a virtual table": _spoil("CREATE VIRTUAL TABLE more USING fts4 (x)"),
    "a check that runs": _spoil(
        "UPDATE sqlite_master SET sql = replace(sql, 'value TEXT NOT NULL', "
        "'value TEXT NOT NULL CHECK (length(zeroblob(900000000)) > 1)') WHERE name = 'meta'"
    ),
    "a generated column": _spoil(
        "UPDATE sqlite_master SET sql = replace(sql, '''$.at''', '''$.actor''') WHERE name = 'audit'"
    ),
    "a trigger less": _spoil("DROP TRIGGER audit_is_append_only_update"),
    "a name that is no text": _spoil("UPDATE sqlite_master SET sql = CAST(x'ff00fe' AS TEXT) WHERE name = 'holds'"),
    "a column type": _spoil("UPDATE sqlite_master SET sql = replace(sql, 'digest', 'digesT') WHERE name = 'api_keys'"),
}


@pytest.mark.parametrize("spoil", HOSTILE.values(), ids=HOSTILE)
def test_a_schema_that_is_not_as_we_make_it_is_refused_before_it_is_used(
    original: Path, spoil: Callable[[Path], None]
) -> None:
    manifest = manifest_of(original)
    spoil(original)

    steps = judged(original, manifest)

    assert list(steps) == ["schema"]
    assert not steps["schema"]["ok"]
    assert steps["schema"]["detail"].isprintable()


def test_no_table_stands_in_for_the_schema(original: Path) -> None:
    """Who could put a sqlite_master of their own in the file would be compared with what they wrote there."""
    changed(
        original,
        "CREATE TABLE fake (type, name, tbl_name, rootpage, sql)",
        "UPDATE sqlite_master SET name = 'sqlite_master', tbl_name = 'sqlite_master',"
        " sql = 'CREATE TABLE sqlite_master (type, name, tbl_name, rootpage, sql)' WHERE name = 'fake'",
    )

    assert not judged_schema(original).endswith("as our migrations make it")


def judged_schema(path: Path) -> str:
    """Return what the first step says."""
    empty = {"schema": 3, "counts": {}, "rows": {}, "audit": {}}
    return str(judging.judge(path, empty, lambda _words: None)["steps"][0]["detail"])


@pytest.mark.parametrize("view", [_ENDLESS, "SELECT seq, hash FROM audit"])
def test_a_view_cannot_be_read_even_where_nobody_compared(original: Path, view: str) -> None:
    """The second barrier: without it the endless view would be read for ever."""
    changed(original, "DROP TABLE meta", f"CREATE VIEW meta (key, value) AS {view}")

    with (
        closing(judging.open_untrusted(original)) as connection,
        pytest.raises(sqlite3.DatabaseError, match=r"prohibited|not authorized"),
    ):
        connection.execute("SELECT value FROM meta LIMIT 1")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM messages",
        "CREATE TABLE more (x)",
        "ATTACH DATABASE '/tmp/other.db' AS other",
        "SELECT load_extension('/tmp/x')",
        "SELECT writefile('/tmp/x', 'y')",
        "PRAGMA writable_schema = ON",
        "PRAGMA query_only = OFF",
        "SELECT count(*) FROM search WHERE search MATCH 'x'",
    ],
)
def test_a_strangers_database_can_only_be_read(original: Path, statement: str) -> None:
    before = original.read_bytes()

    with closing(judging.open_untrusted(original)) as connection, pytest.raises(sqlite3.Error):
        connection.execute(statement).fetchall()

    assert original.read_bytes() == before
    assert sorted(path.name for path in original.parent.iterdir()) == ["chronos.db", "live"]


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_what_lies_beside_it_is_not_played_back(original: Path, suffix: str) -> None:
    """A log or journal that came along could change what was checked a moment before."""
    manifest = manifest_of(original)
    before = original.read_bytes()
    original.with_name(f"chronos.db{suffix}").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\0" * 4096)

    steps = judged(original, manifest)

    assert steps["schema"]["ok"]
    assert "complete in itself" in steps["integrity"]["detail"]
    assert original.read_bytes() == before


# Content


@pytest.mark.parametrize(
    ("statement", "step", "words"),
    [
        ("UPDATE counts SET n = n + 1 WHERE name = 'delivered'", "counts", "the counts it keeps"),
        ("INSERT INTO rate_limits VALUES ('more', 1)", "counts", "rate_limits has 1 rows"),
        ("UPDATE counts SET n = n + 1 WHERE name = 'audit_head'", "audit", "recorded beside it"),
        ("PRAGMA foreign_keys = OFF; DELETE FROM messages WHERE id = 2", "integrity", "foreign_key_check"),
        ("PRAGMA ignore_check_constraints = ON; UPDATE messages SET attempts = -5", "integrity", "CHECK constraint"),
        (
            (
                "UPDATE bodies SET message_id = -1 WHERE message_id = 1; UPDATE attempts SET message_id = -1"
                " WHERE message_id = 1; UPDATE messages SET id = -1 WHERE id = 1"
            ),
            "counts",
            "numbers",
        ),
        ("UPDATE bodies SET text = CAST(x'66ff80' AS TEXT)", "text", "no text in UTF-8"),
    ],
)
def test_content_that_is_not_what_the_manifest_says_is_named(
    original: Path, statement: str, step: str, words: str
) -> None:
    manifest = manifest_of(original)
    changed(original, *statement.split("; "))

    found = judged(original, manifest)[step]

    assert not found["ok"]
    assert words in found["detail"]


def tampered(path: Path, statement: str) -> None:
    """Change the audit log with its triggers out of the way; they are back afterwards."""
    with closing(sqlite3.connect(path, isolation_level=None)) as found:
        triggers = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
        guards = found.execute(triggers).fetchall()
        for name, _sql in guards:
            found.execute(f"DROP TRIGGER {name}")
        assert found.execute(statement).rowcount == 1
        for _name, sql in guards:
            found.execute(sql)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET body = replace(body, 'message', 'massage') WHERE seq = 2",
        "UPDATE audit SET hash = substr(hash, 1, 63) || 'x' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 1",
        "INSERT INTO audit (seq, body, hash) VALUES (-3, '{}', '')",
    ],
)
def test_an_audit_log_that_was_tampered_with_fails_and_the_vault_is_still_handed_out(
    original: Path, statement: str
) -> None:
    manifest = manifest_of(original)
    tampered(original, statement)
    manifest["rows"]["audit"] = manifest_of(original)["rows"]["audit"]

    steps = judged(original, manifest)

    assert not steps["audit"]["ok"], steps
    assert steps["vault"]["ok"]


def test_every_byte_of_a_page_may_be_wrong_and_the_judge_still_answers(original: Path) -> None:
    """Malformed pages: a line each, no exception and no hang. One byte in 97, every page."""
    manifest = manifest_of(original)
    sound = original.read_bytes()
    answers = set()
    for at in range(0, len(sound), 4096 + 97):
        original.write_bytes(sound[:at] + bytes([sound[at] ^ 0xFF]) + sound[at + 1 :])
        for step in judging.judge(original, manifest, lambda _words: None)["steps"]:
            assert step["detail"].isprintable()
            answers.add(step["ok"])
    assert answers == {True, False}


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 300, b"SQLite format 3\0" + b"\xff" * 8000])
def test_what_is_no_database_is_refused_in_a_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "chronos.db"
    path.write_bytes(content)

    detail = judged_schema(path)

    assert detail
    assert "\n" not in detail


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"schema": "3"},
        {"schema": 3, "counts": [], "rows": {}},
        {"schema": 3, "counts": {}, "rows": {"nothing of ours": 1}, "audit": {}},
        {"schema": 3, "counts": {"queued": 10**30}, "rows": {}, "audit": {"seq": "x"}},
    ],
)
def test_a_manifest_that_claims_nonsense_is_refused(original: Path, manifest: dict[str, Any]) -> None:
    found = judging.judge(original, manifest, lambda _words: None)["steps"]

    assert not found[-1]["ok"]
    assert json.dumps(found)


def test_a_judge_that_takes_too_long_is_ended(original: Path) -> None:
    order = {"database": str(original), "manifest": manifest_of(original), "cpu_s": 60}

    with pytest.raises(DeadlineExceeded):
        children.run(judging.MODULE, order, limit_s=0)


def test_a_long_log_is_verified_a_slice_at_a_time(tmp_path: Path) -> None:
    from engine.store import audit

    live = tmp_path / "live"
    live.mkdir()
    copy = tmp_path / "chronos.db"
    with opened_box(live) as box:

        def fill(tx: Any) -> None:
            for number in range(2_345):
                audit.append(tx, START_MS, "x", "message.queued", f"msg_{number}", {})

        box.database.write(fill)
        with closing(sqlite3.connect(live / "chronos.db")) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
    told: list[int] = []

    found = judging.judge(copy, manifest_of(copy), lambda words: told.append(words["done"]) if words["total"] else None)

    assert all(one["ok"] for one in found["steps"])
    assert told == [500, 1000, 1500, 2000, 2345]
