"""Root keys that systemd hands to a service in $CREDENTIALS_DIRECTORY. Reads them; puts none there."""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from engine.errors import ConfigError, NotPossible, VaultLocked
from engine.host.files import read_small
from engine.host.sealing import KEY_BYTES, root_id

NAME = "chronos-root-key"
_MOST_BYTES = 4096


def encrypting(name: str) -> str:
    """Return the command line that makes a credential of that name."""
    return f"head -c 32 /dev/urandom | systemd-creds encrypt --name={name} - {_place(name)}"


def loading(name: str) -> str:
    """Return the line of a unit that hands it over."""
    return f"LoadCredentialEncrypted={name}:{_place(name)}"


def _place(name: str) -> str:
    return f"/etc/credstore.encrypted/{name}"


class CredentialKeys:
    """See base.RootKeys. Any credential whose name begins with chronos-root-key counts; the id says which one fits."""

    words = "systemd credential"
    brings_own = True

    def __init__(self, env: Mapping[str, str]) -> None:
        self._directory = env.get("CREDENTIALS_DIRECTORY", "")

    def trouble(self) -> str | None:
        if not self._directory:
            return (
                "this process was handed no systemd credentials; run it as a service, or: systemd-run --pipe --wait "
                f"-p {loading(NAME)} chronos …"
            )
        try:
            found = self._read()
        except VaultLocked as error:
            return str(error)
        if not found:
            return (
                f"no credential {NAME} was handed over; make it: {encrypting(NAME)}; "
                f"and add to the unit: {loading(NAME)}"
            )
        return None

    def find(self, root_id: str) -> bytes:
        if trouble := self.trouble():
            raise VaultLocked(f"the root key is a systemd credential: {trouble}")
        key = self._read().get(root_id)
        if key is None:
            raise VaultLocked(
                f"none of the systemd credentials {NAME}* is root key {root_id}; "
                "hand over the right one with LoadCredentialEncrypted="
            )
        return key

    def fresh(self, not_id: str) -> bytes:
        if trouble := self.trouble():
            raise NotPossible(trouble)
        others = [key for name, key in self._read().items() if name != not_id]
        if not others:
            following = f"{NAME}-next"
            raise NotPossible(
                f"bring the new root key first: {encrypting(following)}; "
                f"add to the unit: {loading(following)}; then rotate again with it"
            )
        if len(others) > 1:
            raise NotPossible(
                f"several credentials {NAME}* might be the new root key; hand over the old and one new one"
            )
        return others[0]

    def keep(self, root_id: str, key: bytes) -> None:
        if self._read().get(root_id) != key:
            raise NotPossible("a systemd credential cannot be written from here; name another place")

    def forget(self, root_id: str) -> None:
        """It is the operator's to take it out of the unit."""

    def _read(self) -> dict[str, bytes]:
        known = {}
        try:
            places = sorted(Path(self._directory).glob(f"{NAME}*"))
        except OSError:
            places = []
        for place in places:
            key = _key(place)
            known[root_id(key)] = key
        return known


def _key(place: Path) -> bytes:
    """Read 32 raw bytes, or 64 hex digits, or base64 of 32 bytes. Raises VaultLocked."""
    try:
        mode = stat.S_IMODE(place.stat().st_mode)
        data = read_small(place, _MOST_BYTES)
    except OSError as error:
        raise VaultLocked(f"the credential {place.name} cannot be read: {error.strerror}") from error
    except ConfigError as error:
        raise VaultLocked(f"the credential {place.name} {error}") from error
    if mode & 0o007:
        raise VaultLocked(
            f"the credential {place} has mode {mode:04o} and every user may read it; run: chmod 400 {place}"
        )
    if len(data) == KEY_BYTES:
        return data
    text = data.strip()
    for decode in (bytes.fromhex, _base64):
        try:
            key = decode(os.fsdecode(text))
        except ValueError:
            continue
        if len(key) == KEY_BYTES:
            return key
    raise VaultLocked(f"the credential {place.name} holds no root key: 32 bytes are wanted, raw, as hex or as base64")


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error
