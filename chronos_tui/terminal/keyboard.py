"""A thread that reads the keyboard. Sleeps until a key comes; an end of input is said once, not read for ever."""

from __future__ import annotations

import os
import select
import threading
import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable

from textual import constants, events
from textual._parser import ParseError  # Textual has no public way from bytes to keys
from textual._xterm_parser import XTermParser
from textual.message import Message

from chronos_tui.terminal.paste import Pasted, PasteSplitter

_AT_ONCE_BYTES = 64 * 1024
_TICK_MS = 20
_SETTLE_S = 3 * constants.ESCAPE_DELAY
"""After a byte the parser may still wait for the rest of a sequence; beyond this, it waits for nothing."""


class Keyboard:
    """Reads a terminal in its own daemon thread and hands on what was typed.

    on_message: takes each message, on the thread. on_end: called on it once when the input has ended.
    """

    def __init__(self, fd: int, *, on_message: Callable[[Message], None], on_end: Callable[[], None]) -> None:
        self._fd = fd
        self._on_message = on_message
        self._on_end = on_end
        self._parser = XTermParser()
        self._pastes = PasteSplitter()
        self._wake_r, self._wake_w = os.pipe()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="terminal-input", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Stop reading."""
        if self._stopping:
            return
        self._stopping = True
        os.write(self._wake_w, b"x")
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            os.close(self._wake_r)
            os.close(self._wake_w)

    def _run(self) -> None:
        decode = getincrementaldecoder("utf-8")("replace").decode
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._wake_r, select.POLLIN)
        settled_at = 0.0
        while not self._stopping:
            unsettled = time.monotonic() < settled_at
            ready = {fd for fd, _ in poll.poll(_TICK_MS if unsettled else None)}
            if self._wake_r in ready:
                return
            if not ready:
                self._type(self._pastes.flush())
                self._hand_on(self._parser.tick())
                continue
            data = self._read()
            if not data:
                self._on_end()
                return
            settled_at = time.monotonic() + _SETTLE_S
            for part in self._pastes.feed(decode(data)):
                if isinstance(part, Pasted):
                    self._on_message(events.Paste(part.text))
                else:
                    self._type(part)

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, _AT_ONCE_BYTES)
        except OSError:  # EIO: hung up, or in the background of a shell that is gone
            return b""

    def _type(self, text: str) -> None:
        if text:
            self._hand_on(self._parser.feed(text))

    def _hand_on(self, messages: Iterable[Message]) -> None:
        try:
            for message in messages:
                self._on_message(message)
        except (ParseError, ValueError, OverflowError, RuntimeError):
            # A terminal may send anything, such as a key code beyond Unicode, over which the parser breaks for good.
            self._parser = XTermParser()
