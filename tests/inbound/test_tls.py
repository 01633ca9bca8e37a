"""TLS: strangers' clients, handshakes that never end, and two threads at one connection."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from engine.host import certificates
from engine.inbound.http.limits import Limits
from tests.channels.certs import Authority
from tests.inbound.serving import Client, Serving, serving
from tests.support import PATIENCE_S

HOST = "Host: localhost"
SOON_S = 0.2


class Place:
    """An authority, and certificates of it as the configuration names them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.authority = Authority(directory)

    def certificate(self) -> Path:
        """Make a certificate for 127.0.0.1 with its key in the same file."""
        before = set(self._directory.glob("*.pem"))
        self.authority.server("127.0.0.1", "localhost")
        (made,) = set(self._directory.glob("*.pem")) - before
        made.chmod(0o600)
        return made

    def context(self) -> ssl.SSLContext:
        found = certificates.server_context({"tls_certificate": str(self.certificate()), "tls_key": None})
        assert found is not None
        return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def secure(running: Serving, place: Place, *, most: ssl.TLSVersion | None = None) -> Client:
    trust = ssl.create_default_context(cafile=str(place.authority.file))
    if most is not None:
        trust.maximum_version = most
    plain = socket.create_connection(("127.0.0.1", running.port), PATIENCE_S)
    return Client(trust.wrap_socket(plain, server_hostname="127.0.0.1"))


def test_requests_speaks_with_it_and_trusts_it(place: Place) -> None:
    with serving(tls=place.context()) as running, requests.Session() as session:
        session.trust_env = False
        session.verify = str(place.authority.file)
        url = f"https://127.0.0.1:{running.port}/"
        for size in (0, 1, 16_384, 3_000_000):
            assert session.post(url, data=bytes(size), timeout=PATIENCE_S).content == bytes(size)
        assert session.get(f"{url}big", timeout=PATIENCE_S).content == bytes(12 * 1024 * 1024)
        assert session.get(url, timeout=PATIENCE_S).status_code == 200


def test_curl_and_openssl_speak_with_it(place: Place) -> None:
    with serving(tls=place.context()) as running:
        url = f"https://127.0.0.1:{running.port}/"
        words = ["curl", "-sS", "--cacert", str(place.authority.file), "-X", "POST", "--data-binary", "hello", url]
        assert subprocess.run(words, capture_output=True, check=True, timeout=PATIENCE_S).stdout == b"hello"
        if shutil.which("openssl") is None:
            return
        words = ["openssl", "s_client", "-connect", f"127.0.0.1:{running.port}", "-CAfile", str(place.authority.file)]
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        done = subprocess.run(
            [*words, "-ign_eof", "-quiet"], input=request, capture_output=True, check=True, timeout=PATIENCE_S
        )
        assert b"HTTP/1.1 200 OK" in done.stdout


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_one_record_carries_is_all_answered(place: Place, version: ssl.TLSVersion) -> None:
    """Several requests decrypted at once: the system does not say that there is more to read."""
    with serving(tls=place.context()) as running, secure(running, place, most=version) as client:
        running.server.adj.recv_bytes = 500
        one = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n"
        client.raw(b"".join(one + b"%03d" % number for number in range(200)))
        assert [client.answer().body for _ in range(200)] == [b"%03d" % number for number in range(200)]


def test_nothing_below_tls_1_2_is_spoken(place: Place) -> None:
    assert place.context().minimum_version == ssl.TLSVersion.TLSv1_2


def test_plain_http_is_dropped_and_nobody_else_minds(place: Place) -> None:
    with serving(tls=place.context()) as running:
        with running.connect() as plain:
            assert b"HTTP/1.1" not in plain.send("GET / HTTP/1.1", HOST).rest()
        with running.connect() as garbage:
            garbage.raw(bytes(range(256)) * 100)
            garbage.rest()
        with secure(running, place) as client:
            assert client.get().status == 200


def test_a_handshake_that_never_ends_is_cut_off(place: Place) -> None:
    with serving(Limits(handshake_s=SOON_S), tls=place.context()) as running:
        with running.connect() as silent:
            assert silent.rest() == b""
        with running.connect() as half:
            half.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # the beginning of a ClientHello
            assert half.rest() == b""


def test_64_slow_connections_beside_a_healthy_one(place: Place) -> None:
    with serving(tls=place.context()) as running, ExitStack() as stack:
        for _ in range(32):
            stack.enter_context(running.connect()).raw(b"\x16\x03\x01")
            stack.enter_context(secure(running, place)).raw(b"GET / HTTP/1.1\r\nA: ")
        with secure(running, place) as client:
            for _ in range(20):
                assert client.get().status == 200


def test_many_at_once_and_each_gets_their_own_answer(place: Place) -> None:
    wrong: list[object] = []

    def ask(number: int) -> None:
        try:
            with secure(running, place) as client:
                for turn in range(10):
                    text = b"%d-%d-" % (number, turn) * 20_000
                    client.send("POST / HTTP/1.1", HOST, f"Content-Length: {len(text)}", body=text)
                    if client.answer().body != text:
                        wrong.append((number, turn))
        except OSError as error:
            wrong.append(error)

    with serving(tls=place.context()) as running:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert wrong == []


def test_a_client_that_resets_at_any_moment_leaves_nothing_behind(place: Place) -> None:
    with serving(tls=place.context()) as running:
        for after in (b"", b"GET /", b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n", b"nonsense\r\n\r\n"):
            with secure(running, place) as client:
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.raw(after)
        with secure(running, place) as client:
            assert client.get().status == 200
            while len(running.server.active_channels) > 1:
                threading.Event().wait(0.01)


def test_a_refusal_is_read_to_its_end(place: Place) -> None:
    with serving(tls=place.context()) as running, secure(running, place) as client:
        client.send("POST / HTTP/1.1", HOST, "Content-Length: 99999999", body=bytes(1_000_000))
        assert client.answer().is_problem(413)
        assert client.rest() == b""


def test_a_new_certificate_holds_for_the_next_connection(place: Place) -> None:
    def serial(client: Client) -> object:
        assert isinstance(client.sock, ssl.SSLSocket)
        found = client.sock.getpeercert()
        assert found is not None
        return found["serialNumber"]

    with serving(tls=place.context()) as running, secure(running, place) as before:
        running.server.tls = place.context()
        with secure(running, place) as after:
            assert serial(before) != serial(after)
            assert (before.get().status, after.get().status) == (200, 200)
