"""The door of a running engine while somebody wants to break it: floods, copies, slow clients, crooked HTTP, death.

CHRONOS_TESTS_ATTACK=10000 sends that many bad keys of each kind; without it enough to see that it holds.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
import shutil
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.canaries.planted import api_key
from tests.crash.diskroom import Ballast, NoPrivateDiskError, unshare_words
from tests.inbound.serving import Answer, Client
from tests.interfaces.program import TIME_OUT_S, Box, Engine, run
from tests.support import PATIENCE_S

BAD_KEYS = int(os.environ.get("CHRONOS_TESTS_ATTACK", "1000"))
NETWORKS = 11_000
"""More than the 10 000 buckets that the gate keeps."""

COPIES = 100
CONNECTIONS = 6
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CONFIG = """\
http: {trusted_proxies: ["127.0.0.1/32"]}
targets: {box: {channel: maildir, path: mail}, closed: {channel: webhook, url: "http://127.0.0.1:9/"}}
sources:
  signed: {verify: standard-webhooks, secret: "secret:in", deliver: {target: closed}}
"""
OPEN: dict[str, Any] = {
    "CHRONOS_HTTP_ENABLED": "true",
    "CHRONOS_HTTP_LISTEN": "127.0.0.1:0",
    "CHRONOS_SECRET_IN": SECRET,
    "CHRONOS_DATABASE_MAX_CONNECTIONS": str(CONNECTIONS),
}
UNLIMITED: dict[str, Any] = {**OPEN, "CHRONOS_SECURITY_RATE_LIMIT_PER_HOUR": "10000000"}
KEPT = {
    "process_open_fds": 2 * CONNECTIONS,
    "process_threads": 16,
    "process_resident_memory_bytes": 60 * 1024 * 1024,
}
"""What may be there behind an attack that was not there before: connections of the database with their two files each,
the workers that had not begun, and what an allocator keeps."""


@dataclass
class Door:
    """An open one, and a good key for it."""

    box: Box
    engine: Engine
    key: str

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.engine.http.rpartition(":")
        return host, int(port)

    def connect(self) -> Client:
        return Client(socket.create_connection(self.address, TIME_OUT_S))

    def get(self, path: str, *headers: str) -> Answer:
        with self.connect() as client:
            return client.get(path, *headers)

    def post(self, client: Client, document: object, *headers: str) -> Answer:
        body = json.dumps(document).encode()
        return client.send(*self.head("/v1/messages", len(body)), *headers, body=body).answer()

    def head(self, path: str, length: int) -> tuple[str, ...]:
        return f"POST {path} HTTP/1.1", "Host: localhost", self.good, JSON, f"Content-Length: {length}"

    @property
    def good(self) -> str:
        return f"Authorization: Bearer {self.key}"

    def metric(self, name: str) -> float:
        text = self.get("/metrics").body.decode()
        found = re.search(rf"^{re.escape(name)}(?:{{}})? ([0-9.e+]+)$", text, re.MULTILINE)
        assert found, (name, text)
        return float(found[1])

    def messages(self) -> int:
        return sum(self.box.ok("outbox", "counts", "--json").json.values())


JSON = "Content-Type: application/json"


@contextmanager
def opened(box: Box, key: str = "", **env: Any) -> Iterator[Door]:
    with box.engine(**env) as engine:
        words = ("key", "create", "--name", "tests", "--scope", "send,read,admin", "--json")
        yield Door(box, engine, key or box.ok(*words).json["key"])


@pytest.fixture
def attacked(box: Box) -> Box:
    box.configure(CONFIG)
    return box


@contextmanager
def back_to_the_baseline(door: Door) -> Iterator[None]:
    """What the block took is given back behind it, but for what is kept and bounded."""
    flood(door, lambda _n: (), 200)
    assert door.get("/v1/messages", door.good).status == 200
    most = {name: door.metric(name) + kept for name, kept in KEPT.items()}
    yield
    deadline = time.monotonic() + PATIENCE_S
    while too_many := {name: found for name in most if (found := door.metric(name)) > most[name]}:
        assert time.monotonic() < deadline, (too_many, most)


class Healthy:
    """A client with a good key that goes on asking while others do what they do."""

    def __init__(self, door: Door) -> None:
        self.statuses: Counter[int] = Counter()
        self._door = door
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Healthy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            try:
                with self._door.connect() as client:
                    document = {"target": "box", "text": "x", "not_before": "2099-01-01T00:00:00Z"}
                    self.statuses[self._door.post(client, document).status] += 1
                    self.statuses[client.get("/v1/messages?limit=1", self._door.good).status] += 1
            except (OSError, EOFError) as error:
                self.statuses[-1] += 1
                self.error = error
            self._over.wait(0.02)  # a client, not a flood

    def assert_served(self) -> None:
        assert set(self.statuses) == {200, 202}, (self.statuses, getattr(self, "error", None))


def flood(door: Door, headers: Callable[[int], tuple[str, ...]], n: int) -> Counter[int]:
    """Ask `n` times over four connections, many requests at once on each."""
    found: Counter[int] = Counter()

    def part(first: int) -> list[int]:
        statuses = []
        numbers = list(range(first, n, 4))
        for at in range(0, len(numbers), 50):
            with door.connect() as client:
                several = numbers[at : at + 50]
                for number in several:
                    client.send("GET /v1/messages HTTP/1.1", "Host: localhost", *headers(number))
                statuses += [client.answer().status for _ in several]
        return statuses

    with ThreadPoolExecutor(4) as pool:
        for statuses in pool.map(part, range(4)):
            found.update(statuses)
    return found


# Keys


def test_bad_keys_cost_no_slow_function_and_keep_nobody_out(attacked: Box) -> None:
    with opened(attacked, **OPEN) as door:
        with back_to_the_baseline(door):
            before = door.metric("chronos_kdf_runs_total")
            with Healthy(door) as healthy:
                wrong_sum = flood(door, lambda n: (f"Authorization: Bearer {api_key(str(n))[:-6]}000000",), BAD_KEYS)
                unknown = flood(door, lambda n: (f"Authorization: Bearer {api_key(str(n))}",), BAD_KEYS)
                nobody = flood(door, lambda _n: (), BAD_KEYS)
            healthy.assert_served()
            assert door.metric("chronos_kdf_runs_total") == before
            for statuses in (wrong_sum, unknown, nobody):
                assert set(statuses) <= {401, 429}
                assert statuses.total() == BAD_KEYS
            with Healthy(door) as healthy:
                guessed = flood(door, lambda n: (f"Authorization: Bearer {_guess(door.key, n)}",), BAD_KEYS // 10)
            healthy.assert_served()
            assert set(guessed) <= {401, 429, 503}
            assert door.metric("chronos_kdf_runs_total") - before <= 10
        assert door.engine.stop() == 0


def _guess(key: str, number: int) -> str:
    """Return a key with the id of a good one, another secret, and the right checksum."""
    other = api_key(f"guess {number}")
    head = f"{key[:13]}{other[13:56]}"
    return f"{head}_{_checksum(head)}"


def _checksum(head: str) -> str:
    from engine.rules.apikeys import checksum

    return checksum(head)


def test_more_networks_than_the_table_holds_push_no_good_client_out(attacked: Box) -> None:
    """Each bad key comes from a network of its own, as far as the trusted proxy says."""
    with opened(attacked, **OPEN) as door:
        with back_to_the_baseline(door), Healthy(door) as healthy:
            statuses = flood(door, _from_elsewhere, NETWORKS)
        healthy.assert_served()
        assert set(statuses) == {401}
        assert door.engine.stop() == 0
    assert (attacked.data_dir / "chronos.db").stat().st_size < 8 * 1024 * 1024


def _from_elsewhere(number: int) -> tuple[str, ...]:
    address = f"X-Forwarded-For: 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return address, f"Authorization: Bearer {api_key('elsewhere')}"


# Copies


def signed(body: bytes, event: str) -> tuple[str, ...]:
    now = str(int(time.time()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    made = base64.b64encode(hmac.digest(key, f"{event}.{now}.".encode() + body, "sha256")).decode()
    return f"webhook-id: {event}", f"webhook-timestamp: {now}", f"webhook-signature: v1,{made}"


def test_a_hundred_copies_of_a_signed_request_are_one_message_also_after_a_restart(attacked: Box) -> None:
    body = b'{"type": "backup.failed"}'
    lines = ("POST /v1/inbound/signed HTTP/1.1", "Host: localhost", JSON, f"Content-Length: {len(body)}")
    request = (*lines, *signed(body, "event-1"))

    def copies(door: Door) -> Counter[int]:
        together = threading.Barrier(20)

        def send(_number: int) -> int:
            with door.connect() as client:
                together.wait(PATIENCE_S)
                return client.send(*request, body=body).answer().status

        with ThreadPoolExecutor(20) as pool:
            return Counter(pool.map(send, range(COPIES)))

    with opened(attacked, **OPEN) as door:
        assert copies(door) == {202: 1, 200: COPIES - 1}
        assert door.messages() == 1
        door.engine.process.kill()
        door.engine.process.wait(TIME_OUT_S)
        key = door.key
    with opened(attacked, key, **OPEN) as door:
        assert copies(door) == {200: COPIES}
        assert door.messages() == 1
        assert door.engine.stop() == 0


# Slow, many, crooked


def test_a_hundred_clients_that_never_end_keep_nobody_waiting(attacked: Box) -> None:
    with opened(attacked, **UNLIMITED) as door:
        with back_to_the_baseline(door), ExitStack() as stack, Healthy(door) as healthy:
            slow = [stack.enter_context(door.connect()) for _ in range(100)]
            for number, client in enumerate(slow):
                with suppress(OSError):
                    client.raw(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n" if number % 2 else b"G")
            for _ in range(20):
                for client in slow:
                    with suppress(OSError):
                        client.raw(b"X")
                threading.Event().wait(0.02)  # as slow clients are
            assert healthy.statuses.total() > 0
        healthy.assert_served()
        assert door.engine.stop() == 0


HOST = b"Host: localhost\r\n"
SMUGGLED = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n%b\r\nContent-Length: 2\r\n\r\n{}"
CROOKED = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
    "no words": (b"\r\n\r\n\r\n\r\nHELLO\r\n\r\n", {400}),
    "HTTP/0.9": (b"GET /healthz\r\n\r\n", {400, 505}),
    "HTTP/3.0": (b"GET /healthz HTTP/3.0\r\n" + HOST + b"\r\n", {400, 505}),
    "two lengths": (
        b"POST /v1/messages HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}",
        {400},
    ),
    "a list of lengths": (b"POST /v1/messages HTTP/1.1\r\n" + HOST + b"Content-Length: 2, 2\r\n\r\n{}", {400}),
    "a length with a sign": (b"POST /v1/messages HTTP/1.1\r\n" + HOST + b"Content-Length: +2\r\n\r\n{}", {400}),
    "a length in hex": (b"POST /v1/messages HTTP/1.1\r\n" + HOST + b"Content-Length: 0x2\r\n\r\n{}", {400}),
    "a length below 0": (b"POST /v1/messages HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", {400}),
    "a length without end": (
        b"POST /v1/messages HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n",
        {400, 413},
    ),
    "length and chunks": (
        b"POST /v1/messages HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        {400},
    ),
    "chunks twice": (
        b"POST /v1/messages HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        {400, 501},
    ),
    "chunks in disguise": (
        b"POST /v1/messages HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        {400, 501},
    ),
    "a space before the colon": (
        b"POST /v1/messages HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        {400},
    ),
    "a chunk of no size": (
        b"POST /v1/messages HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        {400},
    ),
    "NUL in a value": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: b\x00c\r\n\r\n", {400}),
    "CR in a value": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: b\rc\r\n\r\n", {400}),
    "LF alone": (b"GET /healthz HTTP/1.1\nHost: localhost\nX-A: b\n\n", {400}),
    "NUL in the path": (b"GET /healthz\x00 HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", {400}),
    "two hosts": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"Host: other\r\n\r\n", {400}),
    "100 kB of headers": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n", {431}),
    "a thousand headers": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: b\r\n" * 1_000 + b"\r\n", {431}),
    "100 kB of path": (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", {414, 431}),
    "a body too big": (b"POST /v1/messages HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999\r\n\r\n", {413}),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One engine for all that is crooked: it has to bear the next one too."""
    box = Box(tmp_path_factory.mktemp("door"))
    box.configure(CONFIG)
    with opened(box, **UNLIMITED) as door:
        yield door
        assert door.engine.stop() == 0


@pytest.mark.parametrize("name", CROOKED)
def test_what_is_crooked_is_refused_and_what_hides_behind_it_is_not_read(shared: Door, name: str) -> None:
    request, expected = CROOKED[name]
    before = shared.messages()
    with shared.connect() as client:
        with suppress(OSError):
            client.raw(request + SMUGGLED % shared.good.encode() * 3)
        said = client.rest()
    statuses = [int(status) for status in re.findall(rb"^HTTP/1\.[01] ([0-9]{3})", said, re.MULTILINE)]
    assert len(statuses) == 1, said[:500]
    assert statuses[0] in expected, said[:500]
    assert b"application/problem+json" in said
    assert shared.get("/healthz").status == 200
    assert shared.messages() == before


def test_nobody_is_connected_elsewhere_and_a_folded_header_is_one(shared: Door) -> None:
    with shared.connect() as client:
        assert client.send("CONNECT example.org:443 HTTP/1.1", "Host: localhost").answer().status in {
            400,
            404,
            405,
            501,
        }
    folded = "Authorization: Bearer\r\n " + shared.key
    assert shared.get("/v1/messages", folded).status in {200, 400}  # RFC 9112, 5.2 allows both


def test_the_absolute_form_goes_to_the_same_place(shared: Door) -> None:
    with shared.connect() as client:
        client.send("GET http://localhost/healthz HTTP/1.1", "Host: localhost")
        assert client.answer().status in {200, 400}
    with shared.connect() as client:
        client.send("GET http://169.254.169.254/v1/messages HTTP/1.1", "Host: localhost")
        assert client.answer().status in {400, 401}


def test_a_pipeline_is_answered_in_its_order(shared: Door) -> None:
    with shared.connect() as client:
        paths = ["/healthz", "/nowhere", "/v1/messages", "/metrics"] * 5
        client.raw(b"".join(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in paths))
        assert [client.answer().status for _ in paths] == [200, 404, 401, 200] * 5


def test_a_chunked_body_is_a_message_and_a_chunked_flood_is_not(shared: Door) -> None:
    start = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n%b\r\n%b\r\nTransfer-Encoding: chunked\r\n\r\n"
    head = start % (shared.good.encode(), JSON.encode())
    body = json.dumps({"target": "box", "text": "chunked"}).encode()
    with shared.connect() as client:
        for at in range(len(body)):
            head += b"1\r\n" + body[at : at + 1] + b"\r\n"
        assert client.raw(head + b"0\r\n\r\n").answer().status == 202
    with back_to_the_baseline(shared), shared.connect() as client:
        with suppress(OSError):
            client.raw(start % (shared.good.encode(), JSON.encode()))
            for _ in range(12):
                client.raw(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
        assert client.answer().status == 413


def test_a_second_engine_takes_nothing_from_the_first(shared: Door) -> None:
    words = [sys.executable, "-m", "chronos_tui.app", "--data-dir", str(shared.box.data_dir), "--engine-only"]
    second = run(words, {**shared.box.env, **UNLIMITED}, "", shared.box.home)
    assert second.code == 5
    assert str(shared.engine.process.pid) in second.err
    assert shared.get("/v1/messages", shared.good).status == 200


# Death


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_answered_202_is_there_when_the_engine_dies_in_the_middle(
    attacked: Box, number: signal.Signals
) -> None:
    acknowledged: list[str] = []
    with opened(attacked, **UNLIMITED) as door:
        enough = threading.Event()

        def send() -> None:
            with suppress(OSError, EOFError), door.connect() as client:
                while True:
                    answer = door.post(client, {"target": "closed", "text": "x"})
                    assert answer.status in {202, 503}, answer
                    if answer.status == 202:
                        acknowledged.append(answer.json["uid"])
                    if len(acknowledged) > 50:
                        enough.set()

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        assert enough.wait(PATIENCE_S)
        door.engine.signal(number)
        code = door.engine.process.wait(TIME_OUT_S)
        for thread in threads:
            thread.join(PATIENCE_S)
        assert code == (0 if number == signal.SIGTERM else -number)
    page = attacked.ok("outbox", "list", "--limit", "100000", "--json").json["messages"]
    assert set(acknowledged) - {one["uid"] for one in page} == set()
    assert len(set(acknowledged)) == len(acknowledged)
    # Of each connection one request may have been stored whose answer nobody heard.
    assert len(page) <= len(acknowledged) + 8
    assert attacked.ok("audit", "verify", "--json").json["ok"]


def test_a_full_disk_is_503_and_nothing_that_was_answered_is_lost(attacked: Box, tmp_path: Path) -> None:
    try:
        words = unshare_words()
    except NoPrivateDiskError as error:
        pytest.skip(str(error))
    if "-rm" in words or shutil.which("nsenter") is None:
        pytest.skip("needs root, to see into the engine's file system")
    key = attacked.ok("key", "create", "--name", "tests", "--scope", "send,read", "--json").json["key"]
    seed, data = tmp_path / "seed", attacked.data_dir
    data.rename(seed)
    data.mkdir(mode=0o700)
    mount = 'mount -t tmpfs -o size=4m,mode=0700 none "$1" && cp -a "$2/." "$1" && shift 2 && exec "$@"'
    with _engine_behind(attacked, [*words, "sh", "-c", mount, "sh", str(data), str(seed)]) as engine:
        engine.ready()
        door = Door(attacked, engine, key)
        inside = Path(f"/proc/{engine.process.pid}/root{data}")
        with door.connect() as client:
            first = door.post(client, {"target": "closed", "text": "before"})
        assert first.status == 202
        ballast = Ballast(inside / "ballast")
        ballast.fill()
        refused = _until(door, lambda answer: answer.status == 503)
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["retry-after"]) > 0
        assert door.get("/healthz").status == 200
        assert door.get("/readyz").status == 503
        assert door.get(f"/v1/messages/{first.json['uid']}", door.good).status == 200
        ballast.free()
        after = _until(door, lambda answer: answer.status == 202)
        for uid in (first.json["uid"], after.json["uid"]):
            assert door.get(f"/v1/messages/{uid}", door.good).status == 200
        assert engine.stop() == 0


def _until(door: Door, wanted: Callable[[Answer], bool]) -> Answer:
    """Send messages until one is answered so. Those with 202 are kept small, so that it takes some to fill a page."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with door.connect() as client:
            answer = door.post(client, {"target": "closed", "text": "x" * 5_000})
        if wanted(answer):
            return answer
        assert answer.status in {202, 503}, answer
        assert time.monotonic() < deadline, answer


@contextmanager
def _engine_behind(box: Box, words: list[str]) -> Iterator[Engine]:
    """Run the engine as the last words of a command that ends in exec, so that it has the command's pid."""

    class Behind(Engine):
        @staticmethod
        def command(data_dir: Path) -> list[str]:
            return [*words, *Engine.command(data_dir)]

    engine = Behind(box, {**UNLIMITED})
    try:
        yield engine
    finally:
        engine.end()
