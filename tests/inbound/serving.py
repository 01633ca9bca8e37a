"""A server with a tiny application on a free port, and a client that says exactly what a test wants said."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import falcon

from engine.host.listening import Place, listen
from engine.host.log import NullLog
from engine.inbound.http.limits import Limits
from engine.inbound.http.server import Server
from tests.support import PATIENCE_S


class Answer(NamedTuple):
    """One response, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def is_problem(self, status: int) -> bool:
        kind = self.headers.get("content-type")
        return self.status == status and kind == "application/problem+json" and self.json["status"] == status


class App:
    """Says what it was asked; `gate` holds back whoever asks for /held until it is opened."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.wsgi = falcon.App()
        self.wsgi.add_route("/", _Echo())
        self.wsgi.add_route("/held", _Held(self))
        self.wsgi.add_route("/big", _Big())


class _Echo:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = {name: str(value) for name, value in req.env.items() if name.startswith(("chronos", "HTTP", "RE"))}

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = req.bounded_stream.read()


class _Held:
    def __init__(self, app: App) -> None:
        self._app = app

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        self._app.entered.release()
        assert self._app.gate.wait(PATIENCE_S)
        resp.text = "at last"


class _Big:
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = bytes(12 * 1024 * 1024)


class Client:
    """A connection. `answer` reads one response; "" of `rest` means that the server closed without a word."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE_S)
        self.sock = sock
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.sock.close()

    def send(self, *lines: str | bytes, body: bytes = b"") -> Self:
        """Send a request's lines with the empty one behind them, and `body`."""
        head = [line if isinstance(line, bytes) else line.encode() for line in lines]
        return self.raw(b"\r\n".join([*head, b"", b""]) + body)

    def raw(self, data: bytes) -> Self:
        self.sock.sendall(data)
        return self

    def get(self, path: str = "/", *headers: str) -> Answer:
        return self.send(f"GET {path} HTTP/1.1", "Host: localhost", *headers).answer()

    def answer(self, *, head: bool = False) -> Answer:
        """Read one response; those of 100 Continue are answers too."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        start, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = start.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = 0 if head else int(headers.get("content-length", "0"))
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        return Answer(int(first.split(" ")[1]), headers, body)

    def _more(self) -> None:
        data = self.sock.recv(65_536)
        if not data:
            raise EOFError(f"closed after {self._read!r:.200}")
        self._read += data

    def rest(self) -> bytes:
        """Read until the server closes."""
        found, self._read = self._read, b""
        try:
            while data := self.sock.recv(65_536):
                found += data
        except ConnectionError:
            pass
        return found


class Serving:
    """What runs. `log` holds the events that were logged."""

    def __init__(self, server: Server, app: App, port: int, log: Recorder) -> None:
        self.server = server
        self.app = app
        self.port = port
        self.log = log

    def connect(self) -> Client:
        return Client(socket.create_connection(("127.0.0.1", self.port), PATIENCE_S))

    def get(self, path: str = "/", *headers: str) -> Answer:
        with self.connect() as client:
            return client.get(path, *headers)


class Recorder(NullLog):
    """Remembers."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        self.events: list[dict[str, object]] = []

    def event(
        self,
        level: str,
        name: str,
        /,
        *,
        channel: str = "chronos",
        error: BaseException | None = None,
        **fields: object,
    ) -> None:
        self.events.append({"event": name, "level": level, "channel": channel, "error": error, **fields})


@contextmanager
def serving(
    limits: Limits | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    trusted: tuple[str, ...] = (),
    place: Place | None = None,
    finish: Callable[[Server], None] = lambda server: server.finish(0),
) -> Iterator[Serving]:
    """Serve while the block runs; the loop must have ended by itself behind it."""
    app, log = App(), Recorder()
    listener = listen(place or Place("127.0.0.1", 0))
    server = Server(app.wsgi, listener, limits or Limits(), log, tls=tls, trusted_proxies=lambda: trusted)
    thread = threading.Thread(target=server.run, daemon=True)
    port = 0 if listener.unix else listener.socket.getsockname()[1]
    thread.start()
    try:
        yield Serving(server, app, port, log)
    finally:
        app.gate.set()
        finish(server)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
