"""Which ways out there are. Loads a channel when it is asked for, never the others."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from engine.errors import NotFound

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from pydantic import BaseModel

    from engine.channels.base import ChannelType

GROUP = "chronos.channels"

_BUILT_IN = {
    "email": "engine.channels.email",
    "maildir": "engine.channels.maildir",
    "webhook": "engine.channels.webhook",
}
"""Known without the package's metadata, which an interrupted update can leave behind or take away."""

RESERVED = ("n8n", "telegram")
"""Names of the configuration whose way out is not in this version."""


def channel_type(name: str) -> ChannelType:
    """Return the channel called `name`. The built-in three cannot be replaced by an entry point.

    Raises NotFound if there is none, if it is reserved, or if an installed one cannot be loaded.
    """
    if name in _BUILT_IN:
        return cast("ChannelType", import_module(_BUILT_IN[name]).CHANNEL)
    if name in RESERVED:
        raise NotFound(f"channel {name}: not available in this version; use email, webhook or maildir")
    for point in _installed():
        if point.name == name:
            return _load(point)
    from engine.rules.text import suggest

    meant = suggest(name, known())
    hint = f"did you mean {meant}?" if meant else f"there are {', '.join(known())}"
    raise NotFound(f"channel {name[:60]!r}: no such channel; {hint}")


def known() -> tuple[str, ...]:
    """Return the names of all channels that can be used, sorted; loads none of them."""
    return tuple(sorted({*_BUILT_IN, *(point.name for point in _installed())} - {*RESERVED}))


def options_model(name: str) -> type[BaseModel] | None:
    """Return the model of the target's own settings, None for a channel that is reserved.

    Raises NotFound like channel_type.
    """
    return None if name in RESERVED else channel_type(name).options()


def _installed() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group=GROUP))


def _load(point: EntryPoint) -> ChannelType:
    try:
        return cast("ChannelType", point.load())
    except (ImportError, AttributeError) as error:
        raise NotFound(f"channel {point.name}: installed as {point.value} but cannot be loaded: {error}") from error
