"""One message to read, beside or below the list: follows the cursor, stays where it is when only its state moved."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message as Event
from textual.timer import Timer

from chronos_tui import bridge
from chronos_tui.keys import TEXT
from chronos_tui.views import detail as views
from chronos_tui.views.spans import Document, Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.panel import host
from chronos_tui.widgets.textview import TextView

REST_S = 0.15
"""The cursor rests so long before the details follow it: a held key reads nothing."""


class _Read(NamedTuple):
    detail: bridge.Detail
    body: views.Body
    document: Document


class DetailText(TextView):
    """The text, with its keys."""

    BINDINGS = bindings(TEXT)

    class Stepped(Event):
        """The operator went to another match."""

    def action_next_match(self) -> None:
        """See TextView."""
        super().action_next_match()
        self.post_message(self.Stepped())

    def action_previous_match(self) -> None:
        """See TextView."""
        super().action_previous_match()
        self.post_message(self.Stepped())


class Details(Vertical):
    """Hidden until `open`."""

    DEFAULT_CSS = """
    Details { height: 1fr; width: 1fr; display: none; }
    Details.open { display: block; }
    """

    def __init__(self) -> None:
        super().__init__(id="details")
        self.key: int | None = None
        self.read: _Read | None = None
        self._bodies: tuple[int, views.Body] | None = None
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """See Widget.compose."""
        yield Bar(id="details-title")
        yield DetailText(id="details-text")

    @property
    def is_open(self) -> bool:
        """Whether it is shown."""
        return self.has_class("open")

    @property
    def text(self) -> DetailText:
        """The text in it."""
        return self.query_one(DetailText)

    @property
    def message(self) -> bridge.Message | None:
        """The message that is shown."""
        return self.read.detail.message if self.read is not None else None

    def open(self, key: int) -> None:
        """Show a message now."""
        self._rest_no_more()
        self.add_class("open")
        if key != self.key:
            self.key = key
        self.reload()

    def follow(self, key: int | None) -> None:
        """Show a message once the cursor has rested on it."""
        self._rest_no_more()
        if self.is_open and key is not None and key != self.key:
            self._timer = self.set_timer(REST_S, partial(self.open, key))

    def close(self) -> None:
        """Hide it."""
        self._rest_no_more()
        self.remove_class("open")
        self.key = self.read = self._bodies = None

    def _rest_no_more(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def reload(self) -> None:
        """Read the message again."""
        key = self.key
        if key is None or not self.is_open:
            return
        shell = host(self)
        known = self._bodies[1] if self._bodies is not None and self._bodies[0] == key else None
        query = partial(_query, key, known, shell.now_ms())
        shell.desk.read("outbox detail", query, partial(self._show, key), partial(self._fail, key))

    def _show(self, key: int, read: _Read) -> None:
        if key != self.key:
            return
        before, self.read = self.message, read
        self._bodies = (key, read.body)
        self.text.show(read.document, name=key)
        if before != read.detail.message:
            self.show_title()
            host(self).looked()

    def _fail(self, key: int, text: str) -> None:
        if key == self.key:
            self.read = None
            self.text.show(((Span(f"✗ {text}", "failed"),),), name=f"failed {key}")
            self.query_one("#details-title", Bar).show((Span(f"─ #{key} ", "title"),))

    def on_resize(self) -> None:
        """Fit the title."""
        self.call_after_refresh(self.show_title)

    def show_title(self) -> None:
        """Say which message it is, and at which match of a search the operator is."""
        message = self.message
        bar = self.query_one("#details-title", Bar)
        if message is not None:
            bar.show(views.heading(message, self.text.found, bar.size.width))

    def on_detail_text_stepped(self, event: DetailText.Stepped) -> None:
        """Say at which match."""
        event.stop()
        self.show_title()

    def search(self, text: str) -> None:
        """Go to the first place where `text` stands."""
        self.text.search(text)
        self.show_title()


def _query(key: int, known: views.Body | None, now_ms: int, engine: bridge.Engine) -> _Read:
    """Read a message and make its text, off the front end's thread."""
    detail = engine.detail(key)
    if known is None:
        content = engine.content(key, files=False)
        known = views.Body(content.text, content.html, content.data, content.headers)
    facts = views.Facts(detail, engine.explain(key), known)
    return _Read(detail, known, views.document(facts, now_ms))
