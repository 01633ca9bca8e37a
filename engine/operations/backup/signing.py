"""Whose backup it is: signs manifests with a key of this installation, and judges the signatures of others.

With a vault it is the vault's key, which also signs the audit log. Without one, or while it is locked, it is a key in
a file of the data directory, made at first need: so every backup is signed, and one that was put in place of another
is told from one that is damaged.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from engine.errors import ArchiveForged, BadInput, ChronosError, ConfigError, NotPossible, VaultDamaged
from engine.host.files import read_small, write_atomic
from engine.operations import checkpointing, vault
from engine.operations.context import Context
from engine.operations.vault import Signer
from engine.rules import checkpoints
from engine.rules.backups import statement
from engine.store import audit, backups

KEY_FILE = "backup-signing.key"
ALGORITHM = "ed25519"
_SEED_BYTES = 32
_MOST_FILE_BYTES = 1024
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{128}", re.ASCII)


class Authenticity(StrEnum):
    """CONFIRMED: signed by a key of ours, or one that somebody vouches for. UNKNOWN_KEY: nobody here knows the key,
    and there is nothing here that it would have to be.
    """

    CONFIRMED = "confirmed"
    UNKNOWN_KEY = "unknown_key"


def sign(context: Context, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest with its signature. Raises NotPossible where the key file cannot be used, StorageFull."""
    signer = _signer(context)
    unsigned = {name: value for name, value in manifest.items() if name != "signature"}
    value = signer.sign(statement(unsigned)).hex()
    return {**unsigned, "signature": {"algorithm": ALGORITHM, "key": signer.public_hex, "value": value}}


def judge(
    context: Context,
    manifest: Mapping[str, Any],
    *,
    own_keys: frozenset[str] = frozenset(),
    trust: Sequence[str] = (),
) -> Authenticity:
    """Say whose a manifest is. Opens the vault where that is possible; writes nothing.

    own_keys: public keys that were derived from sealed ones of ours, such as in the backup's own vault, opened with a
    root key at hand. trust: public keys that the operator vouches for. All in hex.

    Raises ArchiveForged when the signature is not one over this manifest, or is by a key that nobody here knows while
    the backup claims to be of this very database.
    """
    key = _signed_by(manifest)
    ours = _keys(context) | own_keys
    if key in ours or key in {word.strip().lower() for word in trust}:
        return Authenticity.CONFIRMED
    if ours and manifest.get("database_id") == context.database.read(backups.database_id):
        raise ArchiveForged(
            f"{name_of(manifest)}: it says that it is a backup of this outbox, but it is signed with a key that is not "
            "ours: somebody put it in place of the real one; if that is the key of a vault that was lost, vouch for it "
            f"with --trust-key {key}"
        )
    return Authenticity.UNKNOWN_KEY


def must_be_known(context: Context) -> bool:
    """Whether a backup that is to take today's place must be signed by a known key: there is something here to lose,
    and there are keys by which what is genuine can be told. Whose it says that it is does not count: whoever forges one
    says what helps.
    """
    return bool(_keys(context)) and context.database.read(audit.head)[0] > 0


def signing_key(manifest: Mapping[str, Any]) -> str:
    """Return the public key that a manifest says it is signed with, in hex; "" where it names none."""
    signature = manifest.get("signature")
    key = signature.get("key") if isinstance(signature, dict) else None
    return key if isinstance(key, str) and _KEY.fullmatch(key) else ""


def _signed_by(manifest: Mapping[str, Any]) -> str:
    """Return the key whose signature over the manifest this is."""
    signature, key = manifest.get("signature"), signing_key(manifest)
    signature = signature if isinstance(signature, dict) else {}
    value = signature.get("value")
    named = {"algorithm": ALGORITHM, "key": key, "value": value}
    if not (key and signature == named and isinstance(value, str) and _SIGNATURE.fullmatch(value)):
        raise ArchiveForged(f"{name_of(manifest)}: its manifest is not signed; somebody made it or took that away")
    if not _fits(manifest, key, bytes.fromhex(value)):
        raise ArchiveForged(
            f"{name_of(manifest)}: its manifest was changed after it was signed, by somebody who has none of our keys"
        )
    return key


def _fits(manifest: Mapping[str, Any], key: str, signature: bytes) -> bool:
    try:
        signed = statement(manifest)
    except BadInput:  # numbers and texts that we never write
        return False
    return checkpoints.is_signed(signed, key, base64.b64encode(signature).decode("ascii"))


def name_of(manifest: Mapping[str, Any]) -> str:
    """Return what it calls itself, fit for a line: whoever wrote it may mean no good."""
    return ascii(manifest.get("name"))[1:-1][:120]


# Our keys


def _keys(context: Context) -> frozenset[str]:
    """Return the public keys of this installation; none where it has none yet."""
    try:
        known = checkpointing.trust(context).keys or frozenset()
    except VaultDamaged:
        known = frozenset()  # a vault that was tampered with vouches for nothing
    path = _path(context)
    try:
        return known if path is None else known | {_from_file(path).public_hex}
    except (FileNotFoundError, NotPossible):
        return known


def _signer(context: Context) -> Signer:
    if vault.state(context) is not None:
        try:
            return vault.signer(context)
        except ChronosError as error:
            # It is locked, damaged or switched off; none of that is a reason to have no backup.
            context.log.event("INFO", "backup_signed_by_file", reason=str(error))
    path = _path(context)
    if path is None:
        raise NotPossible("opened without a data directory: there is no key to sign a backup with")
    try:
        return _from_file(path)
    except FileNotFoundError:
        write_atomic(path, context.entropy(_SEED_BYTES).hex().encode() + b"\n")
        return _from_file(path)


def _from_file(path: Path) -> Signer:
    """Raises FileNotFoundError, NotPossible."""
    try:
        seed = bytes.fromhex(read_small(path, _MOST_FILE_BYTES).decode("ascii").strip())
    except (ConfigError, ValueError) as error:
        raise NotPossible(f"{path}: holds no key ({error}); move it away, and the next backup makes another") from error
    if len(seed) != _SEED_BYTES:
        raise NotPossible(f"{path}: holds no key; move it away, and the next backup makes another")
    return Signer(seed)


def _path(context: Context) -> Path | None:
    paths = context.machine.paths
    return None if paths is None else paths.data_dir / KEY_FILE
