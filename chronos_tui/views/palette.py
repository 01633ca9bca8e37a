"""What the palette lists for what was typed: letters in order are enough, the likeliest first. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chronos_tui import bridge
from chronos_tui.views.spans import Document, Line, Span

_TITLE = 22
_KEYS = 12


class Item(NamedTuple):
    """Something that can be chosen. keys: as people read them; for a word of the command line, how it is written."""

    title: str
    help: str
    keys: str


def ranked(typed: str, items: Sequence[Item]) -> list[int]:
    """Return the indexes of the items that fit, the likeliest first, in their order among equals."""
    words = typed.lower().split()
    scored = []
    for at, item in enumerate(items):
        scores = [_score(word, item) for word in words]
        if all(score > 0 for score in scores):
            scored.append((-sum(scores), at))
    return [at for _score, at in sorted(scored)]


def _score(word: str, item: Item) -> int:
    """How well a word fits: a title that is it, begins with it, has it; the keys; then the help; then mere letters."""
    title, help_ = item.title.lower(), item.help.lower()
    if title == word or item.keys.lower() == word:
        return 100
    if title.startswith(word):
        return 80
    if any(part.startswith(word) for part in title.split()):
        return 60
    if word in title:
        return 50
    if any(part.startswith(word) for part in help_.split()):
        return 40
    if word in help_:
        return 30
    gap = _gap(word, title)
    return max(1, 20 - gap) if gap is not None else 0


def _gap(word: str, text: str) -> int | None:
    """Return how many letters lie between those of `word` in `text`, None when they are not in it in that order."""
    at = text.find(word[:1])
    first = at
    for letter in word[1:]:
        at = text.find(letter, at + 1) if at >= 0 else -1
    return at - first - len(word) + 1 if at >= 0 else None


def document(items: Sequence[Item], order: Sequence[int]) -> Document:
    """Return a line for each item of `order`."""
    return tuple(_line(items[at]) for at in order)


def _line(item: Item) -> Line:
    title = bridge.safe_line(item.title, _TITLE).ljust(_TITLE)
    return (
        Span(title, "bold"),
        Span(bridge.safe_line(item.keys, _KEYS).ljust(_KEYS), "accent"),
        Span(f" {bridge.safe_line(item.help, 200)}"),
    )
