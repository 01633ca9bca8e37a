"""The shortest way of the cursor from one cell to another. Pure."""

from __future__ import annotations


def travel(from_x: int, from_y: int, x: int, y: int) -> str:
    """Return what moves the cursor to column `x`, row `y`, both from 0; -1 says that the column or row is not known.

    Goes down by a line feed only within the screen, so that nothing scrolls, and only one line, where it is shortest.
    A line feed is no more than that here: the driver turns off what the kernel would add to it.
    """
    if from_x == x and from_y == y:
        return ""
    ways = [_absolute(x, y)]
    if from_y == y:
        if from_x >= 0:
            ways.append(_sideways(x - from_x))
        ways += ["\r" + _sideways(x), f"\x1b[{_many(x + 1)}G"]
    elif from_y >= 0 and y == from_y + 1:
        ways.append("\r\n" + _sideways(x))
        if from_x >= 0:
            ways.append("\n" + _sideways(x - from_x))
    elif from_y >= 0 and from_x == x:
        ways.append(f"\x1b[{y - from_y}B" if y > from_y else f"\x1b[{_many(from_y - y)}A")
    return min(ways, key=len)


def _absolute(x: int, y: int) -> str:
    if x == 0:
        return f"\x1b[{_many(y + 1)}H"
    return f"\x1b[{y + 1};{x + 1}H"


def _sideways(columns: int) -> str:
    if columns == 0:
        return ""
    if columns < 0:
        return "\b" * -columns if columns > -4 else f"\x1b[{-columns}D"
    return f"\x1b[{_many(columns)}C"


def _many(number: int) -> str:
    """Return a parameter; 1 is what a missing one means."""
    return "" if number == 1 else str(number)
