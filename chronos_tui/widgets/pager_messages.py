"""What a pager tells its owner. Handlers are called on_pager_…; a panel with several tells them by `message.pager`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from chronos_tui.widgets.pager import Pager


class FromPager(Message, namespace="pager"):
    """A message that knows its pager, also for `@on(…, "#id")`."""

    def __init__(self, pager: Pager) -> None:
        super().__init__()
        self.pager = pager

    @property
    def control(self) -> Pager:
        """The pager it comes from."""
        return self.pager


class CursorMoved(FromPager, namespace="pager"):
    """The cursor is on another key; None: the list is empty or cannot be read."""

    def __init__(self, pager: Pager, key: int | None) -> None:
        super().__init__(pager)
        self.key = key

    def can_replace(self, message: Message) -> bool:
        """Only the last move of a held key matters."""
        return isinstance(message, CursorMoved) and message.pager is self.pager


class Opened(FromPager, namespace="pager"):
    """Enter or a double click on a row."""

    def __init__(self, pager: Pager, key: int) -> None:
        super().__init__(pager)
        self.key = key


class Marked(FromPager, namespace="pager"):
    """Other rows are marked."""

    def __init__(self, pager: Pager, keys: frozenset[int]) -> None:
        super().__init__(pager)
        self.keys = keys


class NewerChanged(FromPager, namespace="pager"):
    """Rows have come above the screen (at least `newer`; all of them if `exact`), or none are left there (0)."""

    def __init__(self, pager: Pager, newer: int, *, exact: bool) -> None:
        super().__init__(pager)
        self.newer = newer
        self.exact = exact


class RangeLost(FromPager, namespace="pager"):
    """A range was wanted from a mark that is not loaded any more: nothing was marked."""
