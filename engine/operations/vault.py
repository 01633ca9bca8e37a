"""The vault: a root key at its provider wraps the data key that seals every secret. Shows no key to anybody."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import ChronosError, NotPossible, TryAgain, VaultDamaged, VaultLocked
from engine.host import sealing
from engine.host.rootkeys.choosing import CHOICES, root_keys
from engine.host.rootkeys.choosing import Provider as Provider  # noqa: PLC0414 - handed on
from engine.operations.context import Context, writable
from engine.store import audit
from engine.store import vault as store
from engine.store.tx import Tx
from engine.store.vault import SecretRow, VaultRow

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from engine.host.rootkeys.base import RootKeys

CHANGES = ("vault.created", "vault.rotated", "vault.recovered")
SIGNING_KEY = ".audit-key"
OFF = "security.encryption_enabled is false, so the vault is off and nothing is stored; set it to true"
_ASK_AGAIN_MS = 15_000
"""How long a locked vault is not asked again: each try takes up to 5 s, and many senders want it at once."""

_WORDS = {
    Provider.KEYRING: "OS keyring",
    Provider.FILE: "key file",
    Provider.CREDENTIAL: "systemd credential",
    Provider.PASSPHRASE: "passphrase (scrypt)",
}


@dataclass(frozen=True, slots=True)
class VaultState:
    """What is known of the vault without a key. root_id: the root key's public name. words: the provider's."""

    provider: Provider
    words: str
    root_id: str
    key_version: int
    created_ms: int
    rotated_ms: int | None


class Opened:
    """A vault that was opened: the data key, for this process alone. Its repr says nothing."""

    __slots__ = ("_key", "row")

    def __init__(self, row: VaultRow, key: bytes) -> None:
        self.row = row
        self._key = key

    def seal(self, context: Context, name: str, version: int, value: bytes) -> bytes:
        """Seal a value to its name and version."""
        return sealing.seal(self._key, value, self._binding(name, version), context.entropy)

    def unseal(self, row: SecretRow) -> bytes:
        """Open a secret. Raises VaultDamaged, naming it."""
        if row.key_version != self.row.key_version:
            raise VaultDamaged(
                f"secret {row.name} is sealed under a key that is gone: it was put back from an older copy"
            )
        return sealing.unseal(self._key, row.sealed, self._binding(row.name, row.version), f"secret {row.name}")

    def _binding(self, name: str, version: int) -> dict[str, object]:
        row = self.row
        return {
            "purpose": "chronos secret",
            "vault_id": row.vault_id,
            "name": name,
            "version": version,
            "key_version": row.key_version,
        }


def state(context: Context) -> VaultState | None:
    """Return what the vault is; None before there is one. Reads one row, asks no provider."""
    row = context.database.read(store.read)
    return None if row is None else state_of(row)


def state_of(row: VaultRow) -> VaultState:
    provider = Provider(row.provider)
    return VaultState(provider, _WORDS[provider], row.root_id, row.key_version, row.created_ms, row.rotated_ms)


def wrap(context: Context, root: bytes, data_key: bytes, row: VaultRow) -> bytes:
    """Return the data key, wrapped and bound to everything that the row says."""
    return sealing.seal(root, data_key, _wrapping(row), context.entropy)


def unwrap(root: bytes, row: VaultRow) -> bytes:
    """Return the data key. Raises VaultDamaged."""
    return sealing.unseal(root, row.wrapped, _wrapping(row), "the vault's data key")


def _wrapping(row: VaultRow) -> dict[str, object]:
    return {
        "purpose": "chronos data key",
        "vault_id": row.vault_id,
        "provider": row.provider,
        "root_id": row.root_id,
        "kdf": row.kdf,
        "key_version": row.key_version,
    }


def kdf_of_row(row: VaultRow) -> sealing.Kdf | None:
    return sealing.kdf_of(row.kdf) if row.provider == Provider.PASSPHRASE else None


def keys_of(
    context: Context, provider: Provider, kdf: sealing.Kdf | None = None, passphrase: str | None = None
) -> RootKeys:
    """Return the place of this data directory."""
    paths = context.machine.paths
    directory = paths.data_dir if paths is not None else Path()
    return root_keys(provider, directory, context.machine.env, kdf=kdf, passphrase=passphrase)


def recorded(row: VaultRow) -> dict[str, object]:
    return {"provider": row.provider, "root_id": row.root_id, "key_version": row.key_version, "kdf": row.kdf}


def mismatch(context: Context, row: VaultRow) -> str | None:
    """Say what of the vault's row is not as the audit log recorded it; None when all is, or nothing was recorded."""
    found = context.database.read(lambda tx: store.last_word(tx, "vault", CHANGES))
    wrong = [] if found is None else [name for name, value in recorded(row).items() if found[1].get(name) != value]
    if not wrong:
        return None
    return f"the vault's row is not what the audit log recorded at its last change ({', '.join(wrong)}): it was changed"


# Opening


def check_on(context: Context) -> None:
    """Raise NotPossible where the operator has switched the vault off."""
    if not context.settings.security["encryption_enabled"]:
        raise NotPossible(OFF)


def opened(context: Context) -> Opened:
    """Return the vault, opened once for this process and again when another one has changed it.

    Raises NotPossible without a vault, VaultLocked when it cannot be opened now, VaultDamaged.
    """
    check_on(context)
    row = context.database.read(store.read)
    if row is None:
        raise NotPossible(f"there is no vault; 'chronos init --root-key PLACE' makes it ({CHOICES})")
    kept = context.kept.get("vault")
    if kept is not None and kept.row == row:
        return kept  # type: ignore[no-any-return]
    lock: Any = context.kept.setdefault("vault_lock", threading.Lock())
    with lock:
        return _opened(context, row)


def _opened(context: Context, row: VaultRow) -> Opened:
    """Open it, unless another thread just did, or just failed to."""
    kept = context.kept.get("vault")
    if kept is not None and kept.row == row:
        return kept  # type: ignore[no-any-return]
    now_ms = context.clock.monotonic_ms()
    failed = context.kept.get("vault_failed")
    if failed is not None and failed[0] == row and now_ms < failed[1]:
        raise VaultLocked(failed[2])
    try:
        return open_with(context, None, row)
    except VaultLocked as error:
        context.kept["vault_failed"] = (row, context.clock.monotonic_ms() + _ASK_AGAIN_MS, str(error))
        raise


def open_with(context: Context, passphrase: str | None, row: VaultRow | None = None) -> Opened:
    """Open the vault now, with a passphrase that somebody typed, and keep it open for this process."""
    row = row or context.database.read(store.read)
    if row is None:
        raise NotPossible("there is no vault")
    try:
        root = keys_of(context, Provider(row.provider), kdf_of_row(row), passphrase).find(row.root_id)
        done = Opened(row, unwrap(root, row))
    except (VaultLocked, VaultDamaged) as error:
        if changed := mismatch(context, row):
            raise VaultDamaged(changed) from error
        raise
    context.kept["vault"] = done
    context.kept.pop("vault_failed", None)
    return done


def root_of(context: Context, row: VaultRow, passphrase: str | None) -> bytes:
    """Return the root key, asking its provider. For a recovery kit; nothing else needs it for long."""
    return keys_of(context, Provider(row.provider), kdf_of_row(row), passphrase).find(row.root_id)


def require_state(context: Context) -> VaultState:
    """Return what the vault is. Raises NotPossible before there is one."""
    found = state(context)
    if found is None:
        raise NotPossible(f"there is no vault; 'chronos init --root-key PLACE' makes it ({CHOICES})")
    return found


def reachable(context: Context) -> str | None:
    """Say in one sentence why the vault cannot be opened; None when it can, or there is none, or it is off."""
    if not context.settings.security["encryption_enabled"] or state(context) is None:
        return None
    try:
        opened(context)
    except ChronosError as error:
        return str(error)
    return None


# Signing


class Signer:
    """The key pair of the audit log's checkpoints (Ed25519). public_hex: the raw public key in 64 hex digits."""

    __slots__ = ("_key", "public_hex")

    def __init__(self, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._key: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_hex = self._key.public_key().public_bytes_raw().hex()

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._key.sign(message)


def public_key(context: Context) -> str | None:
    """Return the signer's public key in hex, without opening anything; None before its first use."""
    return context.database.read(store.public_key)


def signer(context: Context) -> Signer:
    """Return the audit log's signer; its key pair is made at first use.

    Raises NotPossible without a vault, VaultLocked when it cannot be opened now, VaultDamaged.
    """
    kept = context.kept.get("signer")
    if kept is not None and kept.public_hex == public_key(context):
        return kept  # type: ignore[no-any-return]
    box = opened(context)
    row = context.database.read(lambda tx: store.secret(tx, SIGNING_KEY))
    if row is None:
        row = _make_signing_key(context, box)
    found = Signer(box.unseal(row))
    if found.public_hex != public_key(context):
        raise VaultDamaged("the public key of the audit log is not the one of its signing key: it was changed")
    context.kept["signer"] = found
    return found


def _make_signing_key(context: Context, box: Opened) -> SecretRow:
    writable(context)
    seed = context.entropy(32)
    public_hex = Signer(seed).public_hex
    now_ms = context.clock.now_ms()
    sealed = box.seal(context, SIGNING_KEY, 1, seed)
    fresh = SecretRow(SIGNING_KEY, 1, box.row.key_version, sealed, now_ms, now_ms)

    def work(tx: Tx) -> SecretRow:
        there = store.secret(tx, SIGNING_KEY)
        if there is not None:
            return there
        if store.read(tx) != box.row:
            raise TryAgain("the vault was changed meanwhile; try again")
        store.put(tx, fresh)
        store.note_public_key(tx, public_hex)
        audit.append(tx, now_ms, context.actor, "audit.key_created", "audit", {"public_key": public_hex})
        return fresh

    return context.database.write(work)
