"""The line above a prompt: what could be meant, what is wrong, or what the keys do. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from chronos_tui import bridge
from chronos_tui.views.spans import Line, Span, width

_LONGEST = 60
KEYS = "tab completes   ↑ ↓ what was typed before   esc leaves"


def hints(
    text: str,
    candidates: Sequence[str],
    chosen: int | None,
    wrong: str,
    hint: str,
    cells: int,
    *,
    refused: bool = False,
) -> Line:
    """Return what helps to finish `text`.

    candidates: whole texts; chosen: the one that stands in the line now. wrong: why the text cannot be accepted as it
    stands. That is said in red only once it was refused, or when the word it speaks of is finished: somebody who is
    still typing is not wrong yet. hint: what is asked for, said while nothing was typed.
    """
    if wrong and refused:
        return (Span(f" ✗ {bridge.safe_line(wrong, 300)}", "failed"),)
    if candidates:
        return _candidates(text, candidates, chosen, cells)
    if wrong and text.strip():
        finished = text.endswith(" ")
        mark, role = ("✗ ", "failed") if finished else ("", "dim")
        return (Span(f" {mark}{bridge.safe_line(wrong, 300)}", role),)
    return (Span(f" {hint or KEYS}", "dim"),)


def _candidates(text: str, candidates: Sequence[str], chosen: int | None, cells: int) -> Line:
    """As many as fit, from the chosen one on when it would not be among them."""
    words = [tail(text, one) for one in candidates]
    first = 0
    while chosen is not None and first < chosen and not _fits(words[first : chosen + 1], cells):
        first += 1
    line: list[Span] = [Span(" ")]
    for at in range(first, len(words)):
        more = len(words) - at - 1
        room = cells - len(f"+{more}") - 1 if more else cells
        if at > first and width((*line, Span(words[at]))) > room:
            line.append(Span(f"+{len(words) - at}", "dim"))
            break
        line += [Span(words[at], "selected" if at == chosen else "accent"), Span("  ")]
    return tuple(line)


def _fits(words: Sequence[str], cells: int) -> bool:
    return sum(width((Span(word),)) + 2 for word in words) + 5 <= cells


def tail(text: str, candidate: str) -> str:
    """Return of a whole text that could be meant the words that are new, so that more of them fit on a line."""
    start = 0
    for at in range(min(len(text), len(candidate))):
        if text[at] != candidate[at]:
            break
        if text[at] == " ":
            start = at + 1
    shown = candidate[start:].strip() or candidate.strip()
    return bridge.safe_line(shown, _LONGEST)
