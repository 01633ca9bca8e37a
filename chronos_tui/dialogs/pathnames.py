"""What a path that is being typed could become. Looks at one directory, opens no file."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

_MOST_ENTRIES = 2_000
"""Of a directory with more the first ones are looked at: somebody is typing meanwhile."""


def resolve(text: str) -> Path:
    """Return the path that was typed: "~" is at home, what does not begin with "/" is in the current directory."""
    return Path(os.path.expanduser(text.strip()))  # noqa: PTH111 - Path.expanduser raises where there is no home


def begun(text: str) -> list[str]:
    """Return the paths that begin with `text`, directories first and with a "/" behind; hidden ones for a dot."""
    head, slash, name = text.rpartition("/")
    try:
        with os.scandir(resolve(head + slash)) as entries:
            found = [
                (not entry.is_dir(), entry.name)
                for entry in islice(entries, _MOST_ENTRIES)
                if entry.name.startswith(name)
                and entry.name.isprintable()
                and (name.startswith(".") or not entry.name.startswith("."))
            ]
    except (OSError, ValueError):  # no such directory, or no name of one: the field says so
        return []
    return [f"{head}{slash}{one}{'' if is_file else '/'}" for is_file, one in sorted(found)]
