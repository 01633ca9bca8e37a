"""Looks for canaries in bytes, in every spelling that a secret may have there."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from engine.rules import redact
from tests.canaries.planted import Canary

_PIECE = 10


class Hit(NamedTuple):
    """Which canary was found where. around: what stands about it, for whoever has to find out why."""

    canary: str
    place: str
    around: str


def needles(canary: Canary) -> set[bytes]:
    """Return everything that gives the canary away."""
    found: set[bytes] = set()
    values: tuple[str | bytes, ...] = (canary.text, canary.text.encode(), *canary.more)
    for value in values:
        raw = value if isinstance(value, bytes) else value.encode()
        found |= {raw, raw.hex().encode(), raw.hex().upper().encode(), base64.b32encode(raw).rstrip(b"=")}
        found |= {spelling.encode("utf-8", "surrogateescape") for spelling in redact._spellings(value)}
    # Cut by a limit, torn by a quote or an escape: each piece of what is secret in it, alone.
    for run in re.findall(r"[A-Za-z0-9+/_-]{20,}", _secret_part(canary.text)):
        found |= {run[at : at + _PIECE].encode() for at in range(0, min(len(run), 200), _PIECE)}
    return {needle for needle in found if len(needle) >= _PIECE}


def _secret_part(text: str) -> str:
    """Leave out what everybody may know: a prefix, a key's id, a checksum, a bot's number."""
    for form in (r"chr_[0-9a-f]{8}_(.{43})_.{6}", r"whsec_(.+)", r"[0-9]{10}:(.+)"):
        if match := re.fullmatch(form, text):
            return match[1]
    return text


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
