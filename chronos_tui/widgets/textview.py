"""Text to read and search, wrapped softly as far as it is looked at. Takes lines with roles; never parses markup."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from textual import events
from textual.strip import Strip
from textual.widget import Widget

from chronos_tui.views.spans import Document, Line
from chronos_tui.widgets.paint import repaint_changed, strip
from chronos_tui.widgets.searching import MOST_MATCHES, Match, highlighted, matches
from chronos_tui.widgets.wrapping import Flow, Spot, wrap

ACTIONS = (
    "cursor_down",
    "cursor_up",
    "page_down",
    "page_up",
    "home",
    "end",
    "next_match",
    "previous_match",
)
"""What keys can be bound to; moving is called as in the pager, so that one command does for both."""

_WHEEL = 3


class TextView(Widget, can_focus=True):
    """Shows a document. Nothing is painted when what is on the screen stays the same."""

    DEFAULT_CSS = """
    TextView { height: 1fr; width: 1fr; }
    """

    def __init__(
        self,
        document: Document = (),
        *,
        empty: Sequence[Line] = (),
        id: str | None = None,  # noqa: A002 - Textual's name
        classes: str | None = None,
    ) -> None:
        """empty: what is shown while the document has no lines."""
        super().__init__(id=id, classes=classes)
        self._empty = tuple(empty)
        self._same_as: object = None
        self._flow = Flow(document, 1)
        self._top = Spot()
        self._sought = ""
        self._matches: tuple[Match, ...] = ()
        self._match = 0
        self._shown: tuple[Line, ...] = ()

    @property
    def document(self) -> Document:
        """What is shown."""
        return self._flow.document

    @property
    def found(self) -> str:
        """Which match the operator is at ("3 of 17"), "no match", or "" when nothing is searched for."""
        if not self._sought:
            return ""
        if not self._matches:
            return "no match"
        more = "+" if len(self._matches) == MOST_MATCHES else ""
        return f"{self._match + 1} of {len(self._matches)}{more}"

    def show(self, document: Document, name: object = None) -> None:
        """Show a document. One with the same `name` as before has merely changed: the operator stays where they are."""
        same = name is not None and name == self._same_as
        self._same_as = name
        if not same:
            self._top, self._sought, self._match = Spot(), "", 0
        if document != self.document:
            self._flow = Flow(document, self._flow.width)
            self._matches = matches(document, self._sought)
            self._match = max(0, min(self._match, len(self._matches) - 1))
        elif not same:
            self._matches = ()
        self._go(self._top)

    def set_empty(self, *lines: Line) -> None:
        """Say what no document means now and what to do."""
        self._empty = lines
        self._repaint()

    def search(self, text: str) -> int:
        """Go to the first match at or behind the top of the screen; return how many there are. "" ends the search."""
        self._sought = text
        self._matches = matches(self.document, text)
        start = (self._flow.row(self._top) or (0, ()))[0]
        at = bisect_left(self._matches, Match(self._top.line, start, 0))
        self._match = at if at < len(self._matches) else 0
        self._show_match()
        return len(self._matches)

    def action_next_match(self) -> None:
        """To the next match; behind the last comes the first."""
        self._step_match(1)

    def action_previous_match(self) -> None:
        """To the match before; before the first comes the last."""
        self._step_match(-1)

    def action_cursor_down(self) -> None:
        """One row down."""
        self._scroll(1)

    def action_cursor_up(self) -> None:
        """One row up."""
        self._scroll(-1)

    def action_page_down(self) -> None:
        """Half a screen down."""
        self._scroll(max(1, self.content_size.height // 2))

    def action_page_up(self) -> None:
        """Half a screen up."""
        self._scroll(-max(1, self.content_size.height // 2))

    def action_home(self) -> None:
        """To the first line."""
        self._go(Spot())

    def action_end(self) -> None:
        """To the last line."""
        self._go(self._flow.last())

    def on_mount(self) -> None:
        """Colours are the theme's."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.refresh())

    def on_resize(self, event: events.Resize) -> None:
        """Wrap anew; the character that stood first stays in the first row."""
        width = max(1, self.content_size.width)
        if width != self._flow.width:
            offset = (self._flow.row(self._top) or (0, ()))[0]
            self._flow = Flow(self.document, width)
            self._top = self._flow.spot(self._top.line, offset)
        self._go(self._top)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move the screen."""
        event.stop()
        self._scroll(_WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move the screen."""
        event.stop()
        self._scroll(-_WHEEL)

    def render_line(self, y: int) -> Strip:
        """See Widget.render_line."""
        return strip(self, self._shown[y] if y < len(self._shown) else (), self.content_size.width)

    def _step_match(self, delta: int) -> None:
        if self._matches:
            self._match = (self._match + delta) % len(self._matches)
            self._show_match()

    def _show_match(self) -> None:
        """Move the screen only if the match is not on it."""
        if self._matches:
            match = self._matches[self._match]
            spot = self._flow.spot(match.line, match.start)
            height = max(1, self.content_size.height)
            if not self._top <= spot <= self._flow.step(self._top, height - 1):
                self._go(self._flow.step(spot, -(height // 3)))
                return
        self._repaint()

    def _scroll(self, delta: int) -> None:
        self._go(self._flow.step(self._top, delta))

    def _go(self, top: Spot) -> None:
        """Put a row at the top, as far as the screen stays full."""
        height = max(1, self.content_size.height)
        below = len(self._flow.rows(top, height))
        self._top = top if below == height else min(top, self._flow.step(self._flow.last(), 1 - height))
        self._repaint()

    def _lines(self) -> tuple[Line, ...]:
        width, height = self.content_size
        if width <= 0 or height <= 0:
            return ()
        if not self.document:
            lines = [part for line in self._empty for part in wrap(line, width)]
        else:
            lines = [
                highlighted(row, offset, self._roles(spot.line))
                for spot, offset, row in self._flow.rows(self._top, height)
            ]
        return tuple((lines + [()] * height)[:height])

    def _roles(self, line: int) -> list[tuple[int, int, str]]:
        """Return the matches in a line; the one the operator is at stands out."""
        first = bisect_left(self._matches, Match(line, 0, 0))
        last = bisect_left(self._matches, Match(line + 1, 0, 0))
        return [
            (self._matches[at].start, self._matches[at].end, "selected" if at == self._match else "accent")
            for at in range(first, last)
        ]

    def _repaint(self) -> None:
        before, self._shown = self._shown, self._lines()
        repaint_changed(self, before, self._shown)
