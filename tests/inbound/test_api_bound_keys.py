"""Keys that are bound to targets send to these alone, and see and touch nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.rules.apikeys import Scope
from tests.inbound.api import Api, assert_problem, opened_api


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with opened_api(tmp_path) as opened:
        yield opened


def uids(api: Api, **params: str) -> list[str]:
    return [one["uid"] for one in api.get("/v1/messages", params=params).json["messages"]]


def test_it_sends_to_its_targets_alone(api: Api) -> None:
    api.key(Scope.SEND, targets=("hook", "alerts"))

    assert api.send(target="hook").status_code == 202
    assert api.send(target="alerts").status_code == 202
    for target in ("mail", "nope", "https://hooks.example.org/x", "mailto:a@example.org"):
        problem = assert_problem(api.send(target=target), 403)
        assert "hook" not in problem["detail"]


def test_a_route_counts_by_its_name(api: Api) -> None:
    api.key(Scope.SEND, targets=("hook", "mail"))
    assert_problem(api.send(target="alerts"), 403)


def test_it_sees_its_messages_alone(api: Api) -> None:
    api.key(Scope.SEND)
    sent = {name: api.send(target=name).json["uid"] for name in ("hook", "mail", "alerts", "other")}
    api.key(Scope.READ, Scope.ADMIN, targets=("hook", "mail"))

    assert uids(api) == [sent["mail"], sent["hook"]]
    assert uids(api, filter="target:hook,other") == [sent["hook"]]
    assert uids(api, filter="target:other") == []
    assert uids(api, filter=f"uid:{sent['other']}") == []
    assert uids(api, filter="route:alerts") == []
    for name in ("other", "alerts"):
        assert_problem(api.get(f"/v1/messages/{sent[name]}"), 404)
        assert_problem(api.post(f"/v1/messages/{sent[name]}/cancel"), 404)
        assert api.message(sent[name]).state == "queued"
    assert api.get(f"/v1/messages/{sent['hook']}").status_code == 200
    assert api.post(f"/v1/messages/{sent['hook']}/cancel").json["state"] == "cancelled"


def test_the_answer_for_others_messages_is_that_for_none(api: Api) -> None:
    api.key(Scope.SEND)
    uid = api.send(target="other").json["uid"]
    api.key(Scope.READ, targets=("hook",))

    hidden, missing = api.get(f"/v1/messages/{uid}").json, api.get(f"/v1/messages/{uid[:-1]}f").json

    assert {**hidden, "instance": ""} == {**missing, "instance": ""}


def test_a_conflict_names_no_message_of_another_target(api: Api) -> None:
    api.key(Scope.SEND)
    other = api.send(target="other", http={"Idempotency-Key": "k"}).json
    problem = assert_problem(api.send(target="hook", http={"Idempotency-Key": "k"}), 409, "idempotency-key-reused")
    assert other["uid"] in problem["detail"]
    api.key(Scope.SEND, targets=("hook",))
    problem = assert_problem(api.send(target="hook", http={"Idempotency-Key": "k"}), 409, "idempotency-key-reused")
    assert other["uid"] not in str(problem)
    assert f"#{other['id']}" not in str(problem)


def test_a_route_replaces_nothing_that_waits_for_its_target_itself(api: Api) -> None:
    api.key(Scope.SEND)
    direct = api.send(target="hook", collapse_key="c").json["uid"]
    api.key(Scope.SEND, targets=("alerts",))
    first = api.send(target="alerts", collapse_key="c").json["uid"]
    second = api.send(target="alerts", collapse_key="c").json["uid"]
    assert [api.message(uid).state for uid in (direct, first, second)] == ["queued", "cancelled", "queued"]


def test_pages_of_a_route_and_a_target_are_one_list(api: Api) -> None:
    api.key(Scope.SEND)
    names = ["hook", "alerts", "other", "mail", "alerts", "hook", "mail", "other", "alerts"]
    sent = [(name, api.send(target=name).json["uid"]) for name in names]
    api.key(Scope.READ, targets=("alerts", "mail"))

    seen: list[str] = []
    cursor = "99"
    for _ in range(10):
        page = api.get("/v1/messages", params={"limit": "2", "after": cursor}).json
        seen += [one["uid"] for one in page["messages"]]
        if page["next"] is None:
            break
        cursor = str(page["next"])

    assert seen == [uid for name, uid in reversed(sent) if name in {"alerts", "mail"}]


def test_what_is_about_all_targets_is_not_for_it(api: Api) -> None:
    api.key(Scope.READ, targets=("hook",))
    for path in ("/v1/health", "/v1/audit", "/v1/incidents", "/v1/backups", "/metrics"):
        assert_problem(api.get(path), 403)
