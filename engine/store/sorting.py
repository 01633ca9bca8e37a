"""Pages of messages in an order other than the number's: by an index where there is one, else of few. Reads only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from engine.model import FINAL_STATES, Message, State
from engine.rules.filters import Filter, Term
from engine.rules.orders import STATES, Order, Place, value_of
from engine.store import attempts, messages, search
from engine.store.tx import Tx

MOST = 20_000
"""So many are sorted without an index: 20 to 80 ms. Of more, an order has an index or is refused."""

_MOST_PARTITIONS = 250
_COLUMNS = {
    Order.STATE: "search.by_state",
    Order.TARGET: "search.by_target",
    Order.SUBJECT: "search.by_subject",
    Order.DUE: "search.by_due",
    Order.TRIES: "search.by_attempts",
    Order.SIZE: "search.by_size",
    Order.CHANGED: "search.by_changed",
}


class TooManyError(Exception):
    """More than MOST match, and no index has them in this order."""


class _Ask(NamedTuple):
    """A page to be read. beyond: the place it begins behind, in the direction of reading; None: at the very edge."""

    terms: Filter
    order: Order
    now_ms: int
    limit: int
    beyond: Place | None
    ascending: bool


class _Leg(NamedTuple):
    """A walk in an index that has the order: `column` and the number follow what `where` fixes."""

    driver: str
    where: str
    params: dict[str, object]
    column: str


def page(
    tx: Tx, terms: Filter, order: Order, *, now_ms: int, limit: int, beyond: Place | None, ascending: bool
) -> list[Message]:
    """Return up to `limit` messages behind a place, in the direction of reading.

    Raises TooManyError when more than MOST match and no index has them in this order.
    """
    ask = _Ask(terms, order, now_ms, limit, beyond, ascending)
    if order is Order.NUMBER:
        return _by_number(tx, terms, ask, None if beyond is None else beyond.id)
    groups = _groups(tx, terms, order)
    if groups is not None:
        return _by_groups(tx, groups, ask)
    places = _merged(tx, ask) if all(term.field == "state" for term in terms) else None
    if places is None:
        places = _places(tx, ask, terms)
    if places is None:
        places = _merged(tx, ask)
    if places is None:
        raise TooManyError
    return _rows(tx, _chosen(places, ask))


# In order of number, within groups whose order is known


def _by_number(tx: Tx, terms: Filter, ask: _Ask, beyond: int | None) -> list[Message]:
    span = {} if beyond is None else {"after" if ask.ascending else "before": beyond}
    return search.page(tx, terms, now_ms=ask.now_ms, limit=ask.limit, newest_first=not ask.ascending, **span)


def _groups(tx: Tx, terms: Filter, order: Order) -> list[tuple[int | str, Filter]] | None:
    """Split the filter by the values of the order, ascending, when each part is a seek; None when it is not."""
    if order not in {Order.STATE, Order.TARGET}:
        return None
    name = order.value
    for term in terms:
        if term.field == name and not term.negated and len(term.words) == 1:
            return [(value_of(order, term.words[0]), terms)]
    states, others = _split(terms)
    if order is Order.STATE:
        return None if others else [(value_of(order, word), (Term(name, ":", (word,)),)) for word in states]
    positive = {term.field: term for term in terms if not term.negated}
    if len(positive) < len(terms) or positive.keys() - {"channel", name}:
        return None
    rest = tuple(term for term in terms if term.field != name)
    words = positive[name].words if name in positive else search.targets(tx, rest[0].words if rest else ())
    return (
        None
        if len(words) > search.MOST_TARGETS
        else [(word, (*rest, Term(name, ":", (word,)))) for word in sorted(set(words))]
    )


def _split(terms: Filter) -> tuple[tuple[str, ...], Filter]:
    """Return the states that the filter admits, in order, and its other terms."""
    states = [term for term in terms if term.field == "state"]
    admitted = (state.value for state in STATES if all((state.value in one.words) != one.negated for one in states))
    return tuple(admitted), tuple(term for term in terms if term.field != "state")


def _by_groups(tx: Tx, groups: list[tuple[int | str, Filter]], ask: _Ask) -> list[Message]:
    found: list[Message] = []
    for value, terms in groups if ask.ascending else reversed(groups):
        number = None
        if ask.beyond is not None:
            if value == ask.beyond.value:
                number = ask.beyond.id
            elif ((value,) < (ask.beyond.value,)) == ask.ascending:
                continue
        left = ask._replace(limit=ask.limit - len(found))
        found += _by_number(tx, terms, left, number)
        if len(found) == ask.limit:
            break
    return found


# Sorted here: all that match, when they are few


def _places(tx: Tx, ask: _Ask, terms: Filter) -> list[Place] | None:
    """Return the place of everything that matches; None when that is more than MOST."""
    found = search.keys(tx, terms, _COLUMNS[ask.order], now_ms=ask.now_ms, most=MOST + 1)
    if len(found) > MOST:
        return None
    return [Place(value_of(ask.order, value), number) for number, value in found.items()]


# Merged from walks in an index


def _merged(tx: Tx, ask: _Ask) -> list[Place] | None:
    """Return the places of a page and more, by indexes that have the order; None when there is none."""
    states, others = _split(ask.terms)
    if ask.order is Order.DUE and states == (State.QUEUED.value,):
        partitions = attempts.partitions(tx)
        if len(partitions) > _MOST_PARTITIONS:
            return None
        places = _unready(tx, ask, others)
        legs = list(_due_legs(partitions))
    elif ask.order is Order.CHANGED:
        unmoved = tuple(state for state in states if state not in FINAL_STATES)
        places = _places(tx, ask, (*others, Term("state", ":", unmoved))) if unmoved else []
        legs = [_finished_leg(state) for state in states if state in FINAL_STATES]
    else:
        return None
    if places is not None:
        for leg in legs:
            places += _walk(tx, leg, ask, others)
    return places


def _unready(tx: Tx, ask: _Ask, others: Filter) -> list[Place] | None:
    rows = search.walk(
        tx,
        tx.text("search.by_due"),
        search.BY_UNREADY,
        (tx.text("search.walk_unready"), {}),
        others,
        now_ms=ask.now_ms,
        order="m.id",
        limit=MOST + 1,
    )
    return [Place(value, number) for number, value in rows] if len(rows) <= MOST else None


def _due_legs(partitions: Sequence[tuple[str, str]]) -> Iterator[_Leg]:
    for lane, template in partitions:
        for priority in (0, 1, 2, 3):
            params: dict[str, object] = {"lane": lane, "template": template, "priority": priority}
            yield _Leg(search.BY_DUE, "search.walk_due", params, "m.due_ms")


def _finished_leg(state: str) -> _Leg:
    return _Leg(search.BY_FINISHED, "search.walk_finished", {"state": state}, "m.finished_ms")


def _walk(tx: Tx, leg: _Leg, ask: _Ask, others: Filter) -> list[Place]:
    """Read a leg from the place on: first what is alike in value, then what lies beyond. Two statements, because a
    comparison of (value, id) would seek by the value alone and walk over all that are alike.
    """
    more, direction = (">", "ASC") if ask.ascending else ("<", "DESC")
    by_both = f"{leg.column} {direction}, m.id {direction}"
    fixed = tx.text(leg.where)
    if ask.beyond is None:
        parts = [(fixed, by_both)]
    else:
        alike = f"{fixed} AND {leg.column} = :value AND m.id {more} :number"
        parts = [(alike, f"m.id {direction}"), (f"{fixed} AND {leg.column} {more} :value", by_both)]
    params = {**leg.params, "value": ask.beyond and ask.beyond.value, "number": ask.beyond and ask.beyond.id}
    found: list[Place] = []
    for where, order in parts:
        rows = search.walk(
            tx,
            f"{tx.text('search.ids')}, {leg.column}",
            leg.driver,
            (where, params),
            others,
            now_ms=ask.now_ms,
            order=order,
            limit=ask.limit - len(found),
        )
        found += [Place(value, number) for number, value in rows]
        if len(found) == ask.limit:
            break
    return found


def _chosen(places: list[Place], ask: _Ask) -> list[int]:
    beyond = ask.beyond
    if beyond is not None:
        places = [one for one in places if (one > beyond if ask.ascending else one < beyond)]
    places.sort(reverse=not ask.ascending)
    return [one.id for one in places[: ask.limit]]


def _rows(tx: Tx, numbers: list[int]) -> list[Message]:
    sql = " ".join((tx.text("search.columns"), tx.text("search.of_numbers")))
    rows = tx.search(sql, {"numbers": json.dumps(numbers)})
    found = {row[0]: messages.from_row(row) for row in rows}
    return [found[number] for number in numbers]
