"""Fixtures of the channels' tests."""

from __future__ import annotations

import ssl

import pytest

from tests.channels.certs import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of this test run alone."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def server_tls(authority: Authority) -> ssl.SSLContext:
    """A server's context for the name localhost."""
    return authority.server("localhost")
