"""chronos metrics from outside: the same figures as /metrics, without an engine."""

from __future__ import annotations

from tests.inbound.exposition import parse
from tests.interfaces.program import Box


def test_figures_need_no_engine(box: Box) -> None:
    box.send("--text", "x")

    found = parse(box.ok("metrics").out)

    assert found.value("chronos_outbox_messages", state="queued") == 1
    assert found.value("chronos_target_open", target="box") == 1
    assert parse(box.ok("metrics", "--json").json["metrics"]).kinds == found.kinds
