"""Databases that an attacker put into a backup: what is done to an honest copy, and packing it as we do."""

from __future__ import annotations

import json
import random
import sqlite3
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from engine.host.archive.writer import ZipWriter
from engine.rules.backups import DATABASE, MANIFEST, SUMS

PAGE = 4096
Sign = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Change = Callable[[Path], None]


class Hostile(NamedTuple):
    """One database. change: what is done to the file. why: a part of the reason that it must be refused for."""

    name: str
    change: Change
    why: str


class Honest(NamedTuple):
    """A backup taken apart. members: the small ones, in the archive's order."""

    database: Path
    manifest: dict[str, Any]
    members: tuple[tuple[str, bytes], ...]


def unpack(archive: Path, into: Path) -> Honest:
    """Take an honest backup apart."""
    with zipfile.ZipFile(archive) as file:
        file.extract(DATABASE, into)
        manifest = json.loads(file.read(MANIFEST))
        names = [name for name in file.namelist() if name not in {DATABASE, MANIFEST, SUMS}]
        return Honest(into / DATABASE, manifest, tuple((name, file.read(name)) for name in names))


def pack(honest: Honest, database: Path, target: Path, sign: Sign, **claims: Any) -> Path:
    """Make a backup of `database`, well-formed, correctly summed and signed. claims: laid over the manifest."""
    at_ms = round(datetime.fromisoformat(honest.manifest["created_at"]).timestamp() * 1000)
    with target.open("xb") as file:
        target.chmod(0o600)
        writer = ZipWriter(file, at_ms)
        writer.begin_deflated(DATABASE)
        with database.open("rb") as content:
            while chunk := content.read(1 << 20):
                writer.write(chunk)
        members = [writer.end(), *(writer.add_stored(name, data) for name, data in honest.members)]
        manifest = {**honest.manifest, **claims, "members": {one.name: one.document() for one in members}}
        del manifest["signature"]
        writer.add_manifest({**manifest, "signature": dict(sign(manifest))}, members)
        writer.finish()
    return target


def told(database: Path, honest: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest would truthfully say of a changed database, as far as it can be read."""
    found: dict[str, Any] = {}
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as connection:
            connection.set_progress_handler(lambda: 1, 50_000_000)  # a view that never ends is for others to count
            rows = {}
            for table in honest["rows"]:
                (rows[table],) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()
            found["counts"] = dict(connection.execute("SELECT state, count(*) FROM messages GROUP BY state"))
            seq, digest = connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
            found["audit"] = {**honest["audit"], "seq": seq, "hash": digest}
            found["rows"] = rows
    except (sqlite3.Error, UnicodeDecodeError, TypeError):
        pass  # then it says what the honest one said
    return found


# What is done to a database


def run(database: Path, *statements: str) -> None:
    """Change it by SQL, with everything off that could mind."""
    with closing(_careless(database)) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()


def _careless(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None)
    for pragma in ("foreign_keys = OFF", "ignore_check_constraints = ON", "writable_schema = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def sql(*statements: str) -> Change:
    return lambda database: run(database, *statements)


def without(kind: str, name: str, *statements: str) -> Change:
    """Run statements while a part of the schema is away, and put it back to the letter."""

    def change(database: Path) -> None:
        columns = "type, name, tbl_name, rootpage, sql"
        found = f"SELECT {columns} FROM sqlite_master WHERE type = ? AND name = ?"
        with closing(_careless(database)) as connection:
            row = connection.execute(found, (kind, name)).fetchone()
            connection.execute("DELETE FROM sqlite_master WHERE type = ? AND name = ?", (kind, name))
        run(database, *statements)
        with closing(_careless(database)) as connection:
            connection.execute(f"INSERT INTO sqlite_master ({columns}) VALUES (?, ?, ?, ?, ?)", row)

    return change


def spelt(name: str, old: str, new: str, *statements: str) -> Change:
    """Run statements while a part of the schema is spelt otherwise, and put it back to the letter."""

    def change(database: Path) -> None:
        put = "UPDATE sqlite_master SET sql = ? WHERE name = ?"
        with closing(_careless(database)) as connection:
            (text,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
            connection.execute(put, (text.replace(old, new), name))
        run(database, *statements)
        with closing(_careless(database)) as connection:
            connection.execute(put, (text, name))

    return change


def respelt(name: str, old: str, new: str) -> Change:
    """Spell a part of the schema otherwise."""
    return sql(f"UPDATE sqlite_master SET sql = replace(sql, '{old}', '{new}') WHERE name = '{name}'")


def patched(offset: int, data: bytes) -> Change:
    """Write bytes at a place of the file."""

    def change(database: Path) -> None:
        with database.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    return change


def became(content: Callable[[bytes], bytes]) -> Change:
    """Make something else of the whole file."""

    def change(database: Path) -> None:
        database.write_bytes(content(database.read_bytes()))

    return change


def garbled_page(database: Path, seed: int) -> str:
    """Fill a page that is in use with noise; return which."""
    chance = random.Random(seed)
    with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,), "noise in a free page harms nobody"
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    number = chance.randrange(pages)
    patched(number * PAGE, chance.randbytes(PAGE))(database)
    return f"page {number + 1} of {pages}"


def flipped_bits(database: Path, seed: int) -> str:
    """Turn over some bits of some pages; return how many."""
    chance = random.Random(seed)
    data = bytearray(database.read_bytes())
    count = chance.randrange(1, 9)
    for _ in range(count):
        # The beginnings of pages are where SQLite keeps what it goes by.
        offset = chance.randrange(len(data) // PAGE) * PAGE + min(int(chance.expovariate(1 / 200)), PAGE - 1)
        data[offset] ^= 1 << chance.randrange(8)
    database.write_bytes(data)
    return f"{count} bits"


_EVER = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
_AUDIT = "audit_is_append_only_update"
_MESSAGE = "(SELECT min(id) FROM messages)"
_SCHEMA = "schema is not as we make it"

SCHEMAS: Sequence[Hostile] = (
    Hostile("another application's", sql("PRAGMA application_id = 1"), "another program"),
    Hostile("a newer schema", sql("PRAGMA user_version = 99"), "newer"),
    Hostile("an older schema than it has", sql("PRAGMA user_version = 1"), "schema"),
    Hostile("pages of another size", sql("PRAGMA page_size = 8192", "VACUUM"), "page_size"),
    Hostile("a table more", sql("CREATE TABLE evil (x)"), _SCHEMA),
    Hostile("an index more", sql("CREATE INDEX evil ON messages (subject)"), _SCHEMA),
    Hostile("statistics", sql("ANALYZE"), _SCHEMA),
    Hostile(
        "a trigger more",
        sql("CREATE TRIGGER evil AFTER INSERT ON messages BEGIN DELETE FROM api_keys; END"),
        _SCHEMA,
    ),
    Hostile(
        "a trigger that does nothing",
        sql(
            f"DROP TRIGGER {_AUDIT}",
            f"CREATE TRIGGER {_AUDIT} BEFORE UPDATE ON audit BEGIN SELECT 1; END",
        ),
        _SCHEMA,
    ),
    Hostile("a trigger less", sql(f"DROP TRIGGER {_AUDIT}"), _SCHEMA),
    Hostile("an index less", sql("DROP INDEX messages_idempotency"), _SCHEMA),
    Hostile("a view that never ends", sql(f"CREATE VIEW evil AS {_EVER}"), _SCHEMA),
    Hostile(
        "a view where a table was",
        sql("DROP TABLE commands", f"CREATE VIEW commands AS {_EVER}"),
        _SCHEMA,
    ),
    Hostile(
        "a column that computes",
        sql("CREATE TABLE evil (a, b AS (hex(zeroblob(500000000))) STORED)"),
        _SCHEMA,
    ),
    Hostile(
        "a check that loads a library",
        respelt("holds", "reason   TEXT NOT NULL", "reason   TEXT NOT NULL CHECK (load_extension(''/tmp/x.so'') IS 1)"),
        _SCHEMA,
    ),
    Hostile("a column that is not strict", respelt("messages", ") STRICT", ")"), _SCHEMA),
    Hostile("names that speak to a terminal", sql('CREATE TABLE "\x1b]52;c;ZXZpbA==\x07\u202e" (x)'), _SCHEMA),
    Hostile(
        "a name that is no text",
        sql("CREATE TABLE evil (x)", "UPDATE sqlite_master SET name = CAST(x'ff80' AS TEXT) WHERE name = 'evil'"),
        "",
    ),
    Hostile("a statement of a megabyte", sql(f"CREATE TABLE evil (x /* {'x' * 1_000_000} */)"), ""),
    Hostile("a table on another's pages", sql("UPDATE sqlite_master SET rootpage = 2 WHERE name = 'secrets'"), ""),
)
"""What a schema can do; each is refused before a statement of it was used."""

PAGES: Sequence[Hostile] = (
    Hostile("no database", became(lambda _: b"#!/bin/sh\nid\n" * 1000), ""),
    Hostile("nothing", became(lambda _: b""), ""),
    Hostile("zeros", became(lambda _: bytes(8 << 20)), ""),
    Hostile("half of it", became(lambda data: data[: len(data) // 2 // PAGE * PAGE]), ""),
    Hostile("a page count of two thousand million", patched(28, (0x7FFFFFFF).to_bytes(4, "big")), ""),
    Hostile("pages of a byte", patched(16, b"\0\2"), ""),
    Hostile("a free list that bites its tail", patched(32, (2).to_bytes(4, "big") + b"\0\0\xff\xff"), "integrity"),
)
"""What a file can be."""

ROWS: Sequence[Hostile] = (
    Hostile(
        "a number that is a word",
        spelt("messages", ") STRICT", ")", f"UPDATE messages SET size = 'evil' WHERE id = {_MESSAGE}"),
        "integrity",
    ),
    Hostile("attempts below zero", sql(f"UPDATE messages SET attempts = -5 WHERE id = {_MESSAGE}"), "integrity"),
    Hostile(
        "a state that there is not",
        without(
            "trigger",
            "messages_transition",
            f"UPDATE messages SET state = 'exploded' WHERE id = {_MESSAGE}",
        ),
        "",
    ),
    Hostile(
        "an index that lies",
        without("index", "messages_uid", f"UPDATE messages SET uid = 'msg_evil' WHERE id = {_MESSAGE}"),
        "integrity",
    ),
    Hostile(
        "two of one identity",
        without("index", "messages_uid", "UPDATE messages SET uid = (SELECT max(uid) FROM messages)"),
        "integrity",
    ),
    Hostile(
        "an attempt of no message",
        sql("INSERT INTO attempts (message_id, attempt_no, target, epoch, started_ms) VALUES (999999, 1, 'x', 1, 1)"),
        "foreign_key_check",
    ),
    Hostile(
        "a number below zero",
        sql(
            *(
                f"UPDATE {table} SET message_id = -7 WHERE message_id = {_MESSAGE}"
                for table in ("bodies", "tags", "attempts", "attachments")
            ),
            f"UPDATE messages SET id = -7 WHERE id = {_MESSAGE}",
        ),
        "",
    ),
    Hostile("text that is none", sql("UPDATE bodies SET text = CAST(x'66ff80' AS TEXT)"), ""),
    Hostile("a subject that is none", sql("UPDATE messages SET subject = CAST(x'66ff80' AS TEXT)"), ""),
    Hostile("counts that lie", sql("UPDATE counts SET n = n + 7 WHERE name = 'queued'"), "counts"),
    Hostile(
        "an audit entry changed",
        without("trigger", _AUDIT, "UPDATE audit SET body = body || ' ' WHERE seq = 2"),
        "audit",
    ),
    Hostile(
        "an audit entry taken out",
        without("trigger", "audit_is_append_only_delete", "DELETE FROM audit WHERE seq = 3"),
        "audit",
    ),
    Hostile(
        "the audit log cut at its beginning",
        sql(
            "UPDATE meta SET value = '4' WHERE key = 'audit_pruned_seq'",
            "DELETE FROM audit WHERE seq <= 4",
        ),
        "audit",
    ),
    Hostile(
        "an audit entry of 80 MB",
        without(
            "trigger",
            _AUDIT,
            "UPDATE audit SET body = json_object('action', replace(hex(zeroblob(40000000)), '0', 'x')) WHERE seq = 2",
        ),
        "",
    ),
)
"""What can stand in our own tables."""
