"""POST /v1/inbound/{source}: every answer of the contract, and not a word to the sender about why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from falcon import testing

from engine.inbound.http.app import make_app
from engine.operations import apikeys, inbound, reading
from engine.operations.gate import Gate
from tests import inbox
from tests.inbox import BODY, github, plain, standard
from tests.support import START_MS, Box, EventLog, FakeClock, opened_box

HOME = {"chronos.remote": "127.0.0.1", "chronos.loopback": True}


class Surface:
    """An engine that notes that it was woken."""

    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1

    def turning(self) -> bool:
        return True

    def health(self) -> list[Any]:
        return []

    def attempts(self) -> Mapping[str, int]:
        return {}


class Door:
    """The application over an opened outbox, with the real gate before it."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.surface = Surface()
        log = EventLog()
        self.gate = Gate(box.context, log)
        self.client = testing.TestClient(make_app(box.context, self.surface, self.gate, log))

    def post(
        self, source: str, headers: Mapping[str, str], body: bytes = BODY, remote: str = "127.0.0.1"
    ) -> testing.Result:
        extras = {**HOME, "chronos.remote": remote}
        return self.client.simulate_post(f"/v1/inbound/{source}", headers=dict(headers), body=body, extras=extras)


@pytest.fixture
def door(tmp_path: Path, clock: FakeClock) -> Iterator[Door]:
    configuration = inbox.configured(
        security={"pbkdf2_iterations": 2, "rate_limit_per_hour": 50}, http={"max_body_bytes": 1_000}
    )
    with opened_box(tmp_path, configuration, clock) as box:
        sources = box.context.settings
        inbox.ready(box)
        box.context.settings = sources
        yield Door(box)


def problem(found: testing.Result, status: int) -> str:
    """Return the problem's name; whatever it is, it must say nothing of the reason."""
    assert found.status_code == status, found.text
    assert found.headers["content-type"] == "application/problem+json"
    said = found.text.lower()
    assert not any(
        word in said for word in ("secret", "clock", "old", "ahead", "missing", "json", inbox.SECRET.lower())
    )
    return str(found.json["type"]).rpartition(":")[2]


def test_an_event_is_accepted_and_its_copy_is_known(door: Door) -> None:
    first = door.post("n8n", standard())
    assert first.status_code == 202
    assert first.json["status"] == "accepted"
    assert first.json["event_id"] == "m1"
    assert reading.detail(door.box.context, first.json["message"]).message.target == "hook"
    assert door.surface.woken == 1
    again = door.post("n8n", standard())
    assert again.status_code == 200
    assert again.json == {"status": "duplicate", "event_id": "m1", "message": first.json["message"]}
    assert door.surface.woken == 1


def test_an_event_without_a_message_is_accepted_too(door: Door) -> None:
    body = b'{"action": "closed"}'
    found = door.post("github", github(body), body)
    assert found.status_code == 202
    assert found.json == {"status": "accepted", "event_id": "d1", "message": None}
    assert door.surface.woken == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        standard(b"another body"),
        standard(at_s=START_MS // 1000 - 301),
        standard(at_s=START_MS // 1000 + 301),
        {**standard(), "Webhook-Timestamp": "soon"},
    ],
)
def test_whatever_is_wrong_the_sender_gets_the_same_words(door: Door, headers: dict[str, str]) -> None:
    found = door.post("n8n", headers)
    assert problem(found, 401) == "event-not-verified"
    assert found.json["detail"] == "the event could not be verified"
    assert inbound.source(door.box.context, "n8n").rejected == 1


def test_a_replay_is_a_conflict(door: Door) -> None:
    assert door.post("byid", plain(X_Id="a")).status_code == 202
    assert problem(door.post("byid", plain(X_Id="b")), 409) == "event-replayed"


def test_an_unknown_source_is_not_found(door: Door) -> None:
    assert problem(door.post("nobody", {}), 404) == "not-found"
    assert problem(door.post("n8n%00", {}), 404) == "not-found"


def test_a_body_that_is_too_large_or_packed_is_refused_before_it_is_read(door: Door) -> None:
    big = b"x" * 1_001
    assert problem(door.post("plain", plain(big), big), 413) == "too-large"
    assert problem(door.post("plain", {**plain(), "Content-Encoding": "gzip"}), 415) == "event-packed"
    assert door.post("plain", {**plain(), "Content-Encoding": "identity"}).status_code == 202


def test_too_many_from_one_network_are_told_to_wait(door: Door) -> None:
    statuses = [door.post("n8n", {}, remote="198.51.100.7").status_code for _ in range(60)]
    assert statuses.count(401) == 50
    last = door.post("n8n", standard(), remote="198.51.100.7")
    assert problem(last, 429) == "rate-limited"
    assert int(last.headers["retry-after"]) > 0
    assert door.post("n8n", standard(), remote="198.51.100.8").status_code == 202


def test_when_nothing_can_be_stored_the_sender_is_asked_to_come_again(door: Door, tmp_path: Path) -> None:
    (tmp_path / "DEGRADED").write_text("")
    found = door.post("n8n", standard())
    assert problem(found, 503) == "unavailable"
    assert int(found.headers["retry-after"]) > 0
    assert problem(door.post("nokey", {"X-Telegram-Bot-Api-Secret-Token": "x"}), 503) == "unavailable"
    (tmp_path / "DEGRADED").unlink()
    assert door.post("n8n", standard()).status_code == 202


def test_an_api_key_with_the_right_scope_and_target_sends(door: Door) -> None:
    context = door.box.context
    good = apikeys.create(context, "n8n", ["send"])
    for bad, status in (
        (None, 401),
        (apikeys.create(context, "reader", ["read"]).text, 403),
        (apikeys.create(context, "bound", ["send"], targets=["mail"]).text, 403),
    ):
        headers = {} if bad is None else {"Authorization": f"Bearer {bad}"}
        assert door.post("keyed", headers).status_code == status
    headers = {"Authorization": f"Bearer {good.text}", "Idempotency-Key": "k1"}
    found = door.post("keyed", headers)
    assert (found.status_code, found.json["event_id"]) == (202, "k1")
    assert door.post("keyed", headers).status_code == 200
    assert door.post("keyed", headers, b"{}").status_code == 409
    assert reading.detail(context, found.json["message"]).message.queued_by == f"key:{good.key.id}"


def test_a_source_of_its_own_asks_for_no_key(door: Door) -> None:
    assert door.post("n8n", {**standard(), "Authorization": "Bearer nonsense"}).status_code == 202


def test_a_reload_reaches_the_door(door: Door) -> None:
    door.box.context.settings = door.box.context.settings._replace(sources={})
    assert problem(door.post("n8n", standard()), 404) == "not-found"
