"""Logged-in SMTP connections of one server, kept for the next message. Never used by two threads at once."""

from __future__ import annotations

import time
from threading import Lock, Timer

from engine.channels.smtp_wire import GoneError, Server, Taken, Wire, open_wire
from engine.errors import DeliveryError, Sent
from engine.host import net

KEPT = 4
"""Idle connections; a server that allows a mailbox few of them would refuse more."""

IDLE_S = 30.0


class Pool:
    """Gives each thread a connection of its own, the warmest first."""

    def __init__(self, server: Server, *, idle_s: float = IDLE_S) -> None:
        """Opens nothing. idle_s: how long a connection is kept without a message."""
        self._server = server
        self._idle_s = idle_s
        self._idle: list[Wire] = []
        self._lock = Lock()
        self._sweep: Timer | None = None
        self._closed = False

    def send_mail(
        self, sender: str, recipients: tuple[str, ...], raw: bytes, *, utf8: bool, budget: net.Budget
    ) -> Taken:
        """Send one message: see Wire.send_mail. A kept connection that died meanwhile is replaced unnoticed.

        Raises DeliveryError.
        """
        wire = self._take(budget)
        try:
            if wire is not None:
                try:
                    return wire.send_mail(sender, recipients, raw, utf8=utf8)
                except GoneError:
                    pass  # it was idle; nothing of this message has been sent
            wire = open_wire(self._server, budget)
            try:
                return wire.send_mail(sender, recipients, raw, utf8=utf8)
            except GoneError as error:
                if error.reply is not None:
                    raise error.reply.refusal("the server ended the session") from error
                words = f"{self._server.host} after the login: {error}"
                raise DeliveryError(Sent.NO, words, code="DISCONNECTED") from error
        finally:
            if wire is not None:
                self._give(wire)

    def close(self) -> None:
        """Say QUIT on idle connections and close them; those in use are closed when their message is done."""
        with self._lock:
            self._closed = True
            wires, self._idle = self._idle, []
            if self._sweep is not None:
                self._sweep.cancel()
        for wire in wires:
            wire.leave()

    def _take(self, budget: net.Budget) -> Wire | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                wire = self._idle.pop()
            if (
                time.monotonic() - wire.idle_since_s < self._idle_s
                and wire.sock is not None
                and net.is_quiet(wire.sock)
            ):
                wire.begin(budget)
                return wire
            wire.close()

    def _give(self, wire: Wire) -> None:
        if wire.sock is None:
            return  # closed itself
        wire.idle_since_s = time.monotonic()
        with self._lock:
            if not self._closed and len(self._idle) < KEPT:
                self._idle.append(wire)
                if self._sweep is None:
                    self._sweep = self._later()
                return
        wire.leave()

    def _later(self) -> Timer:
        timer = Timer(self._idle_s, self._close_old)
        timer.daemon = True
        timer.start()
        return timer

    def _close_old(self) -> None:
        with self._lock:
            limit_s = time.monotonic() - self._idle_s
            old = [wire for wire in self._idle if wire.idle_since_s <= limit_s]
            self._idle = [wire for wire in self._idle if wire.idle_since_s > limit_s]
            self._sweep = self._later() if self._idle and not self._closed else None
        for wire in old:
            wire.leave()
