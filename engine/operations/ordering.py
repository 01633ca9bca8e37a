"""Ordering keys: at most one message of a key may be claimed, in the order of enqueue."""

from __future__ import annotations

from engine.model import Settings, State
from engine.operations.context import target_spec
from engine.store.tx import Tx

_LOOKAHEAD = 50  # unfinished messages of one key that are looked at; those behind were never ready


def settle(tx: Tx, settings: Settings, ordering_key: str | None) -> None:
    """Give the turn to the message whose turn it is. Called after every change to a message with an ordering key."""
    if ordering_key is None:
        return
    rows = tx.rows("messages.order_heads", {"ordering_key": ordering_key, "n": _LOOKAHEAD})
    turn = None if any(row[1] == State.SENDING for row in rows) else _first_free(rows, settings)
    for message_id, state, ready, _target in rows:
        wanted = int(message_id == turn)
        if state == State.QUEUED and ready != wanted:
            tx.run("messages.set_ready", {"id": message_id, "ready": wanted})


def blocker(tx: Tx, settings: Settings, ordering_key: str, message_id: int) -> int | None:
    """Return the earlier message that `message_id` waits for, None when it is its turn."""
    for other, state, _ready, target in tx.rows(
        "messages.order_heads", {"ordering_key": ordering_key, "n": _LOOKAHEAD}
    ):
        if other >= message_id:
            return None
        if state in {State.QUEUED, State.SENDING} or state in _blocked_by(settings, target):
            return int(other)
    return None


def _first_free(rows: list[tuple[object, ...]], settings: Settings) -> object:
    for message_id, state, _ready, target in rows:
        if state == State.QUEUED:
            return message_id
        if state in _blocked_by(settings, str(target)):
            return None
    return None


def _blocked_by(settings: Settings, target: str) -> tuple[str, ...]:
    spec = target_spec(settings, target)
    return spec.order_blocked_by if spec else ("held", "uncertain")
