"""A box that is watched from outside for as long as a test runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canaries.rig import Evidence
from tests.canaries.watching import Watch
from tests.interfaces.program import Box


@pytest.fixture
def evidence(tmp_path: Path) -> Iterator[Evidence]:
    """A box with one target that needs no network; everything about it is kept."""
    box = Box(tmp_path)
    box.configure("targets: {box: {channel: maildir, path: mail}}\n")
    with Watch() as watch:
        yield Evidence(box, watch)
