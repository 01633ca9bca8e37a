"""One connection over TLS: the handshake without blocking, and one lock for what two threads share."""

from __future__ import annotations

import contextlib
import ssl
import threading
from socket import socket
from typing import TYPE_CHECKING, Any

from engine.inbound.http.channel import Channel

if TYPE_CHECKING:
    from engine.inbound.http.server import Server


class TlsChannel(Channel):
    """A channel whose socket is an SSLSocket. OpenSSL must not be called for one connection from two threads at once:
    the loop reads and a worker writes, so both hold `_tls`.
    """

    def __init__(self, server: Server, sock: socket, addr: tuple[Any, ...], adj: Any, map: Any = None) -> None:  # noqa: A002 - waitress' name
        assert server.tls is not None
        self._tls = threading.Lock()
        self._handshaking = True
        self._wants_write = False
        sock.settimeout(0)
        secured = server.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        super().__init__(server, secured, addr, adj, map=map)

    @property
    def decrypted(self) -> bool:
        if self._handshaking or not self.readable():
            return False
        with self._tls:
            return self.socket is not None and self.socket.pending() > 0

    @property
    def waiting(self) -> bool:
        return self._handshaking or super().waiting

    def readable(self) -> bool:
        return not self._wants_write if self._handshaking else super().readable()

    def writable(self) -> bool:
        return self._wants_write if self._handshaking else bool(super().writable())

    def handle_read(self) -> None:
        if self._handshaking:
            self._shake_hands()
        elif self._lingering:
            super().handle_read()
        elif (data := self._decrypt()) is not None:
            if data:
                self.received(data)
            else:
                self.handle_close()

    def _decrypt(self) -> bytes | None:
        """Return what came: b"" when nothing more will, None when it is not yet enough to decrypt."""
        try:
            with self._tls:
                return bytes(self.socket.recv(self.adj.recv_bytes))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError:
            return b""

    def handle_write(self) -> None:
        if self._handshaking:
            self._shake_hands()
        else:
            super().handle_write()

    def _shake_hands(self) -> None:
        self._wants_write = False
        try:
            with self._tls:
                self.socket.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:
            self._wants_write = True
            return
        except (OSError, ValueError):  # plain HTTP, another protocol, an old version, gone
            self.server.note_refused("handshake", self.addr[0])
            self.handle_close()
            return
        self._handshaking = False
        self.rest()

    def look(self, now_s: float) -> None:
        if not self._handshaking:
            super().look(now_s)
        elif now_s - self.since_s > self.limits.handshake_s:
            self.handle_close()

    def send(self, data: bytes, do_close: bool = True) -> int:  # noqa: FBT001, FBT002 - waitress' signature
        """Return how much was taken; 0: try again when the socket can be written."""
        try:
            with self._tls:
                return int(self.socket.send(data))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError:
            # Not under the lock: closing waits for a worker that may be waiting for it.
            if do_close:
                self.handle_close()
            return 0

    def farewell(self) -> None:
        with self._tls, contextlib.suppress(OSError, ValueError):
            self.socket.unwrap()  # says that nothing more comes; does not wait for the answer
