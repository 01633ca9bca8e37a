"""Looks for canaries in bytes, in every spelling that a secret may have there. Knows nothing of where the bytes are from."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from engine.rules import redact
from tests.canaries.planted import Canary

_SHORTEST = 12


class Hit(NamedTuple):
    """Which canary was found where. around: what stands about it, for whoever has to find out why."""

    canary: str
    place: str
    around: str


def needles(canary: Canary) -> set[bytes]:
    """Return everything that gives the canary away."""
    found: set[bytes] = set()
    for value in (canary.text, canary.text.encode(), *canary.more):
        raw = value if isinstance(value, bytes) else value.encode()
        found |= {raw, raw.hex().encode(), raw.hex().upper().encode(), base64.b32encode(raw).rstrip(b"=")}
        found |= {spelling.encode("utf-8", "surrogateescape") for spelling in redact._spellings(value)}
    # Cut to pieces by a limit, a quote, an escape: each long run of letters alone.
    found |= {run.encode() for run in re.findall(r"[A-Za-z0-9]{20,}", canary.text)}
    found |= {run.encode() for run in re.findall(r"[A-Za-z0-9+/_-]{43}", canary.text)}
    return {needle for needle in found if len(needle) >= _SHORTEST}


def search(places: Mapping[str, bytes], canaries: Iterable[Canary]) -> list[Hit]:
    """Return every canary that stands somewhere, once a place."""
    hits = []
    for canary in canaries:
        wanted = needles(canary)
        for place, data in places.items():
            at = next((at for needle in wanted if (at := data.find(needle)) >= 0), -1)
            if at >= 0:
                hits.append(Hit(canary.name, place, repr(data[max(0, at - 60) : at + 60])))
    return hits


def files(folder: Path, label: str = "") -> dict[str, bytes]:
    """Return every file below a folder, as bytes."""
    found = {}
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file():
                found[f"{label}{path.relative_to(folder)}"] = path.read_bytes()
        except FileNotFoundError:  # a running engine replaced it meanwhile
            continue
    return found
