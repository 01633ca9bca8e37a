"""Webhooks against a real HTTP server and its faults."""

from __future__ import annotations

import base64
import gc
import json
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from standardwebhooks import Webhook

from engine.channels.webhook import CHANNEL, WebhookChannel
from engine.errors import ConfigError, SecretMissing, Sent
from engine.model import TargetSpec
from tests.channels import rig as r
from tests.channels.certs import Authority
from tests.channels.conformance import SILENT_MS, SLACK_MS, Received, Rig, ServerConformance
from tests.servers import HttpSink, Scripted

SECRET = "whsec_" + base64.b64encode(b"a key of 32 bytes, a key of 32 b").decode()
TOKEN = "t0ken-in-the-query"


def open_url(url: str, *, trusted: bool = True, now_ms: int | None = None, **options: Any) -> WebhookChannel:
    headers = options.pop("headers", ())
    allow_private = options.pop("allow_private", False)
    target = TargetSpec("hook", "webhook", {"url": url, **options}, headers=headers, trusted=trusted)
    secrets = {"secret:hook": SECRET, "secret:url": url, "secret:auth": "Bearer abcdef123456", "secret:bad": "whsec_?"}
    return CHANNEL.open(target, r.context(secrets=secrets, now_ms=now_ms, allow_private=allow_private))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with HttpSink() as server:
        yield server


class TestConformance(ServerConformance):
    @pytest.fixture
    def rig(self, sink: HttpSink) -> Rig:
        return Rig(
            open=lambda: open_url(sink.url(f"/ok?token={TOKEN}"), secret="secret:hook"),
            delivery=lambda: r.delivery(html="<p>Grün</p>", attachments=r.FILES),
            received=lambda: [Received(seen.headers["webhook-id"], seen.body) for seen in sink.requests],
            open_silent=lambda: open_url(sink.url(f"/silent?token={TOKEN}"), secret="secret:hook"),
            open_closed=lambda: open_url(f"http://127.0.0.1:{closed_port()}/?token={TOKEN}", secret="secret:hook"),
            secrets=[TOKEN, SECRET, SECRET.removeprefix("whsec_")],
        )


def test_the_standardwebhooks_package_verifies_what_was_sent(sink: HttpSink) -> None:
    open_url(sink.url(), secret="secret:hook").deliver(r.delivery(text="Grün ✓"))

    (seen,) = sink.requests
    assert Webhook(SECRET).verify(seen.body, seen.headers)["text"] == "Grün ✓"
    assert seen.headers["Idempotency-Key"] == seen.headers["webhook-id"] == r.UID
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["User-Agent"].startswith("Chronos/")


def test_a_body_of_the_callers_goes_out_byte_for_byte(sink: HttpSink) -> None:
    data = '{"b": 1,  "a": "Grün",\n "n": 1.0}'

    open_url(sink.url(), secret="secret:hook").deliver(r.delivery(data=data))

    assert sink.requests[0].body == data.encode()
    Webhook(SECRET).verify(sink.requests[0].body, sink.requests[0].headers)


def test_the_default_body_holds_the_message(sink: HttpSink) -> None:
    open_url(sink.url()).deliver(r.delivery(html="<p>", attachments=r.FILES))

    document = json.loads(sink.requests[0].body)
    assert list(document) == ["id", "type", "timestamp", "subject", "text", "html", "tags", "attachments"]
    assert (document["id"], document["type"], document["tags"]) == (r.UID, "message", ["nightly"])
    assert document["timestamp"] == "2026-09-21T14:13:20.000Z"
    assert [base64.b64decode(file["content_base64"]) for file in document["attachments"]] == [
        file.content for file in r.FILES
    ]


def test_headers_of_the_target_and_of_the_message_travel_and_the_messages_win(sink: HttpSink) -> None:
    headers = (("Authorization", "secret:auth"), ("X-Where", "target"))

    open_url(sink.url(), headers=headers).deliver(r.delivery(headers=(("x-where", "Grün"),)))

    seen = {name.lower(): value for name, value in sink.requests[0].headers.items()}
    assert seen["authorization"] == "Bearer abcdef123456"
    assert seen["x-where"].encode("latin-1").decode() == "Grün"


@pytest.mark.parametrize("name", ["Host", "Content-Length", "webhook-id", "Transfer-Encoding", "Idempotency-Key"])
def test_a_message_cannot_replace_our_own_headers(sink: HttpSink, name: str) -> None:
    error = r.failure(open_url(sink.url()), r.delivery(headers=((name, "1"),)))

    assert error.sent is Sent.REJECTED
    assert not sink.requests


@pytest.mark.parametrize(
    ("path", "sent", "wait_ms"),
    [
        ("/status/400", Sent.REJECTED, None),
        ("/status/401", Sent.MISCONFIGURED, None),
        ("/status/403", Sent.MISCONFIGURED, None),
        ("/status/404", Sent.REJECTED, None),
        ("/status/407", Sent.MISCONFIGURED, None),
        ("/status/408", Sent.NO, None),
        ("/status/410", Sent.REJECTED, None),
        ("/status/422", Sent.REJECTED, None),
        ("/status/425", Sent.NO, None),
        ("/status/429", Sent.THROTTLED, None),
        ("/status/429/7", Sent.THROTTLED, 7_000),
        ("/status/500", Sent.NO, None),
        ("/status/502", Sent.NO, None),
        ("/status/503", Sent.NO, None),
        ("/status/503/120", Sent.THROTTLED, 120_000),
        ("/status/503/nonsense", Sent.NO, None),
        ("/status/503/99999999999999999999", Sent.THROTTLED, 31 * 86_400_000),
        (f"/status/503/{formatdate(1_790_000_060, usegmt=True).replace(' ', '_')}", Sent.THROTTLED, 60_000),
        (f"/status/429/{formatdate(1_000_000_000, usegmt=True).replace(' ', '_')}", Sent.THROTTLED, 0),
    ],
)
def test_every_status_is_told_apart(sink: HttpSink, path: str, sent: Sent, wait_ms: int | None) -> None:
    error = r.failure(open_url(sink.url(path), now_ms=r.CREATED_MS), r.delivery())

    assert (error.sent, error.retry_after_ms) == (sent, wait_ms)
    assert error.code == path.split("/")[2]
    assert f"words of {error.code}" in error.detail
    assert error.disable_target == (error.code == "410")


def test_a_redirect_is_not_followed(sink: HttpSink) -> None:
    error = r.failure(open_url(sink.url("/redirect")), r.delivery())

    assert error.sent is Sent.REJECTED
    assert "answered with a redirect" in error.detail
    assert [seen.path for seen in sink.requests] == ["/redirect"]


def test_the_words_below_a_redirect_are_not_waited_for(sink: HttpSink) -> None:
    error = r.failure(open_url(sink.url("/redirect-drip")), r.delivery(timeout_ms=10_000))

    assert error.sent is Sent.REJECTED


def test_a_status_is_enough_the_body_gets_two_seconds(sink: HttpSink) -> None:
    start_s = time.monotonic()
    receipt = open_url(sink.url("/drip-body")).deliver(r.delivery(timeout_ms=30_000))

    assert receipt.code == "200"
    assert time.monotonic() - start_s < 8


def test_a_connection_that_ends_after_the_body_is_unknown(sink: HttpSink) -> None:
    error = r.failure(open_url(sink.url("/drop")), r.delivery())

    assert error.sent is Sent.UNKNOWN
    assert len(sink.requests) == 1  # and nothing was sent twice behind our back


@pytest.mark.parametrize("path", ["/silent", "/drip", "/endless-headers", "/garbage"])
def test_no_status_line_or_no_end_of_headers_is_unknown_and_in_time(sink: HttpSink, path: str) -> None:
    start_s = time.monotonic()
    error = r.failure(open_url(sink.url(path)), r.delivery(timeout_ms=SILENT_MS))

    assert error.sent is Sent.UNKNOWN
    assert (time.monotonic() - start_s) * 1000 < SILENT_MS + SLACK_MS


@pytest.mark.parametrize("path", ["/huge", "/torn", "/drip-body"])
def test_a_2xx_is_a_success_whatever_its_body_does(sink: HttpSink, path: str) -> None:
    channel = open_url(sink.url(path))
    start_s = time.monotonic()

    receipt = channel.deliver(r.delivery(timeout_ms=SILENT_MS))

    assert receipt.code == "200"
    assert len(receipt.detail) <= 2_000
    assert (time.monotonic() - start_s) * 1000 < SILENT_MS + SLACK_MS
    channel.close()


def read_one_byte(connection: socket.socket) -> None:
    connection.recv(1)
    threading.Event().wait(3)  # longer than any deadline here


def test_a_body_that_the_server_does_not_read_ends_in_time() -> None:
    with Scripted(read_one_byte) as server:
        channel = open_url(f"http://127.0.0.1:{server.port}/")
        start_s = time.monotonic()
        error = r.failure(channel, r.delivery(text="x" * 20_000_000, timeout_ms=SILENT_MS))

    assert error.sent is Sent.UNKNOWN
    assert (time.monotonic() - start_s) * 1000 < SILENT_MS + SLACK_MS
    channel.close()


def test_a_connection_is_kept_for_the_next_message(sink: HttpSink) -> None:
    channel = open_url(sink.url())
    for _ in range(5):
        channel.deliver(r.delivery())

    assert sink.connections == 1
    channel.close()


def test_a_kept_connection_that_the_server_closed_is_replaced_before_anything_leaves() -> None:
    def one_answer_each(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with Scripted(one_answer_each) as server:
        channel = open_url(f"http://127.0.0.1:{server.port}/")
        for _ in range(3):
            assert channel.deliver(r.delivery(text="x")).code == "200"
            # The end of the connection has to have arrived: that is what this test is about.
            wait_for_end(channel)
        channel.close()

    assert server.connections == 3


def wait_for_end(channel: WebhookChannel) -> None:
    import select

    (lane,) = channel._wire._idle
    adapter: Any = lane.session.adapters["http://"]
    pool = adapter.poolmanager.connection_from_url(channel._url)
    connection = pool.pool.queue[-1]
    assert select.select([connection.sock], [], [], 5)[0]


def test_an_answer_cannot_bring_a_secret_into_the_record(sink: HttpSink) -> None:
    channel = open_url(sink.url(f"/echo?token={TOKEN}"), headers=(("Authorization", "secret:auth"),))

    error = r.failure(channel, r.delivery())

    assert "cannot take" in error.detail
    assert TOKEN not in error.detail
    assert "abcdef123456" not in error.detail


def test_cookies_are_not_kept(sink: HttpSink) -> None:
    def cookie(connection: socket.socket) -> None:
        while data := connection.recv(65_536):
            seen.append(data)
            connection.sendall(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")

    seen: list[bytes] = []
    with Scripted(cookie) as server:
        channel = open_url(f"http://127.0.0.1:{server.port}/")
        channel.deliver(r.delivery(data="{}"))
        channel.deliver(r.delivery(data="{}"))
        kept = [len(lane.session.cookies) for lane in channel._wire._idle]
        channel.close()

    assert kept == [0]
    assert b"cookie" not in b"".join(seen).lower()


def test_the_environment_chooses_neither_proxy_nor_password(
    sink: HttpSink, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")

    open_url(sink.url()).deliver(r.delivery())

    assert "Authorization" not in sink.requests[0].headers


# --- addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_an_address_given_on_the_spot_cannot_be_private(sink: HttpSink, host: str) -> None:
    error = r.failure(open_url(f"http://{host}:{sink.port}/", trusted=False), r.delivery())

    assert error.sent is Sent.REJECTED
    assert error.code == "ADDRESS"
    assert sink.connections == 0


def test_the_operator_may_allow_private_addresses(sink: HttpSink) -> None:
    open_url(sink.url(), trusted=False, allow_private=True).deliver(r.delivery())

    assert len(sink.requests) == 1


def test_a_metadata_address_is_refused_even_when_configured() -> None:
    error = r.failure(open_url("http://169.254.169.254/latest"), r.delivery())

    assert error.sent is Sent.MISCONFIGURED


def test_the_address_that_was_checked_is_the_one_connected_to(sink: HttpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that changes its answer between check and use must gain nothing."""
    asked: list[str] = []

    def rebinding(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    open_url(sink.url(host="rebinding.test")).deliver(r.delivery())

    assert asked == ["rebinding.test"]
    assert [seen.headers["Host"] for seen in sink.requests] == [f"rebinding.test:{sink.port}"]


def test_of_several_addresses_only_those_allowed_are_used(sink: HttpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, sink.port))
        for address in ("169.254.169.254", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)

    open_url(sink.url(host="mixed.test")).deliver(r.delivery())

    assert len(sink.requests) == 1


def test_a_name_server_that_hangs_costs_no_more_than_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(20) and [])
    start_s = time.monotonic()

    error = r.failure(open_url("http://hanging.test/"), r.delivery(timeout_ms=SILENT_MS))
    ended.set()

    assert (error.sent, error.code) == (Sent.NO, "DNS")
    assert (time.monotonic() - start_s) * 1000 < SILENT_MS + SLACK_MS


def test_a_name_that_does_not_exist_is_tried_again() -> None:
    error = r.failure(open_url("http://no-such-host.invalid/"), r.delivery())

    assert (error.sent, error.code) == (Sent.NO, "DNS")


def test_a_refused_connection_is_tried_again() -> None:
    error = r.failure(open_url(f"http://127.0.0.1:{closed_port()}/"), r.delivery())

    assert (error.sent, error.code) == (Sent.NO, "ECONNREFUSED")


# --- TLS ---------------------------------------------------------------------------------------------------------


def test_a_trusted_certificate_is_accepted(authority: Authority) -> None:
    with HttpSink(tls=authority.server("localhost")) as sink:
        channel = open_url(sink.url(host="localhost"), ca_file=str(authority.file))
        channel.deliver(r.delivery())
        assert [step.name for step in channel.probe(send=False, timeout_ms=5_000)] == ["resolve", "connect", "tls"]
        channel.close()

    assert len(sink.requests) == 1


@pytest.mark.parametrize("fault", ["wrong host", "expired", "self-signed", "unknown authority"])
def test_a_certificate_that_is_not_trusted_stops_the_message(authority: Authority, fault: str) -> None:
    name = "other.example.org" if fault == "wrong host" else "localhost"
    server = authority.server(name, expired=fault == "expired", self_signed=fault == "self-signed")
    options: dict[str, Any] = {} if fault == "unknown authority" else {"ca_file": str(authority.file)}
    with HttpSink(tls=server) as sink:
        channel = open_url(sink.url(host="localhost"), **options)
        error = r.failure(channel, r.delivery())
        steps = channel.probe(send=False, timeout_ms=5_000)
        channel.close()

    assert (error.sent, error.code) == (Sent.MISCONFIGURED, "CERTIFICATE")
    assert "not trusted" in error.detail
    assert [(step.name, step.ok) for step in steps][-1] == ("tls", False)
    assert not sink.requests
    gc.collect()


def test_a_server_that_hangs_in_the_handshake_costs_no_more_than_the_deadline() -> None:
    with Scripted(read_one_byte) as server:
        channel = open_url(f"https://127.0.0.1:{server.port}/")
        start_s = time.monotonic()
        error = r.failure(channel, r.delivery(timeout_ms=SILENT_MS))
        channel.close()

    assert (error.sent, error.code) == (Sent.NO, "TLS")
    assert (time.monotonic() - start_s) * 1000 < SILENT_MS + SLACK_MS


def test_plain_http_on_a_tls_port_is_told_apart_from_a_bad_certificate(sink: HttpSink) -> None:
    error = r.failure(open_url(f"https://127.0.0.1:{sink.port}/"), r.delivery())

    assert (error.sent, error.code) == (Sent.NO, "TLS")


# --- opening -----------------------------------------------------------------------------------------------------


def test_a_missing_secret_is_found_when_the_channel_is_opened() -> None:
    with pytest.raises(SecretMissing):
        open_url("http://127.0.0.1/", secret="secret:nothing")


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("http://127.0.0.1/", {"secret": "secret:bad"}),
        ("https://127.0.0.1/", {"ca_file": "/nonexistent"}),
        ("ftp://127.0.0.1/", {}),
        ("http://user:pa55word@127.0.0.1/", {}),
    ],
)
def test_what_cannot_work_is_a_configuration_error(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        open_url(url, **options)

    assert "pa55word" not in str(caught.value)


def test_a_url_may_be_a_secret(sink: HttpSink) -> None:
    target = TargetSpec("hook", "webhook", {"url": "secret:url"})
    channel = CHANNEL.open(target, r.context(secrets={"secret:url": sink.url("/echo/hidden-path")}))

    error = r.failure(channel, r.delivery())

    assert error.code == "400"
    assert "hidden-path" not in error.detail
    assert sink.requests[0].path == "/echo/hidden-path"
    channel.close()
