"""A model of what the terminal shows, and of what it should show: turns Textual's output into what has changed.

Pure: text in, text out; no Textual, no terminal. Reads only the sequences that Textual and rich write. At the first
other one it steps aside for good (`transparent`), because a wrong picture is worse than a long one.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from operator import ne
from typing import TypeVar

from rich.cells import get_character_cell_size

from chronos_tui.terminal.changes import spans
from chronos_tui.terminal.scrolling import Shift, find_shift
from chronos_tui.terminal.style import DEFAULT, Style, Styles
from chronos_tui.terminal.travel import travel

T = TypeVar("T")

_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|\x1b\[(?P<sgr>[\d;]*)m"
    r"|\x1b\[(?:(?P<row>\d+);(?P<column>\d+))?H"
    r"|(?P<line>\r?\n)"
    r"|\x1b\[\?2026(?P<sync>[hl])"
    r"|(?P<other>\x1b\[\?1049[hl])"
    # What draws nothing goes through as it is: modes, kitty's keyboard, the shape of the cursor, bell, OSC 52.
    r"|(?P<aside>\x1b\[\?(?:7|25|1000|1002|1003|1004|1006|1015|1016|2004|2048)[hl]|\x1b\[\?\d+\$p"
    r"|\x1b\[[<>]\d*u|\x1b\[\d q|\x07|\x1b\]52;c;[A-Za-z0-9+/=]*(?:\x07|\x1b\\))"
    r"|(?P<dropped>\x1b\]22;[a-z-]*\x07)"  # the shape of the mouse's pointer: nothing that a slow line should carry
)
_SYNC_FROM_CHARS = 2048
"""Only a frame of this length is seen while it is being drawn; the two marks cost 16 bytes."""

_ERASE_FROM = 5
"""Blanks from which on erasing (4 bytes, and a move) is shorter than writing them."""

_SCROLLS_FROM = 4
"""With fewer changed rows nothing has scrolled."""

_BLANKS = re.compile("( {12,})")
_LONG_BLANK = " " * 12
"""Blanks from which on erasing and moving on (at most 12 bytes) is shorter."""

_SURE = re.compile(
    "[\u00a1-\u00ac\u00ae-\u024f\u2500-\u259f\u2013\u2014\u2018\u2019\u201c\u201d\u2022\u2026\u25b8\u2713\u2717"
    "\u3001-\u3029\u3041-\u3096\u30a1-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff5e]"
)
"""What every terminal shows as wide as we say: Latin letters, lines, blocks, the cockpit's marks; Han, kana, hangul."""

_MOST_IN_A_CELL = 8
"""Characters: one with its combining marks."""


class Cells:
    """The wanted and the shown screen, in cells. A cell's text is "" where a wide character stretches over it.

    Use: `take` what Textual writes, then write what `render` returns; `feed` does both. Everything outside the screen
    is ignored. After `invalidate` or `resize` the next `render` clears the terminal and paints all of it.
    erases_colour: whether the terminal erases to the background in use (terminfo's bce).
    """

    def __init__(self, width: int, height: int, *, erases_colour: bool = False) -> None:
        self.width, self.height = width, height
        self._erases_colour = erases_colour
        self.transparent = False
        """Whether an unknown sequence was met and all output passes through unread since."""

        self.unknown = ""
        """The beginning of what could not be read, for the log."""

        self._styles = Styles()
        self._x = self._y = 0
        self._pen = DEFAULT
        self._want: list[list[str]] = []
        self._want_styles: list[list[Style]] = []
        self._show: list[list[str]] = []
        self._show_styles: list[list[Style]] = []
        self._dirty: set[int] = set()
        self._valid = False
        self._sync = False
        self._out: list[str] = []
        self._at_x, self._at_y = -1, -1
        self._with = DEFAULT
        self.resize(width, height)

    def feed(self, data: str) -> str:
        """Take what Textual writes and return what is to be written instead."""
        self.take(data)
        return self.render()

    def resize(self, width: int, height: int) -> None:
        """Take another size. What was wanted stays where it was, as far as there is room."""
        self.width, self.height = width, height
        self._want = [_fit(row, width, " ") for row in self._want[:height]]
        for row in self._want:
            if row and get_character_cell_size(row[-1][:1] or " ") == 2:
                row[-1] = " "  # the other half was cut off
        self._want_styles = [_fit(row, width, DEFAULT) for row in self._want_styles[:height]]
        missing = height - len(self._want)
        self._want += [[" "] * width for _ in range(missing)]
        self._want_styles += [[DEFAULT] * width for _ in range(missing)]
        self.invalidate()

    def invalidate(self) -> None:
        """Say that the terminal may show anything."""
        self._valid = False

    def take(self, data: str) -> None:
        """Read what Textual writes. What could not be read comes out of the next `render` as it is."""
        if self.transparent:
            self._out.append(data)
            return
        end, size = 0, len(data)
        match = _TOKEN.match
        while end < size:
            token = match(data, end)
            if token is None:
                self._step_aside(data[end:])
                return
            end = token.end()
            kind = token.lastgroup
            if kind == "text":
                self._text(token.group())
            elif kind == "sgr":
                self._pen = self._styles.after(self._pen, token.group("sgr"))
            elif kind == "line":
                self._x, self._y = 0, self._y + 1
            elif kind in {"column", None}:
                self._x, self._y = int(token.group("column") or 1) - 1, int(token.group("row") or 1) - 1
            elif kind == "sync":
                self._sync = True
            else:
                self._aside(kind, token.group())

    def render(self) -> str:
        """Return what turns what is shown into what is wanted, and say that it is shown now."""
        if self.transparent:
            return self._taken_out()
        self._begin()
        if len(self._dirty) >= _SCROLLS_FROM:
            self._scroll()
        for y in sorted(self._dirty):
            if y < self.height:
                self._row(y)
        self._dirty.clear()
        return self._taken_out()

    # -- reading ------------------------------------------------------------------------------------------------

    def _text(self, text: str) -> None:
        x, y, width = self._x, self._y, self.width
        if not 0 <= y < self.height:
            return
        if not text.isascii():
            self._wide_text(text)
            return
        self._x = end = x + len(text)
        if end > width:
            text, end = text[: max(0, width - x)], width
            if not text:
                return
        row = self._want[y]
        # Half of a wide character that is written over leaves a blank behind.
        if end < width and row[end] == "":
            row[end] = " "
        if row[x] == "" and x:
            row[x - 1] = " "
        row[x:end] = text
        self._want_styles[y][x:end] = [self._pen] * (end - x)
        self._dirty.add(y)

    def _wide_text(self, text: str) -> None:
        y, width, pen = self._y, self.width, self._pen
        row, styles = self._want[y], self._want_styles[y]
        self._dirty.add(y)
        for character in text:
            x = self._x
            size = 1 if character < "\u0300" else get_character_cell_size(character)
            if size == 0:
                self._combine(row, x, character)
                continue
            self._x = x + size
            if self._x > width:
                continue
            if row[x] == "" and x:
                row[x - 1] = " "
            if self._x < width and row[self._x] == "":
                row[self._x] = " "
            row[x] = character
            styles[x] = pen
            if size == 2:
                row[x + 1] = ""
                styles[x + 1] = pen

    def _combine(self, row: list[str], x: int, character: str) -> None:
        base = x - 1
        if 0 <= base < self.width and row[base] == "":
            base -= 1
        if 0 <= base < self.width and len(row[base]) < _MOST_IN_A_CELL:
            row[base] += character

    def _aside(self, kind: str | None, sequence: str) -> None:
        if kind == "other":
            self.invalidate()
        if kind != "dropped":
            self._out.append(sequence)

    def _step_aside(self, rest: str) -> None:
        """Show what has been read, put the terminal where Textual believes it to be, and pass everything on."""
        out = self.render()
        row, column = min(self._y, self.height - 1) + 1, min(self._x, self.width - 1) + 1
        pen = self._styles.between(DEFAULT, self._pen)
        self.transparent, self.unknown = True, rest[:80]
        self._out = [f"{out}\x1b[{row};{column}H{pen}{rest}"]

    # -- writing ------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._valid:
            return
        self._valid = True
        self._show = [[" "] * self.width for _ in range(self.height)]
        self._show_styles = [[DEFAULT] * self.width for _ in range(self.height)]
        self._dirty.update(range(self.height))
        self._out.append("\x1b[m\x1b[H\x1b[2J")
        self._with = DEFAULT
        self._at_x = self._at_y = 0

    def _scroll(self) -> None:
        """Let the terminal move the rows that have only moved: insert or delete lines between margins."""
        shift = find_shift(self._want, self._want_styles, self._show, self._show_styles)
        if shift is None:
            return
        moved = _moved(self._show, shift, " ")
        # Rows of a list are much alike: a new number may be less to write than a row that comes in blank.
        if _differing(self._want, moved) >= _differing(self._want, self._show):
            return
        top, bottom, up = shift
        self._look(DEFAULT)  # what comes in is blank in the background in use
        move = f"\x1b[{up}M" if up > 0 else f"\x1b[{-up}L"
        self._out.append(f"\x1b[{top + 1};{bottom + 1}r{travel(-1, -1, 0, top)}{move}\x1b[r")
        self._at_x = self._at_y = -1  # taking margins away takes the cursor home, but not everywhere
        self._show = moved
        self._show_styles = _moved(self._show_styles, shift, DEFAULT)
        self._dirty.update(range(top, bottom + 1))

    def _row(self, y: int) -> None:
        want, show = self._want[y], self._show[y]
        want_styles, show_styles = self._want_styles[y], self._show_styles[y]
        if want == show and want_styles == show_styles:
            return
        tail = self._blank_from(want, want_styles)
        for start, end in spans(want, show, want_styles, show_styles):
            if end - max(start, tail) >= _ERASE_FROM:
                # All that is wanted from here to the edge is blank, so that erasing to it spoils nothing.
                if start < tail:
                    self._cells(y, start, tail)
                self._go(max(start, tail), y)
                self._look_blank(want_styles[-1])
                self._out.append("\x1b[K")
                break
            self._cells(y, start, end)
        show[:] = want
        show_styles[:] = want_styles

    def _blank_from(self, want: list[str], styles: list[Style]) -> int:
        """Return from which column on a row is one blank that erasing gives."""
        blank = styles[-1].blank
        x = len(want)
        if self._erasable(blank):
            while x and want[x - 1] == " " and styles[x - 1].blank is blank:
                x -= 1
        return x

    def _erasable(self, blank: Style) -> bool:
        return blank is DEFAULT or (self._erases_colour and not blank.attributes)

    def _cells(self, y: int, start: int, end: int) -> None:
        want, styles = self._want[y], self._want_styles[y]
        x = start
        while x < end:
            style, first = styles[x], x
            x += 1
            while x < end and styles[x] is style:
                x += 1
            text = "".join(want[first:x])
            if text.isascii():
                self._ascii(y, first, text, style)
            else:
                self._mixed(y, first, x, style)
        if self._at_x >= self.width:
            self._at_x = -1  # at the edge terminals differ in where the cursor is

    def _ascii(self, y: int, x: int, text: str, style: Style) -> None:
        """Write ASCII in one look, long blanks by erasing them, which leaves the cursor where it is."""
        if self._erasable(style.blank) and _LONG_BLANK in text:
            for part in _BLANKS.split(text):
                if len(part) >= len(_LONG_BLANK) and part.isspace():
                    self._go(x, y)
                    self._look_blank(style)
                    self._out.append(f"\x1b[{len(part)}X")
                elif part:
                    self._put(y, x, part, style)
                x += len(part)
        else:
            self._put(y, x, text, style)

    def _put(self, y: int, x: int, text: str, style: Style) -> None:
        self._go(x, y)
        if text.isspace():
            self._look_blank(style)
        else:
            self._look(style)
        self._out.append(text)
        self._at_x = x + len(text)

    def _mixed(self, y: int, start: int, end: int, style: Style) -> None:
        """Write cells in one look; how wide the terminal makes some is its own affair: go on from where we know."""
        want = self._want[y]
        x = start
        while x < end:
            first, kind = x, _kind(want[x])
            while x < end and (want[x] == "" or _kind(want[x]) is kind):
                x += 1
            text = "".join(want[first:x])
            if kind is _Kind.ASCII:
                self._ascii(y, first, text, style)
                continue
            self._go(first, y)
            self._look(style)
            self._out.append(text)
            self._at_x = x if kind is _Kind.SURE else -1

    def _go(self, x: int, y: int) -> None:
        self._out.append(travel(self._at_x, self._at_y, x, y))
        self._at_x, self._at_y = x, y

    def _look_blank(self, style: Style) -> None:
        if style.blank is not self._with.blank:
            self._look(style.blank)

    def _look(self, style: Style) -> None:
        if style is not self._with:
            self._out.append(self._styles.between(self._with, style))
            self._with = style

    def _taken_out(self) -> str:
        out = "".join(self._out)
        self._out.clear()
        if self._sync and len(out) > _SYNC_FROM_CHARS and not self.transparent:
            return f"\x1b[?2026h{out}\x1b[?2026l"
        return out


def _fit(row: list[T], width: int, fill: T) -> list[T]:
    return row[:width] + [fill] * (width - len(row))


def _moved(rows: list[list[T]], shift: Shift, fill: T) -> list[list[T]]:
    top, bottom, up = shift
    blank = [[fill] * len(rows[0]) for _ in range(abs(up))]
    region = rows[top + up : bottom + 1] + blank if up > 0 else blank + rows[top : bottom + 1 + up]
    return rows[:top] + region + rows[bottom + 1 :]


def _differing(rows: list[list[str]], others: list[list[str]]) -> int:
    """Return in how many cells two screens differ."""
    return sum(sum(map(ne, row, other)) for row, other in zip(rows, others, strict=True) if row != other)


class _Kind(Enum):
    ASCII = auto()
    SURE = auto()
    UNSURE = auto()


def _kind(text: str) -> _Kind:
    if text.isascii():
        return _Kind.ASCII
    return _Kind.SURE if len(text) == 1 and _SURE.match(text) else _Kind.UNSURE
