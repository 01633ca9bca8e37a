"""The outbox as an endless list under a filter, in an order. Asks the engine for the rows around the screen only."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from textual.message import Message as Event

from chronos_tui import bridge
from chronos_tui.keys import LIST, MARKS
from chronos_tui.views import outbox as views
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.columns import Column
from chronos_tui.widgets.pager import Ask, Pager, Row, Slice, Where
from chronos_tui.widgets.panel import host

_NUMBER = Column("#", "number", right=True, width=4)
_OTHERS = (
    Column("state", "state", width=11),
    Column("target", "target", least=8, weight=1, rank=3),
    Column("subject", "subject", least=16, weight=3),
    Column("due/age", "due", right=True, width=9, rank=1),
    Column("tries", "tries", right=True, width=5, rank=4),
    Column("last word", least=12, weight=2, rank=2),
)
_FIRST = (bridge.Order.NUMBER, True)


class _Refused:
    """The engine would take too long for this order."""

    def __init__(self, why: str) -> None:
        self.why = why


class Messages(Pager):
    """Messages, the newest first unless another order is chosen."""

    BINDINGS = bindings((*LIST, *MARKS))

    class OrderRefused(Event):
        """The order was not possible; the one before is back."""

        def __init__(self, why: str) -> None:
            super().__init__()
            self.why = why

    def __init__(self) -> None:
        super().__init__((_NUMBER, *_OTHERS), self._ask, empty=views.empty(""), follow=True, id="messages")
        self.expression = ""
        self.order: bridge.Order = _FIRST[0]
        self.descending: bool = _FIRST[1]
        self._before = _FIRST
        self._digits = 4

    def current(self) -> bridge.Message | None:
        """Return the message under the cursor, as it is shown."""
        row = self.cursor_row
        return row.place if row is not None and isinstance(row.place, bridge.Message) else None

    def filter(self, expression: str) -> None:
        """Show what matches."""
        self.expression = expression
        self.set_empty(*views.empty(expression))
        self.restart()

    def sort(self, order: bridge.Order, *, descending: bool) -> None:
        """Show them in another order; marks stay."""
        self._before = (self.order, self.descending)
        self._order_by(order, descending=descending)

    def _order_by(self, order: bridge.Order, *, descending: bool) -> None:
        self.order, self.descending = order, descending
        usual = (order, descending) == _FIRST
        self.sort_by("" if usual else views.COLUMN_OF.get(order.value, ""), descending=descending)
        self.restart(keep_marks=True)

    def _ask(self, ask: Ask) -> None:
        shell = host(self)
        query = partial(_slice, ask, self.expression, self.order, self.descending, shell.now_ms())
        shell.desk.read("outbox list", query, partial(self._take, ask), lambda text: self.fail(text, ask))

    def _take(self, ask: Ask, found: Slice | _Refused) -> None:
        if not isinstance(found, _Refused):
            self._widen(found)
            self.answer(ask, found)
            return
        back = self._before if self._before != (self.order, self.descending) else _FIRST
        self._before = _FIRST
        self._order_by(back[0], descending=back[1])
        self.post_message(self.OrderRefused(found.why))

    def _widen(self, found: Slice) -> None:
        """Give the numbers as much room as the longest seen takes; it only grows, so that nothing jumps about."""
        digits = max((len(str(row.key)) for row in found.rows), default=0)
        if digits > self._digits:
            self._digits = digits
            self.set_columns((replace(_NUMBER, width=digits), *_OTHERS))


def _slice(
    ask: Ask,
    expression: str,
    order: bridge.Order,
    descending: bool,  # noqa: FBT001 - bound by position
    now_ms: int,
    engine: bridge.Engine,
) -> Slice | _Refused:
    """Read what a pager needs."""
    at = bridge.place_of(order, ask.place) if isinstance(ask.place, bridge.Message) else None
    read = partial(engine.sorted_page, expression, order, descending=descending)
    backwards = ask.where in {Where.END, Where.BEFORE}
    try:
        page = read(
            at=at if ask.where is Where.AGAIN else None,
            after=at if ask.where is Where.BEHIND else None,
            before=at if ask.where is Where.BEFORE else None,
            from_end=ask.where is Where.END,
            limit=ask.limit,
        )
        at_start = page.at_end if backwards else ask.where is Where.START or at is None
        if ask.where is Where.AGAIN and at is not None:
            first = bridge.place_of(order, page.rows[0]) if page.rows else at
            at_start = not read(before=first, limit=1).rows
    except bridge.NotPossible as error:
        return _Refused(bridge.safe_line(str(error), 300))
    rows = tuple(Row(one.id, views.row(one, now_ms), one) for one in page.rows)
    return Slice(rows, at_start, ask.where is Where.END or (not backwards and page.at_end))
