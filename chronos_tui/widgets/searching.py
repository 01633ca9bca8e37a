"""Finding words in a document. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from chronos_tui.views.spans import Document, Line, Span, line_text
from chronos_tui.widgets.wrapping import MOST_CHARS

MOST_MATCHES = 10_000
"""More are not counted: nobody steps through them."""


class Match(NamedTuple):
    """Characters `start` to `end` of a line."""

    line: int
    start: int
    end: int


def matches(document: Document, text: str) -> tuple[Match, ...]:
    """Return where `text` stands, in order, at most MOST_MATCHES. Case counts only if `text` has an upper case letter.

    Only what is shown is searched: the first MOST_CHARS characters of a line.
    """
    if not text:
        return ()
    sought = re.compile(re.escape(text), 0 if text != text.lower() else re.IGNORECASE)
    found: list[Match] = []
    for at, line in enumerate(document):
        for match in sought.finditer(line_text(line), 0, MOST_CHARS):
            found.append(Match(at, match.start(), match.end()))
            if len(found) == MOST_MATCHES:
                return tuple(found)
    return tuple(found)


def highlighted(row: Line, offset: int, marked: list[tuple[int, int, str]]) -> Line:
    """Return a row, that begins at `offset` of its line, with (start, end, role) of the line shown in their roles."""
    for start, end, role in marked:
        row = _in_role(row, start - offset, end - offset, role)
    return row


def _in_role(row: Line, start: int, end: int, role: str) -> Line:
    spans: list[Span] = []
    at = 0
    for text, own in row:
        low, high = max(0, start - at), max(0, end - at)
        spans += [Span(text[:low], own), Span(text[low:high], role), Span(text[max(low, high) :], own)]
        at += len(text)
    return tuple(span for span in spans if span.text)
