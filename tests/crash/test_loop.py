"""The crash loop itself, small enough for every run of the tests. `make crash` is the big one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.diskroom import NoPrivateDiskError, unshare_words
from tests.crash.loop import Plan, run
from tests.crash.report import table
from tests.crash.site import REPOSITORY


def test_a_killed_owner_loses_no_message_and_sends_nothing_twice_unmarked(tmp_path: Path) -> None:
    plan = Plan(kills=6, messages=400, seed=3, life_s=0.8, slow_s=0.6, settle_s=60, breaker=False)

    result = run(plan, tmp_path)

    assert result.violations == [], table(result)
    assert result.kills == 6
    assert len({uid for uid, _ in result.evidence.acks}) == 420
    outcomes = [attempt["outcome"] for all_ in result.evidence.attempts.values() for attempt in all_]
    assert "abandoned" in outcomes, "no kill met a message on the wire: the run shows nothing"


def test_a_full_disk_refuses_and_loses_nothing() -> None:
    try:
        unshare_words()
    except NoPrivateDiskError as error:
        pytest.skip(str(error))
    words = [
        sys.executable,
        "-m",
        "tests.crash.loop",
        "--kills",
        "2",
        "--messages",
        "200",
        "--seed",
        "4",
        "--fill-disk",
    ]

    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=110)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^lost +0$", done.stdout, re.MULTILINE)


def test_without_the_right_to_mount_the_full_disk_says_what_to_do(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.crash.loop", "--fill-disk"]
    environment = {"PATH": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}

    done = subprocess.run(words, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr.startswith("a full disk needs a small file system: run as root")
