"""One box of several on a panel: a title and items with a cursor. Repaints only the lines that have changed."""

from __future__ import annotations

from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from chronos_tui.keys import LIST
from chronos_tui.views.grid import Wish
from chronos_tui.views.overview import Item, Items, flow
from chronos_tui.views.spans import Line, Span, width
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.paint import repaint_changed, strip


class Pane(Widget, can_focus=True):
    """Items under a title. least: rows without which it is not shown; endless: more items than room are no news."""

    BINDINGS = bindings(LIST)
    DEFAULT_CSS = """
    Pane { height: 1fr; width: 1fr; }
    """

    class Opened(Message):
        """Enter on an item."""

        def __init__(self, pane: Pane, item: Item) -> None:
            super().__init__()
            self.pane = pane
            self.item = item

    class Moved(Message):
        """The cursor stands on another item."""

    def __init__(self, name: str, title: str, *, least: int, endless: bool = False) -> None:
        super().__init__(id=f"pane-{name}")
        self.pane_name = name
        self._title = title
        self._least = least
        self._endless = endless
        self._items: Items = ()
        self._key = ""
        self._top = 0
        self._shown: tuple[Line, ...] = ()

    @property
    def item(self) -> Item | None:
        """What the cursor stands on."""
        keyed = self._keyed()
        return next((item for item in keyed if item.key == self._key), keyed[0] if keyed else None)

    def wish(self, cells: int) -> Wish:
        """Return how many rows it needs, and wants."""
        return Wish(self._least, max(self._least, 1 + len(flow(self._items, cells))), self._endless)

    def show(self, items: Items) -> bool:
        """Show these items; return whether it wants another height now. The cursor stays on its key."""
        before = self.wish(self.size.width)
        if items != self._items:
            self._key = self._near(items)
            self._items = items
            self._repaint()
        return self.wish(self.size.width) != before

    def put(self, key: str) -> None:
        """Put the cursor on an item, now or as soon as it is there."""
        self._key = key
        self._repaint()

    def _near(self, items: Items) -> str:
        """The cursor's key; where it has gone, the one that took its place."""
        keys = [item.key for item in items if item.key]
        if not keys or self._key in keys or not self._key:
            return self._key
        old = [item.key for item in self._keyed()]
        return keys[min(old.index(self._key), len(keys) - 1)] if self._key in old else self._key

    def _keyed(self) -> list[Item]:
        return [item for item in self._items if item.key]

    def _move(self, by: int) -> None:
        keyed, present = self._keyed(), self.item
        if present is None:
            return
        at = keyed.index(present)
        self._key = keyed[max(0, min(len(keyed) - 1, at + by))].key
        self._repaint()
        self.post_message(self.Moved())

    def action_cursor_down(self) -> None:
        """To the next item."""
        self._move(1)

    def action_cursor_up(self) -> None:
        """To the item before."""
        self._move(-1)

    def action_page_down(self) -> None:
        """Half a box down."""
        self._move(max(1, self.size.height // 2))

    def action_page_up(self) -> None:
        """Half a box up."""
        self._move(-max(1, self.size.height // 2))

    def action_home(self) -> None:
        """To the first item."""
        self._move(-len(self._items))

    def action_end(self) -> None:
        """To the last item."""
        self._move(len(self._items))

    def action_open(self) -> None:
        """Open the item."""
        if (item := self.item) is not None:
            self.post_message(self.Opened(self, item))

    def on_mount(self) -> None:
        """Colours are the theme's."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.refresh())

    def on_resize(self) -> None:
        """Flow anew."""
        self._repaint()

    def watch_has_focus(self, has_focus: bool) -> None:  # noqa: FBT001 - Textual's signature
        """Show where keys go."""
        super().watch_has_focus(has_focus)
        self._repaint()

    def render_line(self, y: int) -> Strip:
        """See Widget.render_line."""
        return strip(self, self._shown[y] if y < len(self._shown) else (), self.size.width)

    def _lines(self) -> tuple[Line, ...]:
        cells, height = self.size
        room = max(0, height - 1)
        rows = flow(self._items, cells)
        present = self.item
        at = next((at for at, row in enumerate(rows) if present in row), 0)
        if not self.has_focus and not self._key:
            at = 0  # nobody has been here: the first line is what matters
        self._top = max(0, min(max(min(self._top, at), at - room + 1), len(rows) - room))
        below = len(rows) - self._top - room
        lines = [self._title_line(cells, 0 if self._endless else below)]
        for row in rows[self._top : self._top + room]:
            line: list[Span] = []
            for item in row:
                here = item is present and self.has_focus
                line.append(Span("▸ " if here else "  ", "accent"))
                line += [Span(text, "selected" if here else role) for text, role in item.spans]
            lines.append(tuple(line))
        return tuple((lines + [()] * height)[:height])

    def _title_line(self, cells: int, below: int) -> Line:
        here = self.has_focus and self.item is None  # nowhere else to show where keys go
        start = (
            Span("▸ ", "accent") if here else Span("─ ", "dim"),
            Span(self._title, "title" if self.has_focus else ""),
            Span(" "),
        )
        end = f" {below} more below ─" if below > 0 else ""
        return (*start, Span("─" * max(0, cells - width(start) - len(end)) + end, "dim"))

    def _repaint(self) -> None:
        before, self._shown = self._shown, self._lines()
        repaint_changed(self, before, self._shown)
