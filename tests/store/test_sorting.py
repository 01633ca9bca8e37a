"""Pages in every order, by every kind of filter, from every place and in both directions: what Python's sort finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.model import Message
from engine.operations import reading, sorting
from engine.operations.context import Context
from engine.operations.sorting import SortedPage
from engine.rules.orders import STATES, Order, Place, place_of
from tests.store import crowd
from tests.support import Box, opened_box

_ROWS = 1_500


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    made = crowd.make(tmp_path_factory.mktemp("sorting"), _ROWS)
    # Many alike: a page must be able to begin and end among them.
    made.database.write(lambda tx: tx.search("UPDATE messages SET due_ms = due_ms / 64 * 64", {}))
    made.database.write(
        lambda tx: tx.search("UPDATE messages SET finished_ms = finished_ms / 64 * 64 WHERE finished_ms > 0", {})
    )
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def everything(context: Context) -> list[Message]:
    return list(reading.page(context, limit=_ROWS, newest_first=False).messages)


def _value(order: Order, message: Message) -> int | str:
    """Said again in other words than the product's."""
    if order is Order.STATE:
        return STATES.index(message.state)
    if order is Order.CHANGED:
        return message.finished_ms or message.created_ms
    name = {Order.NUMBER: "id", Order.TRIES: "attempts", Order.DUE: "due_ms"}.get(order, order.value)
    found: int | str = getattr(message, name)
    return found.lower() if isinstance(found, str) else found


_EXPRESSIONS: dict[str, Callable[[Message], bool]] = {
    "": lambda _m: True,
    "state:queued": lambda m: m.state == "queued",
    "state:queued target:target3": lambda m: m.state == "queued" and m.target == "target3",
    "state:delivered": lambda m: m.state == "delivered",
    "state:dead,delivered": lambda m: m.state in {"dead", "delivered"},
    "-state:delivered": lambda m: m.state != "delivered",
    "-state:delivered,queued -state:held": lambda m: m.state not in {"delivered", "queued", "held"},
    "state:dead -state:dead": lambda _m: False,
    "state:dead state:held": lambda _m: False,
    "target:target3": lambda m: m.target == "target3",
    "target:target5,target2": lambda m: m.target in {"target5", "target2"},
    "target:target5 target:target2": lambda _m: False,
    "-target:target5": lambda m: m.target != "target5",
    "channel:email": lambda m: m.channel == "email",
    "channel:email target:target1,target4": lambda m: m.channel == "email" and m.target == "target1",
    "channel:email state:delivered": lambda m: m.channel == "email" and m.state == "delivered",
    "size>900": lambda m: m.size > 900,
    "error:timeout": lambda m: m.last_word == "timeout",
    "id:0": lambda _m: False,
}


@settings(max_examples=250, deadline=None)
@given(
    expression=st.sampled_from(sorted(_EXPRESSIONS)),
    order=st.sampled_from(Order),
    descending=st.booleans(),
    backwards=st.booleans(),
    size=st.sampled_from([1, 7, 50, 400]),
)
def test_pages_in_any_order_are_complete_in_both_directions(
    context: Context,
    everything: list[Message],
    expression: str,
    order: Order,
    size: int,
    *,
    descending: bool,
    backwards: bool,
) -> None:
    matching = [one for one in everything if _EXPRESSIONS[expression](one)]
    wanted = sorted(matching, key=lambda one: (_value(order, one), one.id), reverse=descending)
    size = max(size, len(wanted) // 12)

    def read(**where: Place | bool | None) -> SortedPage:
        return sorting.page(context, expression, order, descending=descending, limit=size, **where)  # type: ignore[arg-type]

    found: list[Message] = []
    page = read(from_end=True) if backwards else read()
    while True:
        assert len(page.rows) <= size
        found = [*page.rows, *found] if backwards else [*found, *page.rows]
        if page.at_end:
            break
        assert len(page.rows) == size
        edge = place_of(order, found[0] if backwards else found[-1])
        page = read(before=edge) if backwards else read(after=edge)

    assert [one.id for one in found] == [one.id for one in wanted]
    for number in {0, len(wanted) // 2, len(wanted) - 1} if wanted else set():
        again = read(at=place_of(order, wanted[number]))
        assert list(again.rows) == wanted[number : number + size]
        assert again.at_end == (number + size >= len(wanted))
        # Short pages begin and end among what is alike.
        place = place_of(order, wanted[number])
        behind = sorting.page(context, expression, order, descending=descending, after=place, limit=2)
        assert behind == SortedPage(tuple(wanted[number + 1 : number + 3]), number + 3 >= len(wanted))
        ahead = sorting.page(context, expression, order, descending=descending, before=place, limit=2)
        assert ahead == SortedPage(tuple(wanted[max(0, number - 2) : number]), number <= 2)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with opened_box(tmp_path) as opened:
        yield opened


def test_a_place_holds_though_its_message_is_gone(context: Context, everything: list[Message]) -> None:
    three = [one for one in everything if one.state == "dead"][:3]
    gone = Place(place_of(Order.SIZE, three[0]).value, 10**9)
    ordered = sorted((one for one in everything), key=lambda one: (one.size, one.id))
    behind = [one.id for one in ordered if (one.size, one.id) > gone][:50]
    assert [one.id for one in sorting.page(context, "", Order.SIZE, after=gone).rows] == behind
    assert [one.id for one in sorting.page(context, "", Order.SIZE, at=gone).rows] == behind


def test_subjects_are_sorted_without_regard_to_case(box: Box) -> None:
    long = "z" * 150
    for subject in ("beta", "Alpha", "ÄRGER", "alpha", long + "b", long + "a", ""):
        box.put(subject=subject)
    page = sorting.page(box.context, "", Order.SUBJECT)
    subjects = [one.subject for one in page.rows]
    # What is alike up to the hundredth character stands as it was queued.
    assert subjects == ["", "Alpha", "alpha", "beta", long + "b", long + "a", "ÄRGER"]


def test_one_place_at_a_time(context: Context) -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        sorting.page(context, "", Order.SIZE, at=Place(1, 1), after=Place(1, 1))


def test_a_bad_expression_is_named(context: Context) -> None:
    with pytest.raises(BadInput, match="unknown field"):
        sorting.page(context, "stat:dead", Order.SIZE)
