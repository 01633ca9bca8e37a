"""A box for each test: an empty home, a data directory with one target that needs no network."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interfaces.program import Box

CONFIG = """\
targets:
  box: {channel: maildir, path: mail}
  closed: {channel: webhook, url: "http://127.0.0.1:9/"}
routes:
  both: [closed, {after: 1h, to: box}]
"""


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(tmp_path)
    made.configure(CONFIG)
    return made
