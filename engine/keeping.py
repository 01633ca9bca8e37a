"""The acts on secrets, API keys, incidents, incoming events and the audit log's proofs. Delivers nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.showing import Showing

if TYPE_CHECKING:
    from engine.operations.apikeys import ApiKey, Created
    from engine.operations.inbound import Event, SourceState
    from engine.operations.incidents import Incident
    from engine.rules.apikeys import Scope


class Keeping(Showing):
    """What an operator keeps locked. Every method may be called from any thread, in any process."""

    def _secrets_changed(self) -> None:
        """Channels of this process that are open hold the old value."""

    # API keys

    def api_keys(self) -> list[ApiKey]:
        """Every API key, newest first, revoked and expired ones too; never a secret."""
        from engine.operations import apikeys

        return apikeys.listing(self.context)

    def api_key_create(
        self,
        name: str,
        scopes: Sequence[Scope],
        *,
        expires_ms: int | None = None,
        targets: Sequence[str] = (),
        networks: Sequence[str] = (),
    ) -> Created:
        """Make a key; its text is in the answer and nowhere else. Raises BadInput, NotPossible for a name in use."""
        from engine.operations import apikeys

        return apikeys.create(self.context, name, scopes, expires_ms=expires_ms, targets=targets, networks=networks)

    def api_key_rotate(self, word: str, *, overlap_ms: int) -> Created:
        """Make the successor of a key (by id or name), which itself holds for `overlap_ms` more."""
        from engine.operations import apikeys

        return apikeys.rotate(self.context, word, overlap_ms=overlap_ms)

    def api_key_revoke(self, word: str) -> ApiKey:
        """Let a key (by id or name) open nothing from now on. Raises NotFound, NotPossible."""
        from engine.operations import apikeys

        return apikeys.revoke(self.context, word)

    def api_key(self, word: str) -> ApiKey:
        """The key of that id, or the one in force of that name. Raises NotFound."""
        from engine.operations import apikeys

        return apikeys.find(self.context, word)

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

    # Incoming events

    def sources(self) -> list[SourceState]:
        """Every configured source, what came from it and why something was refused."""
        from engine.operations import inbound

        return inbound.sources(self.context)

    def source(self, name: str) -> SourceState:
        """One source. Raises NotFound."""
        from engine.operations import inbound

        return inbound.source(self.context, name)

    def events(self, source: str | None = None, *, limit: int = 50, before: int | None = None) -> list[Event]:
        """Accepted events, newest first, without bodies. Raises NotFound for an unknown source."""
        from engine.operations import inbound

        return inbound.events(self.context, source, limit=limit, before=before)

    def event(self, number: int) -> Event:
        """One accepted event with its body. Raises NotFound."""
        from engine.operations import inbound

        return inbound.event(self.context, number)

    def event_replay(self, number: int, *, target: str | None = None) -> str:
        """Make a message of a kept event once more; return its uid. Raises NotFound, NotPossible, BadInput."""
        from engine.operations import inbound

        uid = inbound.replay(self.context, number, target=target)
        self._wake()
        return uid
