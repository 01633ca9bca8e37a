"""The header of an age file: its grammar, read strictly and bounded, and written. Knows no key and decrypts nothing."""

from __future__ import annotations

import base64
import binascii
from typing import BinaryIO, NamedTuple

from engine.errors import ArchiveRefused

MOST_BYTES = 64 * 1024
"""Some 500 recipients."""
MAC_BYTES = 32

VERSION = b"age-encryption.org/v1"
_ARMORED = b"-----BEGIN AGE"
_NONE = "not an age file of version 1"
_LINE = 64


class Stanza(NamedTuple):
    """One way to the file key. arguments: the first one is its type."""

    arguments: tuple[bytes, ...]
    body: bytes


class Header(NamedTuple):
    """authenticated: its bytes up to where the MAC stands."""

    stanzas: tuple[Stanza, ...]
    authenticated: bytes
    mac: bytes


def read(src: BinaryIO) -> Header:
    """Read a header and leave `src` behind it. Raises ArchiveRefused for what is none, was cut, or is too large."""
    lines = _Lines(src)
    first = lines.next()
    if first != VERSION:
        if first.startswith(_ARMORED):
            raise ArchiveRefused("an age file written as text (--armor); 'age -d' decrypts it, this does not")
        raise ArchiveRefused(_NONE)
    stanzas: list[Stanza] = []
    while True:
        before = lines.seen
        line = lines.next()
        if line.startswith(b"--- ") and stanzas:
            return Header(tuple(stanzas), before + b"---", decoded(line[4:], MAC_BYTES))
        arguments = tuple(line[3:].split(b" "))
        if not line.startswith(b"-> ") or not all(_is_argument(argument) for argument in arguments):
            raise refused()
        body = b""
        while True:
            part = decoded(lines.next())
            body += part
            if len(part) < _LINE * 3 // 4:
                break
        stanzas.append(Stanza(arguments, body))


class _Lines:
    """The lines of a header, bounded. seen: all bytes so far."""

    def __init__(self, src: BinaryIO) -> None:
        self._src = src
        self._seen = bytearray()

    @property
    def seen(self) -> bytes:
        return bytes(self._seen)

    def next(self) -> bytes:
        """Return one line without its end."""
        left = MOST_BYTES - len(self._seen)
        line = self._src.readline(left)
        self._seen += line
        if not line.endswith(b"\n"):
            if not self._seen.startswith(VERSION):
                raise ArchiveRefused(_NONE)
            if len(line) == left:
                raise ArchiveRefused("the header of the encrypted file is larger than any that age writes")
            raise ArchiveRefused("damaged: the encrypted file ends in its header")
        return line[:-1]


def _is_argument(text: bytes) -> bool:
    return bool(text) and all(33 <= byte <= 126 for byte in text)


def refused() -> ArchiveRefused:
    return ArchiveRefused("damaged: the header of the encrypted file is not as age writes it")


def written(stanza: Stanza) -> bytes:
    body = encoded(stanza.body)
    lines = [body[at : at + _LINE] for at in range(0, len(body) + 1, _LINE)]
    return b"\n".join([b"-> " + b" ".join(stanza.arguments), *lines])


def encoded(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def decoded(text: bytes, size: int | None = None) -> bytes:
    """Decode the one way there is to write those bytes: no padding, no stray bits, at most one line."""
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise refused() from error
    if len(text) > _LINE or encoded(data) != text or (size is not None and len(data) != size):
        raise refused()
    return data
