"""From roles to the theme's colours, and from lines to strips. The only widget module that knows a colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.color import Color, ColorParseError
from textual.geometry import Region
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from chronos_tui.views.spans import Line, Span

__all__ = ["Line", "Palette", "Span", "palette", "repaint_changed", "strip"]


class _Look(NamedTuple):
    """variables: the theme's names for the colour, the first that is there counts; none: the widget's own."""

    variables: tuple[str, ...] = ()
    bold: bool = False


_LOOKS: Mapping[str, _Look] = {
    "": _Look(),
    "ok": _Look(("success",)),
    "warning": _Look(("warning",)),
    "failed": _Look(("error",)),
    "held": _Look(("held", "text-secondary")),
    "dim": _Look(("dim", "foreground-muted")),
    "accent": _Look(("accent",)),
    "bold": _Look(bold=True),
    "selected": _Look(),
    "title": _Look(bold=True),
}
_JOINER = "\u200d"
_JOINING = "\u200d\ufe0f"
_SELECTED = ("cursor", "block-cursor-blurred-background")
_NAMES = tuple(sorted({name for look in _LOOKS.values() for name in look.variables} | {*_SELECTED}))


class Palette:
    """The styles of one theme on one background; each is made once."""

    def __init__(self, base: Style, colours: Mapping[str, str], *, ansi: bool) -> None:
        self._base = base
        self._colours = colours
        self._ansi = ansi
        self._made: dict[tuple[str, bool], RichStyle] = {}

    def style(self, role: str, *, selected: bool = False) -> RichStyle:
        """Return how a role looks, on the ground of a selected row when `selected`. An unknown role is plain."""
        selected = selected or role == "selected"
        found = self._made.get((role, selected))
        if found is None:
            found = self._made[role, selected] = self._make(_LOOKS.get(role, _LOOKS[""]), selected=selected)
        return found

    def _make(self, look: _Look, *, selected: bool) -> RichStyle:
        ground = self._base.background or Color(0, 0, 0)
        style = Style(ground, self._base.foreground)
        if selected and self._ansi:
            # The terminal's own sixteen colours cannot be mixed; reversed they are readable whatever they are.
            return (style + Style(reverse=True, bold=True)).rich_style
        if selected and (mixed := self._colour(_SELECTED)) is not None:
            style += Style(ground + mixed)
        if (colour := self._colour(look.variables)) is not None:
            style += Style(foreground=colour)
        return (style + Style(bold=True)).rich_style if look.bold or selected else style.rich_style

    def _colour(self, names: tuple[str, ...]) -> Color | None:
        for name in names:
            try:
                return Color.parse(self._colours[name])
            except (KeyError, ColorParseError):
                continue  # not in this theme, or "auto" and the like, which only a stylesheet understands
        return None


def palette(widget: Widget) -> Palette:
    """Return the palette for a widget under the theme in force: the same object until one of them changes."""
    variables = widget.app.theme_variables
    base = widget.visual_style
    ansi = widget.app.native_ansi_color or (base.background is not None and base.background.ansi is not None)
    return _palette(base, tuple(variables.get(name, "") for name in _NAMES), ansi)


@lru_cache(maxsize=64)
def _palette(base: Style, colours: tuple[str, ...], ansi: bool) -> Palette:  # noqa: FBT001 - a key of the cache
    return Palette(base, {name: colour for name, colour in zip(_NAMES, colours, strict=True) if colour}, ansi=ansi)


def strip(widget: Widget, line: Line, width: int, *, selected: bool = False) -> Strip:
    """Return the line as one strip of exactly `width` cells, padded or cut, in the colours of the widget's theme.

    What is cut ends in "…". Neighbours that look alike become one segment. selected: the whole row has the ground of
    the selection.
    """
    colours = palette(widget)
    segments: list[Segment] = []
    parts = _merged(line, colours, selected=selected)
    left = max(0, width)
    cut = left > 1 and _visible(parts) > left
    left -= cut
    for text, style in parts:
        if left <= 0:
            break
        cells = cell_len(text)
        if cells >= left and cut:
            segments.append(Segment(_cropped(text, left) + "…", style))
            left = 0
            break
        if cells > left:
            text, cells = _cropped(text, left), left  # noqa: PLW2901 - the last one, cut to what is left
        segments.append(Segment(text, style))
        left -= cells
    if left > 0:
        plain = colours.style("", selected=selected)
        if segments and _same_ground(segments[-1].style, plain):
            segments[-1] = Segment(segments[-1].text + " " * left, segments[-1].style)
        else:
            segments.append(Segment(" " * left, plain))
    return Strip(segments, max(0, width))


def repaint_changed(widget: Widget, before: Sequence[object], after: Sequence[object]) -> None:
    """Have the lines of a widget painted that differ, neighbours together; all of them when their number differs."""
    if len(before) != len(after):
        widget.refresh()
        return
    changed = [y for y, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    first = 0
    for at, y in enumerate(changed):
        if at + 1 == len(changed) or changed[at + 1] != y + 1:
            widget.refresh(Region(0, changed[first], widget.content_size.width, y - changed[first] + 1))
            first = at + 1


def _merged(line: Line, colours: Palette, *, selected: bool) -> list[tuple[str, RichStyle]]:
    merged: list[tuple[str, RichStyle]] = []
    for text, role in line:
        # A joiner at an edge would join a stranger, a selector would widen one: the row would get another width.
        text = text.lstrip(_JOINING).rstrip(_JOINER)  # noqa: PLW2901 - what is left of it
        if not text:
            continue
        style = colours.style(role, selected=selected)
        # A space shows only its ground, so that it can go with what stands before it: fewer changes of style.
        if merged and (merged[-1][1] == style or (text.isspace() and _same_ground(merged[-1][1], style))):
            merged[-1] = (merged[-1][0] + text, merged[-1][1])
        else:
            merged.append((text, style))
    return merged


def _visible(parts: Sequence[tuple[str, RichStyle]]) -> int:
    """Return the cells up to the last letter."""
    total = seen = 0
    for text, _style in parts:
        if text.rstrip():
            seen = total + cell_len(text.rstrip())
        total += cell_len(text)
    return seen


def _cropped(text: str, width: int) -> str:
    cropped = set_cell_size(text, width).rstrip(_JOINER)
    return cropped + " " * (width - cell_len(cropped))


def _same_ground(one: RichStyle | None, other: RichStyle) -> bool:
    return one is not None and one.bgcolor == other.bgcolor and one.reverse == other.reverse
