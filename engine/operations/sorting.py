"""Pages of the outbox in any order, forwards and backwards from any place. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import DeadlineExceeded, NotPossible
from engine.model import Message
from engine.operations.context import Context
from engine.rules import filters
from engine.rules.filters import Filter
from engine.rules.orders import Order, Place
from engine.store import sorting

_PATIENCE_MS = 1_000
"""What a person waits for a list in another order before a plain refusal serves better."""

_INDEXED = {Order.DUE: "state:queued, or ", Order.CHANGED: "less that waits, or "}


@dataclass(frozen=True, slots=True)
class SortedPage:
    """Messages in the order asked for. at_end: nothing more matches in the direction that was read in."""

    rows: tuple[Message, ...]
    at_end: bool


def page(
    context: Context,
    expression: str | Filter,
    order: Order,
    *,
    descending: bool = False,
    at: Place | None = None,
    after: Place | None = None,
    before: Place | None = None,
    from_end: bool = False,
    limit: int = 50,
) -> SortedPage:
    """Return up to `limit` messages as they stand in the order, whichever way they were read.

    From the first on; with `at`, from a place on, itself included; with `after`, what follows a place; with `before`,
    what comes right before it; with `from_end`, the last ones. One of these at most.

    Raises BadInput for a bad expression; NotPossible where it would take long: without an index at most sorting.MOST
    matches are sorted.
    """
    if (at, after, before, from_end or None).count(None) < 3:
        raise ValueError("at, after, before and from_end exclude each other")
    terms = filters.parse(expression) if isinstance(expression, str) else expression
    backwards = from_end or before is not None
    beyond = before if backwards else after
    if at is not None:
        beyond = Place(at.value, at.id + 1 if descending else at.id - 1)
    now_ms = context.clock.now_ms()
    try:
        found = context.database.read(
            lambda tx: sorting.page(
                tx,
                terms,
                order,
                now_ms=now_ms,
                limit=limit + 1,
                beyond=beyond,
                ascending=backwards == descending,
            ),
            within_ms=None if order is Order.NUMBER else _PATIENCE_MS,
        )
    except (sorting.TooManyError, DeadlineExceeded) as error:
        if order is Order.NUMBER:
            raise
        raise NotPossible(
            f"sorting by {order} needs {_INDEXED.get(order, '')}a filter that leaves fewer than "
            f"{sorting.MOST:_} messages".replace("_", " ")
        ) from error
    rows = found[:limit]
    return SortedPage(tuple(rows[::-1] if backwards else rows), len(found) <= limit)
