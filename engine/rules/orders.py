"""The orders in which an operator may look at the outbox, and a message's place in one. Sorts nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from engine.model import Message, State

SUBJECT_CHARS = 100
"""Subjects that are alike so far stand in order of their numbers: a place must not carry a subject of a megabyte."""

STATES = (
    State.SENDING,
    State.QUEUED,
    State.HELD,
    State.UNCERTAIN,
    State.DEAD,
    State.EXPIRED,
    State.CANCELLED,
    State.DELIVERED,
)
"""The states as Order.STATE has them: what moves, what waits, what needs a person, what is over."""

_RANKS = {state.value: rank for rank, state in enumerate(STATES)}


class Order(StrEnum):
    """What a list is sorted by; what is alike is sorted by number.

    NUMBER is the order of enqueueing. DUE: the time of the next attempt (of what waits no more: the last one's).
    CHANGED: when a message came to its end; of what has not: when it was queued.
    """

    NUMBER = "number"
    STATE = "state"
    TARGET = "target"
    SUBJECT = "subject"
    DUE = "due"
    TRIES = "tries"
    SIZE = "size"
    CHANGED = "changed"


class Place(NamedTuple):
    """Where a message stands in an order, for paging. The message may be gone or stand elsewhere by now."""

    value: int | str
    id: int


def value_of(order: Order, stored: Any) -> int | str:
    """Return what is compared, made of the column's content."""
    if order is Order.STATE:
        return _RANKS[stored]
    if order is Order.SUBJECT:
        return str(stored[:SUBJECT_CHARS].casefold())
    found: int | str = stored
    return found


def place_of(order: Order, message: Message) -> Place:
    """Return a message's place."""
    stored = {
        Order.NUMBER: message.id,
        Order.STATE: message.state.value,
        Order.TARGET: message.target,
        Order.SUBJECT: message.subject,
        Order.DUE: message.due_ms,
        Order.TRIES: message.attempts,
        Order.SIZE: message.size,
        Order.CHANGED: message.created_ms if message.finished_ms is None else message.finished_ms,
    }
    return Place(value_of(order, stored[order]), message.id)
