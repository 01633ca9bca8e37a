"""The HTTP API from outside: a running engine, an unmodified curl, and schemathesis."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interfaces.program import TIME_OUT_S, Box, Engine
from tests.support import SKIP_NOTHING

OPEN: dict[str, Any] = {
    "CHRONOS_HTTP_ENABLED": "true",
    "CHRONOS_HTTP_LISTEN": "127.0.0.1:0",
    "CHRONOS_SECURITY_RATE_LIMIT_PER_HOUR": "10000000",
}
SEED = 20_261_123


@dataclass
class Answer:
    """What curl printed."""

    status: int
    head: str
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Site:
    """A running engine with its door open, and a key."""

    box: Box
    engine: Engine
    key: str

    @property
    def url(self) -> str:
        return f"http://{self.engine.http.removeprefix('http://')}"

    def curl(self, path: str, *words: str, key: str | None = None) -> Answer:
        """Run curl with the key as a header; `key=""` for none."""
        used = self.key if key is None else key
        header = ["-H", f"Authorization: Bearer {used}"] if used else []
        done = subprocess.run(
            ["curl", "-sS", "-i", *header, *words, f"{self.url}{path}"],
            capture_output=True,
            timeout=TIME_OUT_S,
            check=True,
        )
        head, _, body = done.stdout.decode().partition("\r\n\r\n")
        return Answer(int(head.split()[1]), head.lower(), body)

    def post(self, document: object, *words: str) -> Answer:
        return self.curl("/v1/messages", "--json", json.dumps(document), *words)


@pytest.fixture
def site(box: Box) -> Iterator[Site]:
    if shutil.which("curl") is None:
        assert not SKIP_NOTHING
        pytest.skip("curl is not installed")
    with box.engine(**OPEN) as engine:
        made = box.ok("key", "create", "--name", "tests", "--scope", "send,read,admin", "--json").json
        yield Site(box, engine, made["key"])
        assert engine.stop() == 0


def test_a_message_that_curl_sent_is_delivered_and_tells_its_story(site: Site) -> None:
    message = {"target": "box", "subject": "Hello", "text": "from curl"}
    sent = site.post(message, "-H", "Idempotency-Key: one")

    assert sent.status == 202
    uid = sent.json["uid"]
    assert f"location: /v1/messages/{uid}" in sent.head
    site.engine.event("delivered")
    found = site.curl(f"/v1/messages/{uid}").json
    assert (found["state"], [one["outcome"] for one in found["history"]]) == ("delivered", ["delivered"])
    assert found == site.box.ok("outbox", "show", uid, "--json").json
    assert b"from curl" in next((site.box.data_dir / "mail" / "new").iterdir()).read_bytes()
    assert (
        site.post({"target": "box", "subject": "Hello", "text": "from curl"}, "-H", "Idempotency-Key: one").status
        == 200
    )


def test_what_is_listed_is_what_the_command_line_lists(site: Site) -> None:
    for number in range(3):
        site.post({"target": "closed", "text": str(number), "tags": ["n8n"], "not_before": "2099-01-01T00:00:00Z"})

    page = site.curl("/v1/messages?filter=tag:n8n&limit=2").json

    assert page == site.box.ok("outbox", "list", "--filter", "tag:n8n", "--limit", "2", "--json").json
    assert len(site.curl(f"/v1/messages?filter=tag:n8n&after={page['next']}").json["messages"]) == 1
    entries = site.curl("/v1/audit?filter=action:message.queued").json["entries"]
    assert entries == site.box.ok("audit", "list", "--filter", "action:message.queued", "--json").json["entries"]
    assert {one["actor"] for one in entries} == {"key:" + site.key.split("_")[1]}
    health = {one["name"] for one in site.curl("/v1/health").json["checks"]}
    assert health == {one["name"] for one in site.box.chronos("health", "--json").json["checks"]}


def test_a_hundred_requests_under_one_key_are_one_message(site: Site) -> None:
    import requests

    headers = {"Authorization": f"Bearer {site.key}", "Idempotency-Key": "same"}
    url = f"{site.url}/v1/messages"

    def send(_number: int) -> tuple[int, str]:
        answer = requests.post(url, json={"target": "box", "text": "once"}, headers=headers, timeout=TIME_OUT_S)
        return answer.status_code, answer.json()["uid"]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(send, range(100)))

    assert sorted(status for status, _uid in answers) == [200] * 99 + [202]
    assert len({uid for _status, uid in answers}) == 1
    assert sum(site.box.ok("outbox", "counts", "--json").json.values()) == 1


def test_monitors_need_no_key_on_this_machine(site: Site) -> None:
    assert site.curl("/healthz", key="").json == {"status": "ok"}
    assert site.curl("/readyz", key="").json == {"status": "ready"}
    assert 'chronos_outbox_messages{state="queued"} 0' in site.curl("/metrics", key="").body
    assert site.curl("/v1/openapi.json", key="").json["openapi"].startswith("3.1")


def test_a_key_that_was_revoked_opens_nothing_from_then_on(site: Site) -> None:
    assert site.curl("/v1/messages").status == 200
    site.box.ok("key", "revoke", "tests", "--yes")

    refused = site.curl("/v1/messages")

    assert refused.status == 401
    assert "www-authenticate: bearer" in refused.head
    assert "content-type: application/problem+json" in refused.head
    assert "revoked" not in refused.body


def test_neither_keys_nor_bodies_nor_queries_reach_the_log(site: Site) -> None:
    site.post({"target": "box", "text": "canary-body"}, "-H", "X-Canary: canary-header")
    site.curl("/v1/messages?filter=canary-query")
    site.curl("/canary-path")
    site.curl("/v1/messages", key=site.key[:-1] + ("0" if site.key[-1] != "0" else "1"))
    assert site.engine.stop() == 0

    logged = b"".join(path.read_bytes() for path in (site.box.data_dir / "logs").iterdir())
    assert b'"event":"request"' in logged
    for canary in (b"canary", site.key.encode(), site.key[13:56].encode()):
        assert canary not in logged
    with site.box.engine(**OPEN) as again:
        site.engine = again
        assert site.curl("/v1/messages").status == 200


def schemathesis(site: Site, *words: str, key: str, **env: str) -> subprocess.CompletedProcess[str]:
    header = ["--header", f"Authorization: Bearer {key}"] if key else []
    program = str(Path(sys.executable).with_name("schemathesis"))
    fixed = ["--checks", "all", "--seed", str(SEED), "--no-color"]
    return subprocess.run(
        [program, "run", f"{site.url}/v1/openapi.json", *fixed, *header, *words],
        cwd=site.box.home,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.parametrize("with_key", [True, False], ids=["key", "no key"])
def test_schemathesis_finds_nothing(site: Site, with_key: bool) -> None:
    done = schemathesis(site, "--max-examples", "10", key=site.key if with_key else "")
    assert done.returncode == 0, done.stdout[-5_000:]


HOOK = """
import schemathesis

@schemathesis.hook
def before_call(context, case, kwargs):
    if isinstance(case.body, dict) and "target" in case.body:
        case.body["target"] = "closed"
"""


def test_schemathesis_finds_nothing_behind_a_target_that_exists(site: Site) -> None:
    """What is valid by the schema may still be too late or empty, so that check alone is left out."""
    (site.box.home / "hooks.py").write_text(HOOK)
    done = schemathesis(
        site,
        *("--max-examples", "10", "--exclude-checks", "positive_data_acceptance"),
        key=site.key,
        SCHEMATHESIS_HOOKS="hooks",
        PYTHONPATH=str(site.box.home),
    )
    assert done.returncode == 0, done.stdout[-5_000:]
    assert sum(site.box.ok("outbox", "counts", "--json").json.values()) > 0
