"""What every destination can do, and how one is written. Copies nothing itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from engine.errors import BadInput

BLOCK_BYTES = 1024 * 1024
Progress = Callable[[int, int], None]
"""Told bytes done, and of how many. What it raises ends the copying."""

SYNTAX = "write /a/directory, sftp://[user@]host[:port]/path or rclone:remote:path"
_WORD = "[A-Za-z0-9_][A-Za-z0-9_.+-]*"
_SFTP = re.compile(
    rf"sftp://(?:(?P<user>{_WORD}(?:@{_WORD})*)@)?(?P<host>{_WORD}|\[[0-9A-Fa-f:.%a-z]+\])(?::(?P<port>[0-9]{{1,5}}))?"
    r"(?:/(?P<path>.*))?",
    re.ASCII,
)
_RCLONE = re.compile(r"rclone:(?P<remote>[A-Za-z0-9_](?:[A-Za-z0-9_.+@ -]*[A-Za-z0-9_.+@-])?):(?P<path>.*)", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Destination(Protocol):
    """A place off the box. Every call ends in bounded time."""

    def put(self, path: Path, name: str, progress: Progress | None = None) -> str:
        """Write the file at `path` there under `name`, whole or not at all; return in words what was done.

        One of that name is replaced. Raises ChronosError: what is wrong, in one line.
        """

    def check(self, name: str, size: int, sha256: str, progress: Progress | None = None) -> bool:
        """Read it back; return whether it is there and has that size in bytes and that SHA-256 (hex).

        Raises ChronosError where that cannot be found out.
        """


class Place(NamedTuple):
    """A destination as it is written. kind: directory, sftp or rclone. path: absolute for a directory.

    user, port: None where OpenSSH's own configuration says. host: of sftp; the remote's name for rclone.
    """

    kind: str
    path: str
    host: str = ""
    user: str | None = None
    port: int | None = None


def place_of(text: str) -> Place:
    """Read an entry of backup.copy_to.

    As OpenSSH has it, sftp://host/path begins at the login directory, and sftp://host//path at the root.
    Raises BadInput, without repeating what may be a password.
    """
    if not text.isprintable():
        raise BadInput(f"a destination with unprintable characters; {SYNTAX}")
    if text.startswith("file:"):
        text = text.removeprefix("file:").removeprefix("//")
    if text.startswith("/"):
        return Place("directory", text)
    if text.startswith("sftp:"):
        return _sftp(text)
    if text.startswith("rclone:"):
        return _rclone(text)
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise BadInput(f"{text[:60]!r} is relative; a directory is written from the root on (/mnt/backups)")
    raise BadInput(f"unknown way to copy, {scheme[0]!r}; {SYNTAX}")


def _sftp(text: str) -> Place:
    found = _SFTP.fullmatch(text)
    if found is None:
        if re.match(r"sftp://[^/@]*:[^/]*@", text):
            raise BadInput("a password does not belong into a destination; sftp logs in by a key of the user's own")
        raise BadInput("not a host to copy to; write sftp://[user@]host[:port]/path")
    port = None if found["port"] is None else int(found["port"])
    if port is not None and not 1 <= port <= 65_535:
        raise BadInput(f"{port} is no port; write sftp://[user@]host[:port]/path")
    return Place("sftp", found["path"] or ".", found["host"].strip("[]"), found["user"], port)


def _rclone(text: str) -> Place:
    found = _RCLONE.fullmatch(text)
    if found is None:
        raise BadInput(
            "not a remote of rclone; write rclone:NAME:path, NAME as 'rclone listremotes' shows it, and keep options "
            "and logins in rclone's own configuration"
        )
    return Place("rclone", found["path"], found["remote"])


def destination(text: str, env: Mapping[str, str]) -> Destination:
    """Open an entry of backup.copy_to. env: of the programs that are started. Raises BadInput, connects to nothing."""
    place = place_of(text)
    if place.kind == "sftp":
        from engine.host.copying.sftp import Sftp

        return Sftp(place, env)
    if place.kind == "rclone":
        from engine.host.copying.rclone import Rclone

        return Rclone(place, env)
    from engine.host.copying.directory import Directory

    return Directory(Path(place.path))


def partial_name(name: str) -> str:
    """Return what a file is called while it is not whole. What a cut line leaves is written over by the next try."""
    return f".{name}.partial"
