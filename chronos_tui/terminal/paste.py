"""Pasted text: where it begins and ends in what the terminal sends, and what of it may reach a widget. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_PASTED_CHARS = 1024 * 1024
"""What is pasted beyond this is not taken: nobody pastes a megabyte into a message on purpose."""

START, END = "\x1b[200~", "\x1b[201~"

_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?")
_LINE_END = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_UNWANTED = re.compile(
    r"[\x00-\x09\x0e-\x1f\x7f-\x9f"  # C0 without the line ends, DEL, C1
    r"\u200b\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"  # zero width, bidi, interlinear
    r"\ud800-\udfff\U000e0000-\U000e007f]"  # lone surrogates, tags
)


@dataclass(frozen=True, slots=True)
class Pasted:
    """What was pasted, cleaned."""

    text: str


def clean_paste(text: str) -> str:
    """Return what may be inserted: no escapes, no controls, no hidden text.

    Line ends are line feeds then, and a tab is four spaces.
    """
    text = text[:MOST_PASTED_CHARS]
    if text.isascii() and text.isprintable():
        return text
    text = _LINE_END.sub("\n", _ESCAPE.sub("", text)).replace("\t", "    ")
    return _UNWANTED.sub("", text)


class PasteSplitter:
    """Tells typed text from pasted text. A paste that never ends is cut at MOST_PASTED_CHARS.

    Feed it as text arrives; `flush` hands out what it holds because a mark might have begun there.
    """

    def __init__(self) -> None:
        self._held = ""
        self._parts: list[str] | None = None
        self._size = 0

    def feed(self, text: str) -> list[str | Pasted]:
        """Return what has been typed (str) and pasted, in order."""
        found: list[str | Pasted] = []
        text, self._held = self._held + text, ""
        while text:
            mark = START if self._parts is None else END
            before, seen, after = text.partition(mark)
            if not seen:
                cut = _begun(text, mark, least=1 if self._parts is not None else 2)
                before, self._held, after = text[: len(text) - cut], text[len(text) - cut :], ""
            if self._parts is None:
                found += [before] if before else []
                self._parts = [] if seen else None
            else:
                self._take(before)
                if seen:
                    found.append(Pasted(clean_paste("".join(self._parts))))
                    self._parts, self._size = None, 0
            text = after
        return found

    def flush(self) -> str:
        """Return what is held though nothing followed: keys, as it turned out. Within a paste, nothing."""
        if self._parts is not None:
            return ""
        held, self._held = self._held, ""
        return held

    def _take(self, text: str) -> None:
        text = text[: max(0, MOST_PASTED_CHARS - self._size)]
        self._size += len(text)
        if text and self._parts is not None:
            self._parts.append(text)


def _begun(text: str, mark: str, *, least: int) -> int:
    """Return how many characters at the end of `text` may be the beginning of `mark`; a lone ESC is a key by itself."""
    return next((n for n in range(len(mark) - 1, least - 1, -1) if text.endswith(mark[:n])), 0)
