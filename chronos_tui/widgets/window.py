"""The few rows of an endless list that are loaded, and where the operator stands in them. Pure: no Textual, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from chronos_tui.views.spans import Span

# On screens of more than 100 rows MARGIN and MOST_ROWS grow with the screen, so that loading at one end never drops
# what the other end then has to load again: MOST_ROWS - height - MARGIN - CHUNK >= MARGIN.
MOST_ROWS = 1_000
"""Rows kept at once; beyond it the far end is dropped."""

CHUNK = 200
"""Rows asked for at a time."""

MARGIN = 100
"""Rows that shall be loaded above and below what is shown: several half pages."""


class Where(StrEnum):
    """Which rows an Ask wants."""

    START = "start"
    END = "end"
    BEHIND = "behind"
    BEFORE = "before"
    AGAIN = "again"


class Row(NamedTuple):
    """A row. key: what it is called for ever; place: where it sorts, for the source alone, handed back in asks."""

    key: int
    cells: tuple[Span, ...]
    place: object = None


class Slice(NamedTuple):
    """Neighbouring rows in display order. at_start, at_end: nothing stands above the first, below the last."""

    rows: tuple[Row, ...]
    at_start: bool
    at_end: bool


class Ask(NamedTuple):
    """What the window needs: at most `limit` rows, always answered in display order.

    START: the first ones. END: the last ones. BEHIND, BEFORE: those next to `key`, without it. AGAIN: those from `key`
    on, `key` first if it is still listed, else from where it stood; `key` None: like START. `place`: the row's own.
    """

    where: Where
    key: int | None
    limit: int
    place: object = None
    serial: int = 0


class Window:
    """Loaded rows, cursor, first row on the screen, and what has to be asked next.

    One ask is under way at a time; an answer to another one is ignored. Guarantees: the cursor is on the screen, a
    screen that could be full is full, and a refresh leaves the cursor on its key or, when that has gone, on the row
    that took its place.
    """

    def __init__(self, height: int = 0, *, follow: bool = False) -> None:
        self.height = max(1, height)
        self.follow = follow
        self.rows: tuple[Row, ...] = ()
        self.cursor = 0
        self.top = 0
        self.at_start = False
        self.at_end = False
        self.known = False
        self.keep: int | None = None
        self._above = False
        self._fresh = 0
        self._owed = 0
        self._stale = False
        self._silenced = True
        self._wanted: Ask | None = None
        self._pending: Ask | None = None
        self._jump: Ask | None = None
        self._asked_from = 0
        self._serial = 0

    @property
    def cursor_key(self) -> int | None:
        """The key under the cursor; None while nothing is loaded."""
        return self.rows[self.cursor].key if self.rows else None

    @property
    def jumping(self) -> bool:
        """Whether other rows were asked for than those that are loaded: their answer puts the cursor there."""
        return self._jump is not None

    @property
    def visible(self) -> tuple[Row, ...]:
        """The rows on the screen, from the first line on."""
        return self.rows[self.top : self.top + self.height]

    @property
    def newer(self) -> int:
        """How many rows came above the screen since the start of the list was last on it; at least so many.

        Known only while the start is loaded, MARGIN rows from the screen: further down it says 0.
        """
        return self._fresh or int(self._above)

    @property
    def newer_exact(self) -> bool:
        """Whether `newer` is all of them: the start of the list is loaded, so that none can be beyond it."""
        return not self._above and (self.at_start or not self._fresh)

    def index(self, key: int | None) -> int | None:
        """Return where a key is loaded, or None."""
        return next((at for at, row in enumerate(self.rows) if row.key == key), None)

    # Moving

    def move(self, delta: int) -> None:
        """Move the cursor; what runs past the loaded rows goes on when more have come."""
        delta, self._owed = self._owed + delta, 0
        if self._jump is not None or not self.rows:
            self._owed = delta if self._jump is not None else 0
            return
        target = self.cursor + delta
        last = len(self.rows) - 1
        if target > last and not self.at_end:
            self._owed = target - last
        elif target < 0 and not self.at_start:
            self._owed = target
        self.cursor = min(max(target, 0), last)
        self._show_cursor()

    def page(self, halves: int) -> None:
        """Move screen and cursor by half screens."""
        delta = halves * max(1, self.height // 2)
        if self._jump is None:
            self.top += delta
            self._clamp_top()
        self.move(delta)

    def scroll(self, delta: int) -> None:
        """Move the screen; the cursor comes along only when it would leave it."""
        self.top += delta
        self._clamp_top()
        self.cursor = min(max(self.cursor, self.top), max(self.top, self.top + len(self.visible) - 1))
        self._settle()

    def put(self, index: int) -> None:
        """Put the cursor on a loaded row."""
        if 0 <= index < len(self.rows):
            self._owed = 0
            self.cursor = index
            self._show_cursor()

    def to_start(self) -> None:
        """Go to the first row of the list."""
        self._owed = 0
        if self.at_start and self._jump is None:
            self.put(0)
        else:
            self._want(Where.START)

    def to_end(self) -> None:
        """Go to the last row of the list."""
        self._owed = 0
        if self.at_end and self._jump is None:
            self.put(len(self.rows) - 1)
        else:
            self._want(Where.END)

    def resize(self, height: int) -> None:
        """Fit another number of rows on the screen."""
        self.height = max(1, height)
        self._clamp_top()
        self._show_cursor()

    # Asking

    def restart(self) -> None:
        """Begin anew at the start: filter or order have changed. The rows stay until the answer comes."""
        self._owed = 0
        self._want(Where.START)

    def show(self, key: int, place: object = None) -> None:
        """Go to a key that need not be loaded."""
        self._owed = 0
        loaded = self.index(key)
        if loaded is not None and self._jump is None:
            self.put(loaded)
        else:
            self._want(Where.AGAIN, key, place)

    def reload(self) -> None:
        """Ask again for what is around the screen; after a failure, for what failed."""
        self._stale = True

    def next_ask(self) -> Ask | None:
        """Return what to ask for now and remember it as under way; None when nothing is needed or one is under way."""
        if self._wanted is not None:
            ask, self._wanted, self._stale = self._wanted, None, False
        elif self._pending is not None:
            return None
        elif self._stale:
            ask, self._stale = self._jump or self._again(), False
        else:
            prefetch = None if self._silenced else self._prefetch()
            if prefetch is None:
                return None
            ask = prefetch
        self._serial += 1
        self._pending = ask._replace(serial=self._serial)
        return self._pending

    def failed(self, ask: Ask | None = None) -> bool:
        """Take note that an ask (None: whichever is under way) got no answer. False: it no longer mattered."""
        if ask is not None and (self._pending is None or ask.serial != self._pending.serial):
            return False
        self._pending = None
        self._owed = 0
        self._silenced = True  # until somebody reloads: what failed once would fail in a circle
        return True

    def answer(self, ask: Ask, found: Slice) -> bool:
        """Take the answer to an ask. False: it is outdated and changed nothing."""
        if self._pending is None or ask.serial != self._pending.serial:
            return False
        self._pending = None
        self._silenced = False
        self.known = True
        found = found._replace(rows=_unique(found.rows))
        if self._jump is not None:
            self._land(ask, found)
        elif ask.where in (Where.BEHIND, Where.BEFORE):
            self._extend(ask.where, found)
        elif self.rows and ask.where is Where.AGAIN:
            self._merge(ask, found)
        else:
            self._replace(found, 0)
        if self._owed and self._jump is None:
            self.move(0)
        self._settle()
        return True

    # Inside

    def _margin(self) -> int:
        return max(MARGIN, self.height)

    def _most(self) -> int:
        return max(MOST_ROWS, 8 * self.height)

    def _want(self, where: Where, key: int | None = None, place: object = None) -> None:
        self._jump = self._wanted = Ask(where, key, CHUNK, place)

    def _again(self) -> Ask:
        """The screen and a margin, and the row the operator's range hangs on; not all that was ever loaded."""
        if not self.rows:
            return Ask(Where.START, None, CHUNK)
        first, last = self.top - self._margin(), self.top + self.height + self._margin()
        kept = None if self.keep is None else self.index(self.keep)
        if kept is not None:
            first, last = min(first, kept), max(last, kept)
        self._asked_from = max(0, first)
        row = self.rows[self._asked_from]
        return Ask(Where.AGAIN, row.key, min(self._most(), max(CHUNK, last - self._asked_from)), row.place)

    def _prefetch(self) -> Ask | None:
        if not self.rows:
            return None
        if not self.at_end and len(self.rows) - (self.top + self.height) < self._margin():
            return Ask(Where.BEHIND, self.rows[-1].key, CHUNK, self.rows[-1].place)
        if not self.at_start and self.top < self._margin():
            return Ask(Where.BEFORE, self.rows[0].key, CHUNK, self.rows[0].place)
        return None

    def _land(self, ask: Ask, found: Slice) -> None:
        """Arrive where the operator jumped to."""
        if not found.rows and ask.where is Where.AGAIN and not found.at_start:
            self._want(Where.END)  # everything from there on has gone: what is left stands above
            return
        self._jump = None
        self._replace(found, len(found.rows) - 1 if ask.where is Where.END else 0)

    def _replace(self, found: Slice, cursor: int) -> None:
        self._take(found)
        self._above, self._fresh = False, 0
        self.top = self.cursor = max(0, cursor)
        self._clamp_top()

    def _take(self, found: Slice) -> None:
        self.rows = found.rows
        self.at_start = found.at_start or not found.rows
        self.at_end = found.at_end or not found.rows

    def _extend(self, where: Where, found: Slice) -> None:
        """Put rows at one end; drop the far end of what has become too long."""
        loaded = {row.key for row in self.rows}
        rows = tuple(row for row in found.rows if row.key not in loaded)
        if where is Where.BEHIND:
            self.at_end = found.at_end or not rows
            self.rows += rows
            over = min(len(self.rows) - self._most(), self.top)
            if over > 0:
                self.rows = self.rows[over:]
                self.at_start = self._above = False
                self._fresh = max(0, self._fresh - over)
                self.top -= over
                self.cursor -= over
            return
        following = self.follow and self._above and self.top == 0
        self.at_start = found.at_start or not rows
        self.rows = rows + self.rows
        if self._above:
            self._fresh += len(rows)
            self._above = not self.at_start
        self.top += len(rows)
        self.cursor += len(rows)
        if following:
            self.top = max(0, self.cursor - self.height + 1)
        self._clamp_top()
        keep = max(self._most(), self.top + self.height)
        if len(self.rows) > keep:
            self.rows = self.rows[:keep]
            self.at_end = False

    def _merge(self, ask: Ask, found: Slice) -> None:
        """Put fresh rows where the old ones were; the cursor follows its key, the screen follows the cursor."""
        asked_to = self._asked_from + ask.limit
        moved_on = self.top < self._asked_from or self.top + len(self.visible) > asked_to
        if moved_on and ask.key != self.cursor_key:
            self._stale = True  # the operator has left the part that was asked for
            return
        if not found.rows and not found.at_start:
            self._want(Where.END)
            return
        cursor = self._cursor_in(found)
        if cursor is None:
            # So many rows came in between that the cursor's is not among them: ask from the cursor's own place on.
            row = self.rows[self.cursor]
            self._asked_from = self.cursor
            self._wanted = Ask(Where.AGAIN, row.key, CHUNK, row.place)
            return
        offset = self.cursor - self.top
        was_at_start = self.at_start and self._asked_from == 0
        fresh = self._fresh - self._asked_from
        self._take(found)
        self._fresh = max(0, fresh)
        self._above = (self._above or was_at_start) and not self.at_start
        self.cursor = cursor
        self.top = cursor - offset
        self._clamp_top()

    def _cursor_in(self, found: Slice) -> int | None:
        """Return the cursor's place in the new rows; None when it cannot be told from them."""
        index = {row.key: at for at, row in enumerate(found.rows)}
        for row in self.rows[self.cursor :]:
            if row.key in index:
                return index[row.key]
        if self._asked_from == self.cursor:
            return 0  # the first one stands where the cursor's row stood
        if not found.at_end:
            return None
        for row in reversed(self.rows[: self.cursor]):
            if row.key in index:
                return min(index[row.key] + 1, len(found.rows) - 1)
        return 0

    def _settle(self) -> None:
        self._fresh = min(self._fresh, self.top)
        if self.top == 0 and self.at_start:
            self._above = False

    def _clamp_top(self) -> None:
        self.top = max(0, min(self.top, len(self.rows) - self.height))

    def _show_cursor(self) -> None:
        self.top = min(max(self.top, self.cursor - self.height + 1), self.cursor) if self.rows else 0
        self._clamp_top()
        self._settle()


def _unique(rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple({row.key: row for row in rows}.values())
