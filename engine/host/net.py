"""Sockets with one deadline for a whole attempt, to addresses that were checked. Knows nothing of SMTP or HTTP.

A time-out of the standard library counts per call: a peer that drips one byte a second never runs into it. Here every
call on a socket is given what is left of the attempt's Budget, so the attempt ends in time whatever the peer does.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import queue
import select
import socket
import ssl
import threading
import time
from typing import Any

from engine.errors import DeliveryError, Sent
from engine.rules import netaddr

MAX_RECEIVED_BYTES = 1 << 20
"""More than any honest answer to one message needs; endless headers or reply lines end here."""

_CONNECT_CAP_S = 10.0
"""One address may take this long, so that a dead first address leaves time for the second."""

Address = tuple[int, tuple[Any, ...]]
"""A family and a socket address, as getaddrinfo gives them."""


class Budget:
    """What one attempt may use: time in total, and bytes received. Used by one thread at a time."""

    __slots__ = ("_received_left_bytes", "_until_s")

    def __init__(self, timeout_ms: int) -> None:
        self._until_s = 0.0
        self._received_left_bytes = 0
        self.start(timeout_ms)

    def start(self, timeout_ms: int, *, max_received_bytes: int = MAX_RECEIVED_BYTES) -> None:
        """Begin a new attempt; sockets that share this budget live on."""
        self._until_s = time.monotonic() + timeout_ms / 1000
        self._received_left_bytes = max_received_bytes

    def shorten(self, timeout_ms: int) -> None:
        """Leave at most `timeout_ms` from now on."""
        self._until_s = min(self._until_s, time.monotonic() + timeout_ms / 1000)

    @property
    def spent(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._until_s

    def remaining_s(self) -> float:
        """Seconds that are left. Raises TimeoutError if there are none."""
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the attempt's time is over")
        return left_s

    def receive(self, size_bytes: int) -> None:
        """Count bytes that arrived. Raises OSError (EMSGSIZE) if they are too many for one attempt."""
        self._received_left_bytes -= size_bytes
        if self._received_left_bytes < 0:
            raise OSError(errno.EMSGSIZE, "the server sent far more than an answer needs")


class TimedSocket(socket.socket):
    """A TCP socket whose every call ends with its budget."""

    __slots__ = ("budget",)

    def __init__(self, family: int, budget: Budget) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self.budget = budget

    def connect(self, address: Any) -> None:
        self.settimeout(min(self.budget.remaining_s(), _CONNECT_CAP_S))
        super().connect(address)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        self.settimeout(self.budget.remaining_s())
        data = super().recv(bufsize, flags)
        self.budget.receive(len(data))
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        self.settimeout(self.budget.remaining_s())
        size = super().recv_into(buffer, nbytes, flags)
        self.budget.receive(size)
        return size

    def send(self, data: Any, flags: int = 0) -> int:
        self.settimeout(self.budget.remaining_s())
        return super().send(data, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        # One call of the C sendall counts its time-out over the whole buffer.
        self.settimeout(self.budget.remaining_s())
        super().sendall(data, flags)


class TimedTLSSocket(ssl.SSLSocket):
    """The same over TLS. Made by TimedContext alone, which hands the budget over."""

    budget: Budget | None = None

    def _arm(self) -> None:
        if self.budget is not None:
            self.settimeout(self.budget.remaining_s())

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        self._arm()
        data = super().recv(buflen, flags)
        if self.budget is not None:
            self.budget.receive(len(data))
        return data

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        self._arm()
        size = super().recv_into(buffer, nbytes, flags)
        if self.budget is not None:
            self.budget.receive(size)
        return size

    def send(self, data: Any, flags: int = 0) -> int:
        # SSLSocket.sendall calls send until everything is gone, so it is timed too.
        self._arm()
        return super().send(data, flags)


class TimedContext(ssl.SSLContext):
    """Verifies the peer's certificate and name always; its sockets keep the budget of the socket they wrap."""

    sslsocket_class = TimedTLSSocket

    def wrap_socket(self, sock: socket.socket, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        budget = getattr(sock, "budget", None)
        if budget is not None:
            sock.settimeout(budget.remaining_s())  # do_handshake counts it over the whole handshake
        wrapped = super().wrap_socket(sock, *args, **kwargs)
        if isinstance(wrapped, TimedTLSSocket):
            wrapped.budget = budget
        return wrapped


def tls_context(ca_file: str | None = None) -> TimedContext:
    """Return a context that trusts the system's authorities, or those in `ca_file` alone.

    Raises OSError (ssl.SSLError) if `ca_file` cannot be read as PEM.
    """
    context = TimedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
        return context
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath):  # files that exist; this system has none
        import certifi

        context.load_verify_locations(cafile=certifi.where())
    else:
        context.load_default_certs()
    return context


def connect(host: str, port: int, budget: Budget, *, trusted: bool, allow_private: bool) -> TimedSocket:
    """Resolve `host` once, leave out the addresses that may not be reached, and connect to one that may.

    The socket is connected to the address that was checked, never to a name, so a name server that changes its
    answer between check and use gains nothing.

    Raises DeliveryError like permitted and connect_to.
    """
    return connect_to(host, port, permitted(host, port, budget, trusted=trusted, allow_private=allow_private), budget)


def permitted(host: str, port: int, budget: Budget, *, trusted: bool, allow_private: bool) -> list[Address]:
    """Return the addresses of `host` that may be reached; at least one.

    Raises DeliveryError: NO if there is no such name, MISCONFIGURED (REJECTED for a name that the operator did not
    write) if every address is forbidden.
    """
    allowed, words = [], ""
    for family, address in resolve(host, port, budget):
        refused = netaddr.refusal(str(address[0]), trusted=trusted, allow_private=allow_private)
        if refused is None:
            allowed.append((family, address))
        else:
            words = words or f"{host}: {refused}"
    if not allowed:
        raise DeliveryError(Sent.MISCONFIGURED if trusted else Sent.REJECTED, words, code="ADDRESS")
    return allowed


def resolve(host: str, port: int, budget: Budget) -> list[Address]:
    """Return (family, socket address) pairs of `host` in the system's order, without repetitions.

    Raises DeliveryError (NO) if there are none or the name server does not answer in time.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        found = _ask_name_server(host, port, budget)
    else:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return list(dict.fromkeys((int(family), address) for family, _, _, _, address in found))


def _ask_name_server(host: str, port: int, budget: Budget) -> list[Any]:
    # getaddrinfo knows no time-out and cannot be interrupted: it waits in a thread of its own, which the resolver's
    # own limit ends if we no longer wait for it.
    answer: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            answer.put(error)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        found = answer.get(timeout=budget.remaining_s())
    except (queue.Empty, TimeoutError):
        raise DeliveryError(Sent.NO, f"looking up {host} took too long", code="DNS") from None
    if isinstance(found, Exception):
        words = found.strerror if isinstance(found, OSError) and found.strerror else "not a host name"
        raise DeliveryError(Sent.NO, f"cannot look up {host}: {words}", code="DNS") from found
    return found


def connect_to(host: str, port: int, addresses: list[Address], budget: Budget) -> TimedSocket:
    """Return a socket to the first of `addresses` that answers. Raises DeliveryError (NO) if none does."""
    last = OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
    for family, address in addresses:
        sock = TimedSocket(family, budget)
        try:
            sock.connect(address)
            # Without it a small second segment waits 40 ms for the acknowledgement of the first.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            last = error
        else:
            return sock
    raise DeliveryError(
        Sent.NO, f"cannot connect to {host} port {port}: {words_of(last)}", code=code_of(last)
    ) from last


def handshake(sock: TimedSocket, context: TimedContext, host: str) -> str:
    """Make `sock` secure, close it again, and return the protocol and cipher. Raises DeliveryError."""
    try:
        with context.wrap_socket(sock, server_hostname=host) as secure:
            cipher = secure.cipher()
            return f"{secure.version()} {cipher[0] if cipher else ''}".strip()
    except OSError as error:
        raise tls_failure(error, host) from error


def is_loopback(sock: socket.socket) -> bool:
    """Whether the other end of a connected socket is this machine."""
    address = ipaddress.ip_address(str(sock.getpeername()[0]).partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def is_quiet(sock: socket.socket) -> bool:
    """Whether an idle connection is still usable: open, and nothing unasked for has arrived (a farewell, an end)."""
    try:
        poller = select.poll()
        poller.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
        return not poller.poll(0)
    except (OSError, ValueError):
        return False


def tls_failure(error: OSError, host: str) -> DeliveryError:
    """Return what a failed TLS handshake means. A certificate that is not trusted will not be trusted next time."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message or "verification failed"
        return DeliveryError(Sent.MISCONFIGURED, f"the certificate of {host} is not trusted: {why}", code="CERTIFICATE")
    return DeliveryError(Sent.NO, f"no secure connection to {host}: {words_of(error)}", code="TLS")


def words_of(error: BaseException) -> str:
    """Return an error of the system in a few words, without addresses or file names."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS error").replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).partition("\n")[0][:200] or type(error).__name__


def code_of(error: BaseException) -> str:
    """Return the symbol of a system error ("ECONNREFUSED"), "" when there is none."""
    if isinstance(error, TimeoutError):
        return "ETIMEDOUT"
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ssl.SSLError):
        return errno.errorcode.get(error.errno, "")
    return ""
