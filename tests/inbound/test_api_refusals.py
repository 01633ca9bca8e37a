"""What the API refuses, and that it names the place and nothing of itself."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import (
    BadInput,
    ChronosError,
    ConfigError,
    DatabaseBusy,
    DatabaseUnusable,
    DeadlineExceeded,
    Degraded,
    EngineNeeded,
    IdempotencyConflict,
    NotFound,
    NotPossible,
    SecretMissing,
    StorageFull,
)
from engine.operations.health import Check
from engine.rules.apikeys import Scope
from tests.inbound.api import JSON, Api, assert_problem, configuration, opened_api
from tests.support import FakeClock

GOOD = b'{"target": "hook", "text": "hi"}'


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with opened_api(tmp_path) as opened:
        opened.key(*Scope)
        yield opened


def places(problem: dict[str, Any]) -> list[str]:
    return [one.get("pointer") or one.get("parameter") or one.get("header") for one in problem["errors"]]


def raw(api: Api, body: bytes, **headers: str) -> Any:
    return api.call("POST", "/v1/messages", body=body, headers={"Content-Type": JSON, **headers})


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_only_json_is_read(api: Api, content_type: str) -> None:
    answer = api.call("POST", "/v1/messages", body=GOOD, headers={"Content-Type": content_type})
    assert_problem(answer, 415)
    assert answer.headers["accept"] == JSON


@pytest.mark.parametrize("content_type", [JSON, "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'])
def test_json_may_say_its_charset(api: Api, content_type: str) -> None:
    assert api.call("POST", "/v1/messages", body=GOOD, headers={"Content-Type": content_type}).status_code == 202


def test_another_charset_and_compression_are_refused(api: Api) -> None:
    assert_problem(raw(api, GOOD, **{"Content-Type": "application/json; charset=latin-1"}), 415)
    assert_problem(raw(api, GOOD, **{"Content-Encoding": "gzip"}), 415)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"target": NaN}',
        b'{"target": "hook", "data": Infinity}',
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
        b'{"target": "hook", "text": "\\ud800"}',
        b'{"target": "hook", "data": {"\\uDfff": 1}}',
        b"{} {}",
    ],
)
def test_what_is_no_json_is_said_to_be_none(api: Api, body: bytes) -> None:
    problem = assert_problem(raw(api, body), 400, "bad-request")
    assert len(problem["detail"]) < 200


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], ["#"]),
        ({}, ["#/target"]),
        ({"target": 3, "text": ["x"]}, ["#/target", "#/text"]),
        ({"target": "", "subject": "a\nb"}, ["#/target", "#/subject"]),
        ({"target": "hook", "subject": "x" * 999}, ["#/subject"]),
        ({"target": "hook", "prioriti": "high"}, ["#/prioriti"]),
        ({"target": "hook", "priority": "High"}, ["#/priority"]),
        ({"target": "hook", "not_before": "tomorrow"}, ["#/not_before"]),
        ({"target": "hook", "expires_at": "2026-11-23T14:00:00"}, ["#/expires_at"]),
        ({"target": "hook", "not_before": "2026-02-30T00:00:00Z"}, ["#/not_before"]),
        ({"target": "hook", "not_before": 5}, ["#/not_before"]),
        ({"target": "hook", "collapse_key": "a b", "ordering_key": ""}, ["#/collapse_key", "#/ordering_key"]),
        ({"target": "hook", "tags": ["ok", "a b"]}, ["#/tags/1"]),
        ({"target": "hook", "headers": {"a/b~c": "x", "ok": 1}}, ["#/headers/a~1b~0c", "#/headers/ok"]),
        ({"target": "hook", "attachments": [{"name": "..", "content_base64": "", "x": 1}]},
         ["#/attachments/0/name", "#/attachments/0/x"]),
        ({"target": "hook", "attachments": [{"name": "a/b"}]},
         ["#/attachments/0/name", "#/attachments/0/content_base64"]),
    ],
)  # fmt: skip
def test_every_wrong_field_is_named(api: Api, fields: Any, expected: list[str]) -> None:
    problem = assert_problem(api.post("/v1/messages", fields), 422, "invalid")
    assert places(problem) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["#"]),
        ({"text": ""}, ["#"]),
        ({"text": "x", "expires_at": "2020-01-01T00:00:00Z"}, ["#/expires_at"]),
        ({"text": "x", "not_before": "2027-01-02T00:00:00Z", "expires_at": "2027-01-01T00:00:00Z"}, ["#/expires_at"]),
        ({"text": "x", "headers": {"Host": "x", "Content-Type": "y"}}, ["#/headers/Host", "#/headers/Content-Type"]),
        ({"text": "x", "headers": {"X-A": "=?utf-8?q?a=0D=0AB?="}}, ["#/headers/X-A"]),
        ({"attachments": [{"name": "a", "content_base64": "AA=\n="}]}, ["#/attachments/0/content_base64"]),
        ({"attachments": [{"name": "a", "content_base64": "AAAA="}, {"name": "b", "content_base64": "ä"}]},
         ["#/attachments/0/content_base64", "#/attachments/1/content_base64"]),
        ({"subject": "=?utf-8?q?a=0D=0ABcc:x?="}, ["#"]),
    ],
)  # fmt: skip
def test_what_needs_the_clock_or_the_channel_is_named_too(api: Api, fields: Any, expected: list[str]) -> None:
    problem = assert_problem(api.post("/v1/messages", {"target": "hook", **fields}), 422, "invalid")
    assert places(problem) == expected


def test_templates_are_refused_by_name(api: Api) -> None:
    problem = assert_problem(api.send(template="weekly", vars={"a": "b"}), 422)
    assert places(problem) == ["#/template", "#/vars"]
    assert "this version has no templates" in problem["detail"]


def test_a_misspelled_field_is_told_what_was_meant(api: Api) -> None:
    assert "did you mean subject?" in assert_problem(api.send(sbject="x"), 422)["detail"]
    found = assert_problem(api.get("/v1/messages", params={"limt": "1"}), 422)
    assert found["errors"] == [{"parameter": "limt", "detail": "unknown; did you mean limit?"}]


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/v1/messages", "limit=0", ["limit"]),
        ("/v1/messages", "limit=1001&after=x", ["after", "limit"]),
        ("/v1/messages", "limit=%2B5", ["limit"]),
        ("/v1/messages", "after=99999999999999999999", ["after"]),
        ("/v1/messages", "filter=state:ded", ["filter"]),
        ("/v1/messages", "filter=a&filter=b", ["filter"]),
        ("/v1/messages", "size", ["size"]),
        ("/v1/audit", "filter=state:dead", ["filter"]),
        ("/v1/audit", "before=0", ["before"]),
        ("/v1/incidents", "state=closed", ["state"]),
        ("/v1/backups", "limit=0&state=x", ["limit", "state"]),
        ("/healthz", "verbose=1", ["verbose"]),
    ],
)
def test_every_wrong_parameter_is_named(api: Api, path: str, query: str, expected: list[str]) -> None:
    assert places(assert_problem(api.get(path, query_string=query), 422)) == expected


def test_a_bad_filter_is_answered_in_its_own_words(api: Api) -> None:
    problem = assert_problem(api.get("/v1/messages", params={"filter": "state:ded"}), 422)
    assert problem["detail"] == "filter, column 1, state:ded: unknown state 'ded'; did you mean dead?"


def test_numbers_beyond_all_bounds_are_no_defect(api: Api) -> None:
    api.get("/v1/messages", params={"filter": "size>999999999999999t"})
    api.get("/v1/messages", params={"after": str(2**62 - 1), "filter": "attempts>999999999999999 age>5200w"})
    assert not [name for name in api.log.names() if name == "request_defect"]


def test_an_unknown_target_is_not_found(api: Api) -> None:
    problem = assert_problem(api.send(target="hok"), 404)
    assert "did you mean hook?" in problem["detail"]
    assert places(problem) == ["#/target"]


def test_ad_hoc_targets_follow_the_rules_of_the_command_line(tmp_path: Path) -> None:
    address = "https://hooks.example.org/x"
    for environment, allowed, expected in (
        ("development", False, 202),
        ("production", False, 422),
        ("production", True, 202),
    ):
        known = configuration(environment=environment, security={"allow_adhoc_targets": allowed})
        directory = tmp_path / f"{environment}-{allowed}"
        directory.mkdir()
        with opened_api(directory, known) as api:
            api.key(Scope.SEND)
            answer = api.send(target=address)
            assert answer.status_code == expected, answer.text
            if expected == 422:
                assert places(answer.json) == ["#/target"]


def test_a_body_over_the_limit_is_too_large(tmp_path: Path) -> None:
    with opened_api(tmp_path, configuration(http={"max_body_bytes": 1_000})) as api:
        api.key(Scope.SEND)
        assert api.send(text="x" * 900).status_code == 202
        problem = assert_problem(api.send(text="x" * 1_000), 413)
        assert "http.max_body" in problem["detail"]


def test_a_message_over_the_limit_is_refused_with_the_limit(tmp_path: Path) -> None:
    with opened_api(tmp_path, configuration(outbox={"max_message_bytes": 1_000})) as api:
        api.key(Scope.SEND)
        problem = assert_problem(api.send(text="x" * 1_001), 422)
        assert "outbox.max_message" in problem["detail"]


def test_without_a_key_nothing_is_read_or_told(api: Api) -> None:
    api.text = ""
    for method, path in (
        ("GET", "/v1/messages"),
        ("POST", "/v1/messages"),
        ("GET", "/v1/messages/x"),
        ("GET", "/metrics"),
    ):
        answer = api.call(method, path, query_string="limit=wrong")
        assert_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    api.text = "chr_00000000_" + "A" * 43 + "_000000"
    assert_problem(api.get("/v1/messages"), 401)


@pytest.mark.parametrize(
    ("scope", "opens"),
    [
        (Scope.SEND, {"POST /v1/messages"}),
        (
            Scope.READ,
            {
                "GET /v1/messages",
                "GET /v1/health",
                "GET /v1/audit",
                "GET /v1/incidents",
                "GET /v1/backups",
                "GET /metrics",
            },
        ),
        (Scope.ADMIN, {"POST /v1/messages/UID/retry"}),
    ],
)
def test_each_scope_opens_its_own_and_nothing_else(api: Api, scope: Scope, opens: set[str]) -> None:
    uid = api.send().json["uid"]
    api.key(scope)
    calls = (
        "POST /v1/messages", "GET /v1/messages", "GET /v1/health", "GET /v1/audit", "GET /v1/incidents", "GET /metrics",
        "GET /v1/backups", "POST /v1/messages/UID/retry",
    )  # fmt: skip
    for words in calls:
        method, path = words.replace("UID", uid).split()
        answer = api.call(method, path, json={"target": "hook", "text": "x"} if words == "POST /v1/messages" else None)
        if words in opens:
            assert answer.status_code in {200, 202}, (words, answer.text)
        else:
            assert_problem(answer, 403, "forbidden")
            assert answer.headers["ratelimit-limit"] == "1000"


def test_beyond_its_rate_a_key_is_told_when_to_come_again(tmp_path: Path) -> None:
    clock = FakeClock()
    with opened_api(tmp_path, configuration(security={"rate_limit_per_hour": 2}), clock) as api:
        api.key(Scope.READ)
        assert [api.get("/v1/messages").status_code for _ in range(2)] == [200, 200]

        answer = api.get("/v1/messages")

        assert_problem(answer, 429, "rate-limited")
        assert answer.headers["ratelimit-remaining"] == "0"
        clock.advance_ms(int(answer.headers["retry-after"]) * 1_000)
        assert api.get("/v1/messages").status_code == 200


def test_a_flood_of_bad_keys_gets_the_same_headers(tmp_path: Path) -> None:
    with opened_api(tmp_path, configuration(security={"rate_limit_per_hour": 2})) as api:
        answers = [api.get("/v1/messages") for _ in range(3)]
        assert [one.status_code for one in answers] == [401, 401, 429]
        assert answers[-1].headers["ratelimit-remaining"] == "0"
        assert answers[-1].headers["ratelimit-reset"] == answers[-1].headers["retry-after"]


def test_a_path_with_a_slash_too_many_is_told_the_right_one(api: Api) -> None:
    assert "did you mean /v1/messages?" in assert_problem(api.get("/v1/messages/"), 404)["detail"]
    for path in ("/", "//", "/v1", "/v1/schedules", "/v1/messages/a/b/c"):
        assert_problem(api.get(path), 404)


class Troubled:
    """An engine whose health cannot be asked for."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self) -> list[Check]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "waits"),
    [
        (BadInput("words"), 422, False),
        (NotFound("words"), 404, False),
        (IdempotencyConflict("words"), 409, False),
        (NotPossible("words"), 409, False),
        (EngineNeeded("/secret/path"), 503, True),
        (DatabaseBusy("/secret/path"), 503, True),
        (DeadlineExceeded("/secret/path"), 503, True),
        (StorageFull("/secret/path"), 503, True),
        (Degraded("/secret/path"), 503, True),
        (DatabaseUnusable("/secret/path"), 503, True),
        (ConfigError(["/secret/path"]), 500, False),
        (SecretMissing("/secret/path"), 500, False),
        (ChronosError("/secret/path"), 500, False),
        (KeyError("/secret/path"), 500, False),
        (OSError(errno.EIO, "/secret/path"), 500, False),
        (ZeroDivisionError("/secret/path"), 500, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_has_its_status_and_tells_nothing_of_the_machine(
    api: Api, error: Exception, status: int, waits: bool
) -> None:
    api.engine.health = Troubled(error)  # type: ignore[method-assign] # the engine's own trouble

    answer = api.get("/v1/health")

    assert_problem(answer, status)
    assert ("retry-after" in answer.headers) == waits
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    defects = [fields for _level, name, fields in api.log.events if name == "request_defect"]
    assert [one["error"] for one in defects] == ([error] if status == 500 else [])
    if status == 500:
        assert defects[0]["request"] == answer.headers["x-request-id"]
        assert defects[0]["request"] in json.dumps(answer.json["detail"])


def test_after_a_failed_write_nothing_is_taken(api: Api) -> None:
    (api.box.directory / "DEGRADED").write_text("{}")

    answer = api.send()

    assert_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "60"
    assert str(api.box.directory) not in answer.text
