"""Words of a line as a shell would take them: blanks part them, quotes keep them together. Pure; expands nothing."""

from __future__ import annotations

import re

from chronos_tui import bridge

_WORD = re.compile(r"\s*(?:\"((?:[^\"\\]|\\.)*)\"|'([^']*)'|([^\s\"']\S*))(?=\s|$)")


def take(text: str) -> tuple[str, str]:
    """Return the first word without its quotes, and what stands behind it; ("", "") for nothing.

    Raises BadInput when a quote is not closed.
    """
    if not text.strip():
        return "", ""
    found = _WORD.match(text)
    if found is None:
        raise bridge.BadInput("the closing quote is missing")
    double, single, plain = found.groups()
    word = plain if plain is not None else single if single is not None else re.sub(r"\\(.)", r"\1", double)
    return word, text[found.end() :]


def quoted(word: str) -> str:
    """Return a word as `take` gives it back."""
    if word and not re.search(r"[\s\"'\\]", word):
        return word
    return '"' + re.sub(r"([\"\\])", r"\\\1", word) + '"'


def words(text: str) -> list[str]:
    """Return all words of a line without their quotes. Raises BadInput when a quote is not closed."""
    found = []
    while text.strip():
        word, text = take(text)
        found.append(word)
    return found
