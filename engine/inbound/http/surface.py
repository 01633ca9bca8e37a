"""What the API needs of a running engine and of the gate before it, as protocols. Holds no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from engine.rules.apikeys import Scope

if TYPE_CHECKING:
    from engine.operations.gate import Caller
    from engine.operations.health import Check


class Surface(Protocol):
    """The engine that delivers in this process. From any thread."""

    def wake(self) -> None:
        """Something was committed that the dispatcher should look at."""

    def turning(self) -> bool:
        """Whether the dispatcher came round lately."""

    def health(self) -> list[Check]:
        """Every quick check."""

    def attempts(self) -> Mapping[str, int]:
        """Attempts since this process took over, by outcome: "delivered", or a value of errors.Sent."""


class Gatekeeper(Protocol):
    """Says who knocks; operations.gate.Gate is the real one."""

    def admit(self, authorization: str | None, remote: str, scope: Scope) -> Caller:
        """Return who it is, or raise operations.gate.Refused."""

    def knock(self, remote: str) -> None:
        """Count a request that shows no key, or raise operations.gate.Refused."""

    def failed(self, remote: str) -> None:
        """Count an event that was refused."""

    @property
    def kdf_runs(self) -> int:
        """How often a key was verified the slow way."""

    @property
    def refused(self) -> Mapping[str, int]:
        """Reason → how many requests were refused for it."""
