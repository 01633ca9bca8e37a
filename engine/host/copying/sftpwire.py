"""The client's side of SFTP version 3 over a program's pipes: what putting and reading back a file takes, and no more.

The protocol: draft-ietf-secsh-filexfer-02, with fsync@openssh.com and posix-rename@openssh.com of OpenSSH's PROTOCOL.
Spoken directly, and not by sftp's batch language, for three reasons: a file is read back into a hash and not onto the
disk, progress is known, and no name is ever parsed.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

from engine.errors import NotPossible
from engine.host.copying.base import Progress
from engine.host.copying.program import Program
from engine.rules.text import safe_line

_INIT, _VERSION, _OPEN, _CLOSE, _READ, _WRITE, _FSTAT, _RENAME = 1, 2, 3, 4, 5, 6, 8, 18
_STATUS, _HANDLE, _DATA, _ATTRS, _EXTENDED = 101, 102, 103, 105, 200
_OK, _EOF, _NO_SUCH_FILE = 0, 1, 2
_SAID = {
    _NO_SUCH_FILE: "no such directory; make it first",
    3: "permission denied by the server",
    4: "the server could not write; is its disk full?",
}

READ, WRITE = 0x01, 0x02 | 0x08 | 0x10
"""How a file is opened: for reading; for writing, made or emptied."""
_HAS_SIZE, _HAS_MODE = 0x01, 0x04

_PART_BYTES = 32 * 1024
"""What every server takes in one packet."""
_UNDER_WAY = 64
"""Requests without an answer: 2 MiB, enough for 160 Mbit/s at 100 ms."""
_MOST_PACKET_BYTES = 256 * 1024

_FSYNC, _POSIX_RENAME = "fsync@openssh.com", "posix-rename@openssh.com"


class NoSuchFile(NotPossible):
    """The server has no file, or no directory, of that name."""


class Wire:
    """One session. Every method raises NotPossible in the server's words, DeadlineExceeded."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._buffer = b""
        self._number = 0
        self._early: dict[int, tuple[int, bytes]] = {}
        self._extensions: frozenset[str] = frozenset()

    def greet(self) -> None:
        """Agree on the version. A login that fails is seen here."""
        self._send(struct.pack(">BI", _INIT, 3))
        kind, body = self._packet()
        if kind != _VERSION:
            raise self._babble()
        fields, names = _Fields(body[4:]), []
        while fields.left:
            names.append(fields.text().decode(errors="replace"))
            fields.text()
        self._extensions = frozenset(names)

    def open(self, path: str, how: int) -> bytes:
        """Return a handle. A new file has mode 0600. Raises NoSuchFile."""
        mode = struct.pack(">II", _HAS_MODE, 0o600) if how == WRITE else struct.pack(">I", 0)
        return self._answer(self._ask(_OPEN, _text(path.encode()) + struct.pack(">I", how) + mode), _HANDLE).text()

    def size(self, handle: bytes) -> int:
        """Return an open file's size in bytes."""
        fields = self._answer(self._ask(_FSTAT, _text(handle)), _ATTRS)
        if not fields.number() & _HAS_SIZE:
            raise NotPossible("the server does not say how large a file is")
        return fields.long()

    def write(self, handle: bytes, source: BinaryIO, total: int, progress: Progress | None) -> int:
        """Write the rest of `source` from the file's beginning on; return how many bytes that were."""
        waiting: deque[int] = deque()
        done = 0
        while part := source.read(_PART_BYTES):
            if len(waiting) == _UNDER_WAY:
                self._answer(waiting.popleft(), _STATUS)
            waiting.append(self._ask(_WRITE, _text(handle) + struct.pack(">Q", done) + _text(part)))
            done += len(part)
            if progress is not None:
                progress(done, total)
        for number in waiting:
            self._answer(number, _STATUS)
        return done

    def read(self, handle: bytes, size: int) -> Iterator[bytes]:
        """Yield what is in an open file, in order, up to `size` bytes; less where it is shorter."""
        waiting: deque[tuple[int, int, int]] = deque()
        asked = 0
        while asked < size or waiting:
            while asked < size and len(waiting) < _UNDER_WAY:
                part = min(_PART_BYTES, size - asked)
                waiting.append((self._read_at(handle, asked, part), asked, part))
                asked += part
            number, at, wanted = waiting.popleft()
            while wanted:
                data = self._answer(number, _DATA, or_end=True).text_or_end()
                if not data or len(data) > wanted:
                    return
                yield data
                at, wanted = at + len(data), wanted - len(data)
                if wanted:
                    number = self._read_at(handle, at, wanted)

    def sync(self, handle: bytes) -> None:
        """Have the file survive a power cut there, where the server can do that."""
        if _FSYNC in self._extensions:
            self._answer(self._ask(_EXTENDED, _text(_FSYNC.encode()) + _text(handle)), _STATUS)

    def close(self, handle: bytes) -> None:
        self._answer(self._ask(_CLOSE, _text(handle)), _STATUS)

    def rename(self, before: str, after: str) -> None:
        """Rename; one that has the name is replaced, where the server can do that in one step."""
        names = _text(before.encode()) + _text(after.encode())
        if _POSIX_RENAME in self._extensions:
            number = self._ask(_EXTENDED, _text(_POSIX_RENAME.encode()) + names)
        else:
            number = self._ask(_RENAME, names)
        self._answer(number, _STATUS)

    def _read_at(self, handle: bytes, at: int, size: int) -> int:
        return self._ask(_READ, _text(handle) + struct.pack(">QI", at, size))

    # Requests and answers

    def _ask(self, kind: int, body: bytes) -> int:
        """Send a request; return its number."""
        self._number += 1
        self._send(struct.pack(">BI", kind, self._number) + body)
        return self._number

    def _answer(self, number: int, wanted: int, *, or_end: bool = False) -> _Fields:
        """Return the answer to one request; others that come first are kept."""
        while number not in self._early:
            kind, body = self._packet()
            if len(body) < 4 or len(self._early) > 2 * _UNDER_WAY:
                raise self._babble()
            self._early[int.from_bytes(body[:4], "big")] = kind, body[4:]
        kind, body = self._early.pop(number)
        if kind == _STATUS:
            return self._judged(_Fields(body), wanted, or_end=or_end)
        if kind != wanted:
            raise self._babble()
        return _Fields(body)

    def _judged(self, fields: _Fields, wanted: int, *, or_end: bool) -> _Fields:
        code = fields.number()
        if code == _OK and wanted == _STATUS:
            return fields
        if code == _EOF and or_end:
            return _Fields(b"")
        said = safe_line(fields.text().decode(errors="replace"), 200) if fields.left else ""
        words = _SAID.get(code) or said or f"the server answered with status {code}"
        raise (NoSuchFile if code == _NO_SUCH_FILE else NotPossible)(words)

    def _send(self, packet: bytes) -> None:
        try:
            self._program.send(struct.pack(">I", len(packet)) + packet)
        except BrokenPipeError as error:
            raise self._gone() from error

    def _packet(self) -> tuple[int, bytes]:
        size = int.from_bytes(self._exactly(4), "big")
        if not 1 <= size <= _MOST_PACKET_BYTES:
            raise self._babble()
        packet = self._exactly(size)
        return packet[0], packet[1:]

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            more = self._program.receive(_MOST_PACKET_BYTES)
            if not more:
                raise self._gone()
            self._buffer += more
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _gone(self) -> NotPossible:
        code = self._program.ended()
        return NotPossible(self._program.words or f"the connection ended (ssh ended with {code})")

    def _babble(self) -> NotPossible:
        return NotPossible("the other side does not speak SFTP; does its shell print something at login?")


class _Fields:
    """What stands in an answer, taken from the front."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    @property
    def left(self) -> bool:
        return bool(self._body)

    def number(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def long(self) -> int:
        return int.from_bytes(self._take(8), "big")

    def text(self) -> bytes:
        return self._take(self.number())

    def text_or_end(self) -> bytes:
        return self.text() if self._body else b""

    def _take(self, size: int) -> bytes:
        if len(self._body) < size:
            raise NotPossible("the server's answer is cut")
        taken, self._body = self._body[:size], self._body[size:]
        return taken


def _text(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
