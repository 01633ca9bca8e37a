"""The HTTP door of a cockpit that delivers itself."""

from __future__ import annotations

import json
import urllib.request

import pytest

from tests.interfaces.program import Box
from tests.support import PATIENCE_S
from tests.tui.program.visit import Visit

OPEN = {"CHRONOS_HTTP_ENABLED": "true", "CHRONOS_HTTP_LISTEN": "127.0.0.1:0"}


def _listens(box: Box) -> str:
    while not (address := box.ok("status", "--json").json["engine"]["http"]):
        pass
    return str(address)


def _ask(address: str) -> object:
    with urllib.request.urlopen(f"http://{address}/healthz", timeout=PATIENCE_S) as answer:
        return json.loads(answer.read())


def test_a_cockpit_that_delivers_opens_the_door_and_closes_it_when_it_leaves(box: Box) -> None:
    with Visit(box, env=OPEN, columns=120) as visit:
        address = _listens(box)
        assert _ask(address) == {"status": "ok"}
        assert visit.leave() == 0
        visit.assert_as_before()
    with pytest.raises(OSError, match="refused"):
        _ask(address)


def test_an_attached_cockpit_opens_none(box: Box) -> None:
    with box.engine(CHRONOS_HTTP_ENABLED="false") as engine:
        with Visit(box, env=OPEN, columns=120) as visit:
            visit.wait_header(f"delivered by pid {engine.process.pid}")
            assert box.ok("status", "--json").json["engine"]["http"] is None
            assert visit.leave() == 0
        assert engine.stop() == 0


def test_a_door_that_must_not_open_so_keeps_the_cockpit_from_starting_but_not_from_looking(box: Box) -> None:
    strangers = {**OPEN, "CHRONOS_HTTP_LISTEN": "0.0.0.0:0"}
    with Visit(box, env=strangers, up=False) as visit:
        assert visit.wait_exit() == 78
        assert bytes(visit.raw).startswith(b"chronos-tui: http.listen: 0.0.0.0:0 is outside loopback")
    box.send("--text", "x", "--in", "1h")
    with Visit(box, "--read-only", env=strangers, columns=120) as visit:
        visit.wait_header("read-only")
        assert visit.leave() == 0
