"""An address as configured, made into a socket that listens. Accepts nothing and speaks nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path
from typing import NamedTuple

from engine.errors import NotPossible

BACKLOG = 128
_LONGEST_PATH = 107
"""sun_path of Linux less its closing NUL (unix(7)); in bytes."""


class Place(NamedTuple):
    """Where to listen: a host and a port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""


def place_of(listen: str) -> Place:
    """Read `http.listen`, which the configuration has already judged: HOST:PORT, [IPV6]:PORT, /path or unix:/path."""
    path = listen.removeprefix("unix:")
    if path.startswith("/"):
        return Place(path=path)
    host, _, port = listen.rpartition(":")
    return Place(host.strip("[]"), int(port))


class Listener:
    """A socket that listens. `words` names its address for people and the ready line; `unix`: it is a Unix socket."""

    def __init__(self, sock: socket.socket, path: str = "") -> None:
        self.socket = sock
        self.unix = bool(path)
        self._path = path
        self._identity = _identity(path) if path else None
        self.words = f"unix:{path}" if path else _words(sock)

    def close(self) -> None:
        """Listen no longer; a Unix socket's file goes too, if it is still the one that was made here. Idempotent."""
        if self._path and self._identity is not None and _identity(self._path) == self._identity:
            with contextlib.suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108 - beside os.stat
        self._identity = None
        self.socket.close()


def listen(place: Place) -> Listener:
    """Bind and listen. Raises NotPossible, saying why not and what to do."""
    try:
        return _listen_unix(place.path) if place.path else _listen_tcp(place)
    except OSError as error:
        where = place.path or f"{place.host}:{place.port}"
        raise NotPossible(f"cannot listen on {where}: {_why(error, place)}") from error


def _why(error: OSError, place: Place) -> str:
    reason = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        return "another program has it; stop that one, or change http.listen"
    if error.errno in (errno.EACCES, errno.EPERM):
        what = "the directory must be yours" if place.path else "ports below 1024 need a privilege"
        return f"{reason}; {what}; change http.listen"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{reason}; it is no address of this machine; change http.listen"
    return f"{reason}; change http.listen"


def _listen_tcp(place: Place) -> Listener:
    found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # "localhost" is both ::1 and 127.0.0.1; what is documented is the latter.
    family, kind, protocol, _name, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # One setting names one address: "[::]" then means every address, of IPv4 too.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if place.host == "::" else 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return Listener(sock)


def _words(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if sock.family == socket.AF_INET6 else f"{host}:{port}"


def _listen_unix(path: str) -> Listener:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise OSError(errno.ENAMETOOLONG, f"a socket's path has at most {_LONGEST_PATH} bytes")
    _judge_directory(Path(path).parent)
    _clear(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        os.chmod(path, 0o600)  # noqa: PTH101 - nobody can connect before listen()
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return Listener(sock, path)


def _judge_directory(directory: Path) -> None:
    """Refuse a directory in which others could put a socket of theirs, to be handed API keys."""
    found = directory.stat()
    if found.st_uid not in (os.geteuid(), 0):
        raise OSError(errno.EACCES, f"{directory} belongs to another user")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError(errno.EACCES, f"others may write into {directory}")


def _clear(path: str) -> None:
    """Make way: a socket that a dead process left is removed; a live one, and anything else, is left alone."""
    try:
        found = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - beside os.unlink
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EEXIST, "the file there is no socket; remove it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # noqa: PTH108
            return
        except TimeoutError:
            pass  # somebody listens and is too busy to accept
    raise OSError(errno.EADDRINUSE, "another process listens there")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path, follow_symlinks=False)  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino
