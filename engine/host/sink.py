"""The sink of `chronos init --demo`: a mail server and a webhook receiver on loopback that keep what they are sent.

For a newcomer's first minute, never for production: no TLS, no login, nothing is forwarded. Mail needs the extra
`demo`. Of the webhooks' paths, /flaky refuses the first try of each webhook-id (503, Retry-After: 2), /refuse refuses
for good (422), /slow takes two seconds, and every other one accepts (200).
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from engine.errors import ChronosError, ConfigError, NotPossible
from engine.host.files import ensure_private_dir, write_atomic
from engine.host.log import Log, NullLog

OnReceive = Callable[[str, Mapping[str, object]], None]

_LOOPBACK = "127.0.0.1"
_MAX_FILES = 200
_MAX_TOTAL_BYTES = 200 * 1024 * 1024
_MAX_MAIL_BYTES = 25 * 1024 * 1024
_MAX_BODY_BYTES = 10 * 1024 * 1024
_MAX_REMEMBERED_IDS = 1_000
_IDLE_TIMEOUT_S = 30
_SLOW_S = 2.0
_JOIN_S = 5.0
_FILE_NAME = re.compile(r"(\d{6,})-(?:mail\.eml|webhook\.http)")


class Sink:
    """Takes mail and webhooks and keeps the newest 200 of them as private files.

    on_receive: called in a thread of the sink for each mail ("mail": file, size_bytes, from, to) and each webhook
    ("webhook": file, size_bytes, path, webhook_id, status; file is "" where it was refused). The values are the
    sender's: hostile text. What it raises ends that one request.
    """

    def __init__(
        self, directory: Path, smtp_port: int, http_port: int, on_receive: OnReceive, log: Log | None = None
    ) -> None:
        self._directory = directory
        self._smtp_port = smtp_port
        self._http_port = http_port
        self._on_receive = on_receive
        self._log = log or NullLog()
        self._mail: _MailServer | None = None
        self._web: _WebServer | None = None

    def start(self) -> tuple[int, int]:
        """Listen. Returns the SMTP and the HTTP port; port 0 lets the system choose.

        Raises ConfigError if aiosmtpd is not installed or the directory is not private, NotPossible if a port is taken.
        """
        _check_installed()
        ensure_private_dir(self._directory)
        shelf = _Shelf(self._directory)
        smtp_socket = _listen(self._smtp_port, "demo.smtp_port")
        try:
            http_socket = _listen(self._http_port, "demo.http_port")
        except NotPossible:
            smtp_socket.close()
            raise
        ports = smtp_socket.getsockname()[1], http_socket.getsockname()[1]
        self._mail = _MailServer(smtp_socket, shelf, self._on_receive)
        self._web = _WebServer(http_socket, shelf, self._on_receive, self._log)
        return ports

    def stop(self) -> None:
        """Stop listening; what is being received is cut off. May be called again."""
        if self._web is not None:
            self._web.stop()
        if self._mail is not None:
            self._mail.stop()
        self._web = self._mail = None


def _check_installed() -> None:
    try:
        import aiosmtpd.smtp  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ConfigError(
            ["demo.sink: it needs aiosmtpd; run: pip install 'chronos-tui[demo]', or set demo.sink to false"]
        ) from error


def _listen(port: int, setting: str) -> socket.socket:
    try:
        return socket.create_server((_LOOPBACK, port), backlog=64)
    except OSError as error:
        raise NotPossible(
            f"the demo sink cannot listen on {_LOOPBACK}:{port}: {os.strerror(error.errno or 0)}; "
            f"choose another {setting}"
        ) from error


class _Shelf:
    """A directory that holds a bounded number of numbered files, the oldest thrown away first."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        ours = sorted(
            (int(match[1]), path.name, path.stat().st_size)
            for path in directory.iterdir()
            if (match := _FILE_NAME.fullmatch(path.name))
        )
        self._last = ours[-1][0] if ours else 0
        self._kept = deque((name, size) for _, name, size in ours)
        self._bytes = sum(size for _, size in self._kept)

    def put(self, suffix: str, content: bytes) -> str:
        """Keep `content`; returns the file's name. Raises ChronosError if it cannot be stored."""
        with self._lock:
            self._last += 1
            name = f"{self._last:06}-{suffix}"
            write_atomic(self._directory / name, content)
            self._kept.append((name, len(content)))
            self._bytes += len(content)
            while len(self._kept) > _MAX_FILES or self._bytes > _MAX_TOTAL_BYTES:
                oldest, size = self._kept.popleft()
                self._bytes -= size
                (self._directory / oldest).unlink(missing_ok=True)
            return name


class _MailServer:
    """aiosmtpd on an event loop in a thread of its own."""

    def __init__(self, listening: socket.socket, shelf: _Shelf, on_receive: OnReceive) -> None:
        import asyncio

        self._shelf = shelf
        self._on_receive = on_receive
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(listening,), name="chronos-demo-smtp", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_JOIN_S)

    def _run(self, listening: socket.socket) -> None:
        try:
            self._loop.run_until_complete(self._serve(listening))
        finally:
            self._loop.close()

    async def _serve(self, listening: socket.socket) -> None:
        import asyncio

        server = await self._loop.create_server(self._protocol, sock=listening)
        await self._stopping.wait()
        server.close()
        conversations = asyncio.all_tasks() - {asyncio.current_task()}
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)

    def _protocol(self) -> Any:
        from aiosmtpd.smtp import SMTP

        return SMTP(
            self,
            data_size_limit=_MAX_MAIL_BYTES,
            enable_SMTPUTF8=True,
            hostname="localhost",
            ident="Chronos demo sink",
            timeout=_IDLE_TIMEOUT_S,
            loop=self._loop,
        )

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        content = bytes(envelope.content)
        try:
            name = self._shelf.put("mail.eml", content)
        except ChronosError:
            return "452 4.3.1 The demo sink cannot store it"
        about = {"from": envelope.mail_from, "to": tuple(envelope.rcpt_tos)}
        self._on_receive("mail", {"file": name, "size_bytes": len(content), **about})
        return f"250 2.0.0 Kept as {name}"


class _WebServer(ThreadingHTTPServer):
    """The webhook receiver. Its threads are daemons: a request in progress keeps nobody from leaving."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, shelf: _Shelf, on_receive: OnReceive, log: Log) -> None:
        super().__init__(listening.getsockname(), _WebRequest, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.shelf = shelf
        self.on_receive = on_receive
        self.stopping = threading.Event()
        self._log = log
        self._lock = threading.Lock()
        self._seen: dict[str, None] = {}
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="chronos-demo-http", daemon=True)
        self._thread.start()

    def first_try(self, webhook_id: str) -> bool:
        """Whether this identity comes for the first time, as far as the newest 1 000 are remembered."""
        with self._lock:
            if webhook_id in self._seen:
                return False
            self._seen[webhook_id] = None
            if len(self._seen) > _MAX_REMEMBERED_IDS:
                del self._seen[next(iter(self._seen))]
            return True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # The base class prints a traceback on stderr, where the cockpit may be. A client that hung up is no news.
        self._log.event("DEBUG", "demo_request_failed", error=sys.exc_info()[1])

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join(_JOIN_S)
        self.server_close()


class _WebRequest(BaseHTTPRequestHandler):
    """One connection of a webhook sender."""

    server: _WebServer
    protocol_version = "HTTP/1.1"
    server_version = "chronos-demo-sink"
    sys_version = ""
    timeout = _IDLE_TIMEOUT_S
    # Buffered: head and body in one packet, or each answer waits 40 ms for an acknowledgement.
    wbufsize = 64 * 1024

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not re.fullmatch("[0-9]{1,12}", length):
            self._answer(411, "say how long it is (Content-Length)", close=True)
            return
        if int(length) > _MAX_BODY_BYTES:
            self._answer(413, f"at most {_MAX_BODY_BYTES} bytes", close=True)
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return
        status, words, name = self._judge(body)
        if self.server.stopping.is_set():
            self.close_connection = True
            return
        about = {"path": self.path[:200], "webhook_id": self._webhook_id(), "status": status}
        self.server.on_receive("webhook", {"file": name, "size_bytes": len(body), **about})
        self._answer(status, words)

    def _webhook_id(self) -> str:
        return self.headers.get("webhook-id", "")[:200]

    def _judge(self, body: bytes) -> tuple[int, str, str]:
        """Return the status, the words, and the name of the file that the request was kept as, if it was."""
        path = self.path.partition("?")[0]
        if path == "/refuse":
            return 422, "refused, as everything on this path", ""
        if path == "/flaky" and self.server.first_try(self._webhook_id()):
            return 503, "not at the first try, as everything on this path", ""
        if path == "/slow":
            self.server.stopping.wait(_SLOW_S)
        head = "\r\n".join([self.requestline, *(f"{name}: {value}" for name, value in self.headers.items()), "", ""])
        try:
            name = self.server.shelf.put("webhook.http", head.encode("latin-1", "replace") + body)
        except ChronosError:
            return 507, "cannot store it", ""
        return 200, f"kept as {name}", name

    def _answer(self, status: int, words: str, *, close: bool = False) -> None:
        text = f"{words}\n".encode()
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", "2")
        if close:
            self.send_header("Connection", "close")
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
        # on_receive tells; stderr may be the cockpit's screen.
        return
