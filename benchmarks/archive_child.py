"""A process of a backup's row: it fills a database, writes into it, backs it up or restores it when stdin says so."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import string
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import contenders
from benchmarks.claiming import Claimer

PER_S = 500
"""How many messages the writer stores a second: p99 of a few seconds must rest on more than a few of them."""
_WARM_UP = 50
_TEXT = 8_000
"""Characters of a message that fills."""


def main() -> None:
    what, home = sys.argv[1], Path(sys.argv[2])
    if what == "write":
        _write(home)
    elif what == "fill":
        _once(lambda: _fill(home, int(sys.argv[3])))
    else:
        _once({"plain": _plain, "proven": _proven, "peer": _peer, "restore": _restore}[what](home))


def _fill(home: Path, size: int) -> None:
    """Fill a fresh data directory with about `size` bytes, nine of ten messages delivered.

    By the calls of the engine, so that audit log and counts hold. The texts pack as text does, to two fifths.
    """
    chance = random.Random(size)
    words = ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 11))) for _ in range(5_000)]
    pool = " ".join(chance.choices(words, k=200_000))
    engine = contenders.open_owner(home)
    claimer = Claimer(engine, 50)
    while engine.paths.database.stat().st_size < size:
        starts = [chance.randrange(len(pool) - _TEXT) for _ in range(1_000)]
        engine.enqueue_many([contenders.message(pool[start : start + _TEXT]) for start in starts])
        for _ in range(900 // 50):
            claimer.turn()
        claimer.drain()
    engine.close()


def _write(home: Path) -> None:
    """Store messages durably until a line comes in; print when each began and how long it took, both in s."""
    engine = contenders.open_owner(home)
    for _ in range(_WARM_UP):
        engine.enqueue(contenders.message())
    over = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.readline()
        over.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    print("ready", flush=True)
    calls = []
    due = time.perf_counter()
    while not over.is_set():
        begin = time.perf_counter()
        engine.enqueue(contenders.message())
        calls.append((begin, time.perf_counter() - begin))
        due = max(due + 1 / PER_S, time.perf_counter() - 1 / PER_S)
        time.sleep(max(0.0, due - time.perf_counter()))
    print(json.dumps(calls))
    engine.close()


def _once(act: Callable[[], object]) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.perf_counter()
    act()
    print(json.dumps({"took_s": time.perf_counter() - begin}), flush=True)


def _plain(home: Path) -> Callable[[], object]:
    """A backup that is read again, but not restored on trial."""
    engine = contenders.open_engine(home)
    return lambda: engine.backup_create(drill=False)


def _proven(home: Path) -> Callable[[], object]:
    """A backup as it is made every night."""
    engine = contenders.open_engine(home)
    return lambda: engine.backup_create(drill=True)


def _restore(home: Path) -> Callable[[], object]:
    """The newest backup put in place, from looking at it to the last sync."""
    engine = contenders.open_engine(home)
    return lambda: engine.restore_apply(engine.backups()[0].name)


def _peer(home: Path) -> Callable[[], object]:
    """What a script does: copy, hash, pack, sync."""
    copy, packed = home / "peer.db", home / "peer.zip"

    def act() -> None:
        source, target = sqlite3.connect(home / "chronos.db"), sqlite3.connect(copy)
        source.backup(target)
        target.close()
        source.close()
        with copy.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            archive.write(copy, "chronos.db")
            archive.writestr("SHA256SUMS", f"{digest}  chronos.db\n")
        with packed.open("rb") as file:
            os.fsync(file.fileno())
        copy.unlink()
        packed.unlink()

    return act


if __name__ == "__main__":
    main()
