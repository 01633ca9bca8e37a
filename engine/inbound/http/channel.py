"""One connection: waitress' channel with deadlines for everything a client may take its time with. No TLS."""

from __future__ import annotations

import contextlib
import socket
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import Error

from engine.inbound.http import incoming
from engine.inbound.http.limits import Limits
from engine.inbound.http.remote import remote

if TYPE_CHECKING:
    from engine.inbound.http.server import Server


class _Task(WSGITask):  # type: ignore[misc]
    """One request for the application."""

    wrote_header: bool

    def execute(self) -> None:
        """Answer."""
        self.channel.served += 1
        super().execute()

    def write(self, data: bytes) -> None:
        """Send a whole answer in one piece: one system call, one packet, one wake-up of the client."""
        if self.wrote_header or not data or not self.has_body or self.content_length != len(data):
            super().write(data)
            return
        head = self.build_response_header()
        self.wrote_header = True
        self.content_bytes_written = len(data)
        self.channel.write_soon(head + data)

    def build_response_header(self) -> bytes:
        """Tell the client when this answer is the last of its connection."""
        if self.channel.server.draining or self.channel.served >= self.channel.limits.requests:
            self.set_close_on_finish()
        return bytes(super().build_response_header())

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment with what this floor knows of the request.

        chronos.request: an id for the logs. chronos.remote, chronos.loopback: see remote.Remote.
        """
        known = self.environ is not None
        environ: dict[str, Any] = super().get_environment()
        if not known:
            found = remote(self.channel.addr[0], environ, self.channel.server.trusted_proxies())
            environ["REMOTE_ADDR"] = environ["REMOTE_HOST"] = environ["chronos.remote"] = found.address
            environ["chronos.loopback"] = found.loopback
            environ["chronos.request"] = self.channel.request_id
        return environ


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    """An answer to what never becomes a request for the application, as a problem document."""

    def execute(self) -> None:
        error: Error = self.request.error
        headers, body = incoming.document(error.code, self.channel.request_id)
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend(headers)
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)
        self.channel.server.note_refused(str(error.code), self.channel.addr[0], self.channel.request_id)


class Channel(HTTPChannel):  # type: ignore[misc]
    """Belongs to the server's loop; only `service` runs on a worker's thread.

    since_s: when what is waited for now began: the connection, a request, or the rest after an answer.
    """

    connected: bool
    request: incoming.Parser | None
    requests: list[incoming.Parser]
    will_close: bool
    task_class = _Task
    error_task_class = _ErrorTask
    parser_class = incoming.Parser

    def __init__(self, server: Server, sock: socket.socket, addr: tuple[Any, ...], adj: Any, map: Any = None) -> None:  # noqa: A002 - waitress' name
        self.limits: Limits = adj.limits
        self.served = 0
        self.request_id = ""
        self.since_s = self._rest_s = self._moved_s = monotonic()
        self._refused = False
        self._lingering = False
        super().__init__(server, sock, addr, adj, map=map)

    @property
    def decrypted(self) -> bool:
        """Whether there is something to read that the system knows nothing of."""
        return False

    @property
    def served_now(self) -> bool:
        """Whether it is a worker's turn, so that the loop has nothing to do for it; asked of each one at each turn."""
        return bool(self.requests) and not (self.total_outbufs_len or self.will_close or self.close_when_flushed)

    @property
    def waiting(self) -> bool:
        """Whether it is the client's turn."""
        return not self.requests and not self.total_outbufs_len

    @property
    def idle(self) -> bool:
        """Whether nothing is lost when it is closed."""
        return self.waiting and self.request is None and not self._lingering

    def stalled_since(self, at_s: float) -> bool:
        """Whether the client has taken nothing of its answer since then."""
        return bool(self.total_outbufs_len) and self._moved_s <= at_s

    def readable(self) -> bool:
        return self._lingering or bool(super().readable())

    def received(self, data: bytes) -> bool:
        """Take in what arrived; a request's time begins with its first byte."""
        if self.request is None:
            self.since_s = monotonic()
        found = bool(super().received(data))
        if self.request is not None and self.requests:
            self.since_s = monotonic()  # one is complete, and the next has begun behind it
        return found

    def service(self) -> None:
        """Answer one request, on a worker's thread."""
        self.request_id = self.server.ids()
        if self.requests[0].error is not None:
            self._refused = True  # and what the client still sends is not read
        super().service()
        self.rest()

    def rest(self) -> None:
        """From now on the next request is waited for."""
        self.since_s = self._rest_s = monotonic()

    def write_soon(self, data: Any) -> int:
        """Send it, on a worker's thread; from now on the client has time to take it.

        data: bytes, or a file in waitress' wrapper. What goes out at once never lies in a buffer, where it would keep
        the loop turning while this thread is in the system call.
        """
        with self.outbuf_lock:
            rest = data
            if not self.total_outbufs_len:
                self._moved_s = monotonic()
                if self.connected and isinstance(data, bytes):
                    sent, _failed = self._flush_exception(partial(self.send, data[: self.sendbuf_len]), do_close=False)
                    rest = data[sent:]
            if rest:
                super().write_soon(rest)
        return len(data)

    def _flush_some(self, do_close: bool = True) -> bool:  # noqa: FBT001, FBT002 - waitress' signature
        sent = bool(super()._flush_some(do_close=do_close))
        if sent:
            self._moved_s = monotonic()
        return sent

    def handle_write(self) -> None:
        if not (self._refused and self.close_when_flushed):
            super().handle_write()
            return
        self._flush_exception(self._flush_some_if_lockable)
        if self.will_close:
            self.handle_close()
        elif self.connected and not self.total_outbufs_len:
            self._linger()

    def handle_read(self) -> None:
        if not self._lingering:
            super().handle_read()
            return
        try:
            gone = not socket.socket.recv(self.socket, 65_536)
        except BlockingIOError:
            return
        except OSError:
            gone = True
        if gone:
            self.handle_close()

    def _linger(self) -> None:
        """Close our half and read the rest away: a reset would take the answer back that is still under way."""
        self.close_when_flushed = False
        self._lingering = True
        self.since_s = monotonic()
        self.farewell()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def handle_close(self) -> None:
        if self.connected:
            self.farewell()
        if self.request is not None:
            self.request.close()  # half a body, and its share of the budget
            self.request = None
        super().handle_close()

    def farewell(self) -> None:
        """Do what comes after the last byte of HTTP."""

    def look(self, now_s: float) -> None:
        """End what takes too long."""
        limits = self.limits
        if self._lingering:
            if now_s - self.since_s > limits.linger_s:
                self.handle_close()
        elif self.total_outbufs_len:
            if now_s - self._moved_s > limits.send_s:
                self.handle_close()
        elif self.requests:
            return  # it is a worker's turn
        elif self.request is None:
            if now_s - self._rest_s > (limits.idle_s if self.served else limits.request_s):
                self.handle_close()
        elif now_s - self.since_s > limits.request_s:
            self._give_up()

    def _give_up(self) -> None:
        """Answer 408 to a request that never ends."""
        with self.requests_lock:
            if self.request is None or self.requests:
                return
            self.request.close()
            late = incoming.Parser(self.adj)
            late.error = incoming.Refusal(408)
            late.version = "1.1"
            self.request = None
            self.requests.append(late)
            self.server.add_task(self)
