"""sd_notify against a real datagram socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from engine.host.systemd import notify, watchdog_interval_s


def test_the_state_reaches_the_service_managers_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)

        assert notify("READY=1\nSTATUS=fährt", {"NOTIFY_SOCKET": path})
        assert manager.recv(1000) == "READY=1\nSTATUS=fährt".encode()


def test_an_abstract_socket_is_found(tmp_path: Path) -> None:
    name = f"chronos-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)

        assert notify("WATCHDOG=1", {"NOTIFY_SOCKET": "@" + name})
        assert manager.recv(1000) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    "address", [None, "", "vsock:2:1234", "relative/path", "/nobody/listens/here", "/" + "x" * 200]
)
def test_without_a_service_manager_nothing_happens(address: str | None) -> None:
    assert not notify("READY=1", {} if address is None else {"NOTIFY_SOCKET": address})


def test_a_manager_that_does_not_read_cannot_block_the_engine(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        while notify("x" * 10_000, {"NOTIFY_SOCKET": path}):
            pass

        manager.recv(20_000)
        assert notify("READY=1", {"NOTIFY_SOCKET": path})


@pytest.mark.parametrize(
    ("env", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(env: dict[str, str], interval_s: float | None) -> None:
    assert watchdog_interval_s(env) == interval_s
