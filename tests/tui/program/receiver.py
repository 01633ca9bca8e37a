"""A webhook receiver whose answer a test changes, and that can keep a delivery on the wire."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support import PATIENCE_S


class Receiver(ThreadingHTTPServer):
    """Answers `status` and `words`; while `open` is not set a request waits. ids: the uid of each that was taken."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.status, self.words = 200, b"taken"
        self.open = threading.Event()
        self.open.set()
        self.arrived: list[str] = []
        self.ids: list[str] = []
        self.changed = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def wait_arrived(self, n: int) -> None:
        """Wait until so many requests have begun."""
        self._wait(self.arrived, n)

    def wait_answered(self, n: int) -> None:
        """Wait until so many requests have been answered with 2xx."""
        self._wait(self.ids, n)

    def _wait(self, what: list[str], n: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(what) >= n, PATIENCE_S), (self.arrived, self.ids)

    def note(self, what: list[str], uid: str) -> None:
        with self.changed:
            what.append(uid)
            self.changed.notify_all()


class _Request(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        receiver, uid = self.server, self.headers["webhook-id"]
        self.rfile.read(int(self.headers["content-length"]))
        receiver.note(receiver.arrived, uid)
        if not receiver.open.wait(PATIENCE_S):
            return
        status, words = receiver.status, receiver.words
        if status < 300:
            receiver.note(receiver.ids, uid)
        try:
            self.send_response(status)
            self.send_header("content-length", str(len(words)))
            self.end_headers()
            self.wfile.write(words)
        except OSError:  # who asked is gone
            return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        return


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver while the block lasts."""
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.open.set()
            receiver.shutdown()
            thread.join(PATIENCE_S)
