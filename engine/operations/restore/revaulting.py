"""Which vault a restored database has, and which secrets: today's, what only the backup holds, sealed anew if need be.

Asks no keeper of keys: the vaults were opened before, or they stay shut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from engine.errors import VaultDamaged
from engine.operations import vault
from engine.operations.context import Context
from engine.operations.vault import Opened
from engine.rules.carrying import Relation
from engine.store import audit
from engine.store import vault as store
from engine.store.tx import Tx
from engine.store.vault import SecretRow, VaultRow

_SET, _DELETED = "secret.set", "secret.deleted"
_LOG_OF_BACKUP = frozenset({Relation.FORKED, Relation.FOREIGN, Relation.BEHIND, Relation.EMPTY})
"""Where the restored audit log is the backup's own."""


@dataclass(frozen=True, slots=True)
class SecretChange:
    """What a restore does about a secret, in words."""

    name: str
    what: str


class Side(NamedTuple):
    """A vault with its secrets as they lie there. box: opened; None where it cannot be opened now."""

    row: VaultRow | None
    secrets: list[SecretRow]
    box: Opened | None = None


class Choice(NamedTuple):
    """todays: today's vault stays, else it is the backup's. todays_key: so does the key that signs the audit log.

    warning: in words; "" where all is as it should be.
    """

    todays: bool
    todays_key: bool
    secrets: list[SecretRow]
    changes: tuple[SecretChange, ...]
    warning: str = ""


def choose(context: Context, how: Relation, here: Side, backup: Side) -> Choice:
    """Decide. A name that only the backup has comes back where it can be sealed under the vault that stays.

    The key that signs the audit log goes with the log: its checkpoints must fit.
    """
    todays = _todays(how, here, backup)
    stays = here if todays else backup
    newer, older = (backup, here) if how == Relation.BEHIND else (here, backup)
    if stays is not here and how in {Relation.FOREIGN, Relation.EMPTY}:
        newer, older = backup, Side(None, [])
    first = {one.name: one for one in newer.secrets}
    second = {one.name: one for one in older.secrets}
    secrets: list[SecretRow] = []
    changes: list[SecretChange] = []
    for name in sorted({*second, *first} - {vault.SIGNING_KEY}):
        side, row = (newer, first[name]) if name in first else (older, second[name])
        fitting = _fitting(context, row, side, stays)
        if fitting is not None:
            secrets.append(fitting)
        if fitting is None:
            changes.append(SecretChange(name, "not brought back: it is sealed under a key that is not at hand"))
        elif all(one.name != name for one in here.secrets):
            changes.append(SecretChange(name, "comes back"))
        elif name in first and name in second and _apart(first[name], second[name]):
            word = "is set to its newer value" if newer is backup else "was changed since: keeps its value of today"
            changes.append(SecretChange(name, word))
    key, todays_key = _signing_key(context, how, here, backup, stays)
    warning = ""
    if todays_key and how in _LOG_OF_BACKUP and any(one.name == vault.SIGNING_KEY for one in backup.secrets):
        warning = "the backup's log is signed with a key that cannot be had here: 'chronos audit verify --key' names it"
    return Choice(todays, todays_key, secrets + key, tuple(changes), warning)


def _signing_key(
    context: Context, how: Relation, here: Side, backup: Side, stays: Side
) -> tuple[list[SecretRow], bool]:
    """Return the key that signs the audit log as it has to lie there, and whether it is today's."""
    for side in (backup, here) if how in _LOG_OF_BACKUP else (here, backup):
        for row in side.secrets:
            if row.name == vault.SIGNING_KEY and (fitting := _fitting(context, row, side, stays)) is not None:
                return [fitting], side is here
    return [], stays is here


def _apart(one: SecretRow, other: SecretRow) -> bool:
    """Whether it was set anew; a rotation alone seals it anew under the same version."""
    return (one.version, one.updated_ms) != (other.version, other.updated_ms)


def _todays(how: Relation, here: Side, backup: Side) -> bool:
    if here.row is None or backup.row is None:
        return here.row is not None
    if here.row.vault_id == backup.row.vault_id:
        # The root key of an older row is gone from its keeper.
        apart = here.row.key_version - backup.row.key_version
        return apart > 0 or (apart == 0 and how != Relation.BEHIND)
    own = any(not one.name.startswith(".") for one in here.secrets)
    return own or how not in {Relation.FOREIGN, Relation.EMPTY}


def _fitting(context: Context, row: SecretRow, side: Side, stays: Side) -> SecretRow | None:
    """Return the secret as it has to lie in the vault that stays; None where it cannot be sealed anew."""
    assert stays.row is not None, "whoever has secrets has a vault"
    if side.row is not None and side.row.vault_id == stays.row.vault_id and row.key_version == stays.row.key_version:
        return row
    if side.box is None or stays.box is None:
        return None
    try:
        value = side.box.unseal(row)
    except VaultDamaged:
        return None
    sealed = stays.box.seal(context, row.name, row.version, value)
    return row._replace(key_version=stays.row.key_version, sealed=sealed)


def record(tx: Tx, context: Context, now_ms: int) -> None:
    """Write into the copy's log what it does not say of the vault and the secrets that are there now.

    The checks compare both: without an entry, what came back by a restore would be taken for what somebody put back.
    """
    row = store.read(tx)
    if row is not None:
        word = store.last_word(tx, "vault", vault.CHANGES)
        if word is not None and any(word[1].get(name) != value for name, value in vault.recorded(row).items()):
            audit.append(tx, now_ms, context.actor, "vault.recovered", "vault", vault.recorded(row))
    there = {one.name: one for one in store.secrets(tx) if not one.name.startswith(".")}
    for name in sorted({*there, *store.recorded_names(tx)}):
        found = there.get(name)
        word = store.last_word(tx, f"secret:{name}", (_SET, _DELETED))
        if found is None:
            if word is not None and word[0] == _SET:
                audit.append(tx, now_ms, context.actor, _DELETED, f"secret:{name}", {"restored": False})
        elif word is None or word[0] == _DELETED or word[1].get("version") != found.version:
            detail = {"version": found.version, "restored": True}
            audit.append(tx, now_ms, context.actor, _SET, f"secret:{name}", detail)
