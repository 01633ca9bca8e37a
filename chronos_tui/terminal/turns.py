"""Hands what is typed to the app one by one: the next only once the one before has done what it does.

Textual puts a key into the queue of the widget with the focus; from there it climbs through the queues of its parents,
and what is bound to it runs last. Keys that arrive together (a slow line, a quick hand) would all go to the widget that
had the focus before the first of them moved it: ":holds" would hold a message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from textual.app import App
from textual.dom import DOMNode
from textual.events import Event
from textual.timer import Timer

_LONGEST_S = 0.5
"""A widget that went away with the key in its queue, or that waits for something itself, holds the next so long."""

_LOOK_S = 0.005


class Turns:
    """One app's. hand_on: what the app does with a key. busy: whether what a key began goes on (a panel is opened)."""

    def __init__(self, app: App[None], hand_on: Callable[[Event], Awaitable[None]], busy: Callable[[], bool]) -> None:
        self._app = app
        self._hand_on = hand_on
        self._busy = busy
        self._waiting: deque[Event] = deque()
        self._turn = 0
        self._taken = False
        self._late: Timer | None = None

    async def take(self, event: Event) -> None:
        """Hand it on now, or behind those that wait."""
        if self._taken:
            self._waiting.append(event)
        else:
            self._taken = True
            await self._begin(event)

    async def _begin(self, event: Event) -> None:
        self._turn += 1
        focused = self._app.focused or self._app.screen
        await self._hand_on(event)
        self._late = self._app.set_timer(_LONGEST_S, partial(self._end, self._turn))
        way = [*focused.ancestors_with_self, self._app]
        # The second time behind what the key made the widget say to its parents (a line was left), which close it.
        self._behind([*way, *way], partial(self._moved, self._turn))

    def _behind(self, nodes: Sequence[DOMNode], then: Callable[[], object]) -> None:
        """Call `then` behind everything that now waits in the queues of these, one after the other."""
        for at, node in enumerate(nodes):
            rest = nodes[at + 1 :]
            if node.call_later(partial(self._behind, rest, then)):
                return
        then()

    def _moved(self, turn: int) -> None:
        """The key did what it does; what that began (a focus that moves, a dialog) stands in the queues of these."""
        self._behind([self._app, self._app.screen, self._app], partial(self._look, turn))

    def _look(self, turn: int) -> None:
        if self._busy():
            self._app.set_timer(_LOOK_S, partial(self._look, turn))
        else:
            self._end(turn)

    def _end(self, turn: int) -> None:
        if turn != self._turn or not self._taken:
            return
        if self._late is not None:
            self._late.stop()
        if self._waiting:
            self._turn += 1
            self._app.call_later(self._begin, self._waiting.popleft())
        else:
            self._taken = False
