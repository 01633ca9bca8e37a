"""Draws a screen as text that people can review: what stands there, then in which role of the theme, then the ground.

|✗ dead  me|   the text
|x xxxx    |   its roles: x failed, o ok, w warning, h held, a accent, d dim, b border; capitals are bold, S strong
cursor 0-9     cells on another ground than the screen's
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from rich.cells import get_character_cell_size
from rich.segment import Segment
from rich.style import Style
from textual._context import visible_screen_stack
from textual.color import Color

from chronos_tui.cockpit.shell import Cockpit
from engine import __version__

_LETTERS = {
    "error": "x",
    "success": "o",
    "warning": "w",
    "held": "h",
    "accent": "a",
    "dim": "d",
    "border": "b",
    "foreground": " ",
    "background": "_",
}
_GROUNDS = {"background": "", "panel": "panel", "cursor": "cursor", "foreground": "text cursor"}
_ROOM = re.compile(r" · [0-9.]+ [KMGT]?i?B free( |$)")
_CLOSE = 2
"""Textual takes a theme's colours through HSL and back: a step or two in a channel is the same colour."""


class _Cell(NamedTuple):
    role: str
    ground: str


def picture(app: Cockpit) -> str:
    """Return what the terminal shows."""
    visible_screen_stack.set(app._background_screens)
    names = {name: Color.parse(app.theme_variables[name]) for name in {*_LETTERS, *_GROUNDS}}
    rows = [list(strip) for strip in app.screen._compositor.render_strips()]
    texts = ["".join(segment.text for segment in row) for row in rows]
    cells = [list(_cells(row, names)) for row in rows]
    for y, text in enumerate(texts):
        texts[y], cells[y] = _without_room(*_without_version(text, cells[y]))
    roles = ["".join(cell.role for cell in row) for row in cells]
    return "\n".join([*_framed(texts), "", *_framed(roles), "", *_grounds(cells)]) + "\n"


def _without_version(text: str, cells: list[_Cell]) -> tuple[str, list[_Cell]]:
    """Put one letter where Chronos says its version, so that the next one changes no picture."""
    at = text.find(f"Chronos {__version__}")
    if at < 0:
        return text, cells
    first, last = at + len("Chronos "), at + len(f"Chronos {__version__}")
    gone = last - first - 1
    return (
        f"{text[:first]}V{text[last:]}{' ' * gone}",
        [*cells[: first + 1], *cells[last:], *[_Cell(" ", cells[-1].ground)] * gone],
    )


def _without_room(text: str, cells: list[_Cell]) -> tuple[str, list[_Cell]]:
    """Leave out how much room there is and where, which is another one on every machine; nothing stands behind it."""
    if (found := _ROOM.search(text)) is None:
        return text, cells
    at = found.start()
    return text[:at] + " " * (len(text) - at), [*cells[:at], *[_Cell(" ", "")] * (len(cells) - at)]


def _framed(lines: list[str]) -> list[str]:
    return [f"|{line}|" for line in lines]


def _cells(row: list[Segment], names: Mapping[str, Color]) -> Iterator[_Cell]:
    for text, style, _control in row:
        letter, ground = _look(style or Style(), names)
        for character in text:
            # What a blank would be written in is nobody's business.
            role = " " if character.isspace() else letter
            yield from [_Cell(role, ground)] * get_character_cell_size(character)


def _look(style: Style, names: Mapping[str, Color]) -> tuple[str, str]:
    front, back = (style.bgcolor, style.color) if style.reverse else (style.color, style.bgcolor)
    letter = _LETTERS.get(_named(front, names, _LETTERS), "?")
    if style.bold:
        letter = "S" if letter == " " else letter.upper()
    return letter, _GROUNDS.get(_named(back, names, _GROUNDS), "other")


def _named(found: object, names: Mapping[str, Color], among: Mapping[str, str]) -> str:
    triplet = getattr(found, "triplet", None)
    if triplet is None:
        return ""
    for name in among:
        if all(abs(one - other) <= _CLOSE for one, other in zip(triplet, names[name].rgb, strict=True)):
            return name
    return ""


def _grounds(cells: list[list[_Cell]]) -> Iterator[str]:
    for y, row in enumerate(cells):
        x = 0
        for ground, run in groupby(cell.ground for cell in row):
            width = len(list(run))
            if ground:
                yield f"{y}: {ground} {x}-{x + width - 1}"
            x += width
