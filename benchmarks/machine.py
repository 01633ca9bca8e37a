"""What the figures were measured on: printed above the table. Measures nothing that Chronos does."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PEERS = ("huey", "persist-queue", "simplebroker", "sqlite-utils", "requests", "yagmail")


def describe(directory: Path) -> list[str]:
    """Return lines about the machine, the directory's disk and the peers' versions."""
    return [
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, Linux {platform.release()}",
        f"{_processor()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}",
        f"{directory}: a 4 KiB append with fdatasync takes {fsync_us(directory):.0f} µs (median of 200)",
        "peers: " + ", ".join(f"{name} {_version(name)}" for name in _PEERS),
    ]


def fsync_us(directory: Path, count: int = 200) -> float:
    """The median time, in µs, of appending a page to a file there and syncing it."""
    path = directory / "fsync.probe"
    times = []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for _ in range(count):
            begin = time.perf_counter()
            os.write(descriptor, b"\0" * 4096)
            os.fdatasync(descriptor)
            times.append(time.perf_counter() - begin)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(times) * 1e6


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
