"""One good run, shared by the tests that spoil copies of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.loop import Plan, Result, run


@pytest.fixture(scope="session", autouse=True)
def _private_files() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A small run that nothing is wrong with."""
    plan = Plan(kills=2, messages=60, seed=7, life_s=0.5, slow_s=0.4, breaker=False, program="child")
    return run(plan, tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="session")
def good_root(good: Result) -> Path:
    return good.evidence.data.parents[1]
