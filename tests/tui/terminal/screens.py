"""Compares two emulated screens by what an eye sees on them."""

from __future__ import annotations

from typing import Any

from pyte.screens import wcwidth

from tests.tui.pty import Emulator

Look = tuple[Any, ...]


def seen(screen: Emulator) -> list[list[Look]]:
    """Return each cell as it looks: of a blank only the background and what is drawn through it."""
    return [_row(row) for row in screen.cells()]


def differences(one: Emulator, other: Emulator) -> list[str]:
    """Return the cells that look different, in words."""
    found = []
    for y, (row, other_row) in enumerate(zip(seen(one), seen(other), strict=True)):
        for x, (cell, other_cell) in enumerate(zip(row, other_row, strict=True)):
            if cell != other_cell:
                found.append(f"{x},{y}: {cell} / {other_cell}")
    return found


def _row(row: list[Any]) -> list[Look]:
    looks = []
    for x, cell in enumerate(row):
        text = cell.data
        if len(text) == 1 and wcwidth(text) == 2 and (x + 1 >= len(row) or row[x + 1].data != ""):
            text = " "  # half of it was written over
        if text == "" and not (x and len(row[x - 1].data) and wcwidth(row[x - 1].data[0]) == 2):
            text = " "
        if text == " ":
            through = cell.underscore or cell.strikethrough
            colour = cell.fg if cell.reverse or through else ""
            looks.append((text, cell.bg, colour, cell.reverse, cell.underscore, cell.strikethrough))
        else:
            looks.append((text, *cell[1:]))
    return looks
