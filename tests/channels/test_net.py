"""Timed sockets and checked addresses. In tests/channels because the servers and certificates are here."""

from __future__ import annotations

import errno
import gc
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from engine.errors import DeliveryError, Sent
from engine.host import net
from tests.channels.certs import Authority
from tests.servers import Scripted


def pair() -> tuple[net.TimedSocket, socket.socket, net.Budget]:
    """A timed socket connected to an ordinary one."""
    budget = net.Budget(5_000)
    with socket.create_server(("127.0.0.1", 0)) as server:
        timed = net.connect_to("test", 0, [(socket.AF_INET, server.getsockname())], budget)
        other, _ = server.accept()
    return timed, other, budget


def read_to_the_end(sock: socket.socket) -> None:
    while sock.recv(10):
        pass


def fill(sock: socket.socket, buffer: bytearray) -> None:
    while sock.recv_into(buffer):
        pass


def test_a_budget_that_is_spent_says_so() -> None:
    budget = net.Budget(0)

    assert budget.spent
    with pytest.raises(TimeoutError):
        budget.remaining_s()


def test_a_budget_can_only_be_shortened() -> None:
    budget = net.Budget(1_000)
    budget.shorten(60_000)
    assert budget.remaining_s() <= 1
    budget.shorten(0)
    assert budget.spent


def test_every_call_ends_with_the_budget_and_not_with_itself() -> None:
    timed, other, budget = pair()
    ended = threading.Event()

    def drip() -> None:
        while not ended.wait(0.05):
            other.send(b"x")

    with timed, other:
        thread = threading.Thread(target=drip)
        thread.start()
        budget.start(400)
        start_s = time.monotonic()
        with pytest.raises(TimeoutError):
            read_to_the_end(timed)
        took_s = time.monotonic() - start_s
        ended.set()
        thread.join()

    assert took_s < 1.9


def test_a_socket_takes_no_more_than_its_budget_allows() -> None:
    timed, other, budget = pair()
    with timed, other:
        budget.start(5_000, max_received_bytes=10)
        other.send(b"0123456789a")
        buffer = bytearray(100)
        with pytest.raises(OSError, match="far more") as caught:
            fill(timed, buffer)

    assert caught.value.errno == errno.EMSGSIZE


def test_the_budget_follows_into_tls(authority: Authority) -> None:
    server_side, ended = authority.server("localhost"), threading.Event()

    def silent(connection: socket.socket) -> None:
        with server_side.wrap_socket(connection, server_side=True):
            ended.wait(20)

    with Scripted(silent) as server:
        budget = net.Budget(5_000)
        sock = net.connect("127.0.0.1", server.port, budget, trusted=True, allow_private=False)
        with net.tls_context(str(authority.file)).wrap_socket(sock, server_hostname="localhost") as secure:
            start_s = time.monotonic()
            budget.start(300)
            with pytest.raises(TimeoutError):
                secure.recv(1)
            budget.start(300)
            with pytest.raises(TimeoutError):
                secure.sendall(b"x" * 50_000_000)
            budget.start(0)
            with pytest.raises(TimeoutError):
                secure.recv_into(bytearray(1))
            assert time.monotonic() - start_s < 3  # the handshake's own time-out was 5 s
        ended.set()


def test_a_server_that_fills_no_accept_queue_times_out_within_the_budget() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for queued in waiting:
            queued.setblocking(False)
            queued.connect_ex(address)
        start_s = time.monotonic()
        with pytest.raises(DeliveryError) as caught:
            net.connect("127.0.0.1", address[1], net.Budget(500), trusted=True, allow_private=False)
        took_s = time.monotonic() - start_s
        for queued in waiting:
            queued.close()

    assert (caught.value.sent, caught.value.code) == (Sent.NO, "ETIMEDOUT")
    assert took_s < 2


def test_the_second_address_is_tried_when_the_first_is_dead() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as dead:
        closed = dead.getsockname()
        dead.close()
        addresses = [(int(socket.AF_INET), closed), (int(socket.AF_INET), server.getsockname())]
        with net.connect_to("two", 1, addresses, net.Budget(5_000)) as sock:
            assert sock.getpeername() == server.getsockname()
    gc.collect()  # a socket left open would warn here


@pytest.mark.parametrize(
    "host", ["127.1", "0", "2130706433", "0x7f.1", "localhost", "::1", "::ffff:127.0.0.1", "0.0.0.0"]
)
def test_every_spelling_of_this_machine_is_seen_for_what_it_is(host: str) -> None:
    with pytest.raises(DeliveryError) as caught:
        net.permitted(host, 80, net.Budget(5_000), trusted=False, allow_private=False)

    assert (caught.value.sent, caught.value.code) == (Sent.REJECTED, "ADDRESS")


@pytest.mark.parametrize("host", ["169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "64:ff9b::a9fe:a9fe"])
def test_some_addresses_are_refused_to_everybody(host: str) -> None:
    with pytest.raises(DeliveryError) as caught:
        net.connect(host, 80, net.Budget(5_000), trusted=True, allow_private=True)

    assert (caught.value.sent, caught.value.code) == (Sent.MISCONFIGURED, "ADDRESS")


@pytest.mark.parametrize("host", ["", "a..b", "x" * 300, "no-such-host.invalid", "ü" * 70])
def test_a_name_that_cannot_be_looked_up_is_no_defect(host: str) -> None:
    with pytest.raises(DeliveryError) as caught:
        net.permitted(host, 80, net.Budget(5_000), trusted=False, allow_private=False)

    assert caught.value.code in {"DNS", "ADDRESS"}


def test_a_quiet_connection_is_told_from_one_that_ended_or_spoke() -> None:
    timed, other, _ = pair()
    with timed:
        assert net.is_quiet(timed)
        other.close()
        timed.settimeout(5)
        assert timed.recv(1) == b""
        assert not net.is_quiet(timed)
    assert not net.is_quiet(timed)


def test_loopback_is_recognised() -> None:
    timed, other, _ = pair()
    with timed, other:
        assert net.is_loopback(timed)


def test_a_context_always_verifies(authority: Authority, tmp_path: Path) -> None:
    for context in (net.tls_context(), net.tls_context(str(authority.file))):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    (tmp_path / "empty.pem").write_text("")
    for bad in (tmp_path / "empty.pem", tmp_path / "missing.pem"):
        with pytest.raises(OSError, match=r".*"):
            net.tls_context(str(bad))
