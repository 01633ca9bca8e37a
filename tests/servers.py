"""Real servers to deliver to, which log for themselves: one HTTP, one SMTP, and one that does whatever a test says.

As a program: `python -m tests.servers --smtp 0 --http 0 --log FILE --faults SEED` prints one line `smtp=PORT http=PORT`
and runs until SIGTERM. A line of the log is written before the client hears the answer, so the log knows at least as
much as any client:
{"at_ms", "kind": "http"|"smtp", "id": uid, "outcome": "accepted"|"refused"|"dropped", "sha256": of the body, …}.
`accepted` and `dropped` both mean that the server has the message; after `dropped` the client was not told.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import re
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

LOOPBACK = "127.0.0.1"


class Log:
    """JSON Lines in a file (each line one write to an O_APPEND descriptor) and in memory."""

    def __init__(self, path: Path | None = None) -> None:
        self.lines: list[dict[str, Any]] = []
        self._file = path.open("ab", buffering=0) if path else None
        self._lock = threading.Lock()

    def add(self, **line: Any) -> None:
        entry = {"at_ms": time.time_ns() // 1_000_000, **line}
        with self._lock:
            if self._file is None:
                self.lines.append(entry)
            else:
                self._file.write(json.dumps(entry).encode() + b"\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class Faults:
    """A third of the answers go wrong: slow, refused for now, or dropped after the body. Reproducible by its seed."""

    def __init__(self, seed: int, *, slow_s: float = 0.3) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.slow_s = slow_s

    def draw(self) -> str:
        with self._lock:
            return self._random.choice(("ok",) * 6 + ("slow", "refuse", "drop"))


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
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
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

    def path_drip_body(self) -> None:
        self.seen("accepted", 200)
        with contextlib.suppress(OSError):
            self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
            while not self.server_sink.ended.wait(0.05):
                self.raw(b"z")


@dataclass
class Mail:
    """What the SMTP sink received."""

    sender: str
    recipients: list[str]
    content: bytes
    options: list[str] = field(default_factory=list)


class SmtpSink:
    """An SMTP server by aiosmtpd in a thread of its own.

    Recipients say how it behaves: `450-x@…`, `550-x@…` are answered so at RCPT; `data-451-x@…` at the final dot;
    `drop-x@…` is taken and then the connection ends without an answer; `hang-x@…` is taken and never answered.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        log: Log | None = None,
        faults: Faults | None = None,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        login: tuple[str, str] | None = None,
        smtputf8: bool = True,
        size_limit: int = 50_000_000,
        session_limit: int = 0,
    ) -> None:
        """session_limit: after so many messages the connection is closed behind the answer."""
        self.mails: list[Mail] = []
        self.connections = 0
        self.logins: list[bool] = []
        self.log = log or Log()
        self.keep = log is None
        self.faults = faults
        self.session_limit = session_limit
        self._login = login
        self._loop = asyncio.new_event_loop()
        self._options: dict[str, Any] = {
            "hostname": "sink.test",
            "enable_SMTPUTF8": smtputf8,
            "data_size_limit": size_limit,
            "tls_context": None if implicit else tls,
            "require_starttls": tls is not None and not implicit,
            "loop": self._loop,
        }
        if login is not None:
            self._options |= {
                "authenticator": self._authenticate,
                # aiosmtpd does not know that an implicit TLS connection is secure, and warns where it demands a login
                # without TLS; there it only offers one.
                "auth_required": self._options["require_starttls"],
                "auth_require_tls": self._options["require_starttls"],
            }
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(port, tls if implicit else None, ready), daemon=True, name="smtp-sink"
        )
        self._thread.start()
        ready.wait(10)

    def stop(self) -> None:
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def __enter__(self) -> SmtpSink:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, port: int, tls: ssl.SSLContext | None, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            self._loop.create_server(self._protocol, LOOPBACK, port, ssl=tls, backlog=256)
        )
        self.port = int(server.sockets[0].getsockname()[1])
        ready.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            pending = asyncio.all_tasks(self._loop)
            for task in pending:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
            self._loop.close()

    def _protocol(self) -> SMTP:
        self.connections += 1
        return SMTP(_SmtpHandler(self), **self._options)

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        self.logins.append(given == self._login)
        return AuthResult(success=given == self._login, handled=False)


class _SmtpHandler:
    """One connection's callbacks."""

    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink
        self._taken = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if refused := re.match(r"([45]\d\d)-", address):
            return f"{refused[1]} {refused[1][0]}.2.1 words about {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        sink, content = self._sink, bytes(envelope.original_content or b"")
        fault = sink.faults.draw() if sink.faults else "ok"
        tagged = next((m for to in envelope.rcpt_tos if (m := re.match(r"(data-([45]\d\d)|drop|hang)-", to))), None)
        if fault == "slow" and sink.faults:
            await asyncio.sleep(sink.faults.slow_s)
        if (tagged and tagged[2]) or fault == "refuse":
            self._seen(envelope, content, "refused")
            return f"{tagged[2] if tagged else 451} 4.3.0 words about the message"
        if sink.keep:
            sink.mails.append(
                Mail(envelope.mail_from, list(envelope.rcpt_tos), content, [str(o) for o in envelope.mail_options])
            )
        if fault == "drop" or (tagged and tagged[1] == "drop"):
            self._seen(envelope, content, "dropped")
            server.transport.abort()
            return "250 never heard"
        if tagged and tagged[1] == "hang":
            await asyncio.sleep(60)
        self._seen(envelope, content, "accepted")
        self._taken += 1
        if sink.session_limit and self._taken >= sink.session_limit:
            asyncio.get_running_loop().call_later(0.02, server.transport.abort)
        return "250 2.0.0 taken"

    def _seen(self, envelope: Any, content: bytes, outcome: str) -> None:
        found = re.search(rb"^Message-ID:\s*<([^@>]+)@", content, re.MULTILINE | re.IGNORECASE)
        self._sink.log.add(
            kind="smtp",
            id=found[1].decode() if found else "",
            outcome=outcome,
            recipients=list(envelope.rcpt_tos),
            sha256=hashlib.sha256(content).hexdigest(),
        )


class Scripted:
    """A TCP server that runs `script(socket)` for each connection in a thread, for what no honest server does."""

    def __init__(self, script: Callable[[socket.socket], None], host: str = LOOPBACK) -> None:
        self._script = script
        self.ended = threading.Event()
        self.connections = 0
        self._server = socket.create_server((host, 0), backlog=64)
        self.port = int(self._server.getsockname()[1])
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.ended.set()
        # close() alone does not wake a thread that waits in accept().
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), connection:
            self._script(connection)


def smtp_script(*answers: bytes, greeting: bytes = b"220 sink.test\r\n", final: str = "wait") -> Callable[..., None]:
    """Return a script that answers line after line with `answers`, then waits (or ends: final="end")."""

    def script(connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        connection.sendall(greeting)
        for answer in answers:
            if not reader.readline():
                return
            connection.sendall(answer)
        if final == "wait":
            while reader.readline():
                pass

    return script


def main(arguments: list[str] | None = None) -> int:
    """Run the sinks as a program of its own, for tests that kill the engine."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("--smtp", type=int, metavar="PORT", help="0 lets the system choose")
    parser.add_argument("--http", type=int, metavar="PORT", help="0 lets the system choose")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--faults", type=int, metavar="SEED", help="without it every answer is good")
    parser.add_argument("--slow", type=float, default=0.3, metavar="SECONDS", help="how long a slow answer takes")
    given = parser.parse_args(arguments)
    log = Log(given.log)

    def faults(offset: int) -> Faults | None:
        return None if given.faults is None else Faults(given.faults + offset, slow_s=given.slow)

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    sinks: list[SmtpSink | HttpSink] = []
    words = []
    if given.smtp is not None:
        sinks.append(SmtpSink(port=given.smtp, log=log, faults=faults(0)))
        words.append(f"smtp={sinks[-1].port}")
    if given.http is not None:
        sinks.append(HttpSink(port=given.http, log=log, faults=faults(1)))
        words.append(f"http={sinks[-1].port}")
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()
    ended.wait()
    for sink in sinks:
        sink.stop()
    log.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
