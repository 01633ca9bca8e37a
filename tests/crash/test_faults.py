"""A sample of the faults at system calls; `python -m tests.crash.faults --all` tries every one."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import pytest

from tests.crash.faults import SCENES, Point, Scene, attempt, play, points, recover, stage
from tests.crash.loop import check

SAMPLE = 4  # points a scene
SEED = 20

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None and not os.environ.get("CHRONOS_TESTS_SKIP_NOTHING"),
    reason="strace is not installed: apt-get install strace",
)


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_a_fault_at_a_system_call_loses_nothing_that_was_acknowledged(tmp_path: Path, scene: Scene) -> None:
    found = points(scene, tmp_path / "stage")
    assert len(found) > SAMPLE
    chosen = random.Random(SEED).sample(found, SAMPLE)

    wrong = {str(point): words for point in chosen if (words := attempt(point, tmp_path / "stage"))}

    assert wrong == {}


@pytest.mark.parametrize(
    ("scene", "call", "k", "fault"),
    [
        ("first start", "fdatasync", 4, "EIO"),  # left DEGRADED behind, which nothing could mend
        ("restart", "pwrite64", 1, "ENOSPC"),  # -shm: a full disk was taken for a broken one
        ("take-over", "ftruncate", 1, "EIO"),  # the lock file's line: the engine did not start
    ],
)
def test_a_point_that_was_bad_once(tmp_path: Path, scene: str, call: str, k: int, fault: str) -> None:
    chosen = next(one for one in SCENES if one.name == scene)
    assert attempt(Point(chosen, call, k, fault), tmp_path / "stage") == []


def test_a_process_killed_while_it_replaces_a_file_leaves_no_temporary_for_ever(tmp_path: Path) -> None:
    """The configuration's cache is written by whoever finds none; its temporary file is swept by the next writer."""
    opening = Scene("config cache", (), ("open",))
    with stage(tmp_path / "stage") as site:
        time.sleep(2.1)  # a configuration changed less than 2 s ago is not cached

        assert play(Point(opening, "rename", 1, "SIGKILL"), site) == []
        left = [path.name for path in site.data.glob(".*.tmp")]
        assert len(left) == 1
        assert recover(site, mend=False) == []

        assert list(site.data.glob(".*.tmp")) == []
        assert (site.data / "config.cache.json").exists()
        assert check(site)[1] == []
