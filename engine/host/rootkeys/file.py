"""Root keys in a file of the data directory, mode 0600. Whoever copies the directory copies them too.

One line a key: its id, a blank, 64 hex digits.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from engine.errors import ChronosError, ConfigError, NotPossible, VaultLocked
from engine.host.files import read_small, write_atomic
from engine.host.sealing import KEY_BYTES, root_id

NAME = "root.key"
_MOST_BYTES = 16 * 1024
_HEAD = "# Root keys of the Chronos vault. Whoever has this file can open every secret in chronos.db.\n"


class FileKeys:
    """See base.RootKeys."""

    brings_own = False

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME
        self.words = f"key file {self._path}"

    def trouble(self) -> str | None:
        try:
            self._read()
        except ChronosError as error:
            return str(error)
        if not os.access(self._path.parent, os.W_OK):
            return f"{self._path.parent} cannot be written to"
        return None

    def find(self, root_id: str) -> bytes:
        key = self._read().get(root_id)
        if key is None:
            state = f"does not hold root key {root_id}" if self._path.exists() else "is missing"
            raise VaultLocked(
                f"{self._path} {state}; put the file back, or 'chronos secret import-recovery-kit FILE' makes it anew"
            )
        return key

    def fresh(self, not_id: str) -> bytes:
        raise NotPossible("a key file is made here, none is brought")

    def keep(self, root_id: str, key: bytes) -> None:
        with self._exclusive():
            self._write({**self._read(), root_id: key})
        if self._read().get(root_id) != key:
            raise NotPossible(f"{self._path} does not hold what was written to it; look at the disk")

    def forget(self, root_id: str) -> None:
        with self._exclusive():
            known = self._read()
            if known.pop(root_id, None) is not None:
                self._write(known)

    def _write(self, known: dict[str, bytes]) -> None:
        if not known:
            self._path.unlink(missing_ok=True)
            return
        lines = [f"{name} {key.hex()}\n" for name, key in sorted(known.items())]
        write_atomic(self._path, (_HEAD + "".join(lines)).encode())

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Two processes that change the file one after the other must each see what the other wrote."""
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _read(self) -> dict[str, bytes]:
        """Return the keys; {} without a file. Raises VaultLocked for one that others can read, or that is no key file.

        A key that others could have read is not used before its owner has seen to it.
        """
        try:
            found = self._path.stat()
            if stat.S_IMODE(found.st_mode) & 0o077:
                mode = stat.S_IMODE(found.st_mode)
                raise VaultLocked(
                    f"{self._path} has mode {mode:04o} and other users may read it; run: chmod 600 {self._path}"
                )
            if found.st_uid not in {os.geteuid(), 0}:
                raise VaultLocked(f"{self._path} belongs to user {found.st_uid}, this is user {os.geteuid()}")
            data = read_small(self._path, _MOST_BYTES)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise VaultLocked(f"{self._path} cannot be read: {error.strerror}") from error
        except ConfigError as error:
            raise VaultLocked(f"{self._path} {error}") from error
        return self._parsed(data)

    def _parsed(self, data: bytes) -> dict[str, bytes]:
        known = {}
        for line in data.decode("ascii", "replace").splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            name, _, digits = line.partition(" ")
            try:
                key = bytes.fromhex(digits)
            except ValueError:
                key = b""
            if len(key) != KEY_BYTES or root_id(key) != name:
                raise VaultLocked(f"{self._path} is damaged; put it back, or 'chronos secret import-recovery-kit FILE'")
            known[name] = key
        return known
