"""Hostile text made fit for one line of a terminal, and spelling suggestions. Never trusts what a receiver said."""

from __future__ import annotations

import re
from collections.abc import Iterable

# ECMA-48: CSI, OSC/DCS/SOS/PM/APC up to their terminator, and two-character escapes. A string sequence that never ends
# is dropped only up to 256 characters: the rest is shown rather than swallowed.
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,16}[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]{0,256}(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]{0,16}[0-~]?"
)
_NEWLINE = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
# C0, DEL, C1; soft hyphen; Arabic letter mark; zero-width and bidi marks (ZWJ, U+200D, holds emoji together and stays);
# bidi embeddings, isolates, invisible operators; BOM; interlinear marks; lone surrogates; Unicode tags and the rest of
# plane 14's specials except variation selectors' harmless effect on width.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
# A combining character is drawn over its base; stacks of them paint over the lines above and below.
_COMBINING = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_STACK = re.compile(f"({_COMBINING}{{4}}){_COMBINING}+")
_LINE_SPACE = str.maketrans({"\t": " "})


def safe_line(text: str, limit: int) -> str:
    """Return `text` as one printable line of at most `limit` characters; line ends become "⏎", a cut ends in "…"."""
    if text.isascii() and text.isprintable():
        return _cut(text, limit)
    # Cleaning only removes or replaces one by one, so that nothing far beyond the limit can matter; escapes may.
    text = text[: limit * 8 + 4096]
    text = _NEWLINE.sub("⏎", _ESCAPE.sub("", text).strip("\r\n"))
    return _cut(_clean(text.translate(_LINE_SPACE)), limit)


def safe_block(text: str, limit: int) -> str:
    """Return `text` with its lines kept and made printable, at most `limit` characters; a tab becomes two spaces."""
    text = text[: limit * 8 + 4096]
    lines = _NEWLINE.sub("\n", _ESCAPE.sub("", text)).split("\n")
    return _cut("\n".join(_clean(line.replace("\t", "  ")) for line in lines), limit)


def _clean(line: str) -> str:
    return _STACK.sub(r"\1", _UNSEEN.sub("", line))


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return text[: limit - 1].rstrip() + "…" if limit > 0 else ""


def suggest(word: str, known: Iterable[str]) -> str | None:
    """Return the one of `known` that `word` was probably meant to be, or None."""
    import difflib  # only a mistake pays for it

    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word[:100].lower(), by_lower, n=1, cutoff=0.65)
    return by_lower[found[0]] if found else None
