"""What the test servers share: their log, and the faults that they make on purpose."""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path
from typing import Any


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
