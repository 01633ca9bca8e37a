"""E-mail against a real SMTP server and its faults."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest

from engine.errors import ConfigError, Sent
from engine.model import TargetSpec
from tests.channels import rig as r
from tests.channels.certs import Authority
from tests.channels.conformance import Received, Rig, ServerConformance
from tests.channels.mail_rig import LOGIN, PASSWORD, hold, login, open_mail
from tests.servers import Scripted, SmtpSink, smtp_script


@pytest.fixture
def sink() -> Iterator[SmtpSink]:
    with SmtpSink() as server:
        yield server


@pytest.fixture
def silent() -> Iterator[Scripted]:
    with Scripted(hold) as server:
        yield server


class TestConformance(ServerConformance):
    @pytest.fixture
    def rig(self, authority: Authority, server_tls: ssl.SSLContext, silent: Scripted) -> Iterator[Rig]:
        def identity(content: bytes) -> str:
            return str(message_from_bytes(content)["Message-ID"])

        with SmtpSink(tls=server_tls, login=LOGIN) as sink, socket.create_server(("127.0.0.1", 0)) as taken:
            closed = int(taken.getsockname()[1])
            taken.close()
            yield Rig(
                open=lambda: open_mail(sink.port, **login(authority)),
                delivery=lambda: r.delivery(html="<p>Grün</p>", attachments=r.FILES),
                received=lambda: [Received(identity(mail.content), mail.content) for mail in sink.mails],
                open_silent=lambda: open_mail(silent.port, **login(authority)),
                open_closed=lambda: open_mail(closed, **login(authority)),
                secrets=[PASSWORD],
            )


def test_text_html_attachments_and_umlauts_arrive_byte_exact(authority: Authority, server_tls: ssl.SSLContext) -> None:
    with (
        SmtpSink(tls=server_tls, login=LOGIN) as sink,
        contextlib.closing(open_mail(sink.port, to=["Jürgen Groß <j@example.org>"], **login(authority))) as channel,
    ):
        channel.deliver(r.delivery(subject="Größe", text="Grüße\n.\n..\nend\n", html="<p>ä</p>", attachments=r.FILES))

    (mail,) = sink.mails
    parsed = message_from_bytes(mail.content, policy=default)
    assert mail.recipients == ["j@example.org"]
    assert (parsed["Subject"], parsed["To"]) == ("Größe", "Jürgen Groß <j@example.org>")
    assert text_of(parsed, "plain") == "Grüße\r\n.\r\n..\r\nend\r\n"
    assert text_of(parsed, "html") == "<p>ä</p>\r\n"
    assert [(part.get_filename(), part.get_payload(decode=True)) for part in parsed.iter_attachments()] == [
        (file.name, file.content) for file in r.FILES
    ]
    assert sink.logins == [True]


def text_of(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_implicit_tls(authority: Authority, server_tls: ssl.SSLContext) -> None:
    with (
        SmtpSink(tls=server_tls, implicit=True) as sink,
        contextlib.closing(open_mail(sink.port, tls="implicit", ca_file=str(authority.file))) as channel,
    ):
        channel.deliver(r.delivery())
        steps = [step.name for step in channel.probe(send=False, timeout_ms=5_000)]

    assert len(sink.mails) == 1
    assert steps == ["resolve", "connect", "tls", "greeting"]


def test_the_probe_of_starttls_names_every_step(authority: Authority, server_tls: ssl.SSLContext) -> None:
    with (
        SmtpSink(tls=server_tls, login=LOGIN) as sink,
        contextlib.closing(open_mail(sink.port, **login(authority))) as channel,
    ):
        steps = channel.probe(send=False, timeout_ms=5_000)

    assert [(step.name, step.ok) for step in steps] == [
        (name, True) for name in ("resolve", "connect", "greeting", "tls", "login")
    ]


# --- TLS and login -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
@pytest.mark.parametrize("fault", ["wrong host", "expired", "self-signed", "unknown authority"])
def test_a_certificate_that_is_not_trusted_stops_the_message_before_the_login(
    authority: Authority, fault: str, mode: str
) -> None:
    name = "other.example.org" if fault == "wrong host" else "localhost"
    tls = authority.server(name, expired=fault == "expired", self_signed=fault == "self-signed")
    options = login(authority, tls=mode)
    if fault == "unknown authority":
        del options["ca_file"]
    with SmtpSink(tls=tls, implicit=mode == "implicit", login=LOGIN) as sink:
        channel = open_mail(sink.port, **options)
        error = r.failure(channel, r.delivery())
        channel.close()

    assert (error.sent, error.code) == (Sent.MISCONFIGURED, "CERTIFICATE")
    assert "localhost is not trusted" in error.detail
    assert sink.logins == []
    assert not sink.mails


def test_a_server_without_starttls_never_sees_login_or_message() -> None:
    heard: list[bytes] = []

    def stripped(connection: socket.socket) -> None:
        connection.sendall(b"220 sink\r\n")
        for line in connection.makefile("rb"):
            heard.append(line)
            connection.sendall(b"250-sink\r\n250 AUTH PLAIN LOGIN\r\n")

    with Scripted(stripped) as server:
        channel = open_mail(server.port, tls="starttls", username="ops", password="secret:smtp")
        error = r.failure(channel, r.delivery())

    assert (error.sent, error.code) == (Sent.MISCONFIGURED, "TLS")
    assert "STARTTLS" in error.detail
    assert [line.split()[0].lower() for line in heard] == [b"ehlo"]


def test_what_was_said_before_tls_is_forgotten(authority: Authority, server_tls: ssl.SSLContext) -> None:
    """Answers injected behind the plain 220 (CVE-2011-0411) must not count as answers under TLS."""

    def injected(connection: socket.socket) -> None:
        smtp_script(b"250-sink\r\n250 STARTTLS\r\n", b"220 go\r\n250-sink\r\n250 AUTH PLAIN\r\n", final="end")(
            connection
        )
        with server_tls.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1_000)
            secure.sendall(b"250 sink without a login\r\n")
            hold(secure)

    with Scripted(injected) as server:
        channel = open_mail(server.port, **login(authority))
        error = r.failure(channel, r.delivery())

    assert error.sent is Sent.MISCONFIGURED
    assert "does not offer a login" in error.detail


def test_a_wrong_password_is_the_configurations_fault(authority: Authority, server_tls: ssl.SSLContext) -> None:
    with SmtpSink(tls=server_tls, login=LOGIN) as sink:
        channel = open_mail(sink.port, **login(authority, password="secret:wrong"))
        error = r.failure(channel, r.delivery())
        steps = channel.probe(send=True, timeout_ms=5_000)

    assert error.sent is Sent.MISCONFIGURED
    assert error.code.startswith("535")
    assert "no, not that" not in str(error)
    assert [(step.name, step.ok) for step in steps][-1] == ("login", False)


def test_a_login_that_the_server_demands_is_the_configurations_fault(
    authority: Authority, server_tls: ssl.SSLContext
) -> None:
    with SmtpSink(tls=server_tls, login=LOGIN) as sink:
        channel = open_mail(sink.port, tls="starttls", ca_file=str(authority.file))
        error = r.failure(channel, r.delivery())
        channel.close()

    assert (error.sent, error.code[:3]) == (Sent.MISCONFIGURED, "530")


def test_a_login_for_now_refused_is_tried_again() -> None:
    answers = (b"250-sink\r\n250 AUTH PLAIN\r\n", b"454 4.7.0 later\r\n")
    with Scripted(smtp_script(*answers)) as server:
        error = r.failure(open_mail(server.port, username="ops", password="secret:smtp"), r.delivery())

    assert (error.sent, error.code) == (Sent.NO, "454 4.7.0")


@pytest.mark.parametrize("spelling", [PASSWORD, base64.b64encode(f"\0ops\0{PASSWORD}".encode()).decode()])
def test_a_server_that_repeats_the_login_brings_no_password_into_the_record(spelling: str) -> None:
    answers = (b"250-sink\r\n250 AUTH PLAIN\r\n", f"535 5.7.8 no such login: {spelling}\r\n".encode())
    with Scripted(smtp_script(*answers)) as server:
        error = r.failure(open_mail(server.port, username="ops", password="secret:smtp"), r.delivery())

    assert error.code == "535 5.7.8"
    assert "no such login" in error.detail
    assert PASSWORD not in str(error)
    assert spelling not in str(error)


def test_a_login_in_clear_is_only_for_this_machine() -> None:
    # A name of this host that is not loopback: the connection is real, the address is not 127.0.0.1.
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    with Scripted(hold, host=address) as server:
        channel = open_mail(server.port, host=address, username="ops", password="secret:smtp")
        error = r.failure(channel, r.delivery())

    assert (error.sent, error.code) == (Sent.MISCONFIGURED, "TLS")
    assert "in clear" in error.detail


def own_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing; asks the routing table
        address = str(probe.getsockname()[0])
        return None if address.startswith("127.") else address
    return None


@pytest.mark.parametrize("user", ["ops", "ops@example.org"])
def test_a_login_goes_out_as_it_stands(user: str) -> None:
    with SmtpSink(login=(user, PASSWORD)) as sink:
        channel = open_mail(sink.port, username=user, password="secret:smtp")
        channel.deliver(r.delivery())
        channel.close()

    assert sink.logins == [True]


# --- opening -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("smtp", "words"),
    [
        ({"host": ""}, "smtp.host"),
        ({"tls": "ssl"}, "smtp.tls"),
        ({"username": "ops"}, "smtp.password"),
        ({"from": ""}, "smtp.from"),
        ({"from": "nonsense"}, "smtp.from"),
        ({"tls": "starttls", "ca_file": "/nonexistent"}, "smtp.ca_file"),
        ({"to": []}, "no recipient"),
        ({"to": ["a@b@c"]}, "to:"),
    ],
)
def test_what_cannot_work_is_a_configuration_error(smtp: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        open_mail(25, **smtp)


def test_options_reach_the_message(sink: SmtpSink) -> None:
    channel = open_mail(
        sink.port,
        reply_to=["Help <help@example.org>"],
        list_unsubscribe="https://example.org/leave",
        subject_prefix="[box] ",
    )
    target = TargetSpec("me", "email", headers=(("X-Kind", "target"),))
    channel.deliver(r.delivery(target, headers=(("X-Kind", "message"), ("X-Other", "1"))))
    channel.close()

    head = sink.mails[0].content.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert {"Reply-To: Help <help@example.org>", "Subject: [box] Backup"} <= set(head)
    assert "List-Unsubscribe: <https://example.org/leave>" in head
    assert [line for line in head if line.startswith("X-")] == ["X-Kind: message", "X-Other: 1"]


def test_nothing_is_written_to_the_terminal(sink: SmtpSink, capfd: pytest.CaptureFixture[str]) -> None:
    channel = open_mail(sink.port, to=["drop-x@example.org"])
    r.failure(channel, r.delivery())
    channel.close()

    assert capfd.readouterr() == ("", "")
