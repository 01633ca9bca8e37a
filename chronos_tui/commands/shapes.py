"""The documents that --json prints: the engine's own, which HTTP and exports share. Makes none."""

from __future__ import annotations

from chronos_tui.bridge import attempt_shape as attempt
from chronos_tui.bridge import check_shape as check
from chronos_tui.bridge import content_shape as content
from chronos_tui.bridge import detail_shape as detail
from chronos_tui.bridge import entry_shape as entry
from chronos_tui.bridge import hold_shape as hold
from chronos_tui.bridge import message_shape as message
from chronos_tui.bridge import priority_word

__all__ = ["attempt", "check", "content", "detail", "entry", "hold", "message", "priority_word"]
