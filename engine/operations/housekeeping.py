"""What time does to an outbox: expiry, routes going on, retention, the search index, the size of the WAL."""

from __future__ import annotations

from engine.model import State
from engine.operations import delivering, ordering
from engine.operations.context import Context
from engine.rules.identity import new_uid
from engine.store import audit, lanes, messages
from engine.store.tx import Tx

SLICE = 500
"""Messages a transaction that expire or go on along their route; the statements' LIMIT."""

_INDEX_SLICE_ROWS = 2_000
_SHIFT_SLICE_ROWS = 20_000
_SET_BACK_MS = 60_000
_FORGET_BULKS_MS = 86_400_000


def expire(context: Context) -> int:
    """Let messages past their expiry go; return how many."""
    now_ms = context.clock.now_ms()
    if not context.database.read(lambda tx: tx.rows("messages.expired", {"now_ms": now_ms})):
        return 0
    return context.database.write(lambda tx: _expire(tx, context, now_ms))


def _expire(tx: Tx, context: Context, now_ms: int) -> int:
    rows = tx.rows("messages.expired", {"now_ms": now_ms})
    for (message_id,) in rows:
        message = messages.get(tx, message_id)
        assert message is not None, "found in this transaction"
        reason = "its expiry passed before it could be delivered"
        messages.move(
            tx, message.id, State.QUEUED, State.EXPIRED, reason=reason, due_ms=message.due_ms, finished_ms=now_ms
        )
        ordering.settle(tx, context.settings, message.ordering_key)
        audit.append(tx, now_ms, "engine", "message.expired", message.uid, {"id": message.id})
    return len(rows)


def follow_routes(context: Context) -> int:
    """Let the next step of a route take over what was not accepted in time; return how many.

    A pause of one channel or target does not stop a route: going round it is what the next step is for. While
    everything is paused nothing could be accepted anywhere, so the route waits too.
    """
    now_ms = context.clock.now_ms()
    if any(hold.scope == "all" for hold in context.database.read(lambda tx: lanes.active_holds(tx, now_ms))):
        return 0
    if not context.database.read(lambda tx: tx.rows("messages.hopping", {"now_ms": now_ms})):
        return 0
    return context.database.write(lambda tx: _follow_routes(tx, context, now_ms))


def _follow_routes(tx: Tx, context: Context, now_ms: int) -> int:
    rows = tx.rows("messages.hopping", {"now_ms": now_ms})
    for (message_id,) in rows:
        message = messages.get(tx, message_id)
        assert message is not None, "found in this transaction"
        steps = context.settings.routes.get(message.route, ())
        if message.hop + 1 < len(steps):
            delivering.hop(tx, context, message, steps[message.hop + 1], "not accepted in time")
        else:
            tx.run("messages.end_of_route", {"id": message.id})
    return len(rows)


def follow_clock(context: Context, last_ms: int) -> int:
    """Shift what waits when the wall clock was set back since `last_ms`; return by how much, in ms.

    A retry goes on waiting for as long as it had left; otherwise a clock that ran ahead for an hour would park the
    messages of that hour for another, and a wrong year would park them for a year. A send time that somebody asked
    for stands. Less than a minute is left alone.
    """
    now_ms = context.clock.now_ms()
    back_ms = last_ms - now_ms
    if back_ms < _SET_BACK_MS:
        return 0
    newest = context.database.read(lambda tx: tx.value("messages.newest")) or 0
    for after in range(0, newest, _SHIFT_SLICE_ROWS):
        span = {"after": after, "upto": after + _SHIFT_SLICE_ROWS, "now_ms": now_ms, "back_ms": back_ms}
        context.database.write(lambda tx, span=span: tx.run("messages.shift_back", span))  # type: ignore[misc]
    detail = {"back_ms": back_ms}
    context.database.write(lambda tx: audit.append(tx, now_ms, "engine", "clock.set_back", "clock", detail))
    return back_ms


def rescue_from_the_future(context: Context) -> int:
    """Make due what another process's clock, running ahead, queued for a time that is far away; return how many."""
    now_ms = context.clock.now_ms()
    params = {"now_ms": now_ms, "newest_uid": new_uid(now_ms + _SET_BACK_MS, bytes(10))}
    if not context.database.read(lambda tx: tx.value("messages.is_from_the_future", params)):
        return 0
    return context.database.write(lambda tx: tx.run("messages.due_from_the_future", params))


def retain(context: Context) -> int:
    """Delete a slice of what was finished long enough ago; return how many messages went."""
    outbox = context.settings.outbox
    keep_ms = {
        State.DELIVERED: outbox["keep_delivered_ms"],
        State.CANCELLED: outbox["keep_delivered_ms"],
        State.EXPIRED: outbox["keep_delivered_ms"],
        State.DEAD: outbox["keep_dead_ms"],
    }
    now_ms = context.clock.now_ms()
    gone = 0
    for state, keep in keep_ms.items():
        params = {"state": state.value, "before_ms": now_ms - keep}
        if context.database.read(lambda tx, params=params: tx.rows("retention.old", params)):  # type: ignore[misc]
            gone += context.database.write(lambda tx, params=params: _retain(tx, context, params))  # type: ignore[misc]
    if _has_old_bulks(context, now_ms):
        context.database.write(lambda tx: _forget_bulks(tx, now_ms))
    return gone


def _retain(tx: Tx, context: Context, params: dict[str, object]) -> int:
    rows = tx.rows("retention.old", params)
    indexed = int(tx.value("search.indexed_id"))
    blobs: set[str] = set()
    for message_id, _key in rows:
        if message_id <= indexed:
            found = tx.row("retention.indexed_text", {"id": message_id})
            if found is not None:
                tx.run("retention.forget_text", {"id": found[0], "subject": found[1], "text": found[2]})
        blobs.update(row[0] for row in tx.rows("retention.blobs_of", {"id": message_id}))
        tx.run("retention.delete", {"id": message_id})
    for sha256 in blobs:
        tx.run("retention.delete_unused_blob", {"sha256": sha256})
    for ordering_key in {key for _id, key in rows if key is not None}:
        ordering.settle(tx, context.settings, ordering_key)  # a dead one may have held back its successors
    return len(rows)


def _has_old_bulks(context: Context, now_ms: int) -> bool:
    before = {"before_ms": now_ms - _FORGET_BULKS_MS, "now_ms": now_ms}
    return bool(context.database.read(lambda tx: tx.rows("bulks.forget", before)))


def _forget_bulks(tx: Tx, now_ms: int) -> None:
    for (bulk_id,) in tx.rows("bulks.forget", {"before_ms": now_ms - _FORGET_BULKS_MS, "now_ms": now_ms}):
        tx.run("bulks.delete_items", {"id": bulk_id})
        tx.run("bulks.delete", {"id": bulk_id})


def index_text(context: Context) -> int:
    """Add a slice of new messages to the free text index; return how many ids it advanced over."""
    after = context.database.read(lambda tx: int(tx.value("search.indexed_id")))
    span = {"after": after, "n": _INDEX_SLICE_ROWS}
    upto: int | None = context.database.read(lambda tx: tx.value("search.slice_end", span))
    if upto is None:
        return 0

    def work(tx: Tx) -> int:
        if int(tx.value("search.indexed_id")) != after:
            return 0
        tx.run("search.index_more", {"after": after, "upto": upto})
        tx.run("search.set_indexed", {"upto": upto})
        return upto - after

    return context.database.write(work)
