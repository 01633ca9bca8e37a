"""The child that copies a judged database, row by row, into a fresh file of our own schema. Touches nothing live.

What it makes is no whole database yet: its triggers are missing, because a restore goes on to rewrite rows that they
guard, and its search index is empty. store.carrying completes it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from engine.errors import ArchiveRefused, StorageFull
from engine.rules.carrying import POLICIES
from engine.store import faults, migrate
from engine.store.opening import APPLICATION_ID, PAGE_BYTES
from engine.store.queries import Queries

MODULE = "engine.store.adopting"
_SKIPPED = frozenset({"search", "migrations"})
"""Made anew: the index from the messages, the list of migrations by running them."""

Tell = Callable[[dict[str, Any]], None]


def adopt(source: Path, target: Path, *, now_ms: int, tell: Tell = lambda _words: None) -> dict[str, Any]:
    """Copy every row of `source` into `target`, which must not exist yet; return {"schema": its version, "rows": n}.

    source: judged before (store.judging). tell: told {"done", "total"} after each table.
    Raises ArchiveRefused where it is none of ours, is newer than this program, or holds a row that ours must not.
    """
    # Sorting an index spills into files: they belong beside the copy and not where others look.
    os.environ["SQLITE_TMPDIR"] = str(target.parent)
    connection = sqlite3.connect(target, isolation_level=None, uri=True)
    try:
        return _adopt(connection, source, now_ms, tell)
    except sqlite3.IntegrityError as error:
        raise ArchiveRefused(f"the backup's database holds a row that ours must not: {error}") from error
    except sqlite3.Error as error:
        if faults.primary_code(error) == sqlite3.SQLITE_FULL:
            raise StorageFull(f"{target.parent}: the disk is full; free some space and try again") from error
        raise ArchiveRefused(f"the backup's database cannot be read: {error}") from error
    finally:
        connection.close()


def _adopt(connection: sqlite3.Connection, source: Path, now_ms: int, tell: Tell) -> dict[str, Any]:
    queries = Queries()
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    # Whoever is killed here leaves a file that nobody uses.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(queries["adopting.attach"], {"uri": f"{source.absolute().as_uri()}?mode=ro&immutable=1"})
    schema = _schema_of_source(connection, queries)
    with closing(migrate.blueprint(schema)) as ours:
        ours.backup(connection)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    made = connection.execute(queries["adopting.made"]).fetchall()
    for kind, name, _sql in made:
        connection.execute(f"DROP {kind} {name}")
    rows = _copy(connection, queries, tell)
    for kind, _name, sql in made:
        if kind == "index" or schema < migrate.latest():
            connection.execute(sql)
    migrate.advance(connection, now_ms)
    for _kind, name, _sql in connection.execute(queries["adopting.triggers"]).fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    return {"schema": schema, "rows": rows}


def _schema_of_source(connection: sqlite3.Connection, queries: Queries) -> int:
    """Return its version, once its schema is the one that our migrations make. Until then nothing of it is used."""
    application_id = connection.execute("PRAGMA source.application_id").fetchone()[0]
    version = int(connection.execute("PRAGMA source.user_version").fetchone()[0])
    if application_id != APPLICATION_ID or version < 1:
        raise ArchiveRefused("the backup's database is no database of Chronos")
    newest = migrate.latest()
    if version > newest:
        raise ArchiveRefused(
            f"the backup's database has schema {version}, newer than this Chronos knows ({newest}); upgrade Chronos"
        )
    found = set(connection.execute(queries["adopting.schema"]))
    with closing(migrate.blueprint(version)) as ours:
        wanted = set(ours.execute(queries["adopting.schema"].replace("source.", "main.")))
    if different := sorted({row[1].decode("ascii", "replace") for row in found ^ wanted}):
        raise ArchiveRefused(f"the backup's database has another schema than ours: {', '.join(different)[:200]!a}")
    return version


def _copy(connection: sqlite3.Connection, queries: Queries, tell: Tell) -> int:
    there = {row[0] for row in connection.execute(queries["adopting.tables"])}
    names = [name for name in POLICIES if name in there and name not in _SKIPPED]
    rows = 0
    for number, name in enumerate(names):
        # hidden: 0 of a column that is stored, 2 and 3 of one that is computed.
        info = connection.execute(f"PRAGMA main.table_xinfo({name})").fetchall()
        columns = ", ".join(row[1] for row in info if row[6] == 0)
        connection.execute(queries["adopting.clear"].format(table=name))  # rows that migrations made
        rows += connection.execute(queries["adopting.copy"].format(table=name, columns=columns)).rowcount
        tell({"done": number + 1, "total": len(names)})
    connection.execute(queries["adopting.when_migrated"])
    connection.execute(queries["adopting.search_anew"])
    return rows


def _serve(order: dict[str, Any], tell: Tell) -> dict[str, Any]:
    return adopt(Path(order["source"]), Path(order["target"]), now_ms=int(order["now_ms"]), tell=tell)


if __name__ == "__main__":
    from engine.host.children import serve

    serve(_serve)
