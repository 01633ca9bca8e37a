"""The test servers as a program of their own: the crash loop trusts their log."""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

from engine.channels.base import Channel
from engine.errors import DeliveryError
from tests.channels import rig as r
from tests.channels.http_sink import HttpSink
from tests.channels.mail_rig import open_mail
from tests.channels.test_webhook import open_url


def test_the_servers_run_alone_and_log_what_they_took(tmp_path: Path) -> None:
    log = tmp_path / "sink.jsonl"
    command = [sys.executable, "-m", "tests.servers", "--smtp", "0", "--http", "0", "--log", str(log)]
    with subprocess.Popen(
        [*command, "--faults", "1", "--slow", "0"], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as servers:
        assert servers.stdout is not None
        ports = dict(word.split("=") for word in servers.stdout.readline().split())
        mail, hook = open_mail(int(ports["smtp"])), open_url(f"http://127.0.0.1:{ports['http']}/")
        ways: tuple[tuple[str, Channel], ...] = (("smtp", mail), ("http", hook))
        delivered: dict[str, set[str]] = {"smtp": set(), "http": set()}
        for number in range(30):
            message = r.delivery(uid=f"msg_{number:032x}", data="{}")
            for kind, channel in ways:
                with contextlib.suppress(DeliveryError):
                    channel.deliver(message)
                    delivered[kind].add(message.uid)
        mail.close()
        hook.close()
        servers.send_signal(signal.SIGTERM)
        assert servers.wait(10) == 0

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for kind in ("smtp", "http"):
        mine = [line for line in lines if line["kind"] == kind]
        assert {line["id"] for line in mine if line["outcome"] == "accepted"} == delivered[kind]
        assert {line["outcome"] for line in mine} == {"accepted", "refused", "dropped"}
        assert len({line["id"] for line in mine}) == 30
    assert {line["sha256"] for line in lines if line["kind"] == "http"} == {hashlib.sha256(b"{}").hexdigest()}


def test_half_a_request_is_no_receipt() -> None:
    """Regression: a client killed between head and body counted as a message with other bytes."""
    head = b"POST /ok HTTP/1.1\r\nHost: x\r\nwebhook-id: msg_1\r\nContent-Length: 10\r\n\r\n"
    with HttpSink() as sink:
        for body in (b"half", b"the  whole"):
            with socket.create_connection((sink.host, sink.port), timeout=10) as client:
                client.sendall(head + body)
                client.shutdown(socket.SHUT_WR)
                while client.recv(4096):
                    pass
        assert [request.body for request in sink.requests] == [b"the  whole"]
