"""Who a message is: its uid, and the fingerprint of what its receiver gets. Draws no random bytes itself."""

from __future__ import annotations

import hashlib
import re

from engine.model import NewMessage
from engine.rules.canonical import canonical_json

_UID = re.compile(r"msg_[0-9a-f]{32}", re.ASCII)
_MOST_MS = (1 << 48) - 1


def new_uid(now_ms: int, random_bytes: bytes) -> str:
    """Return "msg_" and a UUIDv7 (RFC 9562, 5.7) in 32 hex digits: 48 bits of time, 74 random ones.

    Sorts by time. A clock outside the format's years 1970 to 10889 counts as the nearest end.
    Raises ValueError unless `random_bytes` are 10 bytes.
    """
    if len(random_bytes) != 10:
        raise ValueError(f"a uid takes 10 random bytes, not {len(random_bytes)}")
    noise = int.from_bytes(random_bytes, "big")
    high = 0x7000 | (noise >> 62) & 0x0FFF
    low = 0x8000_0000_0000_0000 | noise & 0x3FFF_FFFF_FFFF_FFFF
    return f"msg_{min(max(now_ms, 0), _MOST_MS):012x}{high:04x}{low:016x}"


def is_uid(text: str) -> bool:
    """Whether `text` has the shape of a uid."""
    return _UID.fullmatch(text) is not None


def content_hash(message: NewMessage) -> str:
    """Return the SHA-256, in hex, of what the receiver gets: the same hash means the same message.

    When it is sent, and how it is queued, is not part of it: the same report queued again with another priority or send
    time is the same message. Raises BadInput for text that is not Unicode.
    """
    attachments = [[a.name, a.content_type, hashlib.sha256(a.content).hexdigest()] for a in message.attachments]
    parts = [
        message.target,
        message.subject,
        message.text,
        message.html,
        message.data,
        [[name, value] for name, value in message.headers],
        attachments,
        message.template,
    ]
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()
