"""Whether the HTTP door of whoever delivers listens, as a check of health. Opens nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.operations import health, incidents
from engine.operations.context import Context
from engine.operations.health import Level
from engine.rules.incidents import Kind
from engine.store import leader


def check(context: Context, owner: Mapping[str, Any] | None) -> health.Check:
    """Return the check `http`: where it listens, or why it does not. owner: who delivers, None when nobody does."""
    http = context.settings.http
    if not http["enabled"]:
        return health.Check("http", Level.OK, "off: http.enabled is false")
    if owner is None:
        return health.Check("http", Level.OK, "closed: it opens with the engine")
    address = context.database.read(leader.read).http
    if not address:
        return _closed(context)
    from engine.host.certificates import expiry_words

    if words := expiry_words(http, context.clock.now_ms() / 1000):
        return health.Check("http", Level.WARNING, f"listens on {address}", words)
    return health.Check("http", Level.OK, f"listens on {address}")


def _closed(context: Context) -> health.Check:
    said = [one.detail for one in incidents.listing(context) if one.kind == Kind.DOOR_CLOSED]
    if said:
        advice = "it is tried again every 30 s; 'chronos incident list' has a page on it"
        return health.Check("http", Level.WARNING, f"closed: {said[0]}", advice)
    return health.Check("http", Level.WARNING, "closed", "'chronos log' says why; it is tried again every 30 s")
