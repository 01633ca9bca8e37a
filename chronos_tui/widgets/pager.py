"""A list without end: a few rows are loaded around the screen, painted line by line. Knows no SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from textual import events
from textual.strip import Strip
from textual.widget import Widget

from chronos_tui.views.spans import Line, Span
from chronos_tui.widgets import pager_messages
from chronos_tui.widgets.columns import Column, cut, fit_indexes, lay_out
from chronos_tui.widgets.marks import Marks
from chronos_tui.widgets.paint import repaint_changed, strip
from chronos_tui.widgets.window import Ask, Row, Slice, Where, Window
from chronos_tui.widgets.wrapping import wrap

__all__ = ["ACTIONS", "Ask", "Column", "Pager", "Row", "Slice", "Span", "Where"]

ACTIONS = (
    "cursor_down",
    "cursor_up",
    "page_down",
    "page_up",
    "home",
    "end",
    "open",
    "mark",
    "mark_range",
    "mark_loaded",
    "clear_marks",
)
"""What keys can be bound to; the bindings come from the registry of commands."""

_WHEEL = 3
_GUTTER = 3  # cursor, mark, space

_AGAIN_S = 2.0
"""What failed may be over by itself: a lock, a full disk, a file that is being replaced."""


class _Shown(NamedTuple):
    """All that one line of the screen is made of: equal means nothing to paint."""

    line: Line = ()
    cells: tuple[Span, ...] | None = None
    cursor: bool = False
    marked: bool = False
    selected: bool = False


class Pager(Widget, can_focus=True):
    """Shows rows of a list that may have millions.

    `fetch` is called with what is needed and returns at once; whoever it asks calls `answer(ask, slice)` or
    `fail(text, ask)` later, on Textual's thread. Nothing is asked before `restart`, `show` or `reload`.
    """

    DEFAULT_CSS = """
    Pager { height: 1fr; width: 1fr; }
    """

    CursorMoved: TypeAlias = pager_messages.CursorMoved
    Opened: TypeAlias = pager_messages.Opened
    Marked: TypeAlias = pager_messages.Marked
    NewerChanged: TypeAlias = pager_messages.NewerChanged
    RangeLost: TypeAlias = pager_messages.RangeLost

    def __init__(
        self,
        columns: Sequence[Column],
        fetch: Callable[[Ask], None],
        *,
        empty: Sequence[Line] = (),
        follow: bool = False,
        id: str | None = None,  # noqa: A002 - Textual's name
        classes: str | None = None,
    ) -> None:
        """Set up without asking for anything.

        follow: while the start of the list is on the screen, new rows push the others down instead of being announced.
        """
        super().__init__(id=id, classes=classes)
        self._columns = tuple(columns)
        self._fetch = fetch
        self._empty = tuple(empty)
        self._window = Window(follow=follow)
        self._marks = Marks()
        self._trouble = ""
        self._sort = ("", False)
        self._fitted: tuple[tuple[int, int], ...] = ()
        self._shown: tuple[_Shown, ...] = ()
        self._told_key: int | None = None
        self._told_newer = (0, True)

    # What the owner reads

    @property
    def cursor_key(self) -> int | None:
        """The key that an act on "this one" means; None when no row is on the screen, or others are on their way."""
        return None if self._trouble or self.jumping else self._window.cursor_key

    @property
    def cursor_row(self) -> Row | None:
        """The row under the cursor."""
        nowhere = self._trouble or self.jumping or not self._window.rows
        return None if nowhere else self._window.rows[self._window.cursor]

    @property
    def jumping(self) -> bool:
        """Whether other rows were asked for than those on the screen: filter, order, first, last."""
        return self._window.jumping

    @property
    def marked(self) -> frozenset[int]:
        """Marked keys, loaded or not."""
        return self._marks.keys

    @property
    def rows(self) -> tuple[Row, ...]:
        """The loaded rows."""
        return self._window.rows

    @property
    def newer(self) -> int:
        """How many rows came above the screen; at least so many unless `newer_exact`."""
        return self._window.newer

    @property
    def newer_exact(self) -> bool:
        """Whether `newer` counts all of them."""
        return self._window.newer_exact

    # What the owner does

    def restart(self, *, keep_marks: bool = False) -> None:
        """Begin at the start of another list: filter or order have changed. The old rows stay until the answer."""
        if not keep_marks:
            self.action_clear_marks()
        self._window.restart()
        self._changed()

    def show(self, key: int, place: object = None) -> None:
        """Put the cursor on a key, loaded or not."""
        self._window.show(key, place)
        self._changed()

    def reload(self) -> None:
        """Read again what is on the screen; after a failure, try again."""
        self._window.reload()
        self._changed()

    def answer(self, ask: Ask, found: Slice) -> None:
        """Take the rows for an ask; those for an outdated one are ignored."""
        if self._window.answer(ask, found):
            self._trouble = ""
        self._changed()

    def fail(self, text: str, ask: Ask | None = None) -> None:
        """Show what went wrong where the rows would be, and try again now and then until there is an answer.

        An outdated ask's failure is ignored.
        """
        if self._window.failed(ask):
            self._trouble = text
            self.set_timer(_AGAIN_S, self._try_again)
        self._changed()

    def _try_again(self) -> None:
        if self._trouble and self.is_on_screen:
            self.reload()

    def set_empty(self, *lines: Line) -> None:
        """Say what an empty list means now and what to do."""
        self._empty = lines
        self._changed()

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Take other columns; the rows have to be asked for again."""
        if tuple(columns) != self._columns:
            self._columns = tuple(columns)
            self._repaint(all_of_it=True)

    def sort_by(self, key: str, *, descending: bool = False) -> None:
        """Show the arrow of the order in the title of the column called `key`; "" shows none."""
        if self._sort != (key, descending):
            self._sort = (key, descending)
            self._repaint()

    # Keys

    def action_cursor_down(self) -> None:
        """One row down."""
        self._move(lambda: self._window.move(1))

    def action_cursor_up(self) -> None:
        """One row up."""
        self._move(lambda: self._window.move(-1))

    def action_page_down(self) -> None:
        """Half a screen down."""
        self._move(lambda: self._window.page(1))

    def action_page_up(self) -> None:
        """Half a screen up."""
        self._move(lambda: self._window.page(-1))

    def action_home(self) -> None:
        """To the first row of the list."""
        self._window.to_start()
        self._changed()

    def action_end(self) -> None:
        """To the last row of the list."""
        self._window.to_end()
        self._changed()

    def action_open(self) -> None:
        """Open the row under the cursor."""
        key = self.cursor_key
        if key is not None:
            self.post_message(self.Opened(self, key))

    def action_mark(self) -> None:
        """Mark the row under the cursor or take its mark away, and go on to the next."""
        key = self.cursor_key
        if key is not None:
            self._marks.toggle(key)
            self._marks_changed()
            self._window.move(1)
            self._changed()

    def action_mark_range(self) -> None:
        """Mark all from the row marked last to the cursor; without one, start here."""
        key = self.cursor_key
        if key is None:
            return
        window, anchor = self._window, self._marks.anchor
        start = window.cursor if anchor is None else window.index(anchor)
        if start is None:
            self.post_message(self.RangeLost(self))
            return
        first, last = sorted((start, window.cursor))
        self._marks.range((row.key for row in window.rows[first : last + 1]), key)
        self._marks_changed()

    def action_mark_loaded(self) -> None:
        """Mark all rows that are loaded."""
        key = self.cursor_key
        if key is not None:
            self._marks.range((row.key for row in self._window.rows), key)
            self._marks_changed()

    def action_clear_marks(self) -> None:
        """Take all marks away."""
        if self._marks.keys or self._marks.anchor is not None:
            self._marks.clear()
            self._marks_changed()

    # Events

    def on_mount(self) -> None:
        """Colours are the theme's."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.refresh())

    def on_resize(self, event: events.Resize) -> None:
        """Show as many rows as there are lines now."""
        self._window.resize(self.content_size.height - self._header_height())
        self._changed()

    def watch_has_focus(self, has_focus: bool) -> None:  # noqa: FBT001 - Textual's signature
        """The cursor's row shows where keys go."""
        super().watch_has_focus(has_focus)
        self._repaint()

    def on_click(self, event: events.Click) -> None:
        """Move the cursor; open at the second click."""
        offset = event.get_content_offset(self)
        if offset is None or self._trouble:
            return
        row = self._window.top + offset.y - self._header_height()
        if offset.y < self._header_height() or row >= len(self._window.rows):
            return
        event.stop()
        self._move(lambda: self._window.put(row))
        if event.chain == 2:
            self.action_open()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move the screen."""
        event.stop()
        self._move(lambda: self._window.scroll(_WHEEL))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move the screen."""
        event.stop()
        self._move(lambda: self._window.scroll(-_WHEEL))

    # Painting

    def render_line(self, y: int) -> Strip:
        """See Widget.render_line."""
        width = self.content_size.width
        shown = self._shown[y] if y < len(self._shown) else _Shown()
        if shown.cells is None:
            return strip(self, shown.line, width)
        gutter = Span(("▸" if shown.cursor else " ") + ("•" if shown.marked else " ") + " ", "accent")
        line = (gutter, *lay_out(shown.cells, self._columns, self._fitted))
        return strip(self, line, width, selected=shown.selected)

    def _lines(self) -> tuple[_Shown, ...]:
        width, height = self.content_size
        if width <= 0 or height <= 0:
            return ()
        lines = [_Shown(self._titles())] if self._header_height() else []
        if self._trouble:
            lines += [_Shown(line) for line in wrap((Span(f"✗ {self._trouble}", "failed"),), width)]
        elif self._window.rows:
            cursor, marks, focus = self._window.cursor_key, self._marks.keys, self.has_focus
            lines += [
                _Shown((), row.cells, row.key == cursor, row.key in marks, row.key == cursor and focus)
                for row in self._window.visible
            ]
        elif self._window.known:
            lines += [_Shown((Span(" "), *part)) for line in self._empty for part in wrap(line, width - 1)]
        lines += [_Shown()] * (height - len(lines))
        return tuple(lines[:height])

    def _titles(self) -> Line:
        key, descending = self._sort
        titles = []
        cells = dict(self._fitted)
        for at, column in enumerate(self._columns):
            if key and column.key == key and at in cells:
                titles.append(Span(cut(column.title, cells[at] - 1) + ("▼" if descending else "▲"), "bold"))
            else:
                titles.append(Span(column.title, "dim"))
        return (Span(" " * _GUTTER), *lay_out(titles, self._columns, self._fitted))

    def _header_height(self) -> int:
        return 1 if self.content_size.height > 1 else 0

    def _repaint(self, *, all_of_it: bool = False) -> None:
        """Paint the lines that show something else than before; neighbours together."""
        width = self.content_size.width
        before_fitted, self._fitted = self._fitted, tuple(fit_indexes(self._columns, max(0, width - _GUTTER)))
        before, self._shown = self._shown, self._lines()
        # Textual may have painted at the new width before it told us of it: the same rows look different now.
        if all_of_it or before_fitted != self._fitted:
            self.refresh()
        else:
            repaint_changed(self, before, self._shown)

    def _move(self, move: Callable[[], None]) -> None:
        if not self._trouble:
            move()
            self._changed()

    def _changed(self) -> None:
        """After anything that may move the window: ask for what it lacks, paint, tell the owner."""
        ask = self._window.next_ask()
        if ask is not None:
            self._fetch(ask)  # a source that is quick may answer at once, from within
        self._repaint()
        key, newer = None if self._trouble else self._window.cursor_key, (self.newer, self.newer_exact)
        if key != self._told_key:
            self._told_key = key
            self.post_message(self.CursorMoved(self, key))
        if newer != self._told_newer:
            self._told_newer = newer
            self.post_message(self.NewerChanged(self, newer[0], exact=newer[1]))

    def _marks_changed(self) -> None:
        self._window.keep = self._marks.anchor
        self._repaint()
        self.post_message(self.Marked(self, self._marks.keys))
