"""The acts on secrets, API keys, incidents, incoming events and the audit log's proofs. Delivers nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.showing import Showing

if TYPE_CHECKING:
    from engine.operations.incidents import Incident


class Keeping(Showing):
    """What an operator keeps locked. Every method may be called from any thread, in any process."""

    def _secrets_changed(self) -> None:
        """Channels of this process that are open hold the old value."""

    # Incidents

    def incidents(self, *, everything: bool = False, limit: int = 200) -> list[Incident]:
        """Open and acknowledged incidents, the worst first; with `everything` the newest of all."""
        from engine.operations import incidents

        return incidents.listing(self.context, everything=everything, limit=limit)

    def incident(self, number: int) -> Incident:
        """One incident. Raises NotFound."""
        from engine.operations import incidents

        return incidents.get(self.context, number)

    def incident_ack(self, number: int) -> Incident:
        """Somebody looks after it. Raises NotFound, NotPossible."""
        from engine.operations import incidents

        return incidents.acknowledge(self.context, number)

    def incident_resolve(self, number: int, note: str) -> Incident:
        """It is over, and why. Raises NotFound, NotPossible, BadInput without a note."""
        from engine.operations import incidents

        return incidents.resolve(self.context, number, note)
