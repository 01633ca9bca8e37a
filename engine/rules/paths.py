"""Paths into a JSON document: `issue.title`, `items[0].name`. Reads; never calls, never changes anything."""

from __future__ import annotations

import re
from typing import Any, Final

from engine.errors import BadInput

Path = tuple[str | int, ...]

MISSING: Final = object()
"""What a path leads to when it leads nowhere; null in a document is None."""

_MOST_CHARS = 200
_STEP = re.compile(r"(?:^|\.)([^.\[\]{}\s]+)|\[([0-9]{1,6})\]", re.ASCII)


def parse_path(text: str) -> Path:
    """Return the steps of a path: names, and numbers of list items from 0. Raises BadInput."""
    steps: list[str | int] = []
    at = 0
    while at < len(text) <= _MOST_CHARS:
        match = _STEP.match(text, at)
        if match is None:
            break
        steps.append(match[1] if match[1] is not None else int(match[2]))
        at = match.end()
    if not steps or at < len(text):
        raise BadInput(f"{text[:60]!r} is no path; write it as in issue.title or items[0].name")
    return tuple(steps)


def look_up(document: Any, path: Path) -> Any:
    """Return what a path leads to in a document, or MISSING."""
    for step in path:
        named = isinstance(step, str) and isinstance(document, dict) and step in document
        if not named and not (isinstance(step, int) and isinstance(document, list) and step < len(document)):
            return MISSING
        document = document[step]
    return document
