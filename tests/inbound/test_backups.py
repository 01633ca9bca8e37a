"""GET /v1/backups: what the command line lists, by the same documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.inbound.http import documents
from engine.operations.backup import archiveshapes, backups
from engine.rules.apikeys import Scope
from engine.rules.backups import Kind
from tests.inbound.api import Api, assert_problem, configuration, opened_api
from tests.inbound.test_openapi import exactly


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with opened_api(tmp_path, configuration()) as opened:
        yield opened


def test_it_is_empty_before_there_is_one(api: Api) -> None:
    api.key(Scope.READ)
    assert api.get("/v1/backups").json == {"backups": []}


def test_backups_are_those_of_the_command_line(api: Api) -> None:
    api.key(Scope.READ)
    made = [backups.create(api.box.context, Kind.MANUAL, drill=False)]
    api.box.clock.advance_ms(2_000)
    made.insert(0, backups.create(api.box.context, Kind.SAFETY, drill=True))
    found = api.get("/v1/backups").json
    exactly(documents.BackupList, found)
    assert [(one["kind"], one["proof"]) for one in found["backups"]] == [("safety", "proven"), ("manual", "unproven")]
    assert found["backups"] == [archiveshapes.backup_shape(one) for one in made]
    assert api.get("/v1/backups", params={"limit": "1"}).json["backups"] == found["backups"][:1]


def test_a_manifest_is_not_handed_out(api: Api) -> None:
    api.key(Scope.READ)
    backups.create(api.box.context, Kind.MANUAL, drill=False)
    assert "manifest" not in api.get("/v1/backups").json["backups"][0]


def test_who_may_not_read_is_refused(api: Api) -> None:
    assert_problem(api.get("/v1/backups"), 401)
    api.key(Scope.SEND)
    assert_problem(api.get("/v1/backups"), 403)
    api.key(Scope.READ, targets=("hook",))
    assert_problem(api.get("/v1/backups"), 403)
    api.key(Scope.READ)
    assert_problem(api.get("/v1/backups", query_string="limit=0"), 422)
    assert_problem(api.post("/v1/backups", {}), 405)
