"""The demo's sink, by real mail and real HTTP."""

from __future__ import annotations

import contextlib
import http.client
import queue
import smtplib
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.errors import NotPossible
from engine.host.sink import Sink

MAIL = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n.dot\r\nbye\r\n"


class Demo:
    """A running sink and what it told."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.told: queue.SimpleQueue[tuple[str, Mapping[str, Any]]] = queue.SimpleQueue()
        self.sink = Sink(directory, 0, 0, lambda kind, about: self.told.put((kind, about)))
        self.smtp_port, self.http_port = self.sink.start()

    def next(self) -> tuple[str, Mapping[str, Any]]:
        return self.told.get(timeout=30)

    def send(self, content: bytes = MAIL) -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=30) as client:
            client.sendmail("a@example.org", ["b@example.org", "c@example.org"], content)

    def post(self, path: str, body: bytes = b"{}", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            response.read()
            return response

    def files(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path / "sink")
    yield demo
    demo.sink.stop()


def test_a_mail_is_kept_byte_for_byte_and_told(demo: Demo) -> None:
    demo.send()

    kind, about = demo.next()
    assert kind == "mail"
    assert about["to"] == ("b@example.org", "c@example.org")
    assert about["from"] == "a@example.org"
    assert (demo.directory / about["file"]).read_bytes() == MAIL
    assert about["size_bytes"] == len(MAIL)


def test_a_webhook_is_kept_with_its_headers_and_told(demo: Demo) -> None:
    assert demo.post("/hook", b'{"a": "\xc3\xa4"}', webhook_id="msg_1").status == 200

    kind, about = demo.next()
    assert (kind, about["path"], about["webhook_id"], about["status"]) == ("webhook", "/hook", "msg_1", 200)
    head, _, body = (demo.directory / about["file"]).read_bytes().partition(b"\r\n\r\n")
    assert body == b'{"a": "\xc3\xa4"}'
    assert head.startswith(b"POST /hook HTTP/1.1\r\n")
    assert b"\r\nwebhook-id: msg_1" in head


def test_what_is_kept_is_private(demo: Demo) -> None:
    demo.send()
    demo.post("/hook")

    assert stat.S_IMODE(demo.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in demo.directory.iterdir()} == {0o600}


def test_the_flaky_path_takes_each_message_at_its_second_try(demo: Demo) -> None:
    first = demo.post("/flaky", webhook_id="msg_1")
    assert (first.status, first.headers["retry-after"]) == (503, "2")
    assert demo.post("/flaky", webhook_id="msg_2").status == 503
    assert demo.post("/flaky", webhook_id="msg_1").status == 200
    assert demo.post("/flaky", webhook_id="msg_2").status == 200

    assert [demo.next()[1]["status"] for _ in range(4)] == [503, 503, 200, 200]
    assert len(demo.files()) == 2


def test_the_refusing_path_refuses_for_good(demo: Demo) -> None:
    assert [demo.post("/refuse?x=1", webhook_id="msg_1").status for _ in range(2)] == [422, 422]
    assert demo.files() == []


def test_stopping_does_not_wait_for_a_slow_answer(demo: Demo) -> None:
    with socket.create_connection(("127.0.0.1", demo.http_port)) as client:
        client.sendall(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        demo.post("/hook")
        demo.sink.stop()
        demo.sink.stop()

        assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", demo.http_port))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", demo.smtp_port))


def test_stopping_hangs_up_on_who_is_in_the_middle_of_a_mail(demo: Demo) -> None:
    with socket.create_connection(("127.0.0.1", demo.smtp_port), timeout=30) as client:
        client.sendall(b"EHLO x\r\n")
        answers = client.makefile("rb")
        while not answers.readline().startswith(b"250 "):
            pass
        demo.sink.stop()

        assert answers.read() == b""
        answers.close()


def test_the_slow_path_accepts_in_the_end(demo: Demo) -> None:
    assert demo.post("/slow").status == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 10485761\r\n", b"413"),
        (b"Content-Length: -1\r\n", b"411"),
        (b"Transfer-Encoding: chunked\r\n", b"411"),
    ],
)
def test_bodies_are_bounded_before_they_are_read(demo: Demo, head: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", demo.http_port)) as client:
        client.sendall(b"POST /hook HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")

        assert client.recv(1_000).startswith(b"HTTP/1.1 " + status)
    assert demo.files() == []


def test_a_client_that_hangs_up_half_way_leaves_nothing_and_breaks_nothing(
    demo: Demo, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", demo.http_port)) as client:
        client.sendall(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhalf")
    with socket.create_connection(("127.0.0.1", demo.smtp_port)) as client:
        client.sendall(b"EHLO x\r\nMAIL FROM:<a@example.org>\r\n")

    demo.send()
    assert demo.next()[0] == "mail"
    assert len(demo.files()) == 1
    assert capfd.readouterr() == ("", "")


def test_only_the_newest_200_are_kept_also_over_a_restart(tmp_path: Path) -> None:
    directory = tmp_path / "sink"
    directory.mkdir(mode=0o700)
    for number in range(1, 204):
        (directory / f"{number:06}-mail.eml").write_bytes(b"old")
    (directory / "notes.txt").write_text("not ours")
    demo = Demo(directory)
    try:
        demo.send()
        demo.next()
    finally:
        demo.sink.stop()

    assert demo.files() == [*(f"{number:06}-mail.eml" for number in range(5, 205)), "notes.txt"]


def test_it_listens_on_loopback_alone(demo: Demo) -> None:
    for port in (demo.smtp_port, demo.http_port):
        with pytest.raises(ConnectionRefusedError):
            # All of 127.0.0.0/8 is this machine: a server on every address would answer here too.
            socket.create_connection(("127.0.0.2", port))


def test_a_port_that_is_taken_is_named_and_the_other_let_go(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        sink = Sink(tmp_path / "sink", 0, port, lambda _kind, _about: None)

        with pytest.raises(
            NotPossible, match=rf"127\.0\.0\.1:{port}: Address already in use; choose another demo\.http"
        ):
            sink.start()
        sink.stop()


def test_a_receiver_that_fails_ends_one_request_and_not_the_sink(tmp_path: Path) -> None:
    def fails_once(kind: str, about: Mapping[str, object]) -> None:
        told.append(kind)
        if len(told) < 3:
            raise ValueError(about["file"])

    told: list[str] = []
    demo = Demo(tmp_path / "sink")
    demo.sink.stop()
    demo.sink = Sink(tmp_path / "sink", 0, 0, fails_once)
    demo.smtp_port, demo.http_port = demo.sink.start()
    try:
        with pytest.raises(http.client.RemoteDisconnected):
            demo.post("/hook")
        with pytest.raises(smtplib.SMTPDataError):
            demo.send()
        demo.send()
    finally:
        demo.sink.stop()

    assert told == ["webhook", "mail", "mail"]


WITHOUT_AIOSMTPD = """
import sys
sys.modules["aiosmtpd"] = None
from pathlib import Path
from engine.errors import ConfigError
from engine.host.sink import Sink
try:
    Sink(Path(sys.argv[1]), 0, 0, print).start()
except ConfigError as error:
    print(error)
"""


def test_without_aiosmtpd_it_says_what_to_install(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_AIOSMTPD, str(tmp_path / "sink")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert said == "demo.sink: it needs aiosmtpd; run: pip install 'chronos-tui[demo]', or set demo.sink to false\n"
    assert not (tmp_path / "sink").exists()
