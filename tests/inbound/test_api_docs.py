"""docs/http.md names every path, every kind of problem, every field and every figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.inbound.http import events, problems
from engine.inbound.http.models import MessageIn
from engine.inbound.http.routes import table
from tests.inbound.api import opened_api
from tests.inbound.exposition import parse

TEXT = (Path(__file__).parents[2] / "docs" / "http.md").read_text()


@pytest.mark.parametrize("kind", [*problems.KINDS, events.NOT_VERIFIED, events.REPLAYED], ids=lambda kind: kind.name)
def test_every_kind_of_problem_is_explained(kind: problems.Kind) -> None:
    assert f"`{kind.name}`" in TEXT
    assert str(kind.status) in TEXT


def test_every_path_and_every_field_is_named() -> None:
    for route in table(str):
        path, _, act = route.path.rpartition("/")
        assert f"{route.method} {route.path}`" in TEXT or (f"{route.method} {path}/" in TEXT and f"/{act}`" in TEXT)
    for field in MessageIn.model_fields:
        assert f"`{field}`" in TEXT


def test_every_figure_is_named(tmp_path: Path) -> None:
    with opened_api(tmp_path) as api:
        api.loopback = True
        for name in parse(api.get("/metrics").text).kinds:
            assert name.startswith("process_") or f"`{name}" in TEXT, name
