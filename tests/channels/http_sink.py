"""A real HTTP(S) server that behaves as the path says, and logs for itself. Import it from tests.servers."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tests.channels.sink_log import Faults, Log

LOOPBACK = "127.0.0.1"


@dataclass
class Request:
    """What the HTTP sink received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class HttpSink:
    """An HTTP(S) server whose path says how it behaves: /status/503, /drop, /silent … (see Handler)."""

    def __init__(
        self,
        *,
        port: int = 0,
        log: Log | None = None,
        tls: ssl.SSLContext | None = None,
        faults: Faults | None = None,
        host: str = LOOPBACK,
    ) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.log = log or Log()
        self.faults = faults
        self.keep = log is None
        self.ended = threading.Event()
        sink = self

        class Bound(Handler):
            server_sink = sink

        self._server = _HttpServer((host, port), Bound)
        if tls is not None:
            # The handshake happens in the connection's own thread, not in the accepting one.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.host, self.port = host, int(self._server.server_address[1])
        self.scheme = "https" if tls else "http"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def url(self, path: str = "/", host: str = "") -> str:
        return f"{self.scheme}://{host or self.host}:{self.port}{path}"

    def stop(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> HttpSink:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what this server is for."""


class Handler(BaseHTTPRequestHandler):
    """Each method below that starts with `do_path_` is the behaviour of that path's first part."""

    server_sink: ClassVar[HttpSink]
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """The log is written by _seen."""

    def setup(self) -> None:
        super().setup()
        self.server_sink.connections += 1

    def do_POST(self) -> None:
        announced = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(announced)
        if len(body) < announced:
            self.close_connection = True  # its sender died in the middle: half a request is none
            return
        sink = self.server_sink
        if sink.keep:
            sink.requests.append(Request(self.command, self.path, dict(self.headers.items()), body))
        parts = urlsplit(self.path).path.strip("/").split("/")
        act: Callable[..., None] = getattr(self, f"path_{parts[0].replace('-', '_') or 'ok'}", self.path_ok)
        self.body = body
        act(*parts[1:])

    def do_PUT(self) -> None:
        self.do_POST()

    def seen(self, outcome: str, status: int) -> None:
        digest = hashlib.sha256(self.body).hexdigest()
        uid = self.headers.get("webhook-id", "")
        self.server_sink.log.add(kind="http", id=uid, outcome=outcome, status=status, sha256=digest)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.seen("accepted" if 200 <= status < 300 else "refused", status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def hang_up(self) -> None:
        """Reset the connection, so that the client sees an end at once."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def raw(self, data: bytes) -> None:
        self.close_connection = True
        self.wfile.write(data)
        self.wfile.flush()

    def path_ok(self, *_: str) -> None:
        fault = self.server_sink.faults.draw() if self.server_sink.faults else "ok"
        if fault == "refuse":
            return self.answer(503, b"busy")
        if fault == "drop":
            return self.path_drop()
        if fault == "slow":
            time.sleep(self.server_sink.faults.slow_s if self.server_sink.faults else 0)
        return self.answer(200, b"ok")

    def path_status(self, status: str, retry_after: str = "") -> None:
        headers = {"Retry_After": retry_after.replace("_", " ")} if retry_after else {}
        self.answer(int(status), f"words of {status}".encode(), **headers)

    def path_drop(self) -> None:
        self.seen("dropped", 0)
        self.hang_up()

    def path_silent(self) -> None:
        self.server_sink.ended.wait(30)

    def path_redirect(self) -> None:
        self.answer(302, b"", Location=self.server_sink.url("/ok"))

    def path_echo(self, *_: str) -> None:
        self.answer(400, f"cannot take {self.path} {self.headers.get('Authorization')}".encode())

    def path_redirect_drip(self) -> None:
        self.path_drip_body(b"302 Found\r\nLocation: /ok")

    def path_huge(self) -> None:
        self.seen("accepted", 200)
        self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 50_000_000)

    def path_torn(self) -> None:
        self.seen("accepted", 200)
        self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ntaken")

    def path_garbage(self) -> None:
        self.raw(b"\x16\x03\x01 what is this\r\n\r\n")

    def path_endless_headers(self) -> None:
        with contextlib.suppress(OSError):
            self.raw(b"HTTP/1.1 200 OK\r\n")
            while not self.server_sink.ended.is_set():
                self.raw(b"X-More: " + b"y" * 4096 + b"\r\n")

    def path_drip(self) -> None:
        """One byte of the headers every 50 ms."""
        with contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 10_000:
                self.raw(bytes([byte]))
                if self.server_sink.ended.wait(0.05):
                    return

    def path_drip_body(self, head: bytes = b"200 OK") -> None:
        self.seen("accepted" if head.startswith(b"2") else "refused", int(head[:3]))
        with contextlib.suppress(OSError):
            self.raw(b"HTTP/1.1 " + head + b"\r\nContent-Length: 10000\r\n\r\n")
            while not self.server_sink.ended.wait(0.05):
                self.raw(b"z")
