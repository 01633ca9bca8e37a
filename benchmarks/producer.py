"""One producing process of the rows with several: enqueues for a while and prints its times as JSON."""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import contenders
from engine.errors import DatabaseBusy


def main() -> None:
    contender, home, start_at, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    call = _call(contender, home)
    time.sleep(max(0.0, start_at - time.time()))
    times, busy = [], 0
    clock = time.perf_counter
    last = clock()
    end = last + seconds
    while last < end:
        try:
            call()
        except (DatabaseBusy, sqlite3.OperationalError):
            busy += 1
        now = clock()
        times.append(now - last)
        last = now
    print(json.dumps({"times_s": times, "busy": busy}))


def _call(contender: str, home: Path) -> Callable[[], object]:
    if contender == "huey":
        _huey, put = contenders.open_huey(home)
        return lambda: put(contenders.TEXT)
    engine = contenders.open_engine(home)
    return lambda: engine.enqueue(contenders.message())


if __name__ == "__main__":
    main()
