"""What may reach the terminal: filters over every line that any widget draws. The net under all other care.

A filter keeps the number of cells of each segment; it changes no widget and knows none.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from rich.cells import cell_len, get_character_cell_size, split_graphemes
from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from chronos_tui.terminal.likeness import IN_ASCII

MOST_MARKS = 4
"""Combining marks on one letter: living languages stack up to four; more is a flood that runs over other lines."""

_REMEMBERED_CHARS = 512
"""Longer text is cleaned anew each time rather than kept."""

_REMOVED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls; formats (bidi, zero-width, tags, interlinear); surrogates; private; unassigned; line ends."""

_SURE = re.compile(
    "[ -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0377\u0391-\u03a1\u03a3-\u0482"  # Latin, Greek, Cyrillic
    "\u2010-\u2027\u2190-\u21ff\u2500-\u259f\u25b8]*"  # punctuation, arrows, lines and blocks
)
"""Text that is one cell a character and harmless throughout, so that most lines are looked at once."""


class OnlyText(LineFilter):
    """Lets text through and nothing else: no control, escape, hidden or reordering character, no link.

    What had a width becomes blanks of that width. With `ascii_only` what is left becomes ASCII.
    """

    def __init__(self, *, ascii_only: bool = False) -> None:
        super().__init__()
        self._clean = to_ascii if ascii_only else clean

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """See LineFilter.apply."""
        del background
        clean_text = self._clean
        cleaned = []
        for segment in segments:
            text, style, control = segment
            if control is not None:
                continue  # a sequence for the terminal; what a widget draws has none
            if not (text.isascii() and text.isprintable()):
                text = clean_text(text)
            if style is not None and (style.link or style.meta):
                style = _inert(style)
            cleaned.append(segment if text is segment.text and style is segment.style else Segment(text, style))
        return cleaned


class NoColours(LineFilter):
    """Takes out every colour (NO_COLOR). What stood out by its background stands out by being reversed."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """See LineFilter.apply."""
        usual = background.rich_color
        return [
            Segment(text, None if style is None else _without_colours(style, usual), control)
            for text, style, control in segments
        ]


def clean(text: str) -> str:
    """Return `text` without what is not text, as many cells wide as before."""
    if _SURE.fullmatch(text):
        return text
    return _clean(text) if len(text) <= _REMEMBERED_CHARS else _clean.__wrapped__(text)


@lru_cache(4096)
def _clean(text: str) -> str:
    width = cell_len(text)
    spans, _ = split_graphemes(text)
    cleaned = "".join(_cluster(text[start:end], cells) for start, end, cells in spans)
    # Neighbours may join when what stood between them has gone; then nobody knows how wide they are.
    return cleaned if cell_len(cleaned) == width else _one_by_one(text, width)


def _cluster(cluster: str, cells: int) -> str:
    """Return what stays of one grapheme: its first character and a few marks; blanks for the rest of its width.

    Families, flags and skin tones are as wide as each terminal pleases, so that only their first character is kept.
    """
    kept = ""
    marks = 0
    for character in cluster:
        if "\U0001f1e6" <= character <= "\U0001f1ff":
            # Half a flag: some terminals make it one cell wide and some two. Its letter says the same.
            character = chr(ord(character) - 0x1F1E6 + ord("A"))  # noqa: PLW2901
        category = unicodedata.category(character)
        if category in _REMOVED_CATEGORIES:
            continue
        if not kept:
            if get_character_cell_size(character) > 0:
                kept = character
        elif marks < MOST_MARKS and _combines(character, category):
            kept += character
            marks += 1
    return _filled(kept, cells)


def _combines(character: str, category: str) -> bool:
    """Return whether a terminal shows it on the letter before; a selector of variants changes the width instead."""
    selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return category in {"Mn", "Mc", "Me"} and not selector and get_character_cell_size(character) == 0


def _filled(kept: str, cells: int) -> str:
    missing = cells - cell_len(kept)
    return kept + " " * missing if missing >= 0 else " " * cells


def _one_by_one(text: str, width: int) -> str:
    plain = "".join(
        c for c in text if get_character_cell_size(c) and unicodedata.category(c) not in _REMOVED_CATEGORIES
    )
    return _filled(plain, width)


def to_ascii(text: str) -> str:
    """Return what `clean` leaves in ASCII, as many cells wide: our symbols by likeness, all else as "?"."""
    return "".join(
        character if character.isascii() else IN_ASCII.get(character, "?" * get_character_cell_size(character))
        for character in clean(text)
    )


@lru_cache(1024)
def _inert(style: Style) -> Style:
    """Return `style` without a link (OSC 8) and without actions; what Textual needs to find the place stays."""
    meta = style.meta
    if any(name.startswith("@") for name in meta):
        kept = {name: value for name, value in meta.items() if not name.startswith("@")}
        style = style.clear_meta_and_links() + Style(meta=kept or None)
    return style.update_link(None)


@lru_cache(1024)
def _without_colours(style: Style, usual: RichColor) -> Style:
    stands_out = style.bgcolor is not None and not style.bgcolor.is_default and not _same(style.bgcolor, usual)
    return Style(
        bold=style.bold,
        dim=style.dim,
        italic=style.italic,
        underline=style.underline,
        strike=style.strike,
        reverse=bool(style.reverse) != stands_out or None,
        meta=style.meta or None,
    )


def _same(one: RichColor, other: RichColor) -> bool:
    return (one.type, one.number, one.triplet) == (other.type, other.number, other.triplet)
