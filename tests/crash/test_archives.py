"""Backups and restores killed at random and failed at system calls: a sample of what docs/crash-testing.md describes.

CHRONOS_ARCHIVE_KILLS: how many kills of each act. CHRONOS_ARCHIVE_POINTS: how many system calls of each act.
"""

from __future__ import annotations

import os
import shutil

import pytest

from tests.crash.archive_faults import attempt, points, sample
from tests.crash.archives import ACTS, Ground, campaign, prepare
from tests.support import SKIP_NOTHING

KILLS = int(os.environ.get("CHRONOS_ARCHIVE_KILLS", "6"))
SAMPLE = int(os.environ.get("CHRONOS_ARCHIVE_POINTS", "6"))
SEED = 5


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return prepare(tmp_path_factory.mktemp("archives"))


@pytest.mark.parametrize("act", ACTS)
def test_what_is_killed_leaves_the_old_database_or_the_new_one_and_nothing_half_made(ground: Ground, act: str) -> None:
    _stood, wrong = campaign(ground, KILLS, SEED, (act,))

    assert wrong == []


@pytest.mark.skipif(
    shutil.which("strace") is None and not SKIP_NOTHING, reason="strace is not installed: apt-get install strace"
)
@pytest.mark.parametrize("act", ACTS)
def test_a_fault_at_a_system_call_leaves_the_old_database_or_the_new_one(ground: Ground, act: str) -> None:
    found = points(ground, act)
    assert {"pwrite64", "fdatasync", "rename", "write"} <= {point.call for point in found}

    wrong = {str(point): words for point in sample(found, SAMPLE, SEED) if (words := attempt(point, ground))}

    assert wrong == {}
