"""Renders the schema that the migrations make. `python -m tests.store.schema` writes it to engine/store/schema.sql."""

from __future__ import annotations

import tempfile
from pathlib import Path

import sqlite_utils

from engine.store import migrate
from tests.support import open_database

FILE = Path(migrate.__file__).with_name("schema.sql")
_HEAD = """\
-- The schema as all migrations together make it: for reading, never run. A test compares it with the migrations;
-- `python -m tests.store.schema` writes it anew.
"""


def schema_of(path: Path) -> str:
    """Return every table, view, index and trigger of a database, in order of their names."""
    database = sqlite_utils.Database(path)
    try:
        rows = database.query(
            "SELECT type, name, sql FROM sqlite_master"
            " WHERE sql IS NOT NULL AND substr(name, 1, 7) NOT IN ('sqlite_', 'search_')"
            " ORDER BY tbl_name, CASE type WHEN 'table' THEN 0 WHEN 'view' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, name"
        )
        return "\n\n".join(f"{row['sql']};" for row in rows) + "\n"
    finally:
        database.close()


def migrated() -> str:
    """Return the content that schema.sql must have."""
    with tempfile.TemporaryDirectory() as directory:
        open_database(Path(directory)).close()
        return f"{_HEAD}\n{schema_of(Path(directory) / 'chronos.db')}"


if __name__ == "__main__":
    FILE.write_text(migrated(), encoding="utf-8")
