"""A child that does one step of an engine's life at a time, as its standard input says; for faults at system calls.

Commands: open, own, enqueue, settle, mend, close. Each is answered by one line: `ok …`, or `error TYPE: text`.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable

from engine.engine import Engine
from engine.errors import ChronosError
from engine.host.paths import paths
from engine.model import NewMessage

_PR_SET_PTRACER = 0x59616D61
_SETTLE_MS = 4_000


class Steps:
    """The engine of this process, and the numbers of the threads that a tracer may want."""

    def __init__(self, data: str, acks: str) -> None:
        self._data = data
        self._acks = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._engine: Engine | None = None
        self._taken = 0

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            raise ChronosError("not open")
        return self._engine

    def open(self) -> str:
        self._engine = Engine.open(paths(self._data, None, os.environ), os.environ, actor="steps")
        return ""

    def own(self) -> str:
        self.engine.own("engine-only")
        return str(next(thread.native_id for thread in threading.enumerate() if thread.name == "dispatcher"))

    def enqueue(self) -> str:
        self._taken += 1
        key = f"{os.getpid()}-{self._taken}"
        uid = self.engine.enqueue(NewMessage(target="hook", text="one step", idempotency_key=key)).message.uid
        os.write(self._acks, f"{uid} {key}\n".encode())
        return uid

    def settle(self) -> str:
        for message in self.engine.page(limit=100).messages:
            self.engine.wait_until_settled(message.id, _SETTLE_MS)
        return ""

    def mend(self) -> str:
        self.engine.doctor(fix=True)
        return ""

    def close(self) -> str:
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        return ""


def main() -> int:
    data, acks = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, -1, 0, 0, 0)  # where only a parent may trace, a sibling now may too
    steps = Steps(data, acks)
    commands: dict[str, Callable[[], str]] = {
        "open": steps.open,
        "own": steps.own,
        "enqueue": steps.enqueue,
        "settle": steps.settle,
        "mend": steps.mend,
        "close": steps.close,
    }
    for line in sys.stdin:
        try:
            answer = f"ok {commands[line.strip()]()}"
        except ChronosError as error:
            answer = f"error {type(error).__name__}: {error}"
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
