"""The API's answers: messages queued, shown, listed and acted on, as docs/http.md promises."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.inbound.http.models import time_ms
from engine.model import Priority, State
from engine.operations import auditing, reading, shapes
from engine.rules.apikeys import Scope
from tests.inbound.api import REMOTE, Api, assert_problem, opened_api
from tests.support import START_MS

FULL = {
    "target": "mail",
    "subject": "Backup",
    "text": "done",
    "html": "<p>done</p>",
    "data": {"b": [1, "ä"], "a": None},
    "attachments": [
        {"name": "a.txt", "content_type": "text/plain", "content_base64": base64.b64encode(b"\0x").decode()}
    ],
    "headers": {"X-Job": "nightly"},
    "not_before": "2026-09-21T16:13:21.5+02:00",
    "expires_at": "2026-09-22T00:00:00Z",
    "priority": "urgent",
    "collapse_key": "c",
    "ordering_key": "o",
    "on_uncertain": "ask",
    "tags": ["nightly", "a", "nightly"],
}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with opened_api(tmp_path) as opened:
        opened.key(*Scope)
        yield opened


def test_a_message_is_stored_as_it_was_given(api: Api) -> None:
    answer = api.post("/v1/messages", FULL)

    assert answer.status_code == 202
    uid = answer.json["uid"]
    assert answer.headers["location"] == f"/v1/messages/{uid}"
    found = reading.detail(api.box.context, uid)
    assert answer.json == shapes.message(found.message, found.tags)
    assert found.tags == ("a", "nightly")
    message = found.message
    assert (message.target, message.priority, message.state) == ("mail", Priority.URGENT, State.QUEUED)
    assert (message.due_ms, message.expires_ms) == (START_MS + 1_500, time_ms("2026-09-22T00:00:00Z"))
    assert (message.collapse_key, message.ordering_key, message.on_uncertain) == ("c", "o", "ask")
    assert message.queued_by == f"key:{api.texts()[0]}"
    content = reading.content(api.box.context, uid)
    assert (content.subject, content.text, content.html) == ("Backup", "done", "<p>done</p>")
    assert json.loads(content.data or "") == FULL["data"]
    assert content.headers == (("X-Job", "nightly"),)
    assert [tuple(one) for one in content.attachments] == [("a.txt", "text/plain", b"\0x")]
    assert api.engine.woken == 1


def test_nulls_stand_for_what_is_left_out(api: Api) -> None:
    fields = dict.fromkeys([*FULL, "template", "vars"]) | {"target": "hook", "text": "hi", "priority": "low"}

    answer = api.post("/v1/messages", fields)

    assert answer.status_code == 202, answer.text
    assert answer.json["priority"] == "low"


@pytest.mark.parametrize("key", ["once", '"once"'])
def test_the_same_key_and_content_is_one_message(api: Api, key: str) -> None:
    first = api.send(http={"Idempotency-Key": "once"}, tags=["a"])

    again = api.send(http={"Idempotency-Key": key}, tags=["b"], priority="high")

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json == first.json
    assert again.headers["location"] == first.headers["location"]
    assert reading.counts(api.box.context)["queued"] == 1


def test_the_same_key_for_other_content_is_a_conflict(api: Api) -> None:
    api.send(http={"Idempotency-Key": "once"})

    assert_problem(api.send(text="other", http={"Idempotency-Key": "once"}), 409, "idempotency-key-reused")


@pytest.mark.parametrize("key", ["", "a b", "x" * 257, '""'])
def test_a_key_that_is_none_is_named(api: Api, key: str) -> None:
    problem = assert_problem(api.send(http={"Idempotency-Key": key}), 422)
    assert [one["header"] for one in problem["errors"]] == ["Idempotency-Key"]


def test_an_act_shows_the_message_and_stands_in_the_audit_log(api: Api) -> None:
    uid = api.send().json["uid"]

    held = api.post(f"/v1/messages/{uid}/hold")
    released = api.post(f"/v1/messages/{uid}/release")
    retried = api.post(f"/v1/messages/{uid}/retry")
    cancelled = api.post(f"/v1/messages/{uid}/cancel")

    states = [answer.json["state"] for answer in (held, released, retried, cancelled)]
    assert states == ["held", "queued", "queued", "cancelled"]
    assert cancelled.json == api.get(f"/v1/messages/{uid}").json
    actor = f"key:{api.texts()[0]}"
    entries = auditing.page(api.box.context, f"subject:{uid}")
    assert [(one.action, one.actor) for one in entries] == [
        ("message.cancelled", actor),
        ("message.retried", actor),
        ("message.released", actor),
        ("message.held", actor),
        ("message.queued", actor),
    ]
    assert_problem(api.post(f"/v1/messages/{uid}/hold"), 409, "conflict")
    assert api.engine.woken == 5


def test_a_message_shows_its_attempts(api: Api) -> None:
    uid = api.send().json["uid"]
    api.box.finish(api.box.claim()[0], "rejected", detail="no such user", code="550")

    found = api.get(f"/v1/messages/{uid}").json

    assert found["state"] == "dead"
    assert [(one["outcome"], one["code"], one["detail"]) for one in found["history"]] == [
        ("rejected", "550", "no such user")
    ]


@pytest.mark.parametrize("uid", ["msg_" + "0" * 32, "1", "%231", "msg_x", "a%2Fb", "%00"])
def test_a_message_that_is_not_there_is_not_found(api: Api, uid: str) -> None:
    api.send()
    assert_problem(api.get(f"/v1/messages/{uid}"), 404)
    assert_problem(api.post(f"/v1/messages/{uid}/retry"), 404)


def test_a_list_goes_on_behind_a_page(api: Api) -> None:
    uids = [api.send(tags=[f"n{number}"]).json["uid"] for number in range(5)]
    api.post(f"/v1/messages/{uids[2]}/hold")

    seen: list[str] = []
    cursor = None
    while True:
        given = {"filter": "state:queued", "limit": "2"} | ({} if cursor is None else {"after": str(cursor)})
        page = api.get("/v1/messages", params=given).json
        seen += [one["uid"] for one in page["messages"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert seen == [uids[number] for number in (4, 3, 1, 0)]
    assert api.get("/v1/messages", params={"filter": "tag:n2"}).json["messages"][0]["tags"] == ["n2"]


def test_the_audit_log_is_read_in_both_directions(api: Api) -> None:
    for _ in range(6):
        api.send()
    head = api.get("/v1/audit", params={"limit": "1"}).json["entries"][0]["seq"]

    newest = api.get("/v1/audit", params={"filter": "action:message", "limit": "2"}).json
    older = api.get("/v1/audit", params={"before": str(newest["next"]), "limit": "2"}).json
    first = api.get("/v1/audit", params={"after": "1", "limit": "2"}).json
    then = api.get("/v1/audit", params={"after": str(first["next"]), "limit": "2"}).json
    between = api.get("/v1/audit", params={"after": "2", "before": "5"}).json

    assert [one["seq"] for one in newest["entries"]] == [head, head - 1]
    assert [one["seq"] for one in older["entries"]] == [head - 2, head - 3]
    assert [one["seq"] for one in first["entries"]] == [3, 2]
    assert [one["seq"] for one in then["entries"]] == [5, 4]
    assert ([one["seq"] for one in between["entries"]], between["next"]) == ([4, 3], None)
    whole = {one.seq: shapes.entry(one) for one in auditing.page(api.box.context)}
    assert newest["entries"][0] == whole[head]


def test_health_is_what_the_command_line_says(api: Api) -> None:
    found = api.get("/v1/health").json
    assert found == shapes.health(api.engine.health())
    assert found["status"] == "warning"


def test_incidents_are_those_of_the_command_line(api: Api) -> None:
    from engine.operations import incidents
    from engine.rules.incidents import Kind

    incidents.report(api.box.context, Kind.REPLAY, "n8n", "an old signature")
    number = incidents.listing(api.box.context)[0].id

    found = api.get("/v1/incidents").json
    incidents.resolve(api.box.context, number, "it was me")

    assert [(one["kind"], one["subject"]) for one in found["incidents"]] == [("inbound.replay", "n8n")]
    assert api.get("/v1/incidents").json == {"incidents": []}
    every = api.get("/v1/incidents", params={"state": "all"}).json["incidents"]
    assert every == [shapes.incident(incidents.get(api.box.context, number))]


def test_answers_are_ascii(api: Api) -> None:
    uid = api.send(subject="\u202eä\x9b\U0001f4a3").json["uid"]

    answer = api.get(f"/v1/messages/{uid}")

    assert answer.content.isascii()
    assert answer.json["subject"] == "\u202eä\x9b\U0001f4a3"


def test_every_answer_has_the_headers_that_keep_it_safe(api: Api) -> None:
    for answer in (api.get("/healthz"), api.get("/nope"), api.send(), api.get("/v1/openapi.json")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"].startswith("req_")
    again = api.get("/healthz", extras={"chronos.request": "req_given"})
    assert again.headers["x-request-id"] == "req_given"


def test_every_authenticated_answer_says_what_is_left(api: Api) -> None:
    first, second = api.get("/v1/messages"), api.get("/v1/messages", params={"nope": "1"})

    assert first.headers["ratelimit-policy"] == '"hour";q=1000;w=3600'
    assert first.headers["ratelimit"] == f'"hour";r=999;t={first.headers["ratelimit-reset"]}'
    assert first.headers["ratelimit-limit"] == "1000"
    assert first.headers["ratelimit-remaining"] == "999"
    assert (second.status_code, second.headers["ratelimit-remaining"]) == (422, "998")
    assert "ratelimit" not in api.get("/healthz").headers


def test_a_request_is_one_line_of_the_log(api: Api) -> None:
    answer = api.get("/v1/messages", params={"filter": "uid:secret-thing"})

    level, name, fields = api.log.events[-1]
    assert (level, name) == ("INFO", "request")
    assert {key: fields[key] for key in ("request", "method", "route", "status", "caller", "remote", "bytes")} == {
        "request": answer.headers["x-request-id"],
        "method": "GET",
        "route": "/v1/messages",
        "status": 200,
        "caller": api.texts()[0],
        "remote": REMOTE,
        "bytes": len(answer.content),
    }
    api.send(text="secret-thing")
    api.get("/secret-thing")
    assert "secret-thing" not in repr(api.log.events)
    assert [fields["route"] for _level, _name, fields in api.log.events[-2:]] == ["/v1/messages", "unmatched"]


def test_head_is_get_without_the_body(api: Api) -> None:
    get, head = api.get("/v1/messages"), api.call("HEAD", "/v1/messages")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/v1/messages", "GET, HEAD, OPTIONS, POST"),
        ("/v1/messages/x/retry", "OPTIONS, POST"),
        ("/v1/inbound/n8n", "OPTIONS, POST"),
    ],
)
def test_options_say_what_a_path_takes(api: Api, path: str, allowed: str) -> None:
    answer = api.call("OPTIONS", path)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allowed, b"")


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")  # the reference checker of WSGI knows fewer than there are
@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "TRACE", "PROPFIND"])
def test_what_a_path_does_not_take_is_answered_with_what_it_does(api: Api, method: str) -> None:
    answer = api.call(method, "/v1/messages")
    assert_problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00.0019z", 1),
        ("1970-01-01T01:30:00+01:30", 0),
        ("1969-12-31T23:59:59.5Z", -500),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000),
    ],
)
def test_times_are_rfc_3339(text: str, expected_ms: int) -> None:
    assert time_ms(text) == expected_ms
