"""The line of what is under way, repainted at most twice a second. Takes no room while nothing is."""

from __future__ import annotations

import time

from chronos_tui.views.spans import Line
from chronos_tui.widgets.bar import Bar

EVERY_S = 0.5


class UnderWay(Bar):
    """Hidden while it has nothing to show. now_s: monotonic."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.display = False
        self._shown_s = 0.0
        self._next: Line | None = None

    def take(self, line: Line) -> None:
        """Show a line now, or once the one before was seen for long enough; () hides it at once."""
        waiting, self._next = self._next is not None, line
        left_s = EVERY_S - (time.monotonic() - self._shown_s)
        if not line or left_s <= 0:
            self._put()
        elif not waiting:
            self.set_timer(left_s, self._put)

    def _put(self) -> None:
        line, self._next = self._next, None
        if line is None:
            return
        self._shown_s = time.monotonic()
        self.display = bool(line)
        self.show(line)
