"""Copies to an SFTP server through OpenSSH's own client, which never asks: a key that it finds, a host that it knows.

Everything else (keys, jump hosts, ports, aliases) is the business of ~/.ssh/config of the user that the engine runs as.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engine.errors import DeadlineExceeded, NotPossible
from engine.host.copying import sftpwire
from engine.host.copying.base import Place, Progress, partial_name
from engine.host.copying.program import IDLE_S, Program, limit_s
from engine.host.copying.sftpwire import NoSuchFile, Wire

_OPTIONS = (
    "BatchMode=yes",
    "ConnectTimeout=30",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "ControlMaster=no",  # one that was opened elsewhere is used; ours would stay behind when we are ended
    "LogLevel=ERROR",
)


class Sftp:
    """See base.Destination. Makes no directory. idle_s: how long the line may be silent."""

    def __init__(self, place: Place, env: Mapping[str, str], *, idle_s: float = IDLE_S) -> None:
        self._place = place
        self._env = env
        self._idle_s = idle_s

    def put(self, path: Path, name: str, progress: Progress | None = None) -> str:
        """Order: temporary name, fsync where the server can, size compared, rename."""
        try:
            with path.open("rb") as source:
                size = path.stat().st_size
                with self._session(size) as wire:
                    handle = wire.open(self._at(partial_name(name)), sftpwire.WRITE)
                    sent = wire.write(handle, source, size, progress)
                    wire.sync(handle)
                    kept = wire.size(handle)
                    wire.close(handle)
                    if kept != sent:
                        raise NotPossible(f"{kept} of {sent} bytes lie there")
                    wire.rename(self._at(partial_name(name)), self._at(name))
        except OSError as error:
            raise NotPossible(f"cannot read {path}: {error.strerror}") from error
        return f"{sent} bytes sent to {self._place.host}"

    def check(self, name: str, size: int, sha256: str, progress: Progress | None = None) -> bool:
        digest, done = hashlib.sha256(), 0
        with self._session(size) as wire:
            try:
                handle = wire.open(self._at(name), sftpwire.READ)
            except NoSuchFile:
                return False
            if wire.size(handle) != size:
                return False
            for part in wire.read(handle, size):
                digest.update(part)
                done += len(part)
                if progress is not None:
                    progress(done, size)
            wire.close(handle)
        return digest.hexdigest() == sha256

    @contextmanager
    def _session(self, size: int) -> Iterator[Wire]:
        place = self._place
        command = ["ssh", "-T", "-x", "-a", *(f"-o{option}" for option in _OPTIONS)]
        command += ["-p", str(place.port)] if place.port is not None else []
        command += ["-l", place.user] if place.user is not None else []
        command += ["-s", "--", place.host, "sftp"]
        try:
            with Program(command, self._env, limit_s=limit_s(size), idle_s=self._idle_s) as program:
                wire = Wire(program)
                wire.greet()
                yield wire
        except NoSuchFile as error:
            raise NotPossible(f"{place.host}: {place.path}: {error}") from error
        except NotPossible as error:
            raise NotPossible(f"{place.host}: {error}") from error
        except DeadlineExceeded as error:
            raise DeadlineExceeded(f"{place.host}: {error}") from error

    def _at(self, name: str) -> str:
        return f"{self._place.path.rstrip('/')}/{name}"
