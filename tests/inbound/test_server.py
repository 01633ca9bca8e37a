"""The server: what it answers, what it refuses, and how it ends. TLS and time are tested beside it."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from engine.host.listening import Place
from engine.inbound.http.limits import Limits
from tests.inbound.serving import Client, serving
from tests.support import PATIENCE_S

HOST = "Host: localhost"


def test_an_answer_says_nothing_of_the_server() -> None:
    with serving() as running:
        answer = running.get()
    assert answer.status == 200
    assert "server" not in answer.headers
    assert "waitress" not in str(answer)


def test_the_application_is_told_who_asks_and_under_which_id() -> None:
    with serving() as running, running.connect() as client:
        first, second = client.get().json, client.get().json
    assert (first["chronos.remote"], first["chronos.loopback"]) == ("127.0.0.1", "True")
    assert first["chronos.request"].startswith("req_")
    assert first["chronos.request"] != second["chronos.request"]


def test_a_client_of_the_unix_socket_is_called_unix(tmp_path: Path) -> None:
    with serving(place=Place(path=str(tmp_path / "s"))), socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(tmp_path / "s"))
        found = Client(sock).get().json
    assert (found["chronos.remote"], found["chronos.loopback"]) == ("unix", "True")


def test_only_a_trusted_proxy_says_for_whom_it_asks() -> None:
    claim = "X-Forwarded-For: 203.0.113.7"
    with serving() as running:
        assert running.get("/", claim).json["chronos.remote"] == "127.0.0.1"
        assert running.get("/", claim).json["chronos.loopback"] == "False"  # there is a proxy, whoever it is
        assert "HTTP_X_FORWARDED_FOR" not in running.get("/", claim).json
    with serving(trusted=("127.0.0.0/8",)) as running:
        assert running.get("/", claim).json["chronos.remote"] == "203.0.113.7"


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("GET / HTTP/1.1",), 400),  # no Host
        (("GET / HTTP/1.1", HOST, HOST), 400),
        (("GET /", HOST), 505),
        (("GET / HTTP/2.0", HOST), 505),
        (("get / HTTP/1.1", HOST), 400),
        (("nonsense",), 400),
        (("GET http://[ HTTP/1.1", HOST), 400),
        (("GET / HTTP/1.1", HOST, "no colon"), 400),
        (("GET / HTTP/1.1", HOST, "A: b\rc"), 400),
        (("GET / HTTP/1.1", HOST, "Name : x"), 400),
        (("POST / HTTP/1.1", HOST, "Content-Length: -1"), 400),
        (("POST / HTTP/1.1", HOST, "Content-Length: " + "9" * 5000), 400),
        (("POST / HTTP/1.1", HOST, "Content-Length: 3", "Content-Length: 4"), 400),
        (("POST / HTTP/1.1", HOST, "Content-Length: 3", "Transfer-Encoding: chunked"), 400),
        (("POST / HTTP/1.1", HOST, "Transfer-Encoding: gzip"), 501),
        (("POST / HTTP/1.1", HOST, f"Content-Length: {10 * 1024 * 1024 + 1}"), 413),
        (("GET /" + "a" * 9000 + " HTTP/1.1", HOST), 414),
        (("GET /?" + "a" * 9000 + " HTTP/1.1", HOST), 414),
        (("GET / HTTP/1.1", HOST, "A: " + "b" * 20_000), 431),
        (("GET / HTTP/1.1", HOST, *(f"A{n}: b" for n in range(101))), 431),
    ],
)
def test_what_is_no_request_of_ours_is_refused_with_a_problem(lines: tuple[str, ...], status: int) -> None:
    with serving(Limits(header_bytes=16_384, target_bytes=8_192)) as running:
        with running.connect() as client:
            answer = client.send(*lines).answer()
            assert answer.is_problem(status), answer
            assert answer.headers["connection"] == "close"
            assert client.rest() == b""
        assert running.get().status == 200


def test_a_refusal_repeats_nothing_of_what_was_sent() -> None:
    with serving() as running, running.connect() as client:
        assert b"chr_secret" not in client.send("GET / HTTP/1.1", HOST, "Authorization chr_secret").answer().body
        assert "chr_secret" not in str(running.log.events)


def test_a_body_of_exactly_the_biggest_size_is_taken_and_one_byte_more_is_not() -> None:
    limits = Limits(max_body_bytes=100_000)
    for size, status in ((100_000, 200), (100_001, 413)):
        with serving(limits) as running, running.connect() as client:
            client.send("POST / HTTP/1.1", HOST, f"Content-Length: {size}", body=bytes(size))
            assert client.answer().status == status
        with serving(limits) as running, running.connect() as client:
            chunk = b"%x\r\n" % size + bytes(size) + b"\r\n0\r\n\r\n"
            client.send("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked", body=chunk)
            assert client.answer().status == status


def test_a_body_that_is_too_large_is_refused_before_it_is_sent() -> None:
    with serving() as running, running.connect() as client:
        client.send("POST / HTTP/1.1", HOST, "Content-Length: 99999999", "Expect: 100-continue")
        assert client.answer().is_problem(413)


def test_whoever_sends_all_of_a_refused_body_still_reads_why() -> None:
    """A server that closes with something unread resets the connection, and the answer is lost with it."""
    with serving(Limits(linger_s=PATIENCE_S)) as running, running.connect() as client:
        client.send("POST / HTTP/1.1", HOST, "Content-Length: 20000000", body=bytes(20_000_000))
        assert client.answer().is_problem(413)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.rest() == b""


def test_the_sender_of_an_allowed_body_is_told_to_go_on() -> None:
    with serving() as running, running.connect() as client:
        client.send("POST / HTTP/1.1", HOST, "Content-Length: 5", "Expect: 100-continue")
        assert client.answer().status == 100
        assert client.raw(b"hello").answer().body == b"hello"


def test_several_requests_on_one_connection_are_answered_in_order() -> None:
    with serving() as running, running.connect() as client:
        for text in (b"one", b"two", b"three"):
            client.send("POST / HTTP/1.1", HOST, f"Content-Length: {len(text)}", body=text)
        assert [client.answer().body for _ in range(3)] == [b"one", b"two", b"three"]


def test_a_connection_ends_after_so_many_requests() -> None:
    with serving(Limits(requests=3)) as running, running.connect() as client:
        assert [client.get().headers.get("connection") for _ in range(3)] == [None, None, "close"]
        assert client.rest() == b""


def test_head_and_options_are_sane() -> None:
    with serving() as running, running.connect() as client:
        answer = client.send("HEAD / HTTP/1.1", HOST).answer(head=True)
        assert answer.status == 405  # this application has no HEAD
        assert client.send("OPTIONS / HTTP/1.1", HOST).answer().headers["allow"] == "GET, POST"
        assert client.send("OPTIONS * HTTP/1.1", HOST).answer().status in {200, 404}


def test_old_clients_are_served() -> None:
    with serving() as running, running.connect() as client:
        assert client.send("GET / HTTP/1.0").answer().headers["connection"] == "close"
        assert client.rest() == b""


def test_urgent_data_does_no_harm() -> None:
    with serving() as running, running.connect() as client:
        client.sock.send(b"!", socket.MSG_OOB)
        assert running.get().status == 200


# Its end


def test_who_is_being_answered_at_the_end_gets_the_answer_and_nobody_else_comes_in() -> None:
    with serving() as running, running.connect() as idle, running.connect() as busy:
        assert idle.get().status == 200
        busy.send("GET /held HTTP/1.1", HOST)
        assert running.app.entered.acquire(timeout=PATIENCE_S)
        running.server.finish(PATIENCE_S)
        assert idle.rest() == b""  # closed at once; and from then on:
        with pytest.raises(ConnectionRefusedError):
            running.connect()
        running.app.gate.set()
        answer = busy.answer()
        assert (answer.body, answer.headers["connection"]) == (b"at last", "close")


def test_a_request_that_never_ends_does_not_keep_the_server() -> None:
    with serving() as running, running.connect() as client:
        client.send("GET /held HTTP/1.1", HOST)
        assert running.app.entered.acquire(timeout=PATIENCE_S)
        running.server.finish(0)
        assert client.rest() == b""


def test_half_a_request_does_not_keep_the_server_for_long() -> None:
    with serving(finish=lambda server: server.finish(PATIENCE_S * 2)) as running, running.connect() as client:
        assert client.get().status == 200
        client.raw(b"POST / HTTP/1.1\r\n")
        running.server.finish(PATIENCE_S * 2)
        assert client.rest() == b""


def test_a_worker_that_is_late_writes_into_no_file_of_others() -> None:
    """waitress wakes its loop by writing into a pipe; once that is closed its number is the next file's."""
    with serving() as running:
        assert running.get().status == 200
        server, pipe = running.server, running.server.trigger.trigger
    read, write = os.pipe()
    try:
        os.dup2(write, pipe)
        server.pull_trigger()
        os.set_blocking(read, False)
        with pytest.raises(BlockingIOError):
            os.read(read, 1)
    finally:
        for number in {read, write, pipe}:
            os.close(number)


def test_many_clients_at_once_each_get_their_own_answer() -> None:
    wrong: list[bytes] = []

    def ask(number: int) -> None:
        with running.connect() as client:
            for turn in range(20):
                text = b"%d-%d" % (number, turn) * 2000
                client.send("POST / HTTP/1.1", HOST, f"Content-Length: {len(text)}", body=text)
                body = client.answer().body
                if body != text:
                    wrong.append(body)

    with serving() as running:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert wrong == []
