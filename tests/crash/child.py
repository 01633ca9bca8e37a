"""The engine's program for crash tests: owns a data directory until SIGTERM, if wanted with a planted defect."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from engine.clock import SystemClock
from engine.engine import Engine
from engine.errors import ChronosError
from engine.host.paths import paths


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.child")
    parser.add_argument("--data", required=True)
    parser.add_argument("--defect", help="one of tests.crash.defects")
    parser.add_argument("--lease-margin-ms", type=int, help="how long a lease outlives the attempt's own deadline")
    given = parser.parse_args()
    if given.lease_margin_ms is not None:
        from engine.operations import delivering

        delivering.LEASE_MARGIN_MS = given.lease_margin_ms
    if given.defect:
        from tests.crash.defects import plant

        plant(given.defect)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        engine = Engine.open(paths(given.data, None, os.environ), os.environ, actor="crash", clock=SystemClock())
    except ChronosError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    try:
        engine.own("engine-only")
        sys.stderr.write(f"chronos engine ready pid={os.getpid()} data={given.data}\n")
        sys.stderr.flush()
        ended.wait()
    except ChronosError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    finally:
        engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
