"""The child that judges a database from a backup: its schema, pages, counts and audit log. Reads; the file is hostile.

Nothing of its schema is used before it was compared with ours, statement by statement; after that there is no view,
trigger or expression in it that we did not write. A second barrier, the authorizer, refuses whatever would read through
one. The rest bounds what a damaged or crafted page can cost: limits of SQLite, of memory, processor and files.

PRAGMA trusted_schema=OFF cannot be had from every SQLite: in Debian 12's 3.40.1 json_extract does not count as
innocuous, and our own audit table, which computes columns by it, could not even be opened ("malformed database schema
(audit) - unsafe use of json_extract()"). So it is set where the library allows it, and the comparison does not rest on
it: reading sqlite_master parses the statements in it and runs none, and no table of a file can stand in for it
("table sqlite_master already exists").
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from engine.clock import SystemClock
from engine.rules.canonical import GENESIS, unbroken, verify_chain
from engine.store import audit, backups, migrate
from engine.store.audit import Span
from engine.store.opening import APPLICATION_ID, PAGE_BYTES
from engine.store.queries import Queries
from engine.store.tx import Tx

MODULE = "engine.store.judging"
SLICE = 500
_JOURNAL_AT, _NO_LOG = 18, b"\1\1"
"""Where a database says how it is journalled, and what it says there when it has no write-ahead log."""

_INNOCUOUS = 0x0020_0000  # SQLITE_INNOCUOUS, see sqlite3_create_function
_MOST_ID = 1 << 53
"""Behind the largest number that SQLite knows it gives out random ones, and the order of messages is lost."""

_TEXTS = """\
SELECT t.name, c.name FROM pragma_table_list AS t, pragma_table_xinfo(t.name) AS c
 WHERE t.schema = 'main' AND t.type = 'table' AND c.type = 'TEXT' AND c.hidden = 0"""
"""Tables and columns of a database of ours that hold text; what is computed from others is left out, and so are blobs,
of which one may be larger than a judge's memory."""

_MOST_SECRETS = 10_000
_MOST_SEALED_BYTES = 16 * 1024 * 1024
_PROBLEMS_SHOWN = 3
_OURS = b'{"action":"audit.'
_GOES_ON = frozenset({"text", "audit"})
"""Steps whose failure keeps nothing that comes after from being looked at."""

_LIMITS = (  # what the largest of our own statements need; "Defense Against The Dark Arts" of sqlite.org
    (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 100_000),
    (sqlite3.SQLITE_LIMIT_COLUMN, 100),
    (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 100),
    (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 10),
    (sqlite3.SQLITE_LIMIT_VDBE_OP, 100_000),
    (sqlite3.SQLITE_LIMIT_FUNCTION_ARG, 10),
    (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
    (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
    (sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 50),
    (sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 5),
    (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
)
_FUNCTIONS = frozenset({"count", "min", "max", "sum", "total", "coalesce", "length", "json_extract"})
_PRAGMAS = frozenset(
    {"application_id", "user_version", "page_size", "encoding", "integrity_check", "foreign_key_check", "data_version"}
)
_WHAT_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_TRANSACTION})

Tell = Callable[[dict[str, Any]], None]


class Report(NamedTuple):
    """What `inspect` found. version: of the schema. problem: in words; "" when it is one of ours, as we make it."""

    version: int
    problem: str


class Unsound(Exception):
    """What a judge found, in one line. Stays in this module."""


# Opening and comparing


def open_untrusted(path: Path, *, checking: bool = False) -> sqlite3.Connection:
    """Open a database of a stranger's: unchangeable, without extensions, within limits.

    immutable: no journal or log that lies beside it is played back, nothing is locked or created. checking: by a
    connection that could write, were it not for the authorizer: of a file that is opened read-only SQLite does not even
    parse the CHECK constraints, and integrity_check finds every one of them kept (sqlite3AddCheckConstraint).
    """
    mode = "rw" if checking else "ro&immutable=1"
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True, isolation_level=None)
    try:
        for category, most in _LIMITS:
            connection.setlimit(category, most)
        for pragma in ("query_only = ON", "cell_size_check = ON", "mmap_size = 0", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        if _json_is_innocuous():
            connection.execute("PRAGMA trusted_schema = OFF")
        connection.set_authorizer(_only_reading)
    except BaseException:
        connection.close()
        raise
    return connection


def _json_is_innocuous() -> bool:
    """Ask a database of our own: looking at functions in the stranger's would parse its schema."""
    with closing(sqlite3.connect(":memory:")) as ours:
        rows = ours.execute("SELECT flags FROM pragma_function_list WHERE name = 'json_extract'").fetchall()
    return bool(rows) and all(flags & _INNOCUOUS for (flags,) in rows)


def _only_reading(action: int, first: str | None, second: str | None, _database: str | None, within: str | None) -> int:
    """Say whether a statement may do that. within: the view or trigger that wants it; nothing of ours runs in one."""
    if within is None and (
        action in _WHAT_READS
        or (action == sqlite3.SQLITE_FUNCTION and second in _FUNCTIONS)
        or (action == sqlite3.SQLITE_PRAGMA and first in _PRAGMAS)
    ):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def schema_of(version: int) -> set[tuple[bytes, ...]]:
    """Return (type, name, tbl_name, sql) of everything that our migrations make, up to `version`."""
    with closing(migrate.blueprint(version)) as ours:
        return _schema(ours)


def _schema(connection: sqlite3.Connection) -> set[tuple[bytes, ...]]:
    columns = ", ".join(f"CAST({name} AS BLOB)" for name in ("type", "name", "tbl_name", "sql"))
    rows = connection.execute(f"SELECT {columns} FROM sqlite_master LIMIT 1000").fetchall()  # noqa: S608 - our names
    return {tuple(b"" if value is None else value for value in row) for row in rows}


def inspect(connection: sqlite3.Connection, expected_version: int | None = None) -> Report:
    """Compare a database with what we would have made: whose it is, its version, every statement of its schema.

    To be asked before anything else is. connection: of `open_untrusted`. expected_version: what the manifest says.
    """
    version = 0
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        _compare(connection, version, expected_version)
    except Unsound as error:
        return Report(version, str(error))
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return Report(version, _line(error))
    return Report(version, "")


def _compare(connection: sqlite3.Connection, version: int, expected: int | None) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise Unsound("it is a database of another program")
    newest = migrate.latest()
    if version > newest:
        raise Unsound(f"its schema {version} is newer than this Chronos knows ({newest}); upgrade Chronos")
    if version < 1 or (expected is not None and version != expected):
        raise Unsound(f"its schema is {version}, the manifest says {expected}")
    for pragma, ours in (("page_size", PAGE_BYTES), ("encoding", "UTF-8")):
        found = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
        if found != ours:
            raise Unsound(f"its {pragma} is {found!s:.40}, ours is {ours}")
    if strange := _schema(connection) ^ schema_of(version):
        names = sorted({f"{one[0].decode('ascii', 'replace')} {one[1].decode('ascii', 'replace')}" for one in strange})
        more = f" and {len(names) - _PROBLEMS_SHOWN} more" if len(names) > _PROBLEMS_SHOWN else ""
        shown = _printable(", ".join(names[:_PROBLEMS_SHOWN]))
        raise Unsound(f"its schema is not as we make it: {shown[:200]}{more}")


def _line(error: Exception) -> str:
    """Return what went wrong in one printable line."""
    return _printable(str(error))[:300] or type(error).__name__


def _printable(text: str) -> str:
    """Return it in one line, without what a terminal would take for more than text."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


# Judging


def judge(path: Path, manifest: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Return {"steps": [{name, ok, detail, took_ms}], "vault": row, "secrets": rows}; sealed bytes in hex.

    manifest: what the database is held against. Stops at the first step that fails, for what comes after would read
    what is known to be unsound; an audit log that was tampered with is not.
    """
    clock = SystemClock()
    steps: list[dict[str, Any]] = []
    sealed: dict[str, Any] = {"vault": None, "secrets": []}
    with closing(open_untrusted(path)) as connection:
        for name, work in (
            ("schema", partial(_schema_step, connection, manifest)),
            ("integrity", partial(_integrity, connection, path)),
            ("text", partial(_text, connection, manifest)),
            ("counts", partial(_counts, connection, manifest)),
            ("audit", partial(_audit, connection, manifest, tell)),
            ("vault", partial(_sealed, connection, manifest, sealed)),
        ):
            began_ms = clock.monotonic_ms()
            tell({"stage": name, "done": 0, "total": 0})
            ok = True
            try:
                detail = work()
            except (Unsound, sqlite3.Error, UnicodeDecodeError) as error:
                detail, ok = _line(error), False  # it may quote what the stranger wrote
            took_ms = clock.monotonic_ms() - began_ms
            steps.append({"name": name, "ok": ok, "detail": detail, "took_ms": took_ms})
            if not ok and name not in _GOES_ON:
                break
    return {"steps": steps, **sealed}


def _schema_step(connection: sqlite3.Connection, manifest: dict[str, Any]) -> str:
    expected = manifest.get("schema")
    if type(expected) is not int:
        raise Unsound("the manifest names no schema")
    found = inspect(connection, expected)
    if found.problem:
        raise Unsound(found.problem)
    return f"version {found.version}, as our migrations make it"


def _integrity(connection: sqlite3.Connection, path: Path) -> str:
    with path.open("rb") as file:
        header = file.read(_JOURNAL_AT + len(_NO_LOG))
    if header[_JOURNAL_AT:] != _NO_LOG or any(Path(f"{path}{suffix}").exists() for suffix in ("-journal", "-wal")):
        raise Unsound("it asks for a log or journal beside it; a backup's database is complete in itself")
    with closing(open_untrusted(path, checking=True)) as checked:
        found = [str(row[0]) for row in checked.execute("PRAGMA integrity_check(3)").fetchmany(_PROBLEMS_SHOWN)]
    if found != ["ok"]:
        raise Unsound(f"integrity_check: {_line(ValueError('; '.join(found)))}")
    strays = connection.execute("PRAGMA foreign_key_check").fetchmany(_PROBLEMS_SHOWN)
    if strays:
        raise Unsound(f"foreign_key_check: rows of {', '.join(sorted({str(row[0]) for row in strays}))} lack another")
    return "integrity_check and foreign_key_check found nothing"


def _text(connection: sqlite3.Connection, manifest: dict[str, Any]) -> str:
    """Read every text: SQLite takes any bytes for one, and who reads them later would fail at each of them."""
    with closing(migrate.blueprint(manifest["schema"])) as ours:
        texts = [(table, name) for table, name in ours.execute(_TEXTS) if not table.startswith("search")]
    for table in sorted({table for table, _name in texts}):
        columns = ", ".join(f'"{name}"' for of, name in texts if of == table)
        try:
            for _ in connection.execute(f'SELECT {columns} FROM "{table}"'):  # noqa: S608 - our own names
                pass
        except (sqlite3.OperationalError, UnicodeDecodeError) as error:
            # Not in the words of the error, which show what stands there.
            raise Unsound(f"{table} holds what is no text in UTF-8, or cannot be read") from error
    return "every text is valid UTF-8"


def _counts(connection: sqlite3.Connection, manifest: dict[str, Any]) -> str:
    claimed, rows = manifest.get("counts"), manifest.get("rows")
    if not isinstance(claimed, dict) or not isinstance(rows, dict):
        raise Unsound("the manifest counts nothing")
    lowest, highest = connection.execute("SELECT coalesce(min(id), 1), coalesce(max(id), 1) FROM messages").fetchone()
    if lowest < 1 or highest > _MOST_ID:
        raise Unsound("messages have numbers that we never give")
    states = dict(connection.execute("SELECT state, count(*) FROM messages GROUP BY state").fetchall())
    for state in sorted({*states, *claimed}):
        if states.get(state, 0) != claimed.get(state, 0):
            raise Unsound(f"{states.get(state, 0)} messages are {state!s:.20}, the manifest says {claimed.get(state)}")
    kept = connection.execute("SELECT name, n FROM counts WHERE name NOT IN ('revision', 'audit_head')").fetchall()
    if wrong := [name for name, n in kept if states.get(name, 0) != n]:
        raise Unsound(f"the counts it keeps are not those of its messages: {', '.join(map(str, wrong))[:200]}")
    ours = _tables(manifest["schema"])
    for table in sorted(rows):
        if table not in ours:
            raise Unsound("the manifest counts a table that we do not make")
        found = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608 - one of our names
        if found != rows[table]:
            raise Unsound(f"{table} has {found} rows, the manifest says {rows[table]!s:.20}")
    if "backups" in ours:
        _whose(Tx(connection, Queries()), manifest)
    return f"{_many(sum(states.values()), 'message')} and the rows of {_many(len(rows), 'table')}, as the manifest says"


def _whose(tx: Tx, manifest: dict[str, Any]) -> None:
    """Look at what a signature, and the files of other backups, are judged by."""
    if manifest.get("database_id", found := backups.database_id(tx)) != found:
        raise Unsound("it is the database of another outbox than the manifest says")
    if not backups.all_told_as_ours(tx):
        raise Unsound("its own list of backups names or tells of files as ours never does")


def _tables(version: int) -> set[str]:
    """Return the names of our tables."""
    return {name.decode() for kind, name, _table, _sql in schema_of(version) if kind == b"table"}


# The audit log


def _audit(connection: sqlite3.Connection, manifest: dict[str, Any], tell: Tell) -> str:
    """Verify the chain from the first entry kept to the head that the manifest names, a slice at a time."""
    claimed = manifest.get("audit")
    if not isinstance(claimed, dict) or type(claimed.get("seq")) is not int:
        raise Unsound("the manifest names no head of the audit log")
    tx = Tx(connection, Queries())
    mark, head = audit.pruned_seq(tx), audit.head(tx)
    if (head[0], head[1]) != (claimed["seq"], claimed.get("hash")):
        raise Unsound(f"the audit log ends with entry {head[0]}, the manifest names another head")
    if audit.recorded(tx) != head:
        raise Unsound("the audit log does not end with the head that is recorded beside it")
    if claimed.get("pruned", mark) != mark:
        raise Unsound(f"the audit log is pruned up to {mark}, the manifest says {claimed.get('pruned')!s:.20}")
    lowest = audit.bounds(tx, mark)[1]
    start = mark if lowest is None else min(mark, lowest - 1)
    base, signed = _chain(tx, Span(start, head[0] + 1), tell)
    if mark and not any(base.get(mark) == digest for digest in _archived(tx, mark)):
        raise Unsound(f"audit entries up to {mark} are gone, and no signed entry says that they were archived")
    checked = head[0] - start
    entries = "1 entry" if checked == 1 else f"{checked} entries"
    return f"{entries} to the head in the manifest, {_many(signed, 'checkpoint')}"


def _archived(tx: Tx, mark: int) -> Iterator[str]:
    """Yield the hash that the first entry behind the mark follows."""
    first = audit.get(tx, mark + 1)
    if first is not None:
        yield str(audit.fields_of(first.body).get("prev"))


def _chain(tx: Tx, span: Span, tell: Tell) -> tuple[dict[int, str], int]:
    """Return what the signed entries say was archived (number, hash), and how many checkpoints there are."""
    from engine.rules.checkpoints import Proofs, Trust

    proofs = Proofs(Trust())
    start, end = span
    seq, prev = start, GENESIS if start == 0 else None
    while seq < end - 1:
        rows = audit.slice_of(tx, Span(seq, end))
        if not rows:
            raise Unsound(f"audit entry {seq + 1} is missing")
        digest = None if prev is None else unbroken(rows, prev, seq + 1)
        if digest is None:
            texts = [(n, body.decode(errors="surrogateescape"), raw.decode(errors="replace")) for n, body, raw in rows]
            found = verify_chain(texts, prev=prev, first_seq=seq + 1)
            if not found.ok:
                raise Unsound(f"audit {_line(ValueError(found.why))}")
            digest = found.head_hash
        for number, body, _digest in rows:
            if body.startswith(_OURS) and (why := proofs.notice(number, body)):
                raise Unsound(f"audit: {_line(ValueError(why))}")
        seq, prev = rows[-1][0], digest
        tell({"stage": "audit", "done": seq - start, "total": end - start - 1})
    return proofs.pruned, len(proofs.signed)


# What is sealed


def _sealed(connection: sqlite3.Connection, manifest: dict[str, Any], found: dict[str, Any]) -> str:
    """Hand out the vault's row and the secrets, still sealed, for whoever has the key."""
    if "secrets" not in _tables(manifest["schema"]):
        return "this version had no vault"
    tx = Tx(connection, Queries())
    row = tx.row("vault.read")
    total, count = connection.execute("SELECT coalesce(sum(length(sealed)), 0), count(*) FROM secrets").fetchone()
    if count > _MOST_SECRETS or total > _MOST_SEALED_BYTES:
        raise Unsound(f"{count} secrets of {total} bytes: more than a vault holds")
    found["vault"] = None if row is None else [_plain(value) for value in row]
    found["secrets"] = [[_plain(value) for value in one] for one in tx.rows("vault.secrets")]
    return _many(count, "secret")


def _plain(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value


def main(order: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Do one order: {"database": path, "manifest": {...}, "cpu_s": seconds}."""
    import resource

    # A child has no children; a page that makes SQLite go round in circles ends with its share of the processor.
    for what, most in ((resource.RLIMIT_NPROC, 0), (resource.RLIMIT_CPU, int(order["cpu_s"]))):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most, most) if hard == resource.RLIM_INFINITY else (min(most, hard), hard))
    return judge(Path(order["database"]), order["manifest"], tell)


if __name__ == "__main__":
    from engine.host.children import serve

    serve(main)
