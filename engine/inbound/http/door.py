"""The HTTP door of the engine that delivers: opened, kept open, closed. Knows no route; a door that cannot open stops
no delivery.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from engine.errors import ChronosError
from engine.host import certificates, listening
from engine.host.listening import Listener
from engine.host.log import Log
from engine.inbound.http.limits import Limits
from engine.operations.context import Context
from engine.rules.incidents import Kind
from engine.store import leader
from engine.store.tx import Tx

if TYPE_CHECKING:
    import ssl

    from engine.inbound.http.server import Application, Server
    from engine.inbound.http.surface import Surface
    from engine.model import Settings

RETRY_S = 30.0
_REOPEN_S = 2.0
"""How long what is being answered may take when the door moves to another address."""

_LEAVE_S = 0.5

Build = Callable[[], tuple["Application", Callable[[], None]]]
"""Makes the application and what ends it. Called on the door's thread: what it imports costs the start nothing."""


class Door:
    """One per engine that delivers, from `open` until `close`. From any thread.

    epoch: whose door it is; a deposed owner no longer says where it listens. build, limits: instead of the API and of
    the configuration's limits.
    """

    def __init__(
        self,
        context: Context,
        surface: Surface,
        log: Log,
        *,
        epoch: int,
        build: Build | None = None,
        limits: Limits | None = None,
        retry_s: float = RETRY_S,
    ) -> None:
        self.address = ""
        """Where it listens, in the words of the ready line; "" while it does not."""
        self._context = context
        self._log = log
        self._epoch = epoch
        self._build = build or (lambda: _api(context, surface, log))
        self._limits = limits
        self._retry_s = retry_s
        self._listener: Listener | None = None
        self._tls: ssl.SSLContext | None = None
        self._server: Server | None = None
        self._application: tuple[Application, Callable[[], None]] | None = None
        self._trouble = ""
        self._opened: Mapping[str, Any] = {}
        self._changing = threading.Lock()
        self._over = threading.Event()
        self._stirred = threading.Event()
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def open(self) -> str:
        """Listen, and serve from a thread of its own; return `address`. Tried again every 30 s where it failed."""
        self._listen()
        self._thread.start()
        return self.address

    def reload(self, before: Settings) -> None:
        """Follow a new configuration: the certificate is read again, and another `http` opens the door anew."""
        after = self._context.settings
        with self._changing:
            server = self._server
            if after.http != before.http or server is None:
                self._stirred.set()
                if server is not None:
                    server.finish(_REOPEN_S)
            elif server.tls is not None:
                try:
                    server.tls = certificates.server_context(after.http)
                except ChronosError as error:
                    self._log.event("ERROR", "http_certificate_kept", reason=str(error))

    def shut(self, within_s: float) -> None:
        """Accept nothing more at once; what has come may be answered for so long. Waits for nothing."""
        with self._changing:
            if self._over.is_set():
                return
            self._over.set()
            self._stirred.set()
            if self._server is not None:
                self._server.finish(within_s)

    def close(self, drain_s: float) -> None:
        """Shut, and wait until it is done. Idempotent."""
        self.shut(drain_s)
        if self._thread.is_alive():
            self._thread.join(drain_s + _LEAVE_S)

    # The door's thread, but for the first `_listen`

    def _run(self) -> None:
        self._tell()
        while not self._over.is_set():
            if self._listener is None:
                self._stirred.wait(self._retry_s)
                self._stirred.clear()
                if not self._over.is_set():
                    self._listen()
                    self._tell()
                continue
            try:
                self._serve(self._listener)
            except Exception as error:  # noqa: BLE001 - the top of a thread: whoever knocks must not wait for ever
                self._log.event("ERROR", "http_defect", error=error)
                self._complain("a defect of Chronos closed it; 'chronos log' has it")
                self._tell()
            finally:
                self._listener.close()
                self._listener = None
        if self._listener is not None:
            self._listener.close()
        self.address = ""
        if self._application is not None:
            self._application[1]()

    def _serve(self, listener: Listener) -> None:
        from engine.inbound.http.server import Server

        settings = self._context.settings
        if self._application is None:
            self._application = self._build()
        with self._changing:
            if self._over.is_set() or settings.http != self._opened:
                return
            self._server = server = Server(
                self._application[0],
                listener,
                self._limits or Limits(max_body_bytes=settings.http["max_body_bytes"]),
                self._log,
                tls=self._tls,
                trusted_proxies=lambda: self._context.settings.http["trusted_proxies"],
            )
        try:
            server.run()
        finally:
            with self._changing:
                self._server = None

    def _listen(self) -> None:
        http = self._opened = self._context.settings.http
        self.address = ""
        if not http["enabled"]:
            self._trouble = ""
            return
        try:
            self._tls = certificates.server_context(http)
            self._listener = listening.listen(listening.place_of(http["listen"]))
        except ChronosError as error:
            self._complain(str(error))
            return
        self.address = f"https://{self._listener.words}" if self._tls is not None else self._listener.words
        self._trouble = ""
        self._log.event("INFO", "http_listening", channel="security", address=self.address)

    def _complain(self, why: str) -> None:
        """Log why it is closed, once a reason."""
        self.address = ""
        if why != self._trouble:
            self._trouble = why
            self._log.event("ERROR", "http_closed", reason=why, retry_s=self._retry_s)

    def follow(self, epoch: int) -> None:
        """Its owner delivers in another epoch from now on, perhaps in another database: say there where it listens."""
        self._epoch = epoch
        self._tell()

    def _tell(self) -> None:
        """Say in the database where it listens; why not, as an incident that counts each try, settled when it does."""
        from engine.operations import incidents

        context = self._context
        if self._trouble:
            incidents.report(context, Kind.DOOR_CLOSED, self._opened["listen"], self._trouble)
        settled: list[str] = []
        try:
            if not self._trouble:
                settled += [one.subject for one in incidents.listing(context) if one.kind == Kind.DOOR_CLOSED]
            known = context.database.read(leader.read).http
        except ChronosError as error:
            self._log.event("WARNING", "http_not_noted", reason=str(error))
            return
        note = f"it listens on {self.address}" if self.address else "http.enabled is false"

        def work(tx: Tx) -> None:
            leader.note_http(tx, epoch=self._epoch, http=self.address)
            for subject in settled:
                incidents.settle(tx, context, Kind.DOOR_CLOSED, subject, note)

        if settled or known != self.address:
            self._write(work)

    def _write(self, work: Callable[[Tx], object]) -> None:
        try:
            self._context.database.write(work)
        except ChronosError as error:  # a full disk; that it listens is worth more than that it says so
            self._log.event("WARNING", "http_not_noted", reason=str(error))


def _api(context: Context, surface: Surface, log: Log) -> tuple[Application, Callable[[], None]]:
    from engine.inbound.http.app import make_app
    from engine.operations.gate import Gate

    gate = Gate(context, log)
    return make_app(context, surface, gate, log), gate.close
