"""Boxes for a visit: an empty one, one full of hostile strings, one with very many messages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.interfaces.program import Box
from tests.tui.program import hostile, seeds

MANY = 1_000_000 if os.environ.get("CHRONOS_TESTS_MILLION") else 200_000
"""How many messages `many` holds. A million take 12 s and half a gigabyte: for the patient, and for `make bench`."""


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """A box whose engine has made an empty database."""
    return seeds.empty(Box(tmp_path))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all processes of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture
def hostile_box(shared: Path, tmp_path: Path) -> Box:
    """A copy of a box with hostile strings in every field."""
    return seeds.copied(seeds.once(shared, "hostile", hostile.fill), tmp_path / "hostile")


@pytest.fixture
def thousand(shared: Path, tmp_path: Path) -> Box:
    """A copy of a box with a thousand messages in all states but "sending"."""

    def make(box: Box) -> None:
        seeds.fill(seeds.empty(box).data_dir / "chronos.db", 1_000)

    return seeds.copied(seeds.once(shared, "thousand", make), tmp_path / "thousand")


@pytest.fixture
def many(tmp_path: Path) -> Box:
    """A box with MANY messages."""
    box = seeds.empty(Box(tmp_path))
    seeds.fill(box.data_dir / "chronos.db", MANY)
    return box
