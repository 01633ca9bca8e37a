"""A root key that is derived from a passphrase and lies nowhere. Prompts nobody: a front end hands the words in."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from engine.errors import BadInput, ConfigError, NotPossible, VaultLocked
from engine.host import sealing
from engine.host.files import read_small
from engine.host.sealing import Kdf

VARIABLE = "CHRONOS_PASSPHRASE_FILE"
CREDENTIAL = "chronos-passphrase"
SHORTEST = 12
_MOST_BYTES = 4096


def check_new(passphrase: str) -> None:
    """Raise BadInput for a passphrase that protects nothing."""
    if len(passphrase) < SHORTEST:
        raise BadInput(f"a passphrase has at least {SHORTEST} characters; five or six random words are good ones")
    if "\0" in passphrase or "\n" in passphrase or len(passphrase.encode("utf-8", "surrogateescape")) > _MOST_BYTES:
        raise BadInput("a passphrase is one line of text")


def provided(env: Mapping[str, str]) -> str | None:
    """Return the passphrase of $CHRONOS_PASSPHRASE_FILE, or of the systemd credential chronos-passphrase; None without.

    One newline at the end is left out. Raises VaultLocked for a file that others can read, or that cannot be read.
    """
    named = env.get(VARIABLE)
    if named:
        return _read(Path(named), VARIABLE, 0o077)
    directory = env.get("CREDENTIALS_DIRECTORY")
    place = Path(directory, CREDENTIAL) if directory else None
    if place is not None and place.exists():
        return _read(place, f"credential {CREDENTIAL}", 0o007)
    return None


def _read(place: Path, source: str, refused: int) -> str:
    try:
        mode = stat.S_IMODE(place.stat().st_mode)
        data = read_small(place, _MOST_BYTES)
    except OSError as error:
        raise VaultLocked(f"{source}: {place} cannot be read: {error.strerror}") from error
    except ConfigError as error:
        raise VaultLocked(f"{source}: {place} {error}") from error
    if mode & refused:
        raise VaultLocked(f"{source}: {place} has mode {mode:04o} and other users may read it; run: chmod 600 {place}")
    text = data.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")
    if not text:
        raise VaultLocked(f"{source}: {place} is empty; write the passphrase into it")
    return text


class PassphraseKeys:
    """See base.RootKeys. passphrase: what somebody typed; None looks where `provided` does."""

    words = "passphrase (scrypt, 128 MiB)"
    brings_own = True

    def __init__(self, env: Mapping[str, str], kdf: Kdf, passphrase: str | None = None) -> None:
        self._env = env
        self._kdf = kdf
        self._passphrase = passphrase

    def trouble(self) -> str | None:
        return None

    def find(self, root_id: str) -> bytes:
        words = self._passphrase if self._passphrase is not None else provided(self._env)
        if words is None:
            raise VaultLocked(
                f"the vault opens with a passphrase and none was given; set {VARIABLE} to a file of mode 0600 that "
                f"holds it, or hand it over as systemd credential {CREDENTIAL}; commands on a terminal ask for it"
            )
        key = sealing.derive(words, self._kdf)
        if sealing.root_id(key) != root_id:
            raise VaultLocked(
                "the passphrase is not the vault's, or its stored parameters were changed; "
                f"type it again, or look at the file that {VARIABLE} names"
            )
        return key

    def fresh(self, not_id: str) -> bytes:
        words = self._passphrase if self._passphrase is not None else provided(self._env)
        if words is None:
            raise NotPossible(f"give a passphrase: on a terminal it is asked for, else by {VARIABLE}")
        check_new(words)
        return sealing.derive(words, self._kdf)

    def keep(self, root_id: str, key: bytes) -> None:
        """It is in somebody's head, and was derived a moment ago."""

    def forget(self, root_id: str) -> None:
        """It lies nowhere."""
