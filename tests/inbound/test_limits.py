"""What one client may take its time with, and how many there may be. The numbers are small here, never measured."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic

from engine.inbound.http.limits import Budget, Limits
from tests.inbound.serving import Client, Serving, serving
from tests.support import PATIENCE_S

HOST = "Host: localhost"
SOON_S = 0.2


@contextmanager
def dripping(client: Client, data: bytes) -> Iterator[None]:
    """Send `data` again and again, a little at a time, until the block ends or the server has had enough."""
    over = threading.Event()

    def drip() -> None:
        try:
            while not over.wait(SOON_S / 10):
                client.raw(data)
        except OSError:
            return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE_S)


# Time


def test_headers_that_drip_in_are_cut_off() -> None:
    with serving(Limits(request_s=SOON_S)) as running, running.connect() as client:
        client.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nA: ")
        with dripping(client, b"b"):
            assert client.answer().is_problem(408)
        assert running.get().status == 200


def test_a_body_that_drips_in_is_cut_off() -> None:
    with serving(Limits(request_s=SOON_S)) as running, running.connect() as client:
        client.send("POST / HTTP/1.1", HOST, "Content-Length: 1000000")
        with dripping(client, b"b"):
            assert client.answer().is_problem(408)
        assert running.server.budget.taken == 0


def test_empty_lines_do_not_keep_a_connection() -> None:
    short = Limits(request_s=SOON_S, idle_s=SOON_S)
    with serving(short) as running, running.connect() as client, dripping(client, b"\r\n"):
        client.rest()


def test_a_connection_that_says_nothing_is_closed() -> None:
    with serving(Limits(request_s=SOON_S)) as running, running.connect() as client:
        assert client.rest() == b""


def test_a_connection_that_has_nothing_more_to_say_is_closed() -> None:
    with serving(Limits(idle_s=SOON_S)) as running, running.connect() as client:
        assert client.get().status == 200
        assert client.rest() == b""


def test_an_answer_that_nobody_reads_is_dropped() -> None:
    with serving(Limits(send_s=SOON_S)) as running, running.connect() as client:
        client.send("GET /big HTTP/1.1", HOST)
        assert client.sock.recv(1) == b"H"
        while running.server.active_channels:  # it leaves by itself; the client reads nothing
            threading.Event().wait(SOON_S / 10)
        assert len(client.rest()) < 12 * 1024 * 1024


def test_a_refused_client_that_goes_on_sending_is_cut_off() -> None:
    with serving(Limits(linger_s=SOON_S)) as running, running.connect() as client:
        client.send("POST / HTTP/1.1", HOST, "Content-Length: 99999999")
        with dripping(client, b"b"):
            assert client.answer().is_problem(413)
            assert client.rest() == b""
            while running.server.active_channels:
                threading.Event().wait(SOON_S / 10)


def test_an_answer_that_takes_its_time_is_waited_for() -> None:
    short = Limits(request_s=SOON_S, idle_s=SOON_S, send_s=SOON_S)
    with serving(short) as running, running.connect() as client, running.connect() as other:
        client.send("GET /held HTTP/1.1", HOST)
        assert running.app.entered.acquire(timeout=PATIENCE_S)
        assert other.rest() == b""  # every deadline has passed by then
        running.app.gate.set()
        assert client.answer().body == b"at last"


# Number


def test_slow_clients_do_not_keep_a_healthy_one_out() -> None:
    with serving(Limits(connections=8)) as running, ExitStack() as stack:
        for _ in range(64):
            stack.enter_context(running.connect()).raw(b"GET / HTTP/1.1\r\nHost: x\r\nA: ")
        for _ in range(20):
            assert running.get().status == 200
        assert len(running.server.active_channels) <= 8


def test_clients_that_take_no_answer_keep_nobody_out_for_long() -> None:
    limits = Limits(connections=3, send_s=10 * PATIENCE_S, stalled_s=SOON_S)
    with serving(limits) as running, ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(running.connect()).send("GET /big HTTP/1.1", HOST)
            assert client.sock.recv(1) == b"H"
        give_up_s = monotonic() + PATIENCE_S
        while not _is_served(running):
            assert monotonic() < give_up_s


def _is_served(running: Serving) -> bool:
    try:
        return running.get().status == 200
    except (ConnectionError, EOFError):  # turned away before it had said what it wanted
        return False


def test_when_everybody_is_being_answered_the_next_is_told_to_come_again() -> None:
    with serving(Limits(connections=3, threads=3)) as running, ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(running.connect()).send("GET /held HTTP/1.1", HOST)
            assert running.app.entered.acquire(timeout=PATIENCE_S)
        with running.connect() as late:
            answer = late.answer()
        assert answer.is_problem(503)
        assert answer.headers["retry-after"] == "5"


def test_no_more_are_answered_at_once_than_there_are_workers_and_a_worker_begins_when_needed() -> None:
    with serving(Limits(threads=2)) as running, ExitStack() as stack:
        workers = running.server.task_dispatcher
        assert len(workers.threads) == 0
        clients = [stack.enter_context(running.connect()).send("GET /held HTTP/1.1", HOST) for _ in range(5)]
        for _ in range(2):
            assert running.app.entered.acquire(timeout=PATIENCE_S)
        while len(workers.queue) < 3:
            threading.Event().wait(0.01)
        assert len(workers.threads) == 2
        assert not running.app.entered.acquire(blocking=False)
        running.app.gate.set()
        assert [client.answer().body for client in clients] == [b"at last"] * 5


def test_big_bodies_share_a_budget_that_small_ones_do_not_need() -> None:
    limits = Limits(max_body_bytes=1_000_000, small_bytes=1_000, body_budget_bytes=1_000_000)
    with serving(limits) as running, running.connect() as first, running.connect() as second:
        first.send("POST / HTTP/1.1", HOST, "Content-Length: 1000000", body=bytes(900_000))
        while running.server.budget.taken < 899_000:
            threading.Event().wait(0.01)
        second.send("POST / HTTP/1.1", HOST, "Content-Length: 500000", body=bytes(500_000))
        assert second.answer().is_problem(503)
        with running.connect() as small:
            small.send("POST / HTTP/1.1", HOST, "Content-Length: 1000", body=bytes(1_000))
            assert small.answer().status == 200
        assert first.raw(bytes(100_000)).answer().status == 200
        while running.server.budget.taken:  # given back once the worker is done with it
            threading.Event().wait(0.01)


def test_a_body_of_the_biggest_size_fits_whatever_the_budget() -> None:
    assert Limits(max_body_bytes=10**9, body_budget_bytes=1).budget_bytes == 10**9


def test_a_budget_gives_what_it_has() -> None:
    budget = Budget(10)
    assert [budget.take(6), budget.take(5), budget.take(4)] == [True, False, True]
    budget.give_back(10)
    assert budget.take(10)


def test_a_client_that_leaves_gives_its_share_back() -> None:
    limits = Limits(max_body_bytes=1_000_000, small_bytes=1_000)
    with serving(limits) as running:
        with running.connect() as client:
            client.send("POST / HTTP/1.1", HOST, "Content-Length: 1000000", body=bytes(500_000))
            while running.server.budget.taken < 499_000:
                threading.Event().wait(0.01)
        while running.server.active_channels:
            threading.Event().wait(0.01)
        assert running.server.budget.taken == 0


def test_the_line_before_a_chunk_has_an_end() -> None:
    """It is copied with each packet: megabytes of it, a byte at a time, would keep the loop busy for everybody."""
    with serving() as running, running.connect() as client:
        client.send("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked", body=b"1;" + b"a" * 2_000)
        assert client.answer().is_problem(400)
    with serving() as running, running.connect() as client:
        client.send("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked", body=b"0\r\n" + b"A: b\r\n" * 1_000)
        assert client.answer().is_problem(400)


def test_refusals_by_the_thousand_are_a_line_a_second() -> None:
    with serving() as running:
        for _ in range(50):
            with running.connect() as client:
                client.send("nonsense")
                assert client.answer().status == 400
        lines = [one for one in running.log.events if one["event"] == "http_refused"]
    assert 1 <= len(lines) < 25


def test_a_client_that_resets_while_it_is_refused_leaves_nothing_behind() -> None:
    with serving() as running:
        for _ in range(20):
            with running.connect() as client:  # closing sends a reset
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.send("nonsense")
        while running.server.active_channels:
            threading.Event().wait(0.01)
        assert running.get().status == 200
