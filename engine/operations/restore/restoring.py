"""What a restore would change: the backup is unpacked, judged and merged in a scratch directory. Touches nothing live.

A plan does all that a restore does but putting it in place; so its numbers are what a restore then does, as far as
nothing happens in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from engine.clock import Clock
from engine.errors import ChronosError, ConfigError, NotPossible
from engine.host.files import read_small
from engine.host.log import Log
from engine.host.paths import Paths
from engine.model import Settings, State
from engine.operations import vault
from engine.operations.commanding import Report
from engine.operations.context import Context
from engine.operations.restore import revaulting
from engine.operations.restore.revaulting import SecretChange as SecretChange  # noqa: PLC0414 - handed on
from engine.operations.restore.revaulting import Side
from engine.operations.restore.staging import Prepared, paths_of, prepared, tell, without_database
from engine.rules import carrying
from engine.rules.backups import CONFIG, MOST_SMALL_BYTES
from engine.rules.carrying import Relation, tag
from engine.store import audit
from engine.store.carrying import Figures, Staged

_OURS = frozenset({"backup.created", "audit.checkpoint", "audit.key_created"})
"""What a restore itself has written into today's log before the swap."""

MOST_HELD = 1_000
"""How many held messages are named; the tag finds all of them."""


class TableChange(NamedTuple):
    """How many rows a table has now, in the backup, and after the restore."""

    table: str
    here: int
    backup: int
    after: int


class HeldMessage(NamedTuple):
    """A message that waits for the operator after the restore. was: its state before, reason: why it is held."""

    uid: str
    id: int
    target: str
    subject: str
    was: str
    now: str
    reason: str


class KeyChange(NamedTuple):
    """What a restore means for an API key, in words."""

    id: str
    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a restore changes. states: by state, (here, in the backup, after).

    relation: see rules.carrying.Relation. held: the first MOST_HELD. would_resend: messages that wait in the backup and
    were delivered since, which its database alone would send again. config: "same", "differs", "absent here" or "absent
    there". needs_bytes: of free space. sha256: of the archive, so that it is this one that is put in place.
    """

    archive: str
    sha256: str
    taken_ms: int
    age_ms: int
    instance: str
    relation: str
    authenticity: str
    schema: int
    tables: tuple[TableChange, ...]
    states: Mapping[str, tuple[int, int, int]]
    held: tuple[HeldMessage, ...]
    held_total: int
    would_resend: int
    secrets: tuple[SecretChange, ...]
    keys: tuple[KeyChange, ...]
    audit_carried: int
    audit_note: str
    config: str
    warnings: tuple[str, ...]
    needs_bytes: int


def plan(context: Context, file: Path, *, report: Report | None = None, trust: Sequence[str] = ()) -> Plan:
    """Say what a restore of this archive, not encrypted, would change here.

    Raises ArchiveRefused, NotFound, StorageFull, DatabaseUnusable where today's database is damaged.
    """
    with prepared(context, file, report=report, trust=trust) as ready:
        tell(report, "carrying today's rows")
        with ready.staged.beside(context.database.path):
            here = begin(ready)
            ready.staged.carry(here.how, here.log)
            return complete(context, ready, here, context.clock.now_ms()).plan


def plan_without(
    paths: Paths,
    settings: Settings,
    env: Mapping[str, str],
    file: Path,
    *,
    actor: str,
    clock: Clock,
    log: Log,
    report: Report | None = None,
    trust: Sequence[str] = (),
) -> Plan:
    """The same where there is no database here, or none that can be opened. Touches nothing."""
    with (
        without_database(paths, settings, env, actor=actor, clock=clock, log=log) as context,
        prepared(context, file, report=report, trust=trust) as ready,
    ):
        return complete(context, ready, NOTHING_HERE, clock.now_ms()).plan


# Today's database beside it


class Here(NamedTuple):
    """Today's history as it was found. log: its end. fork: what stands behind this entry is not in the restored log and
    goes into a file. keys: what becomes of API keys.
    """

    how: Relation
    log: carrying.Log
    fork: int
    keys: tuple[KeyChange, ...]


NOTHING_HERE = Here(Relation.DESTROYED, carrying.Log("", 0, "", 0, None), 0, ())


def begin(ready: Prepared, known: Here | None = None) -> Here:
    """Look at today's history, once before anything is carried over. known: what an earlier look found.

    Raises NotPossible where it became another one meanwhile.
    """
    staged = ready.staged
    how, log = staged.relation()
    if known is not None and known.how != how:
        # A log that was only behind is so no longer once the safety backup is recorded in it.
        since = {
            audit.fields_of(body.decode(errors="replace")).get("action") for _, body, _ in staged.entries(known.fork)
        }
        if known.how != Relation.BEHIND or not since <= _OURS:
            raise NotPossible("something happened here meanwhile that changes the plan; nothing was changed, try again")
        return known._replace(log=log)
    fork = log.head
    if how in {Relation.FORKED, Relation.FOREIGN}:
        fork = staged.fork(log) if how == Relation.FORKED else 0
    return Here(how, log, fork, known.keys if known is not None else _keys(staged))


def _keys(staged: Staged) -> tuple[KeyChange, ...]:
    changed = [KeyChange(key, name, f"{what}; stays so") for key, name, what in staged.keys_changed()]
    back = [KeyChange(key, name, "comes back with the backup") for key, name in staged.keys_back()]
    return (*changed, *back)


class Outcome(NamedTuple):
    """What was made of the staged copy. by_state: of what is held, how many by where they stood."""

    plan: Plan
    epoch: int
    tag: str
    by_state: dict[str, int]


def complete(context: Context, ready: Prepared, here: Here, now_ms: int) -> Outcome:
    """Choose the vault, hold what waits, and say what came of it. After `carry`, with today's database attached."""
    staged, how = ready.staged, here.how
    beside = how != Relation.DESTROYED
    before = staged.figures("live") if beside else Figures({}, {})
    secrets = _take_vault(context, ready, how)
    name = tag(now_ms)
    epoch = staged.finish(how, now_ms, name)
    after = staged.figures("main")
    held = tuple(
        HeldMessage(one.uid, one.id, one.target, one.subject, one.was, State.HELD.value, one.reason)
        for one in staged.held(name, MOST_HELD)
    )
    by_state = staged.held_by_state(name)
    carried, note = _audit_words(ready, here)
    found = Plan(
        archive=ready.archive,
        sha256=ready.sha256,
        taken_ms=ready.created_ms,
        age_ms=now_ms - ready.created_ms,
        instance=str(ready.manifest.get("instance", "")),
        relation=how.value,
        authenticity=ready.authenticity,
        schema=ready.schema,
        tables=_table_changes(before, staged.backup, after),
        states={
            state.value: (
                before.states.get(state, 0),
                staged.backup.states.get(state, 0),
                after.states.get(state, 0),
            )
            for state in State
        },
        held=held,
        held_total=sum(by_state.values()),
        would_resend=staged.would_resend(),
        secrets=secrets,
        keys=here.keys,
        audit_carried=carried,
        audit_note=note,
        config=_config(context, ready),
        warnings=(*ready.warnings, *_refusal(ready, how)),
        needs_bytes=ready.needs_bytes,
    )
    return Outcome(found, epoch, name, by_state)


def _refusal(ready: Prepared, how: Relation) -> list[str]:
    waiting = ready.staged.waiting_here() if how == Relation.FOREIGN else 0
    return [refused(waiting)] if waiting else []


def refused(waiting: int) -> str:
    """Say why a backup of another outbox is not put in place."""
    wait = "1 message waits" if waiting == 1 else f"{waiting} messages wait"
    return f"the backup is of another outbox, and {wait} in this one: deliver or cancel what waits first"


def _table_changes(before: Figures, backup: Figures, after: Figures) -> tuple[TableChange, ...]:
    return tuple(TableChange(name, before.rows.get(name, 0), backup.rows[name], n) for name, n in after.rows.items())


def _take_vault(context: Context, ready: Prepared, how: Relation) -> tuple[SecretChange, ...]:
    row, secrets = ready.staged.vault
    backup = Side(row, secrets, ready.box)
    here = Side(None, [])
    if how != Relation.DESTROYED:
        todays, todays_secrets = ready.staged.vault_here()
        kept = context.kept.get("vault")
        here = Side(todays, todays_secrets, kept if kept is not None and kept.row == todays else None)
    if here.row is None and backup.row is None:
        return ()
    chosen = revaulting.choose(context, how, here, backup)
    if chosen.warning:
        ready.warnings.append(chosen.warning)
    ready.staged.put_vault(chosen.secrets, todays=chosen.todays, todays_key=chosen.todays_key)
    return chosen.changes


def unlock_here(context: Context) -> None:
    """Open today's vault where it opens, so that no keeper of keys is asked while nobody may write."""
    try:
        if vault.state(context) is not None:
            vault.opened(context)
    except ChronosError as error:
        context.log.event("WARNING", "restore_without_vault", reason=str(error))


def _audit_words(ready: Prepared, here: Here) -> tuple[int, str]:
    """Return how many entries are carried over, and in words what becomes of the log."""
    backup = ready.staged.log
    if here.how == Relation.CONTINUES:
        count = here.log.head - backup.head
        return count, f"today's log goes on from the backup's entry {backup.head}; it is carried whole"
    if here.how in {Relation.FORKED, Relation.FOREIGN}:
        count = here.log.head - max(here.fork, here.log.pruned)
        word = "both logs went their own ways" if here.how == Relation.FORKED else "today's log is another outbox's"
        return 0, f"{word}: {count} entries of today's go into a file in audit-archive"
    if here.how == Relation.BEHIND:
        return 0, f"the backup's log goes on from today's entry {here.log.head}; it stays"
    if here.how == Relation.EMPTY:
        return 0, "nothing is recorded here; the backup's log stays"
    return 0, f"today's log is lost; the backup's, up to entry {backup.head}, goes on"


# Configuration


def _config(context: Context, ready: Prepared) -> str:
    file = paths_of(context).config_file
    there = ready.folder / CONFIG
    if not there.exists():
        return "absent there"
    try:
        return "same" if read_small(file, MOST_SMALL_BYTES) == there.read_bytes() else "differs"
    except FileNotFoundError:
        return "absent here"
    except ConfigError:  # larger than any, or none that can be read; whoever is to use it says so
        return "differs"
