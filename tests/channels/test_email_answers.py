"""E-mail: every answer of a server told apart, every ending classified, connections used again."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.channels.email import EmailChannel
from engine.channels.smtp_pool import Pool
from engine.channels.smtp_wire import Server
from engine.errors import Sent
from engine.host.net import Budget
from tests.channels import rig as r
from tests.channels.certs import Authority
from tests.channels.conformance import SILENT_MS, SLACK_MS
from tests.channels.mail_rig import LOGIN, hold, login, open_mail
from tests.servers import Scripted, SmtpSink, smtp_script


@pytest.fixture
def sink() -> Iterator[SmtpSink]:
    with SmtpSink() as server:
        yield server


def in_time(channel: EmailChannel, **more: Any) -> Any:
    """Deliver with a short deadline; return the error, having checked that it came in time."""
    start_s = time.monotonic()
    error = r.failure(channel, r.delivery(timeout_ms=SILENT_MS, **more))
    assert (time.monotonic() - start_s) * 1000 < SILENT_MS + SLACK_MS
    channel.close()
    return error


# --- answers -----------------------------------------------------------------------------------------------------

EHLO = b"250 sink\r\n"


@pytest.mark.parametrize(
    ("answers", "sent", "code"),
    [
        ((EHLO, b"450 4.7.1 greylisted\r\n"), Sent.THROTTLED, "450 4.7.1"),
        ((EHLO, b"451 try later\r\n"), Sent.THROTTLED, "451"),
        ((EHLO, b"421 4.3.2 busy\r\n"), Sent.THROTTLED, "421 4.3.2"),
        ((EHLO, b"455 odd\r\n"), Sent.NO, "455"),
        ((EHLO, b"530 5.7.0 log in first\r\n"), Sent.MISCONFIGURED, "530 5.7.0"),
        ((EHLO, b"550 5.7.1 sender refused\r\n"), Sent.REJECTED, "550 5.7.1"),
        ((EHLO, b"552 5.3.4 too big\r\n"), Sent.REJECTED, "552 5.3.4"),
        ((EHLO, b"250 ok\r\n", b"250 ok\r\n", b"554 5.6.0 no\r\n"), Sent.REJECTED, "554 5.6.0"),
        ((EHLO, b"250 ok\r\n", b"250 ok\r\n", b"452 4.2.2 full\r\n"), Sent.THROTTLED, "452 4.2.2"),
        ((EHLO, b"250 ok\r\n", b"421 4.3.2 going down\r\n"), Sent.THROTTLED, "421 4.3.2"),
        ((EHLO, b"what?\r\n"), Sent.NO, "DISCONNECTED"),
    ],
)
def test_every_refusal_before_the_body_is_told_apart(answers: tuple[bytes, ...], sent: Sent, code: str) -> None:
    with Scripted(smtp_script(*answers)) as server:
        channel = open_mail(server.port)
        error = r.failure(channel, r.delivery())
        channel.close()

    assert (error.sent, error.code) == (sent, code)


@pytest.mark.parametrize(
    ("greeting", "sent", "code"),
    [
        (b"421 4.3.2 too many connections\r\n", Sent.THROTTLED, "421 4.3.2"),
        (b"554 5.7.1 blocked\r\n", Sent.MISCONFIGURED, "554 5.7.1"),
        (b"SSH-2.0-OpenSSH_9\r\n", Sent.NO, "-1"),
    ],
)
def test_a_greeting_that_is_none(greeting: bytes, sent: Sent, code: str) -> None:
    with Scripted(smtp_script(greeting=greeting)) as server:
        error = r.failure(open_mail(server.port), r.delivery())

    assert (error.sent, error.code) == (sent, code)


@pytest.mark.parametrize(("number", "sent"), [("451", Sent.THROTTLED), ("454", Sent.NO), ("550", Sent.REJECTED)])
def test_a_refusal_at_the_final_dot(sink: SmtpSink, number: str, sent: Sent) -> None:
    channel = open_mail(sink.port, to=[f"data-{number}-x@example.org"])
    error = r.failure(channel, r.delivery())
    channel.close()

    assert (error.sent, error.code) == (sent, f"{number} 4.3.0")
    assert "words about the message" in error.detail


def test_a_message_too_big_is_refused_before_it_is_sent() -> None:
    with SmtpSink(size_limit=1_000) as sink:
        channel = open_mail(sink.port)
        error = r.failure(channel, r.delivery(text="long\n" * 1_000))
        channel.close()

    assert (error.sent, error.code[:3]) == (Sent.REJECTED, "552")
    assert "a message from ops@example.org" in error.detail  # at MAIL, not behind the body
    assert not sink.mails


# --- recipients --------------------------------------------------------------------------------------------------


def test_copies_go_to_everybody_and_the_blind_ones_stay_unseen(sink: SmtpSink) -> None:
    channel = open_mail(sink.port, cc=["c@example.org"], bcc=["hidden@example.org", "a@example.org"])
    receipt = channel.deliver(r.delivery())
    channel.close()

    assert receipt.accepted == ("a@example.org", "c@example.org", "hidden@example.org")
    assert sink.mails[0].recipients == list(receipt.accepted)
    assert b"hidden" not in sink.mails[0].content
    assert b"Cc: c@example.org\r\n" in sink.mails[0].content


def test_a_recipient_refused_for_good_is_recorded_and_the_rest_gets_it(sink: SmtpSink) -> None:
    channel = open_mail(sink.port, to=["a@example.org", "550-gone@example.org"])
    receipt = channel.deliver(r.delivery())
    channel.close()

    assert receipt.accepted == ("a@example.org",)
    assert receipt.refused == (("550-gone@example.org", "5.2.1 words about 550-gone@example.org"),)


def test_a_recipient_refused_for_now_gets_it_later_and_the_rest_only_once(sink: SmtpSink) -> None:
    to = ["a@example.org", "450-full@example.org", "550-gone@example.org"]
    channel = open_mail(sink.port, to=to)
    error = r.failure(channel, r.delivery())

    assert (error.sent, error.code) == (Sent.NO, "450 4.2.1")
    assert error.accepted == ("a@example.org",)
    assert [who for who, _ in error.refused] == ["550-gone@example.org"]

    again = r.failure(channel, r.delivery(accepted=error.accepted, attempt_no=2))
    channel.close()

    assert (again.sent, again.accepted) == (Sent.THROTTLED, ())
    assert [mail.recipients for mail in sink.mails] == [["a@example.org"]]


def test_nobody_left_is_a_success(sink: SmtpSink) -> None:
    channel = open_mail(sink.port)
    channel.deliver(r.delivery(accepted=("a@example.org",)))

    assert sink.connections == 0


def test_all_refused_for_good_is_a_rejection_and_the_connection_lives_on(sink: SmtpSink) -> None:
    channel = open_mail(sink.port, to=["550-x@example.org", "551-y@example.org"])
    error = r.failure(channel, r.delivery())
    again = r.failure(channel, r.delivery())
    channel.close()

    assert error.sent is Sent.REJECTED
    assert again.refused == error.refused
    assert [who for who, _ in error.refused] == ["550-x@example.org", "551-y@example.org"]
    assert sink.connections == 1


def test_an_address_beyond_ascii_needs_a_server_that_takes_it(sink: SmtpSink) -> None:
    channel = open_mail(sink.port, to=["jürgen@müller.example"])
    channel.deliver(r.delivery())
    channel.close()
    with SmtpSink(smtputf8=False) as old:
        channel = open_mail(old.port, to=["jürgen@müller.example"])
        error = r.failure(channel, r.delivery())
        channel.close()

    assert sink.mails[0].recipients == ["jürgen@xn--mller-kva.example"]
    assert "SMTPUTF8" in sink.mails[0].options
    assert (error.sent, error.code) == (Sent.REJECTED, "SMTPUTF8")


@pytest.mark.parametrize(
    ("answers", "sent"),
    [(b"250 a\r\n550 5.1.1 b\r\n250 c\r\n", None), (b"550 5.7.1 a\r\n503 b\r\n503 c\r\n", Sent.REJECTED)],
    ids=["one recipient refused", "sender refused"],
)
def test_the_envelope_is_sent_at_once_where_the_server_allows_it(answers: bytes, sent: Sent | None) -> None:
    heard: list[bytes] = []

    def pipelining(connection: socket.socket) -> None:
        smtp_script(b"250-sink\r\n250 PIPELINING\r\n", final="end")(connection)
        reader = connection.makefile("rb")
        heard.extend(reader.readline() for _ in range(3))  # nothing is answered before all of it is here
        connection.sendall(answers)
        heard.append(reader.readline())
        connection.sendall(b"354 go\r\n")
        while reader.readline() not in {b".\r\n", b""}:
            pass
        connection.sendall(b"250 taken\r\n")
        hold(connection)

    with Scripted(pipelining) as server:
        channel = open_mail(server.port, to=["x@example.org", "y@example.org"])
        if sent is None:
            receipt = channel.deliver(r.delivery())
            assert (receipt.accepted, receipt.refused) == (("y@example.org",), (("x@example.org", "5.1.1 b"),))
        else:
            assert r.failure(channel, r.delivery()).sent is sent
        channel.close()

    expected = [b"MAIL FROM:<ops@example.org>\r\n", b"RCPT TO:<x@example.org>\r\n", b"RCPT TO:<y@example.org>\r\n"]
    assert heard[:3] == expected


# --- endings -----------------------------------------------------------------------------------------------------


def test_a_connection_that_ends_behind_the_final_dot_is_unknown(sink: SmtpSink) -> None:
    channel = open_mail(sink.port, to=["drop-x@example.org"])
    error = r.failure(channel, r.delivery())
    channel.close()

    assert error.sent is Sent.UNKNOWN
    assert len(sink.mails) == 1


def test_no_answer_to_the_final_dot_is_unknown_and_in_time(sink: SmtpSink) -> None:
    error = in_time(open_mail(sink.port, to=["hang-x@example.org"]))

    assert error.sent is Sent.UNKNOWN
    assert "no answer in time" in error.detail


@pytest.mark.parametrize("answers", [(EHLO,), (EHLO, b"250 ok\r\n"), (EHLO, b"250 ok\r\n", b"250 ok\r\n")])
def test_a_connection_that_ends_before_the_body_sent_nothing(answers: tuple[bytes, ...]) -> None:
    with Scripted(smtp_script(*answers, final="end")) as server:
        error = r.failure(open_mail(server.port), r.delivery())

    assert error.sent is Sent.NO


def test_a_connection_that_ends_within_the_body_sent_nothing() -> None:
    def cut(connection: socket.socket) -> None:
        smtp_script(EHLO, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", final="end")(connection)
        connection.recv(10_000)

    with Scripted(cut) as server:
        error = r.failure(open_mail(server.port), r.delivery(text=("x" * 70 + "\n") * 100_000))

    assert error.sent is Sent.NO


def test_a_body_that_the_server_does_not_read_sent_nothing_and_ends_in_time(authority: Authority) -> None:
    ended = threading.Event()

    def stuck(connection: socket.socket) -> None:
        smtp_script(EHLO, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", final="end")(connection)
        ended.wait(20)

    with Scripted(stuck) as server:
        error = in_time(open_mail(server.port), text=("x" * 70 + "\n") * 100_000)
        ended.set()

    assert error.sent is Sent.NO


def drip(text: bytes, ended: threading.Event) -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        for byte in text:
            connection.sendall(bytes([byte]))
            if ended.wait(0.05):
                return

    return script


@pytest.mark.parametrize(
    "text", [b"220 " + b"slow " * 10_000, b"220-more\r\n" * 10_000], ids=["one line", "many lines"]
)
def test_a_server_that_drips_costs_no_more_than_the_deadline(text: bytes) -> None:
    ended = threading.Event()
    with Scripted(drip(text, ended)) as server:
        error = in_time(open_mail(server.port))
        ended.set()

    assert error.sent is Sent.NO


def test_a_server_that_talks_without_end_is_cut_off() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"220-hello\r\n" * 1_000_000)

    with Scripted(endless) as server:
        error = r.failure(open_mail(server.port), r.delivery(timeout_ms=20_000))

    assert error.sent is Sent.NO


# --- reuse -------------------------------------------------------------------------------------------------------


def test_a_connection_is_kept_for_the_next_message(authority: Authority, server_tls: ssl.SSLContext) -> None:
    with SmtpSink(tls=server_tls, login=LOGIN) as sink:
        channel = open_mail(sink.port, **login(authority))
        for _ in range(5):
            channel.deliver(r.delivery())
        channel.close()

    assert (sink.connections, len(sink.mails)) == (1, 5)


def test_a_kept_connection_that_died_is_replaced_within_the_same_attempt() -> None:
    with SmtpSink(session_limit=1) as sink:
        channel = open_mail(sink.port)
        for _ in range(3):
            channel.deliver(r.delivery())
        channel.close()

    assert len(sink.mails) == 3


def test_a_kept_connection_that_says_421_is_replaced_within_the_same_attempt() -> None:
    first = threading.Event()
    take = (EHLO, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")

    def tired(connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        connection.sendall(b"220 sink\r\n")
        for answer in take:
            reader.readline()
            connection.sendall(answer)
        while reader.readline() not in {b".\r\n", b""}:
            pass
        connection.sendall(b"250 taken\r\n")
        reader.readline()
        if not first.is_set():
            first.set()
            connection.sendall(b"421 4.4.2 idle for too long\r\n")

    with Scripted(tired) as server:
        channel = open_mail(server.port)
        channel.deliver(r.delivery())
        channel.deliver(r.delivery())
        channel.close()

    assert server.connections == 2


def test_an_idle_connection_is_closed_with_a_word_of_farewell() -> None:
    heard: list[bytes] = []
    ended = threading.Event()

    def patient(connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        connection.sendall(b"220 sink\r\n")
        for answer in (EHLO, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            reader.readline()
            connection.sendall(answer)
        while reader.readline() not in {b".\r\n", b""}:
            pass
        connection.sendall(b"250 taken\r\n")
        heard.extend(reader)
        ended.set()

    with Scripted(patient) as server:
        pool = Pool(Server("127.0.0.1", server.port, "none", None, "", "", "test"), idle_s=0.05)
        pool.send_mail("a@b.de", ("c@d.de",), b"\r\n", utf8=False, budget=Budget(5_000))
        assert ended.wait(10)
        pool.close()

    assert heard == [b"quit\r\n"]


def test_a_channel_closed_in_the_middle_of_a_message_keeps_nothing_open() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: socket.socket) -> None:
        smtp_script(EHLO, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", final="end")(connection)
        reader = connection.makefile("rb")
        while reader.readline() not in {b".\r\n", b""}:
            pass
        begun.set()
        go_on.wait(10)
        connection.sendall(b"250 taken\r\n")
        heard.extend(reader)
        ended.set()

    heard: list[bytes] = []
    ended = threading.Event()
    with Scripted(slow) as server:
        channel = open_mail(server.port)
        sender = threading.Thread(target=channel.deliver, args=(r.delivery(),))
        sender.start()
        assert begun.wait(10)
        channel.close()
        go_on.set()
        sender.join(10)
        assert ended.wait(10)

    assert heard == [b"quit\r\n"]


def test_the_next_message_after_a_refused_one_is_not_mixed_with_it(sink: SmtpSink) -> None:
    channel = open_mail(sink.port, to=["550-x@example.org", "a@example.org"])
    channel.deliver(r.delivery())
    channel.deliver(r.delivery())
    channel.close()

    assert [mail.recipients for mail in sink.mails] == [["a@example.org"]] * 2
