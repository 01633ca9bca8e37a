"""A list to page through, an app around one pager, and a record of what is painted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from rich.style import Style
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.pilot import Pilot
from textual.widget import Widget

from chronos_tui.views.spans import Span
from chronos_tui.widgets.columns import Column
from chronos_tui.widgets.pager import Ask, Pager, Row, Slice, Where

COLUMNS = (
    Column("#", key="id", right=True, width=8),
    Column("state", key="state", width=9, rank=1),
    Column("subject", key="subject", least=6),
)
KEYS = {
    "cursor_down": "j,down",
    "cursor_up": "k,up",
    "page_down": "ctrl+d,pagedown",
    "page_up": "ctrl+u,pageup",
    "home": "g,home",
    "end": "G,end",
    "open": "enter",
    "mark": "space",
    "mark_range": "v",
    "mark_loaded": "*",
    "clear_marks": "escape",
}


class Source:
    """A list in memory, newest (highest key) first, that answers asks as the contract of Ask says."""

    def __init__(self, keys: range | list[int]) -> None:
        self.keys = sorted(keys, reverse=True)
        self.subject: Callable[[int], str] = lambda key: f"subject {key}"

    def row(self, key: int) -> Row:
        return Row(key, (Span(str(key)), Span("✗ dead", "failed"), Span(self.subject(key))))

    def _from(self, key: int) -> int:
        """Return the index of the first key that is not above `key`."""
        low, high = 0, len(self.keys)
        while low < high:
            middle = (low + high) // 2
            if self.keys[middle] > key:
                low = middle + 1
            else:
                high = middle
        return low

    def slice(self, ask: Ask) -> Slice:
        at = 0 if ask.key is None else self._from(ask.key)
        behind = at + 1 if at < len(self.keys) and self.keys[at] == ask.key else at
        first, last = {
            Where.START: (0, ask.limit),
            Where.END: (len(self.keys) - ask.limit, len(self.keys)),
            Where.AGAIN: (at, at + ask.limit),
            Where.BEHIND: (behind, behind + ask.limit),
            Where.BEFORE: (at - ask.limit, at),
        }[ask.where]
        first = max(0, first)
        rows = tuple(self.row(key) for key in self.keys[first:last])
        return Slice(rows, first == 0, first + len(rows) >= len(self.keys))


class Recorded(Pager):
    """A pager with keys, that notes which of its lines are made anew."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding(keys, action) for action, keys in KEYS.items()]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.painted: list[int] = []

    def refresh(self, *regions: Region, **options: Any) -> Any:
        if hasattr(self, "painted") and (options.get("repaint", True)):
            for region in regions or (self.size.region,):
                self.painted += region.line_range
        return super().refresh(*regions, **options)


class PagerApp(App[None]):
    """One pager over a source; asks are answered at once unless `hold` is set."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self, source: Source, *, hold: bool = False, **options: Any) -> None:
        super().__init__()
        self.source = source
        self.hold = hold
        self.asks: list[Ask] = []
        self.heard: list[Any] = []
        options.setdefault("empty", ((Span("Nothing here."),),))
        self.pager = Recorded(COLUMNS, self.fetch, **options)

    def compose(self) -> ComposeResult:
        yield self.pager

    def on_mount(self) -> None:
        self.pager.focus()
        self.pager.restart()

    def fetch(self, ask: Ask) -> None:
        self.asks.append(ask)
        if not self.hold:
            self.pager.answer(ask, self.source.slice(ask))

    def reply(self) -> None:
        """Answer the ask that came last."""
        ask = self.asks[-1]
        self.pager.answer(ask, self.source.slice(ask))

    def on_pager_cursor_moved(self, message: Pager.CursorMoved) -> None:
        self.heard.append(("moved", message.key))

    def on_pager_opened(self, message: Pager.Opened) -> None:
        self.heard.append(("opened", message.key))

    def on_pager_marked(self, message: Pager.Marked) -> None:
        self.heard.append(("marked", message.keys))

    def on_pager_newer_changed(self, message: Pager.NewerChanged) -> None:
        self.heard.append(("newer", message.newer))

    def on_pager_range_lost(self) -> None:
        self.heard.append(("range lost",))


def screen(widget: Widget) -> list[str]:
    """Return what the widget shows, a string a line, without the blanks at the ends."""
    return [widget.render_line(y).text.rstrip() for y in range(widget.content_size.height)]


def styles(widget: Widget, y: int) -> list[tuple[str, Style | None]]:
    """Return the pieces of a line with their styles."""
    return [(segment.text, segment.style) for segment in widget.render_line(y)]


async def press(pilot: Pilot[None], keys: str) -> None:
    """Press keys, separated by blanks."""
    await pilot.press(*keys.split())
