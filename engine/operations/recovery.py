"""The recovery kit: the root key wrapped under a passphrase that is printed. Opens a backup on another machine."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from engine.errors import BadInput, NotPossible, VaultDamaged
from engine.host import sealing
from engine.host.rootkeys.choosing import Provider
from engine.operations import rotating, vault
from engine.operations.context import Context, writable
from engine.operations.vault import VaultState
from engine.rules.canonical import canonical_json
from engine.rules.durations import rfc3339
from engine.store import audit
from engine.store import vault as store
from engine.store.vault import VaultRow

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U. 32 letters, so that a byte modulo 32 favours none."""
_GROUPS, _GROUP = 8, 4
"""32 letters of 5 bits: 160 bits, beyond guessing whatever scrypt costs."""
_READ_AS = str.maketrans("ILO", "110")
_BEGIN, _END = "-----BEGIN CHRONOS RECOVERY KIT-----", "-----END CHRONOS RECOVERY KIT-----"


@dataclass(frozen=True, slots=True)
class RecoveryKit:
    """text: for a file, of no use without the passphrase. passphrase: to be written down apart from it, shown once."""

    text: str
    passphrase: str = field(repr=False)
    root_id: str


def make_kit(context: Context, *, passphrase: str | None = None) -> RecoveryKit:
    """Wrap the root key in force under a passphrase that is made here.

    passphrase: the vault's own, where it opens with one that somebody types.

    Raises NotPossible without a vault, VaultLocked, VaultDamaged.
    """
    writable(context)
    row = vault.opened(context).row
    root = vault.root_of(context, row, passphrase)
    letters = [_ALPHABET[byte % len(_ALPHABET)] for byte in context.entropy(_GROUPS * _GROUP)]
    printed = "-".join("".join(letters[at : at + _GROUP]) for at in range(0, len(letters), _GROUP))
    kdf = sealing.new_kdf(context.entropy)
    now_ms = context.clock.now_ms()
    about: dict[str, object] = {
        "purpose": "chronos recovery kit",
        "version": 1,
        "instance": context.settings.instance,
        "made_at": rfc3339(now_ms),
        "vault_id": row.vault_id,
        "root_id": row.root_id,
        "kdf": canonical_json(kdf.document()),
    }
    wrapped = sealing.seal(sealing.derive(_plain(printed), kdf), root, about, context.entropy)
    context.machine.on_secret(printed)
    context.database.write(
        lambda tx: audit.append(tx, now_ms, context.actor, "vault.kit_exported", "vault", {"root_id": row.root_id})
    )
    return RecoveryKit(_text(about, wrapped), printed, row.root_id)


def _text(about: dict[str, object], wrapped: bytes) -> str:
    block = json.dumps({**about, "wrapped": wrapped.hex()}, indent=1, sort_keys=True)
    return f"""\
Chronos recovery kit of {about["instance"]}, made {about["made_at"]}

This file and its passphrase together open every secret of the vault whose root key is {about["root_id"]}. Keep them
apart: the file with your backups, the passphrase on paper. A rotation of the root key needs a new kit; keep the old one
for as long as you keep backups that were made before.

When the root key is lost, or a backup is brought to another machine:
1. Install Chronos and put the backup in place: chronos restore apply BACKUP
2. chronos secret import-recovery-kit THIS-FILE --to keyring      (or: --to file)
   It asks for the passphrase, {_GROUPS} groups of {_GROUP} letters and digits; small letters are fine.
3. chronos secret check

{_BEGIN}
{block}
{_END}
"""


def import_kit(context: Context, text: str, passphrase: str, provider: Provider) -> VaultState:
    """Bring the root key of a kit to a provider here, so that the vault of this data directory opens.

    Raises BadInput for a kit that is none or a wrong passphrase, NotPossible where it belongs to another vault or the
    provider cannot take a key that exists.
    """
    writable(context)
    row = context.database.read(store.read)
    if row is None:
        raise NotPossible("there is no vault here; 'chronos restore apply' a backup that has it first")
    if provider in {Provider.CREDENTIAL, Provider.PASSPHRASE}:
        raise NotPossible(
            f"a {provider.value} cannot take a key that exists; import it to file or keyring, then "
            f"'chronos secret rotate-root --to {provider.value}'"
        )
    about, wrapped = _parsed(text)
    if about.get("root_id") != row.root_id:
        raise NotPossible(
            f"the kit holds root key {str(about.get('root_id'))[:16]}, this vault needs {row.root_id}; "
            "take the kit that was made after the last rotation"
        )
    root = _open(about, wrapped, passphrase)
    _bring(context, root, row, provider)
    return vault.require_state(context)


def _bring(context: Context, root: bytes, row: VaultRow, provider: Provider) -> None:
    data_key = vault.unwrap(root, row)
    keys = vault.keys_of(context, provider)
    if row.provider == provider:
        # Nothing to switch: the vault waits for this very key.
        keys.keep(row.root_id, root)
        context.database.write(lambda tx: rotating.note_change(tx, context, "vault.recovered", row))
        vault.open_with(context, None)
        return
    moved = row._replace(provider=provider.value, kdf="")
    moved = moved._replace(wrapped=vault.wrap(context, root, data_key, moved))
    rotating.switch(context, keys, root, row, moved, "vault.recovered")
    vault.open_with(context, None)


def open_kit(text: str, passphrase: str) -> tuple[str, bytes]:
    """Return the id of a kit's root key and the key, which opens a backup's vault without being kept anywhere.

    Raises BadInput for a kit that is none or a wrong passphrase.
    """
    about, wrapped = _parsed(text)
    return str(about.get("root_id")), _open(about, wrapped, passphrase)


def _open(about: dict[str, Any], wrapped: bytes, passphrase: str) -> bytes:
    try:
        kdf = sealing.kdf_of(str(about["kdf"]))
        return sealing.unseal(sealing.derive(_plain(passphrase), kdf), wrapped, about, "the kit")
    except (KeyError, VaultDamaged) as error:
        raise BadInput("the kit does not open: the passphrase is another one, or the file was changed") from error


def _parsed(text: str) -> tuple[dict[str, Any], bytes]:
    _, begin, rest = text.partition(_BEGIN)
    block, end, _ = rest.partition(_END)
    try:
        if not (begin and end):
            raise ValueError
        about = json.loads(block)
        wrapped = bytes.fromhex(about.pop("wrapped"))
        canonical_json(about)
    except (ValueError, KeyError, TypeError, AttributeError, BadInput, RecursionError) as error:
        raise BadInput("the file is no recovery kit, or only a part of one") from error
    return about, wrapped


def _plain(passphrase: str) -> str:
    """Read a typed passphrase as kindly as its alphabet allows: l for 1, o for 0, any dashes and blanks."""
    kept = "".join(letter for letter in passphrase.upper() if not letter.isspace() and letter != "-")
    return kept.translate(_READ_AS)
