"""Alive, ready, and the figures: true, cheap, and in the format that Prometheus reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import DatabaseBusy
from engine.inbound.http import probes
from engine.inbound.http.calls import Desk
from engine.inbound.http.counting import Counts
from engine.operations import holding, incidents, metrics
from engine.operations.metrics import Family, Sample
from engine.rules.apikeys import Scope
from engine.rules.incidents import Kind
from engine.store import leader
from tests.inbound.api import Api, assert_problem, configuration, opened_api
from tests.inbound.exposition import Exposition, parse
from tests.support import target


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with opened_api(tmp_path) as opened:
        opened.loopback = True
        yield opened


def figures(api: Api) -> Exposition:
    answer = api.get("/metrics", headers={})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse(answer.text)


def test_the_outbox_is_counted(api: Api) -> None:
    api.box.put()
    api.box.put(target="mail")
    for claimed in api.box.claim():
        api.box.finish(claimed, "rejected" if claimed.taken.id == 1 else "delivered")
    api.box.put()
    api.box.clock.advance_ms(90_500)
    holding.pause(api.box.context, "target:mail", for_ms=60_000, reason="")
    incidents.report(api.box.context, Kind.REPLAY, "n8n", "words")
    api.engine.tried = {"delivered": 7, "rejected": 2}

    found = figures(api)

    states = {state: found.value("chronos_outbox_messages", state=state) for state in ("queued", "dead", "delivered")}
    assert states == {"queued": 1, "dead": 1, "delivered": 1}
    assert found.value("chronos_outbox_oldest_due_seconds") == 90.5
    assert found.value("chronos_holds") == 1
    assert found.value("chronos_incidents_open", severity="high") == 1
    assert found.value("chronos_incidents_open", severity="low") == 0
    assert found.value("chronos_deliveries_total") == 7
    assert found.value("chronos_attempts_total", outcome="rejected") == 2
    assert found.value("chronos_attempts_total", outcome="throttled") == 0
    assert found.value("chronos_degraded") == 0
    assert found.value("chronos_audit_entries") >= 6


def test_a_target_in_trouble_is_not_open(api: Api) -> None:
    api.box.put()
    api.box.finish(api.box.claim()[0], "misconfigured", detail="bad login")

    found = figures(api)

    assert found.value("chronos_target_open", target="hook") == 0
    assert found.value("chronos_target_open", target="mail") == 1


def test_requests_and_refusals_are_counted_by_route(api: Api) -> None:
    api.get("/v1/messages/" + "x" * 50)
    for path in ("/a", "/b", "/c"):
        api.get(path)
    api.key(Scope.READ)
    api.get("/v1/messages")
    api.get("/v1/messages")

    found = figures(api)

    assert found.value("chronos_api_requests_total", route="/v1/messages/{uid}", status="401") == 1
    assert found.value("chronos_api_requests_total", route="unmatched", status="404") == 3
    assert found.value("chronos_api_requests_total", route="/v1/messages", status="200") == 2
    assert found.value("chronos_api_request_seconds_count", route="/v1/messages") == 2
    assert found.value("chronos_api_refused_total", reason="no_key") == 1
    assert found.value("chronos_kdf_runs_total") == 1


def test_the_process_is_measured(api: Api) -> None:
    found = figures(api)
    assert 10e6 < found.value("process_resident_memory_bytes") < 4e9
    assert found.value("process_open_fds") > 3
    assert found.value("process_threads") >= 1
    assert found.value("process_start_time_seconds") > 1.6e9


def test_names_of_targets_are_escaped(tmp_path: Path) -> None:
    name = 'a"b\\c\nd'
    known = configuration()._replace(targets={name: target(name)})
    with opened_api(tmp_path, known) as api:
        api.loopback = True
        assert figures(api).value("chronos_target_open", target=name) == 1


def test_the_format_escapes_and_leaves_out_what_is_empty() -> None:
    families = [
        Family("a_total", "counter", "one\ntwo \\", (Sample(1.5, (("x", 'q"\\\n'),)), Sample(2, (("x", ""),)))),
        Family("b", "gauge", "empty", ()),
    ]
    assert metrics.render(families) == (
        '# HELP a_total one\\ntwo \\\\\n# TYPE a_total counter\na_total{x="q\\"\\\\\\n"} 1.5\na_total{x=""} 2\n'
    )


def test_beyond_loopback_figures_need_a_key_that_reads(api: Api) -> None:
    api.loopback = False
    assert_problem(api.get("/metrics"), 401)
    api.key(Scope.SEND)
    assert_problem(api.get("/metrics"), 403)
    api.key(Scope.READ)
    assert api.get("/metrics").status_code == 200


def test_it_is_alive_as_long_as_the_thread_turns(api: Api) -> None:
    assert api.get("/healthz").json == {"status": "ok"}
    api.engine.turns = False
    answer = api.get("/healthz")
    assert_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"]


def test_it_is_ready_when_messages_are_taken(api: Api) -> None:
    assert api.get("/readyz").json == {"status": "ready"}


def test_it_is_not_ready_when_the_thread_does_not_turn_or_a_write_failed(api: Api) -> None:
    api.engine.turns = False
    (api.box.directory / "DEGRADED").write_text("{}")
    words = assert_problem(api.get("/readyz"), 503)["detail"]
    assert "does not turn" in words
    assert "DEGRADED" in words


def test_it_is_not_ready_when_no_heartbeat_reaches_the_disk(api: Api) -> None:
    api.box.clock.advance_ms(16_000)
    assert "no write has reached the disk for 16 s" in assert_problem(api.get("/readyz"), 503)["detail"]
    now_ms = api.box.clock.now_ms()
    api.box.database.write(lambda tx: leader.beat(tx, epoch=api.box.epoch, state="running", now_ms=now_ms))
    assert api.get("/readyz").status_code == 200


def test_a_clock_that_was_set_back_leaves_it_ready(api: Api) -> None:
    api.box.clock.jump_ms(-86_400_000)
    assert api.get("/readyz").status_code == 200


def test_a_database_that_cannot_be_read_is_a_reason(api: Api) -> None:
    readers = api.box.database.options.max_connections
    assert readers > 2

    class Closed:
        path = api.box.database.path
        degraded = False

        def read(self, _work: object) -> object:
            raise DatabaseBusy("no connection is free")

    desk_context = api.box.context.acting_as("x")
    desk_context.database = Closed()  # type: ignore[assignment] # what a database with no free connection does
    desk = Desk(desk_context, api.engine, api.gate, Counts())
    assert probes.reasons_not_ready(desk) == ["the database cannot be read"]


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own takes root")
def test_a_full_disk_is_seen_before_a_write_fails(tmp_path: Path) -> None:
    import subprocess

    small = tmp_path / "small"
    small.mkdir(mode=0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with opened_api(small) as api:
            assert api.get("/readyz").status_code == 200
            filler = small / "filler"
            room = os.statvfs(small)
            filler.write_bytes(b"\0" * (room.f_bavail * room.f_frsize - 512 * 1024))
            assert "the disk is full" in assert_problem(api.get("/readyz"), 503)["detail"]
            filler.unlink()
            assert api.get("/readyz").status_code == 200
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)
