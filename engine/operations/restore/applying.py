"""Puts a backup in place: drained, a safety copy taken, today's rows carried over, all pages swapped in one step.

Killed anywhere, the database is entirely the old one or entirely the new one. What can be done before is done before:
others wait only from the second, short carrying to the end of the swap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from engine.errors import ChronosError, NotPossible
from engine.operations import checkpointing, vault
from engine.operations.commanding import Report
from engine.operations.context import Context, writable
from engine.operations.restore import restoring, settingback
from engine.operations.restore.rescuing import rescue as rescue  # noqa: PLC0414 - handed on
from engine.operations.restore.restored import FAILED, record, restored
from engine.operations.restore.restored import Restored as Restored  # noqa: PLC0414 - handed on
from engine.operations.restore.restored import document as document  # noqa: PLC0414 - handed on
from engine.operations.restore.restoring import Here, Outcome, begin, complete
from engine.operations.restore.staging import Prepared, paths_of, prepared, tell
from engine.rules.backups import Kind
from engine.rules.carrying import Relation
from engine.store import audit
from engine.store.carrying import Connection

_STILL_HOLDS = frozenset(
    {"vault", "vault_lock", "configwatch.taken", "gate", "inbound.tally", "inbound.clock", "incidents.reported",
     "guarding.clock"}
)  # fmt: skip
"""What a process keeps that a restore does not change: a vault that somebody opened, which is held against what is
stored before it is used; the gate of its door; what it counted and has not written yet; how its clock went.
"""

_CUT_OFF = "the engine ended right after it was put in place; start it again"


def apply(
    context: Context,
    file: Path,
    *,
    quiesce: Callable[[], AbstractContextManager[None]],
    with_configuration: bool = False,
    trust: Sequence[str] = (),
    planned: str = "",
    report: Report | None = None,
) -> Restored:
    """Put an archive, not encrypted, in place of today's database, which is open.

    quiesce: stops delivering on entry; on exit a new epoch begins. planned: the sum of the archive that somebody saw a
    plan of. report: may end it until the swap begins.
    Raises ArchiveRefused, NotFound, NotPossible, StorageFull, TryAgain; DatabaseUnusable where today's database is
    damaged, which `rescue` is for. Then everything is as it was before.
    """
    writable(context)
    try:
        return _apply(context, file, quiesce, report, trust, planned=planned, with_configuration=with_configuration)
    except ChronosError as error:
        detail = {"reason": str(error)[:500]}
        with suppress(ChronosError):  # what failed is what must be said
            context.database.write(
                lambda tx: audit.append(
                    tx, context.clock.now_ms(), context.actor, FAILED, f"backup:{file.name}", detail
                )
            )
        raise


def _apply(
    context: Context,
    file: Path,
    quiesce: Callable[[], AbstractContextManager[None]],
    report: Report | None,
    trust: Sequence[str],
    *,
    planned: str,
    with_configuration: bool,
) -> Restored:
    from engine.operations.backup import backups

    began_ms = context.clock.monotonic_ms()
    restoring.unlock_here(context)
    with prepared(context, file, report=report, trust=trust, planned=planned) as ready:
        tell(report, "carrying today's rows")
        with ready.staged.beside(context.database.path):
            here = begin(ready)
            _allowed(ready, here)
            ready.staged.carry(here.how, here.log)
        ready.staged.prove()
        tell(report, "draining")
        notes: list[str] = []
        with _going_on(context, quiesce, notes):
            safety = None
            if here.how != Relation.EMPTY:  # there is nothing, and a backup would be the first thing that happens here
                safety = backups.create(context, Kind.SAFETY, drill=False, report=report).name
            tell(report, "putting it in place")
            outcome, blocked_ms = _swap(context, ready, here, safety, began_ms)
            notes += _afterwards(context, ready, outcome, with_configuration=with_configuration)
        took_ms = context.clock.monotonic_ms() - began_ms
        done = restored(outcome, safety, took_ms, blocked_ms, notes)
    context.log.event("INFO", "restored", archive=done.archive, took_ms=took_ms, blocked_ms=blocked_ms)
    return done


@contextmanager
def _going_on(
    context: Context, quiesce: Callable[[], AbstractContextManager[None]], notes: list[str]
) -> Iterator[None]:
    """Rest. What goes wrong where delivering is to begin again undoes no restore: it is said."""
    done = False
    try:
        with quiesce():
            yield
            done = True
    except ChronosError as error:
        if not done:
            raise
        notes.append(f"nothing is delivered: {error}; start the engine again")
        context.log.event("ERROR", "restored_without_delivery", reason=str(error))


def _allowed(ready: Prepared, here: Here) -> None:
    """Raise NotPossible where a backup of another outbox would mix with messages that wait in this one."""
    if here.how == Relation.FOREIGN and (waiting := ready.staged.waiting_here()):
        raise NotPossible(f"{ready.archive}: {restoring.refused(waiting)}")


# The swap


def _swap(context: Context, ready: Prepared, known: Here, safety: str | None, asked_ms: int) -> tuple[Outcome, int]:
    """Carry over what happened since, complete the copy and put it in place, while nobody may write.

    Returns how long that took, too, in ms. Tells nobody anything: a report is a write. asked_ms: when it was begun, by
    the monotonic clock.
    """
    staged = ready.staged
    began_ms = context.clock.monotonic_ms()
    now_ms = context.clock.now_ms()

    def work(writer: Connection) -> Outcome:
        with ExitStack() as stack:
            with staged.beside(context.database.path):
                here = begin(ready, known)
                _allowed(ready, here)
                staged.carry(here.how, here.log)
                outcome = complete(context, ready, here, now_ms)
                fork = stack.enter_context(settingback.fork_exported(context, ready, here, now_ms))
                kept = settingback.contradicted(context, ready)
                more = {**fork, **settingback.missing(ready, kept), "safety": safety or ""}
                record(context, ready, here, outcome, now_ms, more)
                now = context.clock.monotonic_ms()
                found = restored(outcome, safety, now - asked_ms, now - began_ms, [_CUT_OFF])
                staged.answer(document(found))
            staged.guard()
            stack.enter_context(settingback.set_aside(context, now_ms, wanted=kept is not None))
            staged.copy_into(writer, busy_ms=context.database.options.busy_ms)
        return outcome

    outcome = context.database.outside_transaction(work)
    return outcome, context.clock.monotonic_ms() - began_ms


# Afterwards: what goes wrong here is said and undoes nothing


def forget_what_was(context: Context) -> None:
    """Another database stands in the place of the one that was read: forget what this process remembers of that."""
    for name in [name for name in context.kept if name not in _STILL_HOLDS]:
        context.kept.pop(name, None)


def _afterwards(context: Context, ready: Prepared, outcome: Outcome, *, with_configuration: bool) -> list[str]:
    notes = []
    forget_what_was(context)
    try:
        if vault.state(context) is not None:
            checkpointing.make(context)
    except ChronosError as error:
        notes.append(f"the audit log is not signed yet: {error}")
    try:
        words = settingback.put_configuration(context, paths_of(context), ready, outcome.tag, forced=with_configuration)
        notes += words
        if words and words[0].startswith(settingback.PUT):
            settingback.note_configuration(context)
        context.database.checkpoint(truncate=True)
    except ChronosError as error:
        notes.append(str(error))
    return notes
