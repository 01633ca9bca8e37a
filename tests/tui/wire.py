"""Reads what a program wrote to a terminal: its sequences and characters, and which have no business there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-Z\\^-~]"  # the short ones
)
UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x9c]*\x1b?|[ -/]*)?\Z")
"""A sequence whose end has not arrived yet."""

_SGR = r"(?:[0-57]|9|2[1-57-9]|3[0-79]|4[0-79]|9[0-7]|10[0-7]|[34]8;5;\d{1,3}|[34]8;2;\d{1,3};\d{1,3};\d{1,3})"
_OURS = re.compile(
    rf"\x1b\[(?:{_SGR}(?:;{_SGR})*)?m"
    r"|\x1b\[(?:\d{1,4}(?:;\d{1,4})?)?[HABCDGd]"  # cursor
    r"|\x1b\[\d{0,4}[JKX]"  # erase
    r"|\x1b\[(?:\d{1,4};\d{1,4})?r|\x1b\[\d{0,4}[LM]"  # margins, and lines moved between them
    r"|\x1b\[\?(?:7|25|1000|1002|1003|1004|1006|1015|1016|1049|2004|2026|2048)[hl]"
    r"|\x1b\[\?(?:2026|2048)\$p"
    r"|\x1b\[>\d{1,2}u|\x1b\[<u"  # kitty's keyboard
    r"|\x1b\[[0-6] q"  # shape of the cursor
    r"|\x1b\]22;[a-z-]*\x07"  # shape of the pointer
)
_OURS_C0 = frozenset("\r\n\b")


def foreign(raw: bytes | bytearray | str, *, also: str | None = None) -> list[str]:
    """Return every escape sequence and every unseen character in `raw` that the cockpit never writes itself.

    also: a pattern of further sequences that are expected, such as OSC 52 where something was copied.
    """
    text = raw if isinstance(raw, str) else raw.decode("utf-8", "surrogateescape")
    extra = re.compile(also) if also else None
    found = [
        sequence
        for sequence in SEQUENCE.findall(text)
        if not _OURS.fullmatch(sequence) and not (extra and extra.fullmatch(sequence))
    ]
    found += [character for character in SEQUENCE.sub("", text) if _unseen(character)]
    return found


def _unseen(character: str) -> bool:
    if character < " ":
        return character not in _OURS_C0
    # Zero-width joiner and variation selectors are part of an emoji's spelling and move nothing.
    if character == "\u200d" or "\ufe00" <= character <= "\ufe0f":
        return False
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printed(raw: bytes) -> Iterator[str]:
    """Yield sequences and runs of text in the order in which they were written."""
    text = raw.decode("utf-8", "replace")
    end = 0
    for match in SEQUENCE.finditer(text):
        if match.start() > end:
            yield text[end : match.start()]
        yield match.group()
        end = match.end()
    if end < len(text):
        yield text[end:]


class Modes:
    """Which modes of the terminal a program has switched, from the sequences that it wrote."""

    NORMAL = frozenset({"7", "25"})
    """On before any program runs: wrap at the edge, a cursor that is seen."""

    def __init__(self) -> None:
        self._on = set(self.NORMAL)
        self._kitty = 0

    def see(self, sequence: str) -> None:
        """Take one sequence into account."""
        if match := re.fullmatch(r"\x1b\[\?([\d;]+)([hl])", sequence):
            numbers = set(match.group(1).split(";"))
            self._on = self._on | numbers if match.group(2) == "h" else self._on - numbers
        elif re.fullmatch(r"\x1b\[>\d*u", sequence):
            self._kitty += 1
        elif re.fullmatch(r"\x1b\[<\d*u", sequence):
            self._kitty = max(0, self._kitty - 1)

    @property
    def changed(self) -> set[str]:
        """Return what is not as it was: "1049" is on though it was off, "-25" is off though it was on, "kitty"."""
        changed = set(self._on - self.NORMAL)
        changed |= {f"-{mode}" for mode in self.NORMAL - self._on}
        return changed | ({"kitty"} if self._kitty else set())
