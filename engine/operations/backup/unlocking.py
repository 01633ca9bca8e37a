"""What opens a backup: age identities for its file, a root key for the vault in it. Keeps nothing that it opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from engine.errors import ArchiveRefused, NotFound, NotPossible, StorageFull, VaultDamaged, VaultLocked
from engine.host.files import NO_SPACE
from engine.operations import secrets, vault
from engine.operations.context import Context
from engine.operations.vault import Opened, Provider, Signer
from engine.store import vault as store
from engine.store.vault import SecretRow, VaultRow

Progress = Callable[[int, int], None]


class Opener(NamedTuple):
    """What decrypts a file: age identities (`AGE-SECRET-KEY-1…`), or the passphrase that it was encrypted with."""

    identities: tuple[str, ...] = ()
    passphrase: str | None = None

    def __repr__(self) -> str:
        return f"<opener with {len(self.identities)} identities{', a passphrase' if self.passphrase else ''}>"


def own_opener(context: Context) -> Opener:
    """Return what the configuration names: backup.identity, or the passphrase of backup.encrypt_to.

    Raises SecretMissing, VaultLocked, VaultDamaged where it cannot be had; BadInput where the secret holds no identity;
    NotPossible where none is named.
    """
    backup = context.settings.backup
    if backup["identity"]:
        from engine.host.age import read_identities  # a file of age-keygen, comments and all, is a good secret too

        return Opener(identities=read_identities(secrets.look_up(context, backup["identity"])))
    named = [one for one in backup["encrypt_to"] if one.startswith("secret:")]
    if named:
        return Opener(passphrase=secrets.look_up(context, named[0]))
    raise NotPossible("it is encrypted and nothing here opens it; set backup.identity, or name the key on the command")


def decrypt_into(file: Path, target: Path, opener: Opener, progress: Progress | None = None) -> None:
    """Write what is in an encrypted backup to a new 0600 file; it is removed again where that fails.

    Raises NotFound, ArchiveRefused, BadInput where nothing opens it, NotPossible, StorageFull.
    """
    from engine.host.age import decrypt

    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as dst, file.open("rb") as src:  # noqa: PTH123 - a descriptor, not a path
            decrypt(src, dst, identities=opener.identities, passphrase=opener.passphrase, progress=progress)
    except FileNotFoundError as error:
        raise NotFound(f"{file}: there is no such file") from error
    except OSError as error:
        target.unlink(missing_ok=True)
        if error.errno in NO_SPACE:
            raise StorageFull(
                f"{target.parent}: the disk is full; a decrypted copy of {file.name} needs room"
            ) from error
        raise NotPossible(f"{file}: cannot be decrypted: {error.strerror}") from error
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, ArchiveRefused):
            raise ArchiveRefused(f"{file}: {error}") from error
        raise


# The vault in a backup


def unlocked(context: Context, row: list[object] | None, key: tuple[str, bytes] | None) -> Opened | None:
    """Return the vault of a backup, opened by the root key at hand; None where there is none in it.

    row: as a judge handed it out. key: a root key's id and the key, from a recovery kit, instead of the one at hand.
    Raises NotPossible or VaultLocked where no key is at hand, VaultDamaged where its row was changed.
    """
    if row is None:
        return None
    archived = _vault_row(row)
    live = context.database.read(store.read)
    if key is not None:
        if key[0] != archived.root_id:
            raise NotPossible(
                f"the kit holds root key {key[0][:16]}, this backup needs {archived.root_id[:16]}; take the kit that "
                "was in force when it was made"
            )
        return Opened(archived, vault.unwrap(key[1], archived))
    if live == archived:
        return vault.opened(context)
    vault.check_on(context)
    # The same key may have gone to another keeper since.
    keeper = live if live is not None and live.root_id == archived.root_id else archived
    try:
        root = vault.keys_of(context, Provider(keeper.provider), vault.kdf_of_row(keeper)).find(archived.root_id)
    except (VaultDamaged, VaultLocked) as error:
        raise VaultLocked(f"the root key of this backup is not at hand ({error}); a recovery kit opens it") from error
    return Opened(archived, vault.unwrap(root, archived))


def signing_key_of(box: Opened, row: list[object]) -> str | None:
    """Open one secret of a backup; return the public key in hex where it is the audit log's signing key.

    Raises VaultDamaged, naming the secret.
    """
    name, version, key_version, sealed, created_ms, updated_ms = row
    found = SecretRow(
        str(name), _number(version), _number(key_version), _bytes(sealed), _number(created_ms), _number(updated_ms)
    )
    value = box.unseal(found)
    return Signer(value).public_hex if found.name == vault.SIGNING_KEY else None


def _vault_row(row: list[object]) -> VaultRow:
    vault_id, provider, root_id, kdf, key_version, wrapped, created_ms, rotated_ms = row
    return VaultRow(
        str(vault_id),
        str(provider),
        str(root_id),
        str(kdf),
        _number(key_version),
        _bytes(wrapped),
        _number(created_ms),
        None if rotated_ms is None else _number(rotated_ms),
    )


def _number(value: object) -> int:
    """A strict table holds numbers where it says so; a judge compared the schema before."""
    if not isinstance(value, int):
        raise VaultDamaged("the vault's row is not what was written")
    return value


def _bytes(value: object) -> bytes:
    try:
        return bytes.fromhex(str(value))
    except ValueError as error:
        raise VaultDamaged("the vault's row is not what was written") from error
