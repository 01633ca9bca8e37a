"""What a handler is given and what it gives back. Knows no HTTP library and no route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from engine.inbound.http.counting import Counts
from engine.inbound.http.problems import FORBIDDEN, Problem
from engine.inbound.http.surface import Gatekeeper, Surface
from engine.operations.context import Context

if TYPE_CHECKING:
    from engine.operations.gate import Caller

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Desk:
    """What all requests share. context: of the engine itself; a request acts under the name of its key."""

    context: Context
    surface: Surface
    gate: Gatekeeper
    counts: Counts


@dataclass(frozen=True, slots=True)
class Call:
    """One request that was let in. context: acts as the caller. path: the variable parts of the path.

    query, body: instances of the route's models; None where it has none.
    """

    desk: Desk
    context: Context
    caller: Caller | None
    path: Mapping[str, str] = field(default_factory=lambda: _NONE)
    query: Any = None
    body: Any = None
    idempotency_key: str | None = None

    @property
    def bound_to(self) -> tuple[str, ...]:
        """The targets and routes that the key is bound to; () for any."""
        return () if self.caller is None else tuple(self.caller.key.targets)

    def needs_unbound(self) -> None:
        """Raise a 403 for a key that is bound to targets: what is asked for is about all of them."""
        if self.bound_to:
            raise Problem(FORBIDDEN, "this key is bound to targets and this is about all of them")


@dataclass(frozen=True, slots=True)
class Reply:
    """document: what is answered as JSON; or, where it is None, `text`, of `content_type`."""

    document: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: _NONE)
    text: str = ""
    content_type: str = "application/json"
