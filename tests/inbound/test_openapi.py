"""The OpenAPI document says what the code does: every route, every status, every field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from engine.errors import BadInput
from engine.inbound.http import documents
from engine.inbound.http.grammar import pattern
from engine.inbound.http.routes import table
from engine.operations import incidents, shapes
from engine.rules import filters
from engine.rules.apikeys import Scope
from engine.rules.incidents import Kind
from tests.inbound.api import Api, opened_api

CONTRACT = {
    "GET /healthz": None,
    "GET /readyz": None,
    "GET /metrics": "read",
    "POST /v1/messages": "send",
    "GET /v1/messages/{uid}": "read",
    "GET /v1/messages": "read",
    "POST /v1/messages/{uid}/retry": "admin",
    "POST /v1/messages/{uid}/cancel": "admin",
    "POST /v1/messages/{uid}/hold": "admin",
    "POST /v1/messages/{uid}/release": "admin",
    "GET /v1/health": "read",
    "GET /v1/audit": "read",
    "GET /v1/incidents": "read",
    "GET /v1/backups": "read",
    "POST /v1/inbound/{source}": None,
    "GET /v1/openapi.json": None,
}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with opened_api(tmp_path) as opened:
        yield opened


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/v1/openapi.json").json
    return found


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_it_has_every_route_with_its_scope(document: dict[str, Any]) -> None:
    found = operations(document)
    assert set(found) == set(CONTRACT)
    for name, scope in CONTRACT.items():
        bearer = {"key": []} in found[name]["security"]
        assert bearer == (scope is not None), name
        assert found[name].get("description", "") == (f"Scope: `{scope}`." if scope else "")
    assert {} in found["GET /metrics"]["security"]
    names = [operation["operationId"] for operation in found.values()]
    assert len(set(names)) == len(names)


def test_the_router_has_the_same_routes(api: Api, document: dict[str, Any]) -> None:
    assert isinstance(api.app, falcon.App)
    for path, methods in document["paths"].items():
        answer = api.call("OPTIONS", re.sub(r"{\w+}", "x", path))
        allowed = set(answer.headers["allow"].split(", ")) - {"OPTIONS", "HEAD"}
        assert allowed == {method.upper() for method in methods}, path


def test_it_is_openapi_that_a_reader_takes(document: dict[str, Any]) -> None:
    import schemathesis.openapi

    loaded = schemathesis.openapi.from_dict(document)
    loaded.validate()
    assert document["openapi"].startswith("3.1")


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                yield part["$ref"]
            for one in part.values():
                yield from references(one)
        elif isinstance(part, list):
            for one in part:
                yield from references(one)

    for reference in set(references(document)):
        at: Any = document
        for step in reference.removeprefix("#/").split("/"):
            at = at[step]


def test_every_problem_is_described_by_its_type(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], name
    assert {"429", "401", "403"} <= set(operations(document)["POST /v1/messages"]["responses"])


def exactly(model: type[BaseModel], document: Any) -> None:
    """Check that a document has the fields of the model, no more and no less, all the way down."""
    TypeAdapter(model).validate_python(document, strict=True)
    assert TypeAdapter(model).dump_python(model.model_validate(document)) == document


def test_answers_are_what_their_models_say(api: Api) -> None:
    api.key(*Scope)
    uid = api.send(attachments=[{"name": "a", "content_base64": "AAAA"}], tags=["t"]).json["uid"]
    api.box.finish(api.box.claim()[0], "rejected", detail="no", refused=(("a@example.org", "no"),))
    incidents.report(api.box.context, Kind.REPLAY, "n8n", "words")

    exactly(documents.Message, api.send().json)
    exactly(documents.MessageDetail, api.get(f"/v1/messages/{uid}").json)
    exactly(documents.MessagePage, api.get("/v1/messages").json)
    exactly(documents.Health, api.get("/v1/health").json)
    exactly(documents.AuditPage, api.get("/v1/audit").json)
    exactly(documents.IncidentList, api.get("/v1/incidents").json)
    exactly(documents.Status, api.get("/healthz").json)
    exactly(documents.Status, api.get("/readyz").json)
    assert set(documents.Incident.model_fields) == set(shapes.incident(incidents.listing(api.box.context)[0]))


def test_a_route_that_is_added_is_documented() -> None:
    assert {f"{route.method} {route.path}" for route in table(str)} == set(CONTRACT)


DIALECTS = {"outbox": filters.OUTBOX, "audit": filters.AUDIT}


@pytest.mark.parametrize("name", DIALECTS)
def test_what_the_filters_pattern_describes_is_a_filter(name: str) -> None:
    dialect = DIALECTS[name]

    @settings(max_examples=300, deadline=None)
    @given(st.from_regex(re.compile(pattern(dialect)), fullmatch=True).filter(lambda text: len(text) < 500))
    def check(text: str) -> None:
        filters.parse(text, dialect)

    check()


@pytest.mark.parametrize("name", DIALECTS)
def test_what_it_does_not_describe_is_none(name: str) -> None:
    dialect = DIALECTS[name]
    described = re.compile(pattern(dialect))

    @settings(max_examples=1_500, deadline=None)
    @given(st.text(alphabet='astedTO:"\\ -<>=,1#\x01\t.\x1c\x85\xa0\u2028\ufeff', max_size=14))
    def check(text: str) -> None:
        try:
            filters.parse(text, dialect)
            good = True
        except BadInput:
            good = False
        assert (described.search(text) is not None) == good

    check()


@pytest.mark.parametrize(
    "text",
    [
        'state:dead channel:email -tag:nightly key:cron-1 error:timeout age>2h attempts>=3 priority:high "free text"',
        "state:dead,held STATE=Queued size>1m due<1h30m id:#1042,7 -words",
        "",
    ],
)
def test_the_filters_of_the_documentation_are_described(text: str) -> None:
    filters.parse(text)
    assert re.search(pattern(filters.OUTBOX), text)


@pytest.mark.parametrize("text", ["since:24h action:message -actor:engine", "since:2026-11-23T14:00:00Z seq>=3"])
def test_the_audit_logs_filters_are_described(text: str) -> None:
    filters.parse(text, filters.AUDIT)
    assert re.search(pattern(filters.AUDIT), text)
