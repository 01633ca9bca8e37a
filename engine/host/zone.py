"""The time zone of this machine with its rules, so that times beyond the next change of the clocks are right."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from pathlib import Path


def local(env: Mapping[str, str]) -> tzinfo:
    """Return the zone that TZ names, or /etc/localtime's, or the present offset where neither can be read."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        if name := env.get("TZ", "").lstrip(":"):
            return ZoneInfo(name)
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        found = datetime.now().astimezone().tzinfo
        assert found is not None, "astimezone() sets it"
        return found
