"""API keys: their text, what is stored of one, and what may be said of it. Stores nothing and knows no clock.

A key reads `chr_<id>_<secret>_<crc>`: 8 hex digits that are no secret, 43 characters of base64url (32 random bytes),
and the CRC-32 of everything before the last underscore in 6 digits of base 62. A CRC of 32 bits finds every change
within 32 bits in a row, so that a wrong character or two swapped neighbours never reach the database.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

from engine.errors import BadInput
from engine.rules.durations import format_duration
from engine.rules.text import suggest

SALT_BYTES = 16
"""NIST SP 800-132 asks for 128 random bits."""

EXPIRING_MS = 7 * 86_400_000
"""A key that ends within a week is worth a word: that is when somebody has to put another one in its place."""

UNIX = "unix"
"""What a client of the Unix socket has in place of an address."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CRC_LENGTH = 6
_TEXT = re.compile(r"chr_([0-9a-f]{8})_([A-Za-z0-9_-]{43})_([0-9A-Za-z]{6})", re.ASCII)
_ID = re.compile(r"[0-9a-f]{8}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_SECRET_BYTES = 32
_DIGEST_BYTES = 32
_MOST_BINDINGS = 100


class Scope(StrEnum):
    """What a key may do. Each stands for itself: admin does not contain read."""

    SEND = "send"
    READ = "read"
    ADMIN = "admin"


class KeyState(StrEnum):
    """How a key stands. expiring: it works and ends within EXPIRING_MS; replaced: it works until its overlap ends."""

    ACTIVE = "active"
    EXPIRING = "expiring"
    REPLACED = "replaced"
    EXPIRED = "expired"
    REVOKED = "revoked"


class KeyText(NamedTuple):
    """A key's text taken apart."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyText(id={self.id!r}, secret=<secret>)"


def checksum(body: str) -> str:
    """Return the CRC-32 of `body` in base 62 (digits, upper case, lower case), padded with zeros to 6 digits."""
    left = zlib.crc32(body.encode("ascii"))
    digits = ""
    for _ in range(_CRC_LENGTH):
        left, digit = divmod(left, 62)
        digits = _DIGITS[digit] + digits
    return digits


def make(entropy: Callable[[int], bytes]) -> tuple[KeyText, str]:
    """Return a new key's parts and its text. entropy: n random bytes."""
    import base64

    secret = base64.urlsafe_b64encode(entropy(_SECRET_BYTES)).decode("ascii").rstrip("=")
    parts = KeyText(entropy(4).hex(), secret)
    body = f"chr_{parts.id}_{parts.secret}"
    return parts, f"{body}_{checksum(body)}"


def parse(text: str) -> KeyText | None:
    """Return a key's parts; None when it is not written like one or the checksum is not that of the rest."""
    found = _TEXT.fullmatch(text)
    if found is None or checksum(text[: -_CRC_LENGTH - 1]) != found[3]:
        return None
    return KeyText(found[1], found[2])


def id_in(word: str) -> str | None:
    """Return the id that a word is or, as in a log, begins with behind "chr_"; None when it names none."""
    if word.startswith("chr_"):
        word = word[4:12]
    return word if _ID.fullmatch(word) else None


def derive(secret: str, salt: bytes, iterations: int) -> bytes:
    """Return the 32 bytes that are stored in the secret's place: PBKDF2-HMAC-SHA256 (RFC 8018).

    `cryptography` takes 65 ms for 600 000 iterations where hashlib takes 105; both let other threads run meanwhile.
    """
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    return PBKDF2HMAC(SHA256(), _DIGEST_BYTES, salt, iterations).derive(secret.encode("ascii"))


def check_name(name: str) -> str:
    """Return the name. Raises BadInput for one that is none, or that could be taken for an id."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"name {name!r:.70}: 1 to 64 letters, digits and . _ - @, the first a letter or digit")
    if id_in(name):
        raise BadInput(f"name {name!r}: reads like the id of a key; choose another one")
    return name


def check_scopes(words: Iterable[str]) -> tuple[Scope, ...]:
    """Return the scopes in their order, each once. Raises BadInput for none and for an unknown one."""
    given = set()
    for word in words:
        try:
            given.add(Scope(word))
        except ValueError as error:
            guess = suggest(word, list(Scope))
            hint = f"did you mean {guess}?" if guess else "there are send, read and admin"
            raise BadInput(f"no scope {word!r:.40}; {hint}") from error
    if not given:
        raise BadInput("a key without a scope opens nothing; name send, read or admin")
    return tuple(scope for scope in Scope if scope in given)


def check_networks(words: Iterable[str]) -> tuple[str, ...]:
    """Return networks as CIDR, an address as the network of it alone, "unix" as it is; sorted, each once.

    Raises BadInput for what is none, and for one with bits set behind its prefix: nobody knows what was meant by it.
    """
    from ipaddress import ip_network

    found = set()
    for word in words:
        try:
            found.add(word if word == UNIX else str(ip_network(word)))
        except ValueError as error:
            raise BadInput(
                f"{word!r:.60} is not a network: {error}; write it like 10.0.0.0/8, 2001:db8::/32, 192.0.2.7 or unix"
            ) from error
    if len(found) > _MOST_BINDINGS:
        raise BadInput(f"{len(found)} networks: a key is bound to at most {_MOST_BINDINGS}")
    return tuple(sorted(found))


def state_of(now_ms: int, *, expires_ms: int | None, revoked_ms: int | None, successor: str | None) -> KeyState:
    """Return how a key stands at `now_ms`. It ends at the very millisecond of `expires_ms`."""
    if revoked_ms is not None:
        return KeyState.REVOKED
    if expires_ms is not None and expires_ms <= now_ms:
        return KeyState.EXPIRED
    if successor is not None:
        return KeyState.REPLACED
    if expires_ms is not None and expires_ms - now_ms <= EXPIRING_MS:
        return KeyState.EXPIRING
    return KeyState.ACTIVE


def distance(at_ms: int, now_ms: int) -> str:
    """Return "3 min ago", "in 2 d" or "now", in the greatest unit."""
    apart_ms = at_ms - now_ms
    if abs(apart_ms) < 1_000:
        return "now"
    words = " ".join(format_duration(abs(apart_ms)).split()[:2])
    return f"in {words}" if apart_ms > 0 else f"{words} ago"
