"""Text with roles: what every view is made of. A role is what a text means; widgets give it the theme's colour."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class Span(NamedTuple):
    """A piece of a line. role: what it means, one of ROLES; a state's colour never stands without its word."""

    text: str
    role: str = ""


Line: TypeAlias = tuple[Span, ...]
"""One line of text, without line ends."""

Document: TypeAlias = tuple[Line, ...]
"""Lines to read."""

ROLES = ("", "ok", "warning", "failed", "held", "dim", "accent", "bold", "selected", "title")


def line_text(line: Line) -> str:
    """Return what the line says, without its roles."""
    return "".join(span.text for span in line)


def width(line: Line) -> int:
    """Return how many cells a line takes on a terminal."""
    from rich.cells import cell_len

    return sum(cell_len(span.text) for span in line)
