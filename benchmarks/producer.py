"""A producing process: enqueues for a while, on one thread or several, and prints its times as JSON."""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import contenders
from benchmarks.measure import call_by_threads
from engine.errors import DatabaseBusy


def main() -> None:
    contender, home, start_at, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    count = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    put = _put(contender, home)
    busy = []

    def call() -> None:
        try:
            put()
        except (DatabaseBusy, sqlite3.OperationalError) as error:
            busy.append(error)

    time.sleep(max(0.0, start_at - time.time()))
    times, _took_s = call_by_threads(call, count, seconds)
    print(json.dumps({"times_s": [one for own in times for one in own], "busy": len(busy)}))


def _put(contender: str, home: Path) -> Callable[[], object]:
    if contender == "huey":
        _huey, put = contenders.open_huey(home)
        return lambda: put(contenders.TEXT)
    engine = contenders.open_engine(home)
    return lambda: engine.enqueue(contenders.message())


if __name__ == "__main__":
    main()
