"""How a cell looks, read from SGR sequences, and the shortest sequence from one look to the next. Pure."""

from __future__ import annotations

_MOST_KNOWN = 4096
"""Looks and ways between them that are remembered; a theme has some dozens, a gradient many."""

_OFF = {1: 22, 2: 22, 3: 23, 4: 24, 5: 25, 6: 25, 7: 27, 8: 28, 9: 29, 21: 24, 53: 55}
"""Which number switches the attribute off (ECMA-48, SGR)."""

_SEEN_ON_BLANKS = frozenset({4, 7, 9, 21, 53})
"""Underline, reverse, strike, double underline, overline."""


_LEVELS = {0: 0, 95: 1, 135: 2, 175: 3, 215: 4, 255: 5}
"""The steps of the colour cube."""


class Style:
    """One look; two that look the same are one object as long as the same `Styles` made them.

    foreground, background: SGR parameters ("31", "38;2;1;2;3"), "" for the terminal's own.
    blank: how a space in this look looks, on which neither the colour nor the weight of letters is seen.
    """

    __slots__ = ("attributes", "background", "blank", "foreground")

    def __init__(self, foreground: str, background: str, attributes: frozenset[int]) -> None:
        self.foreground = foreground
        self.background = background
        self.attributes = attributes
        self.blank = self


DEFAULT = Style("", "", frozenset())


class Styles:
    """Makes looks from the parameters of SGR and remembers them."""

    def __init__(self) -> None:
        self._looks: dict[tuple[str, str, frozenset[int]], Style] = {}
        self._after: dict[tuple[Style, str], Style] = {}
        self._between: dict[tuple[Style, Style], str] = {}

    def after(self, style: Style, parameters: str) -> Style:
        """Return the look after the sequence with these parameters, such as "1;38;5;9", starting from `style`."""
        if not parameters or parameters == "0":
            return DEFAULT
        found = self._after.get((style, parameters))
        if found is None:
            self._make_room()
            found = self._after[style, parameters] = self._look(*_read(style, parameters))
        return found

    def between(self, old: Style, new: Style) -> str:
        """Return the shortest sequence that turns `old` into `new`."""
        if old is new:
            return ""
        found = self._between.get((old, new))
        if found is None:
            found = self._between[old, new] = _shortest(old, new)
        return found

    def _look(self, foreground: str, background: str, attributes: frozenset[int]) -> Style:
        if not foreground and not background and not attributes:
            return DEFAULT
        look = (foreground, background, attributes)
        if (known := self._looks.get(look)) is not None:
            return known
        style = self._looks[look] = Style(*look)
        seen = attributes & _SEEN_ON_BLANKS
        on_blank = (foreground if seen else "", background, seen)
        if on_blank != look:
            style.blank = self._look(*on_blank)
        return style

    def _make_room(self) -> None:
        # What is on the screen keeps its objects; the same look made again is another object, and so painted again.
        if max(len(self._looks), len(self._after), len(self._between)) > _MOST_KNOWN:
            self._looks.clear()
            self._after.clear()
            self._between.clear()


def _read(style: Style, parameters: str) -> tuple[str, str, frozenset[int]]:
    foreground, background, attributes = style.foreground, style.background, set(style.attributes)
    numbers = [int(number or 0) for number in parameters.split(";")]
    while numbers:
        number = numbers.pop(0)
        if number in {38, 48}:
            taken = 2 if numbers[:1] == [5] else 4
            colour = _colour(number, numbers[:taken])
            del numbers[:taken]
            if number == 38:
                foreground = colour
            else:
                background = colour
        elif 30 <= number <= 39 or 90 <= number <= 97:
            foreground = "" if number == 39 else str(number)
        elif 40 <= number <= 49 or 100 <= number <= 107:
            background = "" if number == 49 else str(number)
        elif number == 0:
            foreground, background, attributes = "", "", set()
        elif number in _OFF:
            attributes.add(number)
        else:
            attributes -= {one for one, off in _OFF.items() if off == number}
    return foreground, background, frozenset(attributes)


def _colour(layer: int, numbers: list[int]) -> str:
    """Return the parameters of a colour; one that stands in the palette of 256 by its number: 9 bytes, not 17.

    Entries 16 to 255 are a cube of six levels and a ramp of greys that no usual terminal lets a theme change (xterm,
    "256 colors"); the first 16 are the user's own and never meant by a colour given as red, green and blue.
    """
    if numbers[:1] == [2] and len(numbers) == 4:
        red, green, blue = numbers[1:]
        if red == green == blue and (red - 8) % 10 == 0 and 8 <= red <= 238:
            return f"{layer};5;{232 + (red - 8) // 10}"
        if {red, green, blue} <= _LEVELS.keys():
            return f"{layer};5;{16 + 36 * _LEVELS[red] + 6 * _LEVELS[green] + _LEVELS[blue]}"
    return ";".join(map(str, (layer, *numbers)))


def _shortest(old: Style, new: Style) -> str:
    anew = [str(one) for one in sorted(new.attributes)] + [one for one in (new.foreground, new.background) if one]
    whole = f"\x1b[0;{';'.join(anew)}m" if anew else "\x1b[m"
    changes = _changes(old, new)
    if not changes:  # the same look under two objects: the tables were emptied in between
        return ""
    return min(whole, f"\x1b[{';'.join(changes)}m", key=len)


def _changes(old: Style, new: Style) -> list[str]:
    off = {_OFF[one] for one in old.attributes - new.attributes}
    # One number may switch off two attributes (22: bold and dim): what stays is switched on again.
    kept = {one for one in old.attributes & new.attributes if _OFF[one] not in off}
    changes = [str(number) for number in sorted(off)]
    changes += [str(one) for one in sorted(new.attributes - kept)]
    if old.foreground != new.foreground:
        changes.append(new.foreground or "39")
    if old.background != new.background:
        changes.append(new.background or "49")
    return changes
