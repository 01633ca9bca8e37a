"""Rows: taking messages in by HTTP, and what asking for a key costs."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

from benchmarks import contenders
from benchmarks.measure import Bench, Row, Sample, at_least, at_most, by_threads, side_by_side, timed_calls, versus

_CONNECTIONS = 32
_BODY = json.dumps(
    {"target": contenders.TARGET, "subject": "nightly backup", "text": contenders.TEXT}, separators=(",", ":")
).encode()
_END = b"\r\n\r\n"


class _Served:
    """A server process, and connections to it that stay open: one a thread."""

    def __init__(self, contender: str, bench: Bench) -> None:
        command = [sys.executable, "-m", "benchmarks.api_server", contender, str(bench.fresh(contender))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        said = json.loads(self._process.stdout.readline())
        host, _, port = said["address"].removeprefix("http://").partition(":")
        self._where = (host, int(port))
        head = (
            f"POST /v1/messages HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {said['key']}\r\nContent-Length: {len(_BODY)}\r\n\r\n"
        )
        self._request = head.encode() + _BODY
        self._own = threading.local()

    def post(self) -> None:
        """Send one message and read its answer; after an answer that ends the connection, open the next."""
        if not hasattr(self._own, "connection"):
            self._own.connection = socket.create_connection(self._where, timeout=30)
        connection: socket.socket = self._own.connection
        connection.sendall(self._request)
        received = b""
        while (end := received.find(_END)) < 0:
            received += _some(connection)
        head = received[:end].lower()
        assert head.startswith(b"http/1.1 202"), received[:300]
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(received) < end + len(_END) + length:
            received += _some(connection)
        if b"connection: close" in head:
            connection.close()
            del self._own.connection

    def close(self) -> None:
        self._process.communicate(timeout=30)


def _some(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    assert received, "the server hung up"
    return received


def posting(bench: Bench) -> Iterator[Row]:
    """Durable messages by HTTP, over connections that stay open."""
    work = "POST /v1/messages, warm key"
    with ExitStack() as later:
        contestants: dict[str, Callable[[], Sample]] = {}
        for name in ("gated", "peer"):
            served = _Served(name, bench)
            later.callback(served.close)
            contestants[name] = partial(by_threads, served.post, _CONNECTIONS, bench.round_s)
        found = side_by_side(contestants, bench.rounds)
    compared = f"waitress + falcon answering a trivial JSON POST, {_CONNECTIONS} connections, rate"
    yield versus(work, compared, at_least(0.5), found["gated"], found["peer"], "rate")


def keys(bench: Bench) -> Iterator[Row]:
    """The same requests, one after the other, to the API with its gate and to one whose gate asks nothing."""
    work = "authenticated call, warm"
    with ExitStack() as later:
        contestants: dict[str, Callable[[], Sample]] = {}
        for name in ("gated", "open"):
            served = _Served(name, bench)
            later.callback(served.close)
            contestants[name] = partial(timed_calls, served.post, bench.round_s)
        found = side_by_side(contestants, bench.rounds)
    yield versus(work, "an unauthenticated one, median", at_most(1.05), found["gated"], found["open"], "p50_us")
