"""The server: waitress with a loop, limits and an end of our own. Knows no route and no configuration."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import BaseWSGIServer
from waitress.task import ThreadedTaskDispatcher

from engine.host.listening import BACKLOG, Listener
from engine.host.log import Log
from engine.inbound.http import incoming
from engine.inbound.http.channel import Channel
from engine.inbound.http.counting import ids
from engine.inbound.http.limits import Budget, Limits
from engine.rules.apikeys import UNIX

if TYPE_CHECKING:
    import ssl

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]

_LOOK_S = 0.5
"""How often deadlines are looked at while somebody is connected. While nobody is, the loop sleeps."""

_LOOK_AGAIN_S = 0.01
"""A busy loop turns thousands of times a second; deadlines are seconds."""

_CALM_S = 1.0
_LEAVE_S = 0.2
_HALF_S = 1.0
"""How long an end waits for the rest of a request that is still being sent: nobody was told yet that it is taken."""
_OUT_OF_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_REFUSED_EVERY_S = 1.0


class _Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Workers, each begun when it is first needed. Their queue holds at most one task a connection, so the connections
    bound it.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._over = False

    def start_new_thread(self, target: Callable[[int], None], thread_no: int) -> None:
        threading.Thread(target=target, name=f"http-{thread_no}", args=(thread_no,), daemon=True).start()

    def add_task(self, task: Any) -> None:
        """Queue it, without a line in the log for each that waits a moment."""
        with self.lock:
            if self._over:
                return
            self.queue.append(task)
            idle = len(self.threads) - self.active_count
            if len(self.queue) > idle and len(self.threads) < self._most:
                number = len(self.threads)
                self.threads.add(number)
                self.active_count += 1
                self.start_new_thread(self.handler_thread, number)
            self.queue_cv.notify()

    def end(self, within_s: float) -> None:
        """Begin nothing more, and wait a moment for what runs."""
        with self.lock:
            self._over = True
            self.queue.clear()
        self.set_thread_count(0)
        with self.lock:
            self.thread_exit_cv.wait_for(lambda: not self.threads, within_s)


class Server(BaseWSGIServer):  # type: ignore[misc]
    """Serves one listener from `run` until `finish`.

    tls: of connections to come; may be replaced. trusted_proxies: asked at each request. draining: every answer is the
    last of its connection.
    """

    channel_class: type[Channel]

    def __init__(
        self,
        application: Application,
        listener: Listener,
        limits: Limits,
        log: Log,
        *,
        tls: ssl.SSLContext | None = None,
        trusted_proxies: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        self.limits = limits
        self.tls = tls
        self.trusted_proxies = trusted_proxies
        self.ids = ids(os.urandom)
        self.draining = False
        self.budget = Budget(limits.budget_bytes)
        self._log = log
        self._listener = listener
        self._closing = threading.Lock()
        self._closed = False
        self._pulled = False
        self._give_up_s: float | None = None
        self._hurry_s = 0.0
        self._calm_until_s = 0.0
        self._looked_s = 0.0
        self._refused: Counter[str] = Counter()
        self._refused_at_s = 0.0
        self.channel_class = _channel_class(secure=tls is not None)
        super().__init__(
            application,
            map={},
            _sock=listener.socket,
            dispatcher=_Dispatcher(limits.threads),
            adj=_adjustments(listener.socket, limits, self.budget, secure=tls is not None),
            sockinfo=(listener.socket.family, socket.SOCK_STREAM, 0, None),
            bind_socket=False,
        )

    # The surface: any thread

    def finish(self, within_s: float) -> None:
        """Accept nothing more at once, answer what has come, and let `run` return after `within_s` at the latest.

        What is still being sent gets a second.
        """
        self.draining = True
        self._hurry_s = monotonic() + _HALF_S
        self._give_up_s = monotonic() + within_s
        self.pull_trigger()

    def pull_trigger(self) -> None:
        """Wake the loop. A worker may do so after the end, when the pipe's number may be another file's already."""
        with self._closing:
            if not (self._closed or self._pulled):
                self._pulled = True
                super().pull_trigger()

    # The loop's thread

    def run(self) -> None:
        """Serve until `finish` was called and the last connection is closed, or its time is over."""
        try:
            while not self._over():
                self._turn()
        finally:
            self._end()

    def _over(self) -> bool:
        if self._give_up_s is None:
            return False
        if self.accepting:
            self._stop_accepting()
        now_s = monotonic()
        for channel in list(self.active_channels.values()):
            if channel.idle or (channel.waiting and now_s >= self._hurry_s):
                channel.handle_close()
        return not self.active_channels or now_s >= self._give_up_s

    def _stop_accepting(self) -> None:
        self.accepting = False
        self.del_channel()
        self._listener.close()

    def _end(self) -> None:
        self.draining = True
        if self.accepting:
            self._stop_accepting()
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        with self._closing:
            self._closed = True
            self.trigger.close()
        self.task_dispatcher.end(_LEAVE_S)

    def _turn(self) -> None:
        """One round. Not wasyncore's: that spins on urgent data, and knows nothing of what TLS has already read."""
        self._pulled = False  # before anything is looked at: what changes from now on wakes the poll below
        poll = select.poll()
        read_at_once = []
        for number, one in list(self._map.items()):
            if isinstance(one, Channel):
                if one.served_now:
                    continue
                if one.decrypted:
                    read_at_once.append(one)
                    continue
            flags = (select.POLLIN if one.readable() else 0) | (
                select.POLLOUT if one.writable() and not one.accepting else 0
            )
            if flags:
                poll.register(number, flags)
        for number, flags in poll.poll(0 if read_at_once else self._timeout_ms()):
            found = self._map.get(number)
            if found is not None:
                wasyncore.readwrite(found, flags)
        for channel in read_at_once:
            if channel.connected:
                wasyncore.read(channel)
        self._look()

    def _timeout_ms(self) -> float | None:
        if self._give_up_s is not None:
            return max(0.0, min(_LOOK_S, self._give_up_s - monotonic())) * 1000
        return _LOOK_S * 1000 if self.active_channels or self._calm_until_s else None

    def _look(self) -> None:
        now_s = monotonic()
        if now_s < self._looked_s + _LOOK_AGAIN_S:
            return
        self._looked_s = now_s
        for channel in list(self.active_channels.values()):
            channel.look(now_s)

    def readable(self) -> bool:
        if self._calm_until_s and monotonic() >= self._calm_until_s:
            self._calm_until_s = 0.0
        return bool(self.accepting) and not self._calm_until_s

    def handle_accept(self) -> None:
        """Take one connection; when all places are taken, at the cost of the one that has waited longest."""
        try:
            sock, address = self.socket.accept()
        except OSError as error:
            if error.errno in _OUT_OF_ROOM:
                self._calm_until_s = monotonic() + _CALM_S  # it would be reported again at once, and again
                self._log.event("WARNING", "http_not_accepted", reason=str(error.strerror))
            return
        if len(self.active_channels) >= self.limits.connections and not self._make_room():
            self._turn_away(sock)
            return
        try:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.channel_class(self, sock, self.fix_addr(address), self.adj, map=self._map)
        except (OSError, ValueError):  # gone already
            sock.close()

    def _make_room(self) -> bool:
        """Close the connection that has waited longest, among those of the address that has most; where none waits, one
        whose client does not take its answer. False: everybody is being answered.
        """
        channels = list(self.active_channels.values())
        held = Counter(channel.addr[0] for channel in channels)
        waiting = [channel for channel in channels if channel.waiting]
        stalled_s = monotonic() - self.limits.stalled_s
        waiting = waiting or [channel for channel in channels if channel.stalled_since(stalled_s)]
        if not waiting:
            return False
        max(waiting, key=lambda one: (held[one.addr[0]], -one.since_s)).handle_close()
        return True

    def _turn_away(self, sock: socket.socket) -> None:
        headers, body = incoming.document(503, "")
        if self.tls is None:
            headers = [*headers, ("Connection", "close"), ("Content-Length", str(len(body)))]
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
            sock.settimeout(0)
            with contextlib.suppress(OSError):
                sock.send(f"HTTP/1.1 503 Service Unavailable\r\n{lines}\r\n".encode() + body)
        sock.close()
        self.note_refused("503", "")

    def fix_addr(self, address: Any) -> tuple[Any, ...]:
        return (UNIX, 0) if self._listener.unix else tuple(address)

    def getsockname(self) -> tuple[str, str]:
        """Return what WSGI calls SERVER_NAME and SERVER_PORT."""
        if self._listener.unix:
            return "localhost", "0"
        host, port = self.socket.getsockname()[:2]
        return str(host), str(port)

    # What is worth a line

    def note_refused(self, what: str, address: str, request_id: str = "") -> None:
        """Log what never became a request, by its status or as "handshake": a line a second, whoever sends how much."""
        self._refused[what] += 1
        now_s = monotonic()
        if now_s - self._refused_at_s < _REFUSED_EVERY_S:
            return
        self._refused_at_s = now_s
        counts, self._refused = self._refused, Counter()
        self._log.event("INFO", "http_refused", request=request_id, what=what, remote=address, counts=dict(counts))


def _channel_class(*, secure: bool) -> type[Channel]:
    if not secure:
        return Channel
    from engine.inbound.http.tls import TlsChannel

    return TlsChannel


def _adjustments(sock: socket.socket, limits: Limits, budget: Budget, *, secure: bool) -> Adjustments:
    """Return waitress' settings, with ours beside them: parser and channel are handed nothing else."""
    found = Adjustments(
        sockets=[sock],
        backlog=BACKLOG,
        ident="",  # no Server header: nobody needs to know what to attack
        url_scheme="https" if secure else "http",
        recv_bytes=65_536,
        inbuf_overflow=limits.max_body_bytes + 65_536,  # never into a file outside of the data directory
        outbuf_overflow=64 * 1024 * 1024,
        max_request_header_size=limits.header_bytes,
        max_request_body_size=2 * limits.max_body_bytes + 65_536,  # as sent, with what lies between chunks
        clear_untrusted_proxy_headers=False,  # remote.remote does
        log_socket_errors=False,
        expose_tracebacks=False,
    )
    found.limits = limits
    found.budget = budget
    found.ident = ""
    return found
