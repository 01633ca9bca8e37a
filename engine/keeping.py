"""The acts on secrets, API keys, incidents, incoming events and the audit log's proofs. Delivers nothing."""

from __future__ import annotations

from engine.showing import Showing


class Keeping(Showing):
    """What an operator keeps locked. Every method may be called from any thread, in any process."""

    def _secrets_changed(self) -> None:
        """Channels of this process that are open hold the old value."""
