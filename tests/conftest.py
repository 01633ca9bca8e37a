"""Fixtures that tests of several floors use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.store.database import Database
from tests import support


@pytest.fixture
def clock() -> support.FakeClock:
    """Time that moves when the test says so."""
    return support.FakeClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A migrated database whose owner this process is."""
    opened = support.open_database(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def box(tmp_path: Path, clock: support.FakeClock) -> Iterator[support.Box]:
    """An opened outbox without threads."""
    with support.opened_box(tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture
def desk(tmp_path: Path, clock: support.FakeClock) -> Iterator[support.Desk]:
    """An outbox with a running dispatcher and a scripted channel."""
    with support.opened_desk(tmp_path, clock=clock) as opened:
        yield opened
