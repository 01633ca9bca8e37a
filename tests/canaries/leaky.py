"""Receivers that say back what they were sent, and a channel that breaks with a secret in its mouth."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Mapping
from pathlib import Path

_CHANNEL = '''
"""A channel that raises what no channel should, with the secret in the text."""
import threading

from pydantic import BaseModel


class Finaliser:
    def __init__(self, secret):
        self.secret = secret

    def __del__(self):
        raise ArithmeticError(self.secret)


class Options(BaseModel):
    how: str
    ring: str


class Broken(BaseException):
    """What no `except Exception` catches."""


class Channel:
    def __init__(self, how, secret):
        self.how, self.secret = how, secret

    def deliver(self, delivery):
        if self.how == "thread":
            thread = threading.Thread(target=self.fail, name="leaky")
            thread.start()
            thread.join()
        if self.how == "fatal":
            Finaliser(self.secret)
            raise Broken(f"fatal {self.secret!r} {self.secret}")
        if self.how == "cut":
            raise RuntimeError("x" * 3_955 + self.secret)
        try:
            raise ValueError(self.secret.encode(), {"password": self.secret})
        except ValueError as error:
            raise RuntimeError(f"{self.secret!r} and {self.secret}") from error

    def fail(self):
        raise LookupError(f"{self.secret!r} and {self.secret}")

    def probe(self, *, send, timeout_ms):
        raise RuntimeError(f"{self.secret!r} and {self.secret}")

    def close(self):
        raise RuntimeError(f"closing {self.secret}")


class Type:
    name = "leaky"

    def options(self):
        return Options

    def check(self, target, *, production):
        return []

    def open(self, target, context):
        secret = context.secret(target.options["ring"])
        if target.options["how"] == "open":
            raise RuntimeError(f"opening {secret}")
        return Channel(target.options["how"], secret)


CHANNEL = Type()
'''


def install_channel(folder: Path) -> str:
    """Make an installed package of the channel `leaky`; return the folder that PYTHONPATH needs."""
    folder.mkdir()
    (folder / "leaky_channel.py").write_text(_CHANNEL)
    info = folder / "leaky-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[chronos.channels]\nleaky = leaky_channel:CHANNEL\n")
    return str(folder)


def smtp_that_repeats(connection: socket.socket) -> None:
    """Refuse the login, with the password as it came and as it was meant."""
    reader = connection.makefile("rb")
    connection.sendall(b"220 sink.test\r\n")
    while line := reader.readline():
        word = line.upper().split()[0] if line.split() else b""
        if word == b"EHLO":
            connection.sendall(b"250-sink.test\r\n250 AUTH PLAIN LOGIN\r\n")
        elif word == b"AUTH":
            given = line.split()[-1]
            plain = base64.b64decode(given + b"===").replace(b"\0", b" ")
            connection.sendall(b"535 5.7.8 not good: " + given + b" which is " + plain * 60 + b"\r\n")
        elif word == b"QUIT":
            connection.sendall(b"221 bye\r\n")
            return
        else:
            connection.sendall(b"250 ok\r\n")


class Repeating:
    """An HTTP server's script: refuses each request, with the request's head and the secrets it was given as its words.

    A path is STATUS/SHIFT/NAME…; the names choose the secrets, which come many times over, moved by SHIFT: wherever the
    answer is cut, one of them is cut with it.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets

    def __call__(self, connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        while first := reader.readline():
            head, length = first, 0
            while (line := reader.readline()) not in (b"\r\n", b""):
                head += line
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            reader.read(length)
            status, shift, *names = first.split()[1].decode().strip("/").split("/")
            connection.sendall(self._answer(status, int(shift), head, [self._secrets[name] for name in names]))

    def _answer(self, status: str, shift: int, head: bytes, known: list[str]) -> bytes:
        words = json.dumps(known).encode() + b" ".join(secret.encode() for secret in known)
        body = (b"." * shift if shift else head) + words * 60
        start = f"HTTP/1.1 {status} no {known[0]}\r\nX-Why: {known[0]}\r\nContent-Type: application/json\r\n"
        return start.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
