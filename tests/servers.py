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
import re
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tests.channels.http_sink import LOOPBACK, HttpSink
from tests.channels.sink_log import Faults, Log

__all__ = ["Faults", "HttpSink", "Log", "Scripted", "SmtpSink", "smtp_script"]


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
