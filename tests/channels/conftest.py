"""Fixtures of the channels' tests."""

from __future__ import annotations

import pytest

from tests.channels.certs import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of this test run alone."""
    return Authority(tmp_path_factory.mktemp("authority"))
