"""Makes a provider by name. Picks none by itself: the operator chooses."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from engine.host.rootkeys.base import RootKeys
from engine.host.sealing import Kdf


class Provider(StrEnum):
    """Where a root key lies."""

    KEYRING = "keyring"
    FILE = "file"
    CREDENTIAL = "credential"
    PASSPHRASE = "passphrase"  # noqa: S105 - the name of a place


CHOICES = "keyring, file, credential, passphrase"


def root_keys(
    provider: Provider,
    directory: Path,
    env: Mapping[str, str],
    *,
    kdf: Kdf | None = None,
    passphrase: str | None = None,
) -> RootKeys:
    """Return the place. kdf: needed for a passphrase. directory: the data directory."""
    if provider == Provider.KEYRING:
        from engine.host.rootkeys.keyring import KeyringKeys

        return KeyringKeys(env, directory)
    if provider == Provider.FILE:
        from engine.host.rootkeys.file import FileKeys

        return FileKeys(directory)
    if provider == Provider.CREDENTIAL:
        from engine.host.rootkeys.credential import CredentialKeys

        return CredentialKeys(env)
    from engine.host.rootkeys.passphrase import PassphraseKeys

    assert kdf is not None, "stored with every vault of this kind"
    return PassphraseKeys(env, kdf, passphrase)
