"""Messages as lines of a file: CSV for a spreadsheet, JSON for a program. Pure; writes nothing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chronos_tui import bridge

ENDINGS = (".csv", ".jsonl")

_CELL_CHARS = 32_000
"""A spreadsheet takes 32 767 characters in a cell."""

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
FIELDS = (
    "id",
    "uid",
    "state",
    "target",
    "channel",
    "subject",
    "priority",
    "created_at",
    "due_at",
    "expires_at",
    "finished_at",
    "attempts",
    "cycle",
    "reason",
    "last_code",
    "last_word",
    "queued_by",
    "route",
    "template",
    "idempotency_key",
    "collapse_key",
    "ordering_key",
    "size_bytes",
    "tags",
)


def csv_head() -> str:
    """Return the first line of a CSV file."""
    return ",".join(FIELDS) + "\r\n"


def csv_rows(found: Sequence[bridge.Message], tags: Mapping[int, tuple[str, ...]]) -> str:
    """Return messages as CSV; no cell is a formula to a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out)
    for one in found:
        document: dict[str, Any] = bridge.message_shape(one)
        document["tags"] = " ".join(tags.get(one.id, ()))
        writer.writerow([_cell(document[name]) for name in FIELDS])
    return out.getvalue()


def _cell(value: object) -> object:
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    text = bridge.safe_line(value, _CELL_CHARS)
    # OWASP, "CSV Injection": what begins so is run by a spreadsheet; the apostrophe makes it a text.
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def json_rows(found: Iterable[bridge.Message], tags: Mapping[int, tuple[str, ...]]) -> str:
    """Return messages as JSON Lines, as 'chronos outbox list --jsonl' prints them."""
    lines = (json.dumps(bridge.message_shape(one, tags.get(one.id, ())), ensure_ascii=True) for one in found)
    return "".join(f"{line}\n" for line in lines)
