"""The line that says how far the audit log is signed, and who else knows its head. Signs nothing."""

from __future__ import annotations

from chronos_tui import bridge
from chronos_tui.views import audit as views
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.panel import host


class Signed(Bar):
    """Empty until it was read once."""

    def __init__(self) -> None:
        super().__init__(id="audit-signing")
        self._signing: bridge.Signing | None = None

    @property
    def witness(self) -> str:
        """Where the head goes once a day; "" for nowhere."""
        return self._signing.witness if self._signing is not None else ""

    def reload(self) -> None:
        """Read it again."""
        host(self).desk.read("audit.signing", lambda engine: engine.audit_signing(), self._take)

    def _take(self, signing: bridge.Signing) -> None:
        self._signing = signing
        self.fit()

    def on_resize(self) -> None:
        """Fit it to the width."""
        self.call_after_refresh(self.fit)

    def fit(self) -> None:
        """Show it at this width."""
        if self._signing is not None:
            self.show(views.signing(self._signing, host(self).now_ms(), self.size.width))
