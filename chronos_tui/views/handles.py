"""Messages named by hand: their numbers or uids. Pure; whether there are such messages the engine knows."""

from __future__ import annotations

import re

_HANDLE = re.compile(r"#?[0-9]{1,18}|msg_[0-9a-f]{32}")
_HANDLES = re.compile(rf"(?:{_HANDLE.pattern})(?:[\s,]+(?:{_HANDLE.pattern}))*")


def handles(text: str) -> list[str]:
    """Return the messages that a text names ("1042 #1043", a uid); [] when it is something else, such as a filter."""
    return _HANDLE.findall(text) if _HANDLES.fullmatch(text.strip()) else []


def handle_place(word: str) -> str:
    """Return the place of the one message that a word names: "#1042" or the uid; "" when it names none."""
    found = handles(word)
    if len(found) != 1:
        return ""
    return found[0] if found[0].startswith(("#", "msg_")) else f"#{found[0]}"
