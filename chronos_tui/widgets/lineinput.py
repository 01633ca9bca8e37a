"""One line to type, with what could be meant and what was typed before. Does not blink: that costs bytes at rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual.binding import Binding
from textual.message import Message
from textual.widgets import Input
from textual.widgets.input import Selection

from chronos_tui import bridge

Complete = Callable[[str, int], Sequence[str]]
"""Whole texts for (text, cursor), the likeliest first."""


class LineInput(Input):
    """An Input that completes. Its keys come from whoever subclasses it; Textual's own for moving stay.

    ctrl+c leaves, as in a shell: Textual would copy, and nobody could leave by the key that everybody knows.
    """

    BINDINGS = [Binding("ctrl+c", "leave", show=False)]  # noqa: RUF012 - as Textual declares it
    DEFAULT_CSS = """
    LineInput, LineInput:focus { background: $panel; background-tint: $foreground 0%; }
    """

    class Looked(Message):
        """The text, the cursor or what could be meant has changed."""

        def __init__(self, line: LineInput) -> None:
            super().__init__()
            self.line = line

        @property
        def control(self) -> LineInput:
            """The line it comes from."""
            return self.line

    class Left(Message):
        """The operator wants none of it."""

    def __init__(self, value: str = "", *, complete: Complete = lambda _text, _cursor: (), **options: Any) -> None:
        self.candidates: tuple[str, ...] = ()
        self.chosen: int | None = None
        self._complete: Complete = complete
        self._base = ""
        self._taken: str | None = None
        self._history: Sequence[str] = ()
        self._at: int | None = None
        self._draft = ""
        super().__init__(value, select_on_focus=False, compact=True, **options)
        self.cursor_blink = False

    def begin(self, text: str, complete: Complete, history: Sequence[str] = ()) -> None:
        """Start anew with `text`. history: what `older` brings back, the oldest first."""
        self._complete = complete
        self._history = history
        self._at = None
        self._put(text)
        self.look()

    def watch_value(self) -> None:
        """Look again at each letter."""
        if self.value != self._taken:
            self.look()

    def watch_selection(self, selection: Selection) -> None:
        """Look again where the cursor goes."""
        if self.value != self._taken or selection.end != len(self.value):
            self.look()

    def look(self) -> None:
        """Find out what could be meant."""
        self._base = self.value
        self._taken = None
        self.chosen = None
        found = self._complete(self.value, self.cursor_position)
        # What cannot be shown as it is cannot be chosen by reading it.
        self.candidates = tuple(
            one for one in dict.fromkeys(found) if one != self.value and one == bridge.safe_line(one, len(one))
        )
        self.post_message(self.Looked(self))

    def _put(self, text: str) -> None:
        self.value = text
        self.cursor_position = len(text)

    def action_complete(self) -> None:
        """Take the first of what could be meant, then the next."""
        self._step(1)

    def action_complete_back(self) -> None:
        """Take the one before."""
        self._step(-1)

    def _step(self, by: int) -> None:
        n = len(self.candidates)
        if n == 0:
            return
        if n == 1:
            self._put(self.candidates[0])
            self.look()
            return
        # One place more than there are candidates: what was typed comes back after the last.
        at = (n if self.chosen is None else self.chosen) + by
        at %= n + 1
        self.chosen = None if at == n else at
        self._taken = self._base if at == n else self.candidates[at]
        self._put(self._taken)
        self.post_message(self.Looked(self))

    def action_take(self) -> None:
        """At the end of the text, take what could be meant and go on from there; else one letter to the right."""
        if not self.cursor_at_end:
            self.action_cursor_right()
        elif self.chosen is not None:
            self.look()
        elif self.candidates:
            self._put(self.candidates[0])
            self.look()

    def action_leave(self) -> None:
        """Say that it is to be left."""
        self.post_message(self.Left())

    def action_older(self) -> None:
        """Bring back what was typed before."""
        at = len(self._history) if self._at is None else self._at
        if at > 0:
            if self._at is None:
                self._draft = self.value
            self._at = at - 1
            self._put(self._history[self._at])

    def action_newer(self) -> None:
        """Go forward again, at last to what was begun."""
        if self._at is None:
            return
        self._at = self._at + 1 if self._at + 1 < len(self._history) else None
        self._put(self._draft if self._at is None else self._history[self._at])
