"""The drivers: they put the terminal into the state that the cockpit needs and always put it back. They draw nothing.

Of their own rather than Textual's, because that one reads an ended input for ever (98 % of a core), waits for the line
in the event loop, keeps the process alive by its threads, and leaves the terminal as it is at SIGTERM and SIGHUP.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, ClassVar

from textual import constants, events
from textual.driver import Driver
from textual.geometry import Size
from textual.message import Message

from chronos_tui.terminal import line
from chronos_tui.terminal.cells import Cells
from chronos_tui.terminal.keyboard import Keyboard
from chronos_tui.terminal.writer import Writer

_STUCK_BYTES = 64 * 1024
"""A line with so much waiting gets no further frames until it is through; what came meanwhile is skipped."""

_LEAVE_S = 1.0
"""A line that has not taken the rest by then does not keep the process."""

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?7l"
_LEAVE = "\x1b[0m\x1b[?2004l\x1b[?7h\x1b[?1049l\x1b[?25h"
_MOUSE_ON = "\x1b[?1000h\x1b[?1002h\x1b[?1006h"
_MOUSE_OFF = "\x1b[?1000l\x1b[?1002l\x1b[?1006l"
_KITTY_ON, _KITTY_OFF = "\x1b[>1u", "\x1b[<u"
"""Only that sequences are told apart (Esc at once): plain keys stay plain, should the process be killed outright."""

_END = "end of input"
_ASK_SYNC = "\x1b[?2026$p"

Handler = Callable[[int, FrameType | None], Any] | int | None


class PlainDriver(Driver):
    """Textual's output as it is, on a terminal that is left in order whatever happens.

    The end of the input, SIGTERM, SIGINT and SIGHUP call `app.exit()`; a second SIGTERM ends the process at once.
    """

    _LEAVING: ClassVar[tuple[signal.Signals, ...]] = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

    def __init__(
        self, app: Any, *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._in = sys.__stdin__.fileno() if sys.__stdin__ else 0
        self._out = line.terminal_fd(self._in)
        self._attributes: list[Any] | None = None
        self._keyboard: Keyboard | None = None
        self._writer: Writer | None = None
        self._old_handlers: dict[signal.Signals, Handler] = {}
        self._leaving_by = ""
        self.told_to_leave = False
        self._entered = False
        self._suspending = False
        self._stopped_by_us = False
        self._missed = False
        self._handle_signals()

    @property
    def can_suspend(self) -> bool:
        """Say that SIGTSTP and App.suspend work."""
        return True

    @property
    def left_by(self) -> str:
        """Return what made the app leave: "SIGTERM", "SIGHUP", "end of input", or "" for the app itself."""
        return self._leaving_by

    # -- what Textual calls ---------------------------------------------------------------------------------------

    def write(self, data: str) -> None:
        """Write a frame; while the line stands still frames are skipped, and made up for by one whole screen."""
        if self._writer is None:
            return
        if self._missed or self._writer.backlog_bytes > _STUCK_BYTES:
            self._missed = True
            return
        self._writer.write(data)

    def write_past(self, data: str) -> None:
        """Write a sequence that draws nothing (OSC 52) beside the frames."""
        if self._writer is not None:
            self._writer.write(data)

    def start_application_mode(self) -> None:
        """Take the terminal over: other screen, no echo, no cursor, pastes marked."""
        if self._entered or not self._in_foreground():
            return
        self._entered = True
        self._take_over_line()
        self._writer = Writer(self._out, on_drained=self._on_drained, on_gone=self._on_gone)
        self._writer.write(_ENTER + (_MOUSE_ON if self._mouse else "") + self._kitty(_KITTY_ON))
        if line.answers_queries(os.environ):
            self._writer.write(_ASK_SYNC)
        self._keyboard = Keyboard(self._in, on_message=self._on_message, on_end=self._on_gone)
        self._announce_size()

    def disable_input(self) -> None:
        """Stop reading the keyboard."""
        if self._keyboard is not None:
            self._keyboard.stop()
            self._keyboard = None
            with contextlib.suppress(termios.error, OSError):
                termios.tcflush(self._in, termios.TCIFLUSH)

    def stop_application_mode(self) -> None:
        """Put the terminal back as it was found."""
        self.disable_input()
        if not self._entered:
            return
        self._entered = False
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.write(self._leave_sequence())
            writer.stop(_LEAVE_S)
        self._give_back_line()
        if writer is not None and writer.gone:
            line.speak_to_nobody(self._out)

    def close(self) -> None:
        """Leave for good, unless this is a pause."""
        self.stop_application_mode()
        if not self._suspending:
            self._restore_handlers()

    def suspend_application_mode(self) -> None:
        """Put the terminal back for a while."""
        self._suspending = True
        try:
            super().suspend_application_mode()
        finally:
            self._suspending = False

    def repaint(self) -> None:
        """Paint everything anew, whatever the terminal shows."""
        if self._writer is not None:
            self._writer.write("\x1b[0m\x1b[2J")
            self._app.refresh()

    # -- the line -------------------------------------------------------------------------------------------------

    def _take_over_line(self) -> None:
        with contextlib.suppress(termios.error, OSError):
            self._attributes = termios.tcgetattr(self._in)
            raw = termios.tcgetattr(self._in)
            raw[0] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
            raw[1] &= ~termios.OPOST
            raw[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
            raw[6][termios.VMIN] = 1
            termios.tcsetattr(self._in, termios.TCSANOW, raw)

    def _give_back_line(self) -> None:
        if self._attributes is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self._in, termios.TCSANOW, self._attributes)
            self._attributes = None

    def _in_foreground(self) -> bool:
        """Return whether the terminal is ours to change; after `bg` in a shell it is not, until `fg`."""
        try:
            return os.tcgetpgrp(self._in) == os.getpgrp()
        except OSError:
            return True  # no terminal, or no longer: nothing will stop us

    def _leave_sequence(self) -> str:
        return (_MOUSE_OFF if self._mouse else "") + self._kitty(_KITTY_OFF) + _LEAVE

    def _kitty(self, sequence: str) -> str:
        return "" if constants.DISABLE_KITTY_KEY else sequence

    # -- size -----------------------------------------------------------------------------------------------------

    def _terminal_size(self) -> tuple[int, int]:
        try:
            width, height = os.get_terminal_size(self._out)
        except OSError:
            width, height = 0, 0
        return width or 80, height or 24

    def _announce_size(self) -> None:
        size = Size(*self._terminal_size())
        self.send_message(events.Resize(size, size))

    # -- called on other threads ----------------------------------------------------------------------------------

    def _on_message(self, message: Message) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: the app has ended
            self.process_message(message)

    def _on_drained(self) -> None:
        if self._missed:
            self._loop.call_soon_threadsafe(self._catch_up)

    def _on_gone(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._leave, _END)

    # -- on the loop ----------------------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        if self._missed:
            self._missed = False
            self.repaint()

    def _leave(self, why: str) -> None:
        if not self._leaving_by:
            self._leaving_by = why
            self._app.exit()

    # -- signals --------------------------------------------------------------------------------------------------

    def _handle_signals(self) -> None:
        # signal.signal rather than loop.add_signal_handler: a second signal must work while the loop hangs.
        if threading.current_thread() is not threading.main_thread():
            return
        for number in self._LEAVING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means it
                self._old_handlers[number] = signal.signal(number, self._on_leaving_signal)
        for number, call in (
            (signal.SIGTSTP, self._pause),
            (signal.SIGCONT, self._go_on),
            (signal.SIGWINCH, self._on_resize),
        ):
            self._old_handlers[number] = signal.signal(number, self._later(call))

    def _restore_handlers(self) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if self._old_handlers and self._leaving_by in {"SIGHUP", _END}:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the line is gone; it need not be said again meanwhile
        self._old_handlers.clear()

    def _later(self, call: Callable[[], None]) -> Callable[[int, FrameType | None], None]:
        def handler(_number: int, _frame: FrameType | None) -> None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call)

        return handler

    def _on_leaving_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self.told_to_leave and not self._loop.is_closed():
            self.told_to_leave = True
            self._loop.call_soon_threadsafe(self._leave, signal.Signals(number).name)
            return
        if number != signal.SIGTERM:
            return  # a dropped line is said twice, by the shell and by the kernel
        # The second one: whoever sends it does not wait any longer.
        self._entered_writes(self._leave_sequence())
        self._give_back_line()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _entered_writes(self, data: str) -> None:
        if self._entered:
            last = Writer(self._out, on_drained=_nothing, on_gone=_nothing)
            last.write(data)
            last.stop(_LEAVE_S / 5)

    def _pause(self) -> None:
        """Do what SIGTSTP asks for: leave the terminal, then really stop."""
        if self._auto_restart and self._entered:
            self.suspend_application_mode()
            self._stopped_by_us = True
        os.kill(os.getpid(), signal.SIGSTOP)

    def _go_on(self) -> None:
        """Come back after a stop, whoever stopped us."""
        if not self._auto_restart:
            return
        if self._entered:
            # Stopped outright (SIGSTOP): the shell may have had the terminal meanwhile.
            self.suspend_application_mode()
        if not self._in_foreground():
            return
        self.resume_application_mode()
        self.repaint()
        if self._stopped_by_us:
            self._stopped_by_us = False
            self.send_message(self.SignalResume())

    def _on_resize(self) -> None:
        if self._entered:
            self._announce_size()


class FrugalDriver(PlainDriver):
    """Writes only what differs from what the terminal shows; plain output from the first unknown sequence on."""

    _SETTLE_S = 0.3

    def __init__(
        self, app: Any, *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self.cells = Cells(*self._terminal_size(), erases_colour=line.erases_colour(os.environ))

    def write(self, data: str) -> None:
        """Take a frame and write what it changes."""
        if self.cells.transparent:
            super().write(data)
            return
        self.cells.take(data)
        self._paint()

    def start_application_mode(self) -> None:
        """Take the terminal over; what it shows is not known."""
        self.cells.resize(*self._terminal_size())
        self.cells.invalidate()
        super().start_application_mode()

    def repaint(self) -> None:
        """Paint everything anew, whatever the terminal shows."""
        if self.cells.transparent:
            super().repaint()
            return
        self.cells.invalidate()
        self._paint()
        self._app.refresh()

    def _paint(self) -> None:
        if self._writer is None:
            return
        if self._writer.backlog_bytes > _STUCK_BYTES:
            self._missed = True
            return
        if data := self.cells.render():
            self._writer.write(data)
        if self.cells.transparent:
            # What it could not read was passed on as it is. From here on Textual speaks for itself.
            self._loop.call_soon(super().repaint)

    def _catch_up(self) -> None:
        if self.cells.transparent:
            super()._catch_up()
        elif self._missed:
            self._missed = False
            self._paint()

    def _on_resize(self) -> None:
        if self._entered:
            self.cells.resize(*self._terminal_size())
            # Textual paints when it has laid out; should nothing have changed for it, the terminal still has.
            self._loop.call_later(self._SETTLE_S, self._paint)
        super()._on_resize()


def _nothing() -> None:
    return
