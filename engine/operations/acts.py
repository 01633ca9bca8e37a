"""T6: what an operator does to one message. The state machine decides, the guard in the row makes it safe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from engine.errors import NotFound, NotPossible
from engine.model import Message, State
from engine.operations import ordering
from engine.operations.context import Context, writable
from engine.rules.identity import is_uid
from engine.rules.states import accepts, why_not
from engine.store import audit, messages
from engine.store.tx import Tx


class Action(StrEnum):
    """What can be done to a message."""

    RETRY = "retry"
    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"
    RESEND = "resend"
    SETTLE_DELIVERED = "settle-delivered"
    SETTLE_DEAD = "settle-dead"

    @property
    def verb(self) -> str:
        """The word that rules/states.py knows it by."""
        return "settle" if self.value.startswith("settle") else self.value


UNDOABLE = frozenset({Action.CANCEL, Action.HOLD, Action.RELEASE})


@dataclass(frozen=True, slots=True)
class Act:
    """What became of one message. `why` is empty when it was done. undo_id: what to hand to bulk.undo, if anything."""

    message_id: int
    before: State
    why: str = ""
    undo_id: int | None = None

    @property
    def done(self) -> bool:
        return not self.why


_PAST = {
    Action.RETRY: "message.retried",
    Action.CANCEL: "message.cancelled",
    Action.HOLD: "message.held",
    Action.RELEASE: "message.released",
    Action.RESEND: "message.resent",
    Action.SETTLE_DELIVERED: "message.settled",
    Action.SETTLE_DEAD: "message.settled",
}


def find(tx: Tx, handle: int | str) -> Message:
    """Return the message by its number (1042, "1042", "#1042") or its uid. Raises NotFound."""
    message_id: int | None = None
    if isinstance(handle, int):
        message_id = handle
    elif is_uid(handle):
        message_id = messages.id_of_uid(tx, handle)
    elif handle.removeprefix("#").isascii() and handle.removeprefix("#").isdigit() and len(handle) < 20:
        message_id = int(handle.removeprefix("#"))
    message = messages.get(tx, message_id) if message_id is not None else None
    if message is None:
        raise NotFound(f"no message {handle!r:.60}; 'chronos outbox list' shows them")
    return message


def act_on_one(context: Context, action: Action, handle: int | str) -> Act:
    """Do it to one message, with an audit entry of its own, and remember how to take it back.

    Raises NotFound, NotPossible when its state forbids it.
    """
    writable(context)

    def work(tx: Tx) -> Act:
        message = find(tx, handle)
        act = apply(tx, context, action, message)
        if not act.done:
            raise NotPossible(f"#{message.id}: {act.why}")
        now_ms = context.clock.now_ms()
        detail: dict[str, object] = {"id": message.id, "before": message.state.value}
        if action.verb == "settle":
            detail["as"] = action.value.removeprefix("settle-")
        if action == Action.CANCEL and message.state == State.SENDING:
            detail["requested"] = True
        audit.append(tx, now_ms, context.actor, _PAST[action], message.uid, detail)
        if action not in UNDOABLE or message.state in {State.SENDING, State.UNCERTAIN}:
            return act  # nothing leads back there
        return replace(act, undo_id=_remember(tx, context, action, message, now_ms))

    return context.database.write(work)


def _remember(tx: Tx, context: Context, action: Action, message: Message, now_ms: int) -> int:
    """Record the act as a bulk act of one, done; `outbox undo` then means the last act, whatever its size."""
    params = {
        "action": action.value,
        "filter": f"id:{message.id}",
        "actor": context.actor,
        "now_ms": now_ms,
        "undo_until_ms": now_ms + context.settings.outbox["undo_ms"],
    }
    bulk_id = tx.insert("bulks.create_done", params)
    tx.run("bulks.add_done", {"bulk_id": bulk_id, "message_id": message.id, "before_state": message.state.value})
    return bulk_id


def apply(tx: Tx, context: Context, action: Action, message: Message) -> Act:
    """Do it in a transaction of the caller's, who writes the audit entry."""
    if message.state not in accepts(action.verb):
        return Act(message.id, message.state, why_not(action.verb, message.state))
    now_ms = context.clock.now_ms()
    _step(tx, context, action, message, now_ms)
    ordering.settle(tx, context.settings, message.ordering_key)
    return Act(message.id, message.state)


def _step(tx: Tx, context: Context, action: Action, message: Message, now_ms: int) -> None:
    params = {"id": message.id, "before": message.state.value, "now_ms": now_ms}
    by = f"by {context.actor}"
    if action == Action.RETRY and message.state == State.QUEUED:
        tx.run("messages.due_now", params)
    elif action == Action.RETRY:
        tx.run("messages.redrive", params)
    elif action == Action.CANCEL and message.state == State.SENDING:
        tx.run("messages.request_cancel", params)
    elif action == Action.CANCEL:
        _move(tx, message, State.CANCELLED, f"cancelled {by}", message.due_ms, now_ms)
    elif action == Action.HOLD:
        _move(tx, message, State.HELD, f"held {by}", message.due_ms, None)
    elif action == Action.RELEASE:
        _move(tx, message, State.QUEUED, "", message.due_ms, None)
    elif action == Action.RESEND:
        _move(tx, message, State.QUEUED, "", now_ms, None)
    elif action == Action.SETTLE_DELIVERED:
        _move(tx, message, State.DELIVERED, f"settled as delivered {by}", message.due_ms, now_ms)
    else:
        _move(tx, message, State.DEAD, f"settled as not delivered {by}", message.due_ms, now_ms)


def _move(tx: Tx, message: Message, after: State, reason: str, due_ms: int, finished_ms: int | None) -> None:
    moved = messages.move(tx, message.id, message.state, after, reason=reason, due_ms=due_ms, finished_ms=finished_ms)
    assert moved, "read in this transaction, which alone may write"


def undo(tx: Tx, context: Context, action: Action, message: Message, before: State) -> str:
    """Take one act back as far as the message has not gone on; return "undone" or "kept"."""
    back = {
        (Action.CANCEL, State.CANCELLED): before,
        (Action.HOLD, State.HELD): State.QUEUED,
        (Action.RELEASE, State.QUEUED): State.HELD,
    }.get((action, message.state))
    if action == Action.CANCEL and message.state == State.SENDING and message.cancel_requested:
        tx.run("messages.withdraw_cancel", {"id": message.id})
        return "undone"
    if back is None or back not in {State.QUEUED, State.HELD}:
        return "kept"
    _move(tx, message, back, f"undone by {context.actor}" if back == State.HELD else "", message.due_ms, None)
    ordering.settle(tx, context.settings, message.ordering_key)
    return "undone"
