"""A rotation of the root key, killed or failed at its system calls: every secret opens afterwards, and nothing is left.

CHRONOS_ROTATION_POINTS=all tries every point instead of a sample.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.host.paths import paths
from engine.operations import secrets
from engine.operations.vault import Provider
from tests.support import SKIP_NOTHING, settings

CALLS = ("pwrite64", "fdatasync", "fsync", "write", "rename", "unlink", "ftruncate")
FAULTS = ("signal=SIGKILL", "error=EIO", "error=ENOSPC")
SAMPLE = 12
SEED = 7
VALUES = {f"name{n}": f"value {n} " * 50 for n in range(5)}

_ROTATE = """
import os, sys
from engine.engine import Engine
from engine.errors import ChronosError
from engine.host.paths import paths
from tests.support import settings
try:
    engine = Engine.open(paths(sys.argv[1], None, {}), {}, actor="test:rotate", settings=settings())
    engine.vault_rotate()
except ChronosError as error:
    print(error)
"""

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None and not SKIP_NOTHING, reason="strace is not installed: apt-get install strace"
)


def _make(directory: Path) -> None:
    engine = Engine.open(paths(str(directory), None, {}), {}, actor="test:me", settings=settings())
    engine.vault_create(Provider.FILE)
    for name, value in VALUES.items():
        engine.secret_set(name, value)
    engine.close()


def _rotate(directory: Path, *strace: str) -> None:
    command = ["strace", "-f", "-e", "signal=none", *strace, sys.executable, "-c", _ROTATE, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert "Traceback" not in done.stderr, done.stderr


def _points(directory: Path, log: Path) -> list[tuple[str, int]]:
    """Return each call of a rotation that writes, with its number among its kind."""
    shutil.copytree(directory, directory.with_name("probe"))
    _rotate(directory.with_name("probe"), "-o", str(log), "-e", f"trace={','.join(CALLS)}")
    counted: Counter[str] = Counter()
    found = []
    for line in log.read_text().splitlines():
        call = re.match(r"(?:\d+ +)?(\w+)\(", line)
        if call is not None:
            counted[call[1]] += 1
            found.append((call[1], counted[call[1]]))
    return found


def _wrong(directory: Path) -> list[str]:
    """Say what is not as it should be, as a new process finds it."""
    engine = Engine.open(paths(str(directory), None, {}), {}, actor="test:me", settings=settings())
    try:
        if engine.context.database.degraded:
            engine.doctor(fix=True)
        wrong = [one.problem for one in engine.secrets_check() if not one.ok]
        wrong += [
            f"{name} is another"
            for name, value in VALUES.items()
            if secrets.look_up(engine.context, f"secret:{name}") != value
        ]
        if not engine.audit_verify().ok:
            wrong.append("the audit log does not verify")
        engine.vault_rotate()
        wrong += [one.problem for one in engine.secrets_check() if not one.ok]
    finally:
        engine.close()
    keys = [line for line in (directory / "root.key").read_text().splitlines() if not line.startswith("#")]
    return wrong + ([f"{len(keys)} root keys are left"] if len(keys) != 1 else [])


def test_a_rotation_that_is_killed_or_fails_at_a_system_call_locks_nobody_out(tmp_path: Path) -> None:
    made = tmp_path / "made"
    _make(made)
    points = [(call, k, fault) for call, k in _points(made, tmp_path / "log") for fault in FAULTS]
    assert {"pwrite64", "fdatasync", "fsync", "rename"} <= {call for call, _, _ in points}
    chosen = (
        points if os.environ.get("CHRONOS_ROTATION_POINTS") == "all" else random.Random(SEED).sample(points, SAMPLE)
    )
    wrong = {}
    for call, k, fault in chosen:
        work = tmp_path / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(made, work)
        _rotate(work, "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={k}")
        if found := _wrong(work):
            wrong[f"{call} {k} {fault}"] = found
    assert wrong == {}
