"""The app that the cockpit derives from: safe text, safe pastes, an end in order. It shows nothing of its own."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from textual import events
from textual.app import App
from textual.filter import LineFilter

from chronos_tui.terminal import clipboard
from chronos_tui.terminal.driver import FrugalDriver, PlainDriver
from chronos_tui.terminal.environment import speaks_utf8, wants_no_colour, wants_plain_output
from chronos_tui.terminal.paste import clean_paste
from chronos_tui.terminal.safety import NoColours, OnlyText, clean
from chronos_tui.terminal.turns import Turns

PROGRAM = "chronos-tui"
_MOST_SHOWN = 40


class SafeApp(App[None]):
    """A Textual app that can be shown anything and be left by anything.

    env: the environment as the operator set it. plain: Textual's own output rather than the frugal one.
    on_fatal: called once with the error that ended the app; details: where the operator finds what it wrote.
    """

    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self,
        *,
        env: Mapping[str, str] | None = None,
        plain: bool = False,
        on_fatal: Callable[[BaseException], None] | None = None,
        details: str = "",
    ) -> None:
        self._env = dict(os.environ if env is None else env)
        plain = plain or wants_plain_output(self._env)
        self._safety: list[LineFilter] = [OnlyText(ascii_only=not speaks_utf8(self._env))]
        self._monochrome: list[LineFilter] = [NoColours()] if wants_no_colour(self._env) else []
        self._on_fatal = on_fatal
        self._details = details
        self._fatal: Exception | None = None
        self._turns = Turns(self, super().on_event, self.opening)
        super().__init__(driver_class=PlainDriver if plain else FrugalDriver)
        self.animation_level = "none"

    # -- out --------------------------------------------------------------------------------------------------------

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filters that every line of every widget passes: text alone first, colours taken out last."""
        return [*self._safety, *super().get_line_filters(), *self._monochrome]

    def repaint(self) -> None:
        """Paint the whole screen anew (Ctrl+L): after a disturbance of the line, or another program's output."""
        if isinstance(self._driver, PlainDriver):
            self._driver.repaint()
        else:
            self.refresh()

    def action_repaint(self) -> None:
        """See repaint."""
        self.repaint()

    def copy_to_clipboard(self, text: str) -> None:
        """Copy `text` and say where it is, or why not. Widgets of Textual's own (Input, TextArea) call it too."""
        try:
            where = clipboard.copy(text, env=self._env, write_past=self._write_past)
        except clipboard.CopyError as error:
            self.say(f"not copied: {error}", "failed")
        else:
            shown = clean(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…").replace("\n", " ")
            self.say(f"copied {shown}: {where}")

    def copy_unseen(self, text: str) -> str:
        """Copy what nobody may see; return in words that do not repeat it where it is, or why it is not copied."""
        try:
            return f"copied: {clipboard.copy(text, env=self._env, write_past=self._write_past)}"
        except clipboard.CopyError as error:
            return f"not copied: {error}"

    def say(self, text: str, role: str = "ok") -> None:
        """Show one line for a moment. role: ok, warning or failed."""
        self.notify(text, severity="error" if role == "failed" else "information", markup=False)

    def _write_past(self, data: str) -> None:
        if isinstance(self._driver, PlainDriver):
            self._driver.write_past(data)

    # -- in ---------------------------------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Clean what is pasted before any widget sees it; take what is typed one by one."""
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        if isinstance(event, events.Paste):
            event.text = clean_paste(event.text)
        await self._turns.take(event)

    def opening(self) -> bool:
        """Whether what the last key opened is not there yet: what is typed meanwhile waits for it."""
        return False

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Keep every text cursor still: a blinking one writes to the line twice a second for ever."""
        if getattr(event.widget, "cursor_blink", False):
            event.widget.cursor_blink = False  # type: ignore[attr-defined]

    # -- the end ----------------------------------------------------------------------------------------------------

    @property
    def left_by(self) -> str:
        """Return what made the app leave: "SIGTERM", "SIGHUP", "SIGINT", "end of input", or "" for the operator."""
        return self._driver.left_by if isinstance(self._driver, PlainDriver) else ""

    @property
    def told_to_leave(self) -> bool:
        """Return whether a signal said so, also while the loop stands still because the terminal is lent."""
        return isinstance(self._driver, PlainDriver) and self._driver.told_to_leave

    def panic(self, *renderables: RenderableType) -> None:
        """End the app; what Textual would have printed about it is not (it may hold anything)."""
        del renderables
        self._close_messages_no_wait()

    def _fatal_error(self) -> None:
        # Textual's own renders a traceback with every local variable in it: message texts, addresses, secrets.
        # It has no public hook; this method and the printing one are what it calls.
        self._close_messages_no_wait()

    def _handle_exception(self, error: Exception) -> None:
        # Private, because Textual catches every widget's, timer's and worker's exception here and offers no hook.
        if self._fatal is None:
            self._fatal = error
        super()._handle_exception(error)

    def _print_error_renderables(self) -> None:
        # Called when the terminal is back as it was: the one place where something may be said.
        self._exit_renderables.clear()
        error, self._fatal = self._fatal, None
        if error is None or self.is_headless:
            return
        if self._on_fatal is not None:
            self._on_fatal(error)
        words = f"internal error ({type(error).__name__}): this is a defect"
        where = f"; details in {self._details}" if self._details else ""
        _say(f"{PROGRAM}: {words}{where}")
        if self._env.get("CHRONOS_DEBUG") == "1":
            traceback.print_exception(error)


def _say(line: str) -> None:
    stream: Any = sys.__stderr__
    try:
        print(line, file=stream, flush=True)
    except (OSError, ValueError):
        return
