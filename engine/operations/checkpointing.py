"""Signs the audit log's head, keeps the newest signature beside the database, and says whose key is to be believed.

Never signs inside a wait: the vault is opened before the transaction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from engine.errors import BadInput, ChronosError, ConfigError, NotPossible
from engine.host.files import read_small, write_atomic
from engine.operations import vault
from engine.operations.context import Context, writable
from engine.operations.health import Check, Level
from engine.rules import checkpoints
from engine.rules.checkpoints import CHECKPOINT, NoCheckpoint, Signer, Trust
from engine.rules.checkpoints import Checkpoint as Checkpoint  # noqa: PLC0414 - what callers know it by
from engine.rules.durations import format_duration, rfc3339
from engine.store import audit
from engine.store import vault as vault_rows
from engine.store.tx import Tx

EVERY_ENTRIES = 1_000
DAY_MS = 86_400_000
LOOK_EVERY_S = 2
"""How often the owner looks whether a checkpoint is due; a look is two seeks."""

_PATIENCE_MS = 300_000
"""How long a vault that could not be opened is left alone: each try may ask a keyring, for seconds."""
_LATE_MS = 2 * DAY_MS
HEAD_FILE = "audit-head.json"
_MOST_HEAD_BYTES = 64 * 1024
_RETRY_KEY = "checkpointing.retry_ms"


def make(context: Context, signer: Signer | None = None) -> Checkpoint:
    """Sign the head, as an entry of the log. signer: instead of the vault's.

    Raises NotPossible without a vault, VaultLocked when it cannot be opened now.
    """
    writable(context)
    if signer is None:
        signer = _signer(context)
    made = context.database.write(lambda tx: append(tx, context, signer))
    _keep_head(context, made)
    return made


def append(tx: Tx, context: Context, signer: Signer) -> Checkpoint:
    """The same in a transaction of the caller's. Signing takes a tenth of a millisecond."""
    now_ms = context.clock.now_ms()
    seq, prev = audit.upcoming(tx)
    made = checkpoints.sign(signer, seq - 1, prev, rfc3339(now_ms), context.settings.instance)
    audit.append(tx, now_ms, context.actor, CHECKPOINT, "audit", made.detail())
    return made


def _signer(context: Context) -> Signer:
    if vault.state(context) is None:
        raise NotPossible("the audit log cannot be signed without a vault; 'chronos init --root-key …' makes one")
    return vault.signer(context)


def recent(context: Context, *, limit: int = 20) -> list[Checkpoint]:
    """Return the newest checkpoints, newest first."""

    def work(tx: Tx) -> list[audit.Stored]:
        span = audit.Span(audit.pruned_seq(tx), audit.head(tx)[0] + 1)
        return audit.of_action(tx, CHECKPOINT, span, limit, upwards=False)

    found = (_decoded(context, stored) for stored in context.database.read(work))
    return [one for one in found if one is not None]


def newest(context: Context) -> Checkpoint | None:
    """Return the newest checkpoint; None before there is one."""
    stored = context.database.read(lambda tx: audit.newest_of(tx, CHECKPOINT))
    return None if stored is None else _decoded(context, stored)


def _decoded(context: Context, stored: audit.Stored) -> Checkpoint | None:
    """A log that somebody tampered with is still shown; what is wrong with it, verification says."""
    try:
        detail = json.loads(stored.body).get("detail")
        return checkpoints.from_document({**detail, "instance": context.settings.instance})
    except (ValueError, TypeError, AttributeError, RecursionError, BadInput):
        return None


# Whose key


def trust(context: Context, former: Sequence[str] = ()) -> Trust:
    """Return whose signatures count. The vault's own key is derived from the sealed private one, which nobody can put
    in its place without the root key; where the vault cannot be opened, the recorded public key is all there is.

    former: public keys of a vault that was lost, which the caller vouches for.
    Writes nothing. Raises VaultDamaged when the key was changed.
    """
    from engine.errors import VaultDamaged

    recorded = vault.public_key(context)
    sealed = context.database.read(lambda tx: vault_rows.secret(tx, vault.SIGNING_KEY))
    if sealed is None:
        keys = None if recorded is None else frozenset({recorded, *former})
        return Trust(keys, note="the vault holds no signing key: whose key the checkpoints name cannot be confirmed")
    try:
        own = vault.signer(context).public_hex
    except VaultDamaged:
        raise
    except ChronosError as error:
        keys = None if recorded is None else frozenset({recorded, *former})
        return Trust(keys, note=f"whose key the checkpoints name could not be confirmed: {error}")
    return Trust(frozenset({own, *former}), confirmed=True)


# The newest one, once more, outside the database


def kept_head(context: Context) -> Checkpoint | None:
    """Return the newest checkpoint as it was kept beside the database; None where there is none or it is no text of
    ours. Whoever puts an older database in place, or takes checkpoints out of it, forgets this file or cannot forge it.
    """
    path = _head_path(context)
    if path is None:
        return None
    try:
        return checkpoints.from_document(json.loads(read_small(path, _MOST_HEAD_BYTES)))
    except (FileNotFoundError, ConfigError, ValueError, RecursionError, NoCheckpoint):
        return None


def _keep_head(context: Context, made: Checkpoint) -> None:
    path = _head_path(context)
    if path is not None:
        kept = kept_head(context)
        if kept is None or kept.seq < made.seq or kept.key != made.key:
            write_atomic(path, (json.dumps(made.document(), sort_keys=True) + "\n").encode())


def _head_path(context: Context) -> Path | None:
    paths = context.machine.paths
    return None if paths is None else paths.data_dir / HEAD_FILE


# Chores and checks


def sign_when_due(context: Context) -> Checkpoint | None:
    """Make a checkpoint after a thousand entries and once a day, where there is a vault. For the owner's upkeep."""
    if vault.state(context) is None or not context.settings.security["encryption_enabled"] or not _is_due(context):
        return None
    now_ms = context.clock.monotonic_ms()
    if now_ms < context.kept.get(_RETRY_KEY, 0):
        return None
    context.kept[_RETRY_KEY] = now_ms + _PATIENCE_MS
    made = make(context.acting_as("engine"))
    context.kept.pop(_RETRY_KEY, None)  # a restore may have forgotten it meanwhile
    return made


def _is_due(context: Context) -> bool:
    entries, age_ms = since_newest(context)
    return entries >= EVERY_ENTRIES or age_ms is None or not 0 <= age_ms < DAY_MS


def since_newest(context: Context) -> tuple[int, int | None]:
    """Return how many entries the newest checkpoint does not vouch for, and its age; None when there is none."""

    def work(tx: Tx) -> tuple[int, audit.Stored | None]:
        return audit.head(tx)[0], audit.newest_of(tx, CHECKPOINT)

    head, stored = context.database.read(work)
    found = None if stored is None else _decoded(context, stored)
    if stored is None or found is None:
        return head, None
    return head - stored.seq, context.clock.now_ms() - time_ms(found.at)


def time_ms(at: str) -> int:
    """Return an entry's time; 0 for what is none: a log that was tampered with must still be shown."""
    try:
        return round(datetime.fromisoformat(at).timestamp() * 1000)
    except ValueError:
        return 0


def check(context: Context) -> Check:
    """Say how old the newest checkpoint is and what it does not cover. For health.

    Without a vault nothing is signed, which is a choice and no fault; with one, a first checkpoint has a day's time.
    """
    name = "audit_checkpoint"
    entries, age_ms = since_newest(context)
    if age_ms is None:
        found = vault.state(context)
        if found is None:
            return Check(name, Level.OK, "not signed: there is no vault ('chronos init --root-key …' makes one)")
        if context.clock.now_ms() - found.created_ms <= _LATE_MS and entries <= 10 * EVERY_ENTRIES:
            return Check(name, Level.OK, "none yet: the engine signs by itself")
        return Check(name, Level.WARNING, "none yet", "'chronos audit checkpoint' says why it cannot be made")
    value = f"signed {format_duration(max(0, age_ms))} ago, {entries} {'entry' if entries == 1 else 'entries'} since"
    late = age_ms > _LATE_MS or entries > 10 * EVERY_ENTRIES
    if not late:
        return Check(name, Level.OK, value)
    advice = "the engine signs when it can open the vault; 'chronos audit checkpoint' says why it cannot"
    return Check(name, Level.WARNING, value, advice)
