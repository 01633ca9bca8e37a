"""Loads the named statements of sql/*.sql. Knows no SQL of its own."""

from __future__ import annotations

import re
from pathlib import Path

_HEAD = re.compile(r"^-- (?P<name>[a-z0-9_]+): ", re.MULTILINE)


class Queries:
    """Statements by "file.name", read from `folder` at first use of each file.

    A statement starts at a comment line `-- name: why`; the comment stays in the text sent to SQLite, so that a trace
    shows the name.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(__file__).with_name("sql")
        self._statements: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        """Return the statement. Raises KeyError when there is none of that name."""
        try:
            return self._statements[name]
        except KeyError:
            self._load(name.partition(".")[0])
            return self._statements[name]

    def names(self) -> list[str]:
        """Return every statement's name."""
        for path in self._folder.glob("*.sql"):
            self._load(path.stem)
        return sorted(self._statements)

    def _load(self, stem: str) -> None:
        text = (self._folder / f"{stem}.sql").read_text(encoding="utf-8")
        heads = list(_HEAD.finditer(text))
        for head, after in zip(heads, [*heads[1:], None], strict=True):
            body = text[head.start() : after.start() if after else len(text)]
            self._statements[f"{stem}.{head['name']}"] = body.strip().rstrip(";")
