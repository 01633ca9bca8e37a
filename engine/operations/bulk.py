"""Acts on many: freeze the set, show it, act on exactly that set, one audit entry, take it back while time allows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.errors import NotFound, NotPossible
from engine.model import Message, State
from engine.operations import acts
from engine.operations.acts import UNDOABLE, Action
from engine.operations.context import Context, writable
from engine.rules import filters
from engine.rules.filters import Filter, Term
from engine.rules.states import accepts
from engine.store import audit, messages, search
from engine.store.tx import Row, Tx

SLICE = 500
"""Rows a transaction: deliveries go on between two slices."""

_SAMPLE = 5
_ACTS_PER_S = 10_000  # measured on a small virtual machine; only for the estimate that a preview shows


@dataclass(frozen=True, slots=True)
class Frozen:
    """The set an act would be done to: nothing joins it any more.

    estimate_ms: how long the act itself takes. sample: up to five, spread over the set.
    """

    bulk_id: int
    action: Action
    filter: str
    total: int
    oldest: Message | None
    newest: Message | None
    sample: tuple[Message, ...]
    estimate_ms: int


@dataclass(frozen=True, slots=True)
class Bulk:
    """A bulk act as recorded. skipped: members that had gone on meanwhile."""

    bulk_id: int
    action: Action
    filter: str
    actor: str
    created_ms: int
    state: str
    total: int
    applied: int
    skipped: int
    undone: int
    undo_until_ms: int | None


Progress = Callable[[int, int], None]


def freeze(context: Context, action: Action, *, expression: str = "", ids: Sequence[int | str] = ()) -> Frozen:
    """Fix the set: all that match `expression` and whose state the act fits, or exactly `ids`.

    Raises BadInput for a bad expression, NotFound for an id that does not exist.
    """
    writable(context)
    if ids:
        members = context.database.read(lambda tx: [acts.find(tx, handle).id for handle in ids])
        members = sorted(set(members))
    else:
        terms = _fitting(filters.parse(expression), action)
        now_ms = context.clock.now_ms()
        members = context.database.read(lambda tx: list(search.ids(tx, terms, now_ms=now_ms)))
    bulk_id = _record(context, action, expression, members)
    picks = sorted({members[i * (len(members) - 1) // (_SAMPLE - 1)] for i in range(_SAMPLE)}) if members else []
    shown = context.database.read(lambda tx: [found for pick in picks if (found := messages.get(tx, pick))])
    return Frozen(
        bulk_id,
        action,
        expression,
        len(members),
        shown[0] if shown else None,
        shown[-1] if shown else None,
        tuple(shown),
        len(members) * 1000 // _ACTS_PER_S,
    )


def _fitting(terms: Filter, action: Action) -> Filter:
    states = tuple(sorted(state.value for state in accepts(action.verb)))
    return (*terms, Term("state", ":", states)) if not any(_narrows(term) for term in terms) else terms


def _narrows(term: Term) -> bool:
    return term.field == "state" and not term.negated


def _record(context: Context, action: Action, expression: str, members: list[int]) -> int:
    now_ms = context.clock.now_ms()
    head = {
        "action": action.value,
        "filter": expression,
        "actor": context.actor,
        "now_ms": now_ms,
        "total": len(members),
    }
    bulk_id = context.database.write(lambda tx: tx.insert("bulks.create", head))
    for start in range(0, len(members), SLICE * 10):
        rows = [{"bulk_id": bulk_id, "message_id": member} for member in members[start : start + SLICE * 10]]
        context.database.write(lambda tx, rows=rows: tx.run_many("bulks.add_item", rows))  # type: ignore[misc]
    return bulk_id


def act(context: Context, bulk_id: int, progress: Progress | None = None) -> Bulk:
    """Do it, slice by slice. A crash in between is finished by the next owner.

    Raises NotFound, NotPossible when it was done before.
    """
    writable(context)
    context.database.write(lambda tx: _begin(tx, context, bulk_id))
    return carry_on(context, bulk_id, progress)


def _begin(tx: Tx, context: Context, bulk_id: int) -> None:
    bulk = get(tx, bulk_id)
    now_ms = context.clock.now_ms()
    if bulk.state != "frozen":
        raise NotPossible(f"bulk act {bulk_id} is {bulk.state}; freeze a new set")
    tx.run("bulks.set_state", {"id": bulk_id, "before": "frozen", "state": "acting", "undo_until_ms": None})
    first = tx.rows("bulks.next_items", {"bulk_id": bulk_id, "result": "pending", "after": 0, "n": SLICE})
    detail: dict[str, object] = {
        "filter": bulk.filter,
        "count": bulk.total,
        "ids": [row[0] for row in first],
        "ids_sha256": _digest(tx, bulk),
    }
    audit.append(tx, now_ms, context.actor, f"bulk.{bulk.action.value}", f"bulk:{bulk_id}", detail)


def _digest(tx: Tx, bulk: Bulk) -> str:
    """SHA-256 over the members' numbers, one a line: says later which set it was without holding millions of them.

    Raises NotPossible when the set is no longer whole, because it is being forgotten.
    """
    digest = hashlib.sha256()
    after = n = 0
    while rows := tx.rows("bulks.items", {"bulk_id": bulk.bulk_id, "after": after, "n": SLICE * 20}):
        digest.update("".join(f"{row[0]}\n" for row in rows).encode())
        n += len(rows)
        after = rows[-1][0]
    if n != bulk.total:
        raise NotPossible(f"bulk act {bulk.bulk_id} was frozen too long ago; freeze a new set")
    return digest.hexdigest()


def carry_on(context: Context, bulk_id: int, progress: Progress | None = None) -> Bulk:
    """Work off what is pending of an act or of its undo, and close it."""
    after: int | None = 0
    while after is not None:
        start = after
        bulk, after = context.database.write(lambda tx, start=start: _slice(tx, context, bulk_id, start))  # type: ignore[misc]
        if progress is not None:
            progress(bulk.undone if bulk.state.startswith("undo") else bulk.applied + bulk.skipped, bulk.total)
    return bulk


def _slice(tx: Tx, context: Context, bulk_id: int, after: int) -> tuple[Bulk, int | None]:
    """Do the next members behind `after`; return where the next slice begins, None when it was the last.

    The mark spares walking over what is done, which would make the work quadratic. Slices of several workers may
    alternate; a worker whose mark is out of date (the act was finished and is being undone) begins anew.
    """
    bulk = get(tx, bulk_id)
    undoing = bulk.state == "undoing"
    if bulk.state not in {"acting", "undoing"}:
        return bulk, None
    wanted = "applied" if undoing else "pending"
    rows = tx.rows("bulks.next_items", {"bulk_id": bulk_id, "result": wanted, "after": after, "n": SLICE})
    tally = {"applied": 0, "skipped": 0, "undone": 0}
    for row in rows:
        result, before = _undo_one(tx, context, bulk, row) if undoing else _do_one(tx, context, bulk, row)
        tally[result] = tally.get(result, 0) + 1
        tx.run(
            "bulks.mark_item",
            {"bulk_id": bulk_id, "message_id": row[0], "result": result, "before_state": before},
        )
    tx.run("bulks.add_progress", {"id": bulk_id, **{name: tally[name] for name in ("applied", "skipped", "undone")}})
    if len(rows) == SLICE:
        return get(tx, bulk_id), rows[-1][0]
    if after and tx.rows("bulks.next_items", {"bulk_id": bulk_id, "result": wanted, "after": 0, "n": 1}):
        return get(tx, bulk_id), 0
    _close(tx, context, bulk)
    return get(tx, bulk_id), None


def _do_one(tx: Tx, context: Context, bulk: Bulk, row: Row) -> tuple[str, str | None]:
    message = messages.get(tx, row[0])
    if message is None:
        return "skipped", None
    done = acts.apply(tx, context, bulk.action, message)
    return ("applied" if done.done else "skipped"), message.state.value


def _undo_one(tx: Tx, context: Context, bulk: Bulk, row: Row) -> tuple[str, str | None]:
    message = messages.get(tx, row[0])
    if message is None:
        return "kept", None
    return acts.undo(tx, context, bulk.action, message, State(row[1])), None


def _close(tx: Tx, context: Context, bulk: Bulk) -> None:
    now_ms = context.clock.now_ms()
    until_ms = now_ms + context.settings.outbox["undo_ms"] if bulk.action in UNDOABLE else None
    after = "undone" if bulk.state == "undoing" else "done"
    params = {"id": bulk.bulk_id, "before": bulk.state, "state": after, "undo_until_ms": until_ms}
    tx.run("bulks.set_state", params)


def undo(context: Context, bulk_id: int | None = None, progress: Progress | None = None) -> Bulk:
    """Take a bulk act back (the last one when no number is given). Members that went on meanwhile stay as they are.

    Raises NotFound when there is nothing to undo, NotPossible when its time is over.
    """
    writable(context)

    def begin(tx: Tx) -> int:
        now_ms = context.clock.now_ms()
        chosen = bulk_id if bulk_id is not None else tx.value("bulks.last_undoable", {"now_ms": now_ms})
        if chosen is None:
            raise NotFound("nothing to undo: no cancel, hold or release is recent enough")
        bulk = get(tx, chosen)
        if bulk.action not in UNDOABLE:
            raise NotPossible(f"bulk act {chosen}: {bulk.action.value} cannot be undone")
        if bulk.state != "done" or bulk.undo_until_ms is None or bulk.undo_until_ms <= now_ms:
            raise NotPossible(f"bulk act {chosen} ({bulk.state}) can no longer be undone")
        tx.run("bulks.set_state", {"id": chosen, "before": "done", "state": "undoing", "undo_until_ms": None})
        audit.append(tx, now_ms, context.actor, "bulk.undo", f"bulk:{chosen}", {"action": bulk.action.value})
        return bulk.bulk_id

    return carry_on(context, context.database.write(begin), progress)


def get(tx: Tx, bulk_id: int) -> Bulk:
    """Return one bulk act. Raises NotFound."""
    row = tx.row("bulks.read", {"id": bulk_id})
    if row is None:
        raise NotFound(f"no bulk act {bulk_id}")
    return _bulk(row)


def recent(tx: Tx) -> list[Bulk]:
    """Return the newest fifty, newest first."""
    return [_bulk(row) for row in tx.rows("bulks.recent")]


def _bulk(row: Row) -> Bulk:
    return Bulk(row[0], Action(row[1]), *row[2:])


def unfinished(context: Context) -> list[int]:
    """Return the acts that are under way, or that a crash interrupted."""
    return [bulk_id for bulk_id, _state in context.database.read(lambda tx: tx.rows("bulks.unfinished"))]


def resume(context: Context, bulk_id: int, after: int) -> int | None:
    """Do one slice of an unfinished act behind member `after`; return where the next begins, None when it is closed.

    For the owner of the engine lock, between two rounds of deliveries.
    """
    return context.database.write(lambda tx: _slice(tx, context, bulk_id, after))[1]
