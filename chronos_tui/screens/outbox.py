"""Panel 2, Outbox: every message, why it waits or failed, and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container

from chronos_tui import bridge
from chronos_tui.dialogs import exporting
from chronos_tui.dialogs.choose import Choice, Choose
from chronos_tui.dialogs.onmessages import COMMANDS as ON_MESSAGES
from chronos_tui.dialogs.onmessages import OnMessages
from chronos_tui.keys import Command
from chronos_tui.views import outbox as views
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.details import Details, DetailText
from chronos_tui.widgets.messages import Messages
from chronos_tui.widgets.pager import Pager
from chronos_tui.widgets.panel import Prompt

BESIDE_FROM = 140
"""From this width on the details stand beside the list, not below it."""

_ORDERS = "|".join(order for _key, order, _words in views.ORDERS)
_DESCENDING = frozenset({"number", "changed", "tries", "size"})
"""Orders whose greatest comes first unless they are turned."""

_ALL = " "
"""The place of the list without a filter: a place that says nothing would leave the filter as it is."""


class Outbox(OnMessages):
    """The list of messages with one of them opened."""

    ID = "outbox"
    NUMBER = 2
    TITLE = "Outbox"
    TOPICS = frozenset({bridge.Topic.OUTBOX})
    FILTER = bridge.OUTBOX_FIELDS
    COMMANDS = (
        *ON_MESSAGES,
        Command("outbox.explain", ("e",), "explain", "open the message at its story", 82),
        Command("outbox.sort", ("s",), "sort", "choose what the list is sorted by", 84, line=f"sort [{_ORDERS}]"),
        Command("outbox.turn", ("S",), "turn", "turn the order of the list round", 0),
        Command(
            "outbox.write",
            ("w",),
            "write",
            "write the list to a file; in the details: an attachment",
            89,
            line="export",
        ),
        Command("outbox.zoom", ("z",), "zoom", "give this pane all the room, or take it back", 0),
    )
    DEFAULT_CSS = """
    Outbox { layout: vertical; }
    Outbox #split { layout: vertical; height: 1fr; }
    Outbox.-open #messages { height: 1fr; min-height: 6; }
    Outbox.-open #details { height: 2fr; }
    Outbox.-beside #split { layout: horizontal; }
    Outbox.-beside #messages, Outbox.-beside #details { height: 1fr; width: 1fr; }
    Outbox.-beside #details { margin-left: 1; }
    Outbox.-zoom-list #details { display: none; }
    Outbox.-zoom-text #messages, Outbox.-zoom-text #outbox-title, Outbox.-zoom-text #outbox-counts { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._counts: Mapping[str, int] | None = None
        self._matching: int | None = None
        self._values: Mapping[str, tuple[str, ...]] = {}

    def compose(self) -> ComposeResult:
        """See Widget.compose."""
        yield Bar(id="outbox-title")
        yield Bar(id="outbox-counts")
        with Container(id="split"):
            yield Messages()
            yield Details()

    @property
    def messages(self) -> Messages:
        """The list."""
        return self.query_one(Messages)

    @property
    def details(self) -> Details:
        """The message that is open."""
        return self.query_one(Details)

    # What the shell asks of it

    def reload(self) -> None:
        """See Panel.reload."""
        desk = self.host.desk
        self.messages.reload()
        self.details.reload()
        desk.read("outbox counts", lambda engine: engine.counts(), self._take_counts)
        expression = self.messages.expression
        if expression and _states(expression) is None:
            count = partial(self._take_matching, expression)
            desk.read("outbox matching", lambda engine: engine.count(expression), count, lambda _text: count(None))

    def _take_counts(self, counts: Mapping[str, int]) -> None:
        self._counts = counts
        self._show_lines()

    def _take_matching(self, expression: str, matching: int | None) -> None:
        if expression == self.messages.expression:
            self._matching = matching
            self._show_lines()

    def _take_values(self, values: Mapping[str, tuple[str, ...]]) -> None:
        self._values = values

    def place(self) -> str:
        """See Panel.place."""
        key = self.details.key
        return f"#{key}" if key is not None else self.messages.expression or _ALL

    def line(self, word: str, rest: str) -> bool:
        """See Panel.line."""
        if word == "sort":
            self._sort(rest)
            return True
        return super().line(word, rest)

    def go_to(self, place: str) -> None:
        """Show a message ("#1042", a uid) or what matches a filter."""
        place = place.strip()
        if place.startswith("#") or self.place_of(place):
            self.host.desk.read(
                "outbox place", lambda engine: engine.detail(place).message, self._open_message, self.warn
            )
        elif wrong := _wrong(place):
            self.warn(wrong)
        else:
            self._close_details()
            if place != self.messages.expression:  # else the cursor stays where it was
                self._filter(place)

    def _open_message(self, one: bridge.Message) -> None:
        self.messages.show(one.id, one)
        self._open(one.id)

    def slash(self) -> Prompt | None:
        """Filter the list, or search in the text where that has the focus."""
        if self._in_text():
            return Prompt("search: ", self.details.search, history="search")
        self.host.desk.read("outbox values", lambda engine: engine.known_values(), self._take_values)
        return Prompt(
            "/", self._filter, initial=self.messages.expression, complete=self._complete, check=_wrong, history="outbox"
        )

    def _complete(self, text: str, cursor: int) -> list[str]:
        start = bridge.filter_word_start(text, cursor)
        return [text[:start] + term + text[cursor:] for term in bridge.complete_filter(text, cursor, self._values)]

    def leave_pane(self) -> bool:
        """See Panel.leave_pane."""
        if self._unzoom():
            return True
        if not self.details.is_open:
            return False
        self._close_details()
        return True

    def clear(self) -> None:
        """Drop the marks, then the filter."""
        if self.messages.marked:
            self.messages.action_clear_marks()
        elif self.messages.expression:
            self._filter("")

    def saved(self) -> dict[str, Any]:
        """See Panel.saved."""
        return {
            "filter": self.messages.expression,
            "sort": self.messages.order.value,
            "descending": self.messages.descending,
            "details": self.details.is_open,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """See Panel.restore."""
        expression, sort = saved.get("filter"), saved.get("sort")
        if isinstance(expression, str) and not _wrong(expression):
            self.messages.expression = expression
        if isinstance(sort, str) and sort in {order.value for order in bridge.Order}:
            self.messages.sort(bridge.Order(sort), descending=saved.get("descending") is not False)
        if saved.get("details") is True:
            self.details.add_class("open")
            self.add_class("-open")
        self._filter(self.messages.expression)

    @classmethod
    def badge(cls, counts: Mapping[str, int]) -> tuple[str, str]:
        """See Panel.badge."""
        dead, uncertain = counts.get("dead", 0), counts.get("uncertain", 0)
        words = [f"{n} {state}" for n, state in ((dead, "dead"), (uncertain, "uncertain")) if n]
        return " ".join(words), "failed" if dead else "warning"

    # What is shown

    def _filter(self, expression: str) -> None:
        self._matching = None
        self.messages.filter(expression.strip())
        self._show_lines()
        self.reload()

    def _heading(self) -> views.Heading:
        listed, known = self.messages, self._counts
        total = None if known is None else sum(known.values())
        states = _states(listed.expression)
        return views.Heading(
            listed.expression,
            self._matching if states is None or known is None else sum(known[state] for state in states),
            total,
            listed.order.value,
            listed.descending,
            len(listed.marked),
            listed.newer,
            listed.newer_exact,
        )

    def _show_lines(self) -> None:
        title, counts = self.query_one("#outbox-title", Bar), self.query_one("#outbox-counts", Bar)
        title.show(views.title(self._heading(), title.size.width))
        if self._counts is not None:
            counts.show(views.counts_line(self._counts, counts.size.width))

    def on_resize(self) -> None:
        """Put the details beside the list where there is room."""
        self.set_class(self.size.width >= BESIDE_FROM, "-beside")
        self.call_after_refresh(self._show_lines)

    def on_pager_cursor_moved(self, message: Pager.CursorMoved) -> None:
        """The details follow the cursor while that is what moves."""
        if not self._in_text():
            self.details.follow(message.key)

    def on_pager_opened(self, message: Pager.Opened) -> None:
        """Open the message."""
        self._open(message.key)
        self.details.text.focus()

    def on_pager_marked(self) -> None:
        """Say how many."""
        self._show_lines()
        self.host.looked()

    def on_pager_newer_changed(self) -> None:
        """Say how many came above."""
        self._show_lines()

    def on_pager_range_lost(self) -> None:
        """Say why nothing was marked."""
        self.warn("the mark that the range would begin at is too far away; mark its beginning again")

    def on_messages_order_refused(self, message: Messages.OrderRefused) -> None:
        """Say why."""
        self.warn(message.why)
        self._show_lines()

    def _in_text(self) -> bool:
        return isinstance(self.screen.focused, DetailText)

    def _open(self, key: int) -> None:
        self.remove_class("-zoom-list")
        self.add_class("-open")
        self.details.open(key)

    def _close_details(self) -> None:
        self._unzoom()
        self.remove_class("-open")
        if self._in_text():
            self.messages.focus()
        self.details.close()
        self.host.looked()

    def _unzoom(self) -> bool:
        zoomed = self.has_class("-zoom-list") or self.has_class("-zoom-text")
        self.remove_class("-zoom-list", "-zoom-text")
        return zoomed

    def action_zoom(self) -> None:
        """Give the pane with the focus all the room."""
        if self._unzoom():
            return
        if not self.details.is_open:
            self.warn("there is one pane only; enter opens a message below")
            return
        self.add_class("-zoom-text" if self._in_text() else "-zoom-list")

    # What its keys do, beside those in OnMessages

    def this_one(self) -> bridge.Message | None:
        """See OnMessages."""
        return self.details.message if self._in_text() else self.messages.current()

    def marked(self) -> frozenset[int]:
        """See OnMessages."""
        return self.messages.marked

    def matching(self) -> str:
        """See OnMessages."""
        return self.messages.expression

    def unmark(self) -> None:
        """See OnMessages."""
        self.messages.action_clear_marks()

    def action_explain(self) -> None:
        """Open the story."""
        one = self.needed()
        if one is not None:
            self._open(one.id)
            self.details.text.focus()
            self.details.text.action_home()

    def action_sort(self) -> None:
        """Choose an order."""
        choices = [Choice(key, name, f"by {words}") for key, name, words in views.ORDERS]

        def chosen(name: str | None) -> None:
            if name:
                self._sort(name)

        self.host.push_screen(Choose("Sort", choices, self.messages.order.value), chosen)

    def _sort(self, name: str) -> None:
        self.messages.sort(bridge.Order(name), descending=name in _DESCENDING)
        self._show_lines()

    def action_turn(self) -> None:
        """Turn the order round."""
        self.messages.sort(self.messages.order, descending=not self.messages.descending)
        self._show_lines()

    def action_write(self) -> None:
        """Write the list to a file; in the details save an attachment."""
        if self._in_text():
            if self.details.read is not None:
                self.save_attachment(self.details.read.detail)
            return
        listed = self.messages
        matching = self._heading().matching or 0
        exporting.ask(self.host, listed.expression, listed.order.value, descending=listed.descending, matching=matching)


def _wrong(text: str) -> str:
    """Return what is wrong with a filter, in the parser's words."""
    try:
        bridge.parse_filter(text)
    except bridge.BadInput as error:
        return str(error)
    return ""


def _states(expression: str) -> tuple[str, ...] | None:
    """Return the states that a filter names when it names nothing else, all for none: their counts are known."""
    terms = bridge.parse_filter(expression)
    if not terms:
        return tuple(state.value for state in bridge.State)
    if len(terms) == 1 and terms[0].field == "state" and not terms[0].negated:
        return tuple(dict.fromkeys(terms[0].words))
    return None
