"""How SQLite answers the hot questions: by the index that is meant for them, whatever the size of the outbox.

EXPLAIN says SEARCH for a seek of one row and for a walk over half the table alike, so the index's name is what counts.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from engine.errors import NotPossible
from engine.operations import sorting as sorting_pages
from engine.operations.context import Context
from engine.rules import filters
from engine.rules.orders import Order, place_of
from engine.store import search, sorting
from engine.store.queries import Queries
from engine.store.tx import Tx
from tests.store import crowd
from tests.support import START_MS


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    made = crowd.make(tmp_path_factory.mktemp("crowd"))
    yield made
    made.database.close()


class _Explained(Tx):
    """A transaction that notes how every statement of a page is answered, and in how many steps."""

    __slots__ = ("plans", "steps")

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection, Queries())
        self.plans: list[list[str]] = []
        self.steps = 0

    def search(self, sql: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        self.plans.append(_plan(self._connection, sql, params))
        self._connection.set_progress_handler(self._count, 100)
        try:
            return super().search(sql, params)
        finally:
            self._connection.set_progress_handler(None, 0)

    def _count(self) -> int:
        self.steps += 100
        return 0


def _plan(connection: sqlite3.Connection, sql: str, params: Mapping[str, Any]) -> list[str]:
    rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", params).fetchall()
    return [str(row[3]) for row in rows]


_NOW = {"now_ms": START_MS}
_KEY = {"ordering_key": "order-1"}
HOT: list[tuple[str, dict[str, Any], str]] = [
    ("claims.due", {"lane": "target1", "template": "", "priority": 1, "n": 64, **_NOW}, "messages_due"),
    ("claims.next_due", {"lane": "target1", "template": "", "priority": 1}, "messages_due"),
    ("claims.partitions", {}, "messages_due"),
    ("claims.orphans", {"epoch": 1}, "messages_sending"),
    ("claims.overdue", {"epoch": 1, **_NOW}, "messages_sending"),
    ("messages.expired", _NOW, "messages_expiring"),
    ("messages.hopping", _NOW, "messages_hopping"),
    ("messages.by_idempotency_key", {"idempotency_key": "key-17"}, "messages_idempotency"),
    ("messages.id_of_uid", {"uid": "msg_1"}, "messages_uid"),
    (
        "messages.waiting_in_collapse",
        {"target": "target1", "collapse_key": "collapse-1", "route": ""},
        "messages_collapse",
    ),
    ("messages.order_sending", _KEY, "messages_order"),
    ("messages.order_waiting", _KEY, "messages_order"),
    ("messages.order_earlier", {"state": "dead", "after": 0, "before": 99_999, **_KEY}, "messages_order"),
    ("retention.old", {"state": "delivered", "before_ms": START_MS - 99_000}, "messages_finished"),
    ("search.templates", {"most": 500}, "messages_template"),
    ("search.routes", {"most": 500}, "messages_route"),
    ("audit.of_subject", {"subject": "msg_1", "after": 0, "before": 99_999, "n": 50}, "audit_subject"),
    ("audit.of_subject_up", {"subject": "msg_1", "after": 0, "before": 99_999, "n": 50}, "audit_subject"),
    ("audit.of_action", {"action": "hold.started", "after": 0, "before": 99_999, "n": 50}, "audit_action"),
    ("audit.of_action_up", {"action": "hold.started", "after": 0, "before": 99_999, "n": 50}, "audit_action"),
    ("audit.rare_actions", {}, "audit_action"),
]


@pytest.mark.parametrize(("name", "params", "index"), HOT, ids=[name for name, _params, _index in HOT])
def test_a_hot_statement_seeks_in_its_own_index(
    context: Context, name: str, params: dict[str, Any], index: str
) -> None:
    plan = context.database.inspect(lambda connection: _plan(connection, Queries()[name], params))
    touched = [line for line in plan if re.search(r"\b(messages|audit)\b", line)]
    assert touched, plan
    assert all("SCAN messages" not in line or "INDEX" in line for line in plan), plan
    assert any(index in line for line in touched), plan
    assert not any("TEMP B-TREE" in line for line in plan), plan


@pytest.mark.parametrize(
    ("name", "params"),
    [(name, params) for name, params, _index in HOT if name not in {"audit.of_subject"}],
    ids=[name for name, _params, _index in HOT if name not in {"audit.of_subject"}],
)
def test_a_hot_statement_does_not_read_through_the_outbox(context: Context, name: str, params: dict[str, Any]) -> None:
    """100 000 rows take millions of steps; a page of 500 takes some ten thousand."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 100
        return 0

    def work(connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(count, 100)
        connection.execute(Queries()[name], params).fetchall()
        connection.set_progress_handler(None, 0)

    context.database.inspect(work)
    assert steps < 30_000


def test_the_sparkline_is_counted_in_the_index_alone(context: Context) -> None:
    params = {"state": "dead", "start_ms": START_MS - 500, "end_ms": START_MS, "step_ms": 60_000}
    plan = context.database.inspect(lambda connection: _plan(connection, Queries()["messages.ended_by_step"], params))
    assert plan[0].startswith("SEARCH messages USING COVERING INDEX messages_finished (state=? AND finished_ms>?"), plan


PAGES = [
    ("", "PRIMARY KEY"),
    ("state:delivered", "messages_delivered"),
    ("state:dead", "messages_dead"),
    ("state:dead,uncertain", "messages_uncertain"),
    ("state:held", "messages_held"),
    ("state:cancelled", "messages_cancelled"),
    ("state:expired", "messages_expired"),
    ("state:sending", "messages_sending"),
    ("state:uncertain", "messages_uncertain"),
    ("state:queued", "messages_due"),
    ("target:target3", "messages_target"),
    ("channel:email", "messages_target"),
    ("channel:email target:target1", "messages_target"),
    ("template:template1", "messages_template"),
    ("route:route1", "messages_route"),
    ("tag:nightly", "SEARCH t USING PRIMARY KEY (tag=?"),
    ("key:key-17", "messages_idempotency"),
    ("uid:msg_00000000000000000000000000000007", "messages_uid"),
    ("id:77", "PRIMARY KEY"),
    ("error:timeout", "messages_failed"),
    ("priority:urgent", "messages_priority"),
    ("attempts>=3", "messages_retried"),
    ("needle", "VIRTUAL TABLE INDEX"),
    ("state:dead error:refused_by", "messages_dead"),
    ("-state:delivered", "messages_dead"),
    ("-state:delivered,queued -state:held", "messages_uncertain"),
]


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize(("expression", "index"), PAGES, ids=[expression or "everything" for expression, _ in PAGES])
def test_a_page_is_driven_by_the_index_of_its_filter(
    context: Context, expression: str, index: str, *, newest_first: bool
) -> None:
    terms = filters.parse(expression)

    def work(connection: sqlite3.Connection) -> tuple[list[list[str]], int, int]:
        tx = _Explained(connection)
        found = search.page(tx, terms, now_ms=START_MS, limit=50, newest_first=newest_first)
        return tx.plans, tx.steps, len(found)

    plans, steps, found = context.database.inspect(work)
    assert found > 0
    assert any(index in line for plan in plans for line in plan), plans
    assert steps < 200_000, f"a page of 50 in {steps} steps: {plans}"


# What no index serves directly reads rows until the page is full: bounded by the outbox, and still quick.
SCANS = [
    "order:order-1",
    "collapse:collapse-1",
    "age>1d",
    "age<10s",
    "due<1m",
    "due>1h",
    "attempts=0",
    "size>900",
    "-target:target1",
    "priority:normal",
    '"half a phrase"',
    "-needle",
]


@pytest.mark.parametrize("expression", SCANS)
def test_a_page_without_an_index_of_its_own_sorts_nothing_and_ends(context: Context, expression: str) -> None:
    terms = filters.parse(expression)

    def work(connection: sqlite3.Connection) -> list[list[str]]:
        tx = _Explained(connection)
        search.page(tx, terms, now_ms=START_MS, limit=50)
        return tx.plans

    for plan in context.database.inspect(work):
        assert not any("TEMP B-TREE" in line for line in plan), plan


# Orders that an index has, whatever the size of the outbox. In lists of what waits there are several thousand.
ORDERS = [
    ("", Order.STATE, r"messages_(sending|delivered) \(id"),
    ("-state:sending,queued", Order.STATE, r"messages_(held|delivered) \(id"),
    ("state:delivered,dead", Order.STATE, r"messages_(dead|delivered) \(id"),
    ("state:delivered target:target3", Order.STATE, "messages_target"),
    ("", Order.TARGET, "messages_target"),
    ("channel:webhook", Order.TARGET, "messages_target"),
    ("target:target5,target2", Order.TARGET, "messages_target"),
    ("target:target2 size>500", Order.TARGET, "messages_target"),
    ("state:queued", Order.DUE, r"messages_due \(lane=\? AND template=\? AND priority=\?"),
    ("", Order.CHANGED, r"messages_finished \(state=\?"),
    ("state:delivered", Order.CHANGED, r"messages_finished \(state=\?"),
    ("state:delivered -target:target3", Order.CHANGED, r"messages_finished \(state=\?"),
]


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize(("expression", "order", "index"), ORDERS)
def test_a_sorted_page_is_driven_by_the_index_of_its_order(
    context: Context, expression: str, order: Order, index: str, *, ascending: bool
) -> None:
    terms = filters.parse(expression)

    def work(connection: sqlite3.Connection) -> list[tuple[list[list[str]], int]]:
        pages, beyond = [], None
        for _ in range(3):
            tx = _Explained(connection)
            found = sorting.page(tx, terms, order, now_ms=START_MS, limit=50, beyond=beyond, ascending=ascending)
            assert len(found) == 50
            beyond = place_of(order, found[-1])
            pages.append((tx.plans, tx.steps))
        return pages

    pages = context.database.inspect(work)
    assert any(re.search(index, line) for plan in pages[0][0] for line in plan), pages[0][0]
    for plans, steps in pages:
        assert not any("SCAN m" in line and "INDEX" not in line for plan in plans for line in plan), plans
        assert steps < 500_000, f"a page of 50 in {steps} steps: {plans}"


@pytest.mark.parametrize("expression", ["", "state:delivered", "channel:webhook", "size<900", "-tag:nightly"])
@pytest.mark.parametrize("order", [Order.SUBJECT, Order.TRIES, Order.SIZE, Order.DUE])
def test_an_order_without_an_index_is_refused_before_much_was_read(
    context: Context, expression: str, order: Order
) -> None:
    def work(connection: sqlite3.Connection) -> int:
        tx = _Explained(connection)
        with pytest.raises(sorting.TooManyError):
            sorting.page(tx, filters.parse(expression), order, now_ms=START_MS, limit=50, beyond=None, ascending=True)
        return tx.steps

    assert context.database.inspect(work) < 1_500_000, "the whole outbox takes more"
    with pytest.raises(
        NotPossible, match=f"^sorting by {order} needs .*a filter that leaves fewer than 20 000 messages$"
    ):
        sorting_pages.page(context, expression, order)
