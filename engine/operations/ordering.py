"""Ordering keys: at most one message of a key may be claimed, in the order of enqueue."""

from __future__ import annotations

from engine.model import Settings
from engine.operations.context import target_spec
from engine.store.tx import Tx

_DEFAULT = ("held", "uncertain")  # of an ad hoc address, or a target that is no longer configured


def settle(tx: Tx, settings: Settings, ordering_key: str | None) -> None:
    """Give the turn to the message whose turn it is. Called after every change to a message with an ordering key."""
    if ordering_key is None:
        return
    waiting = tx.rows("messages.order_waiting", {"ordering_key": ordering_key})
    if not waiting:
        return
    head = waiting[0][0]
    free = _sending(tx, ordering_key) is None and _blocking(tx, settings, ordering_key, head) is None
    # One change moves the turn by one place: whoever had it stands among the oldest.
    for message_id, ready in waiting:
        wanted = int(free and message_id == head)
        if ready != wanted:
            tx.run("messages.set_ready", {"id": message_id, "ready": wanted})


def blocker(tx: Tx, settings: Settings, ordering_key: str, message_id: int) -> int | None:
    """Return the message that `message_id` waits for, None when it is its turn."""
    waiting = tx.row("messages.order_waiting", {"ordering_key": ordering_key})
    head = int(waiting[0]) if waiting is not None else message_id
    others = (
        _sending(tx, ordering_key),
        _blocking(tx, settings, ordering_key, message_id),
        head if head < message_id else None,
    )
    return min((other for other in others if other is not None and other != message_id), default=None)


def _sending(tx: Tx, ordering_key: str) -> int | None:
    found: int | None = tx.value("messages.order_sending", {"ordering_key": ordering_key})
    return found


def _blocking(tx: Tx, settings: Settings, ordering_key: str, before: int) -> int | None:
    """Return the oldest message before `before` whose state holds its successors back by its target's policy."""
    states = set(_DEFAULT).union(*(spec.order_blocked_by for spec in settings.targets.values()))
    found = (_first_blocking(tx, settings, ordering_key, state, before) for state in states)
    return min((one for one in found if one is not None), default=None)


def _first_blocking(tx: Tx, settings: Settings, ordering_key: str, state: str, before: int) -> int | None:
    params = {"ordering_key": ordering_key, "state": state, "after": 0, "before": before}
    while rows := tx.rows("messages.order_earlier", params):
        for message_id, target in rows:
            spec = target_spec(settings, target)
            if state in (spec.order_blocked_by if spec else _DEFAULT):
                return int(message_id)
        params["after"] = rows[-1][0]
    return None
