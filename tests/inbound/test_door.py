"""The door of an engine in this process: opened, closed by what happens to its owner, and never in a delivery's way."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from engine.host.paths import paths
from engine.inbound.http.door import Door
from engine.inbound.http.server import Application
from engine.model import NewMessage, Role, Settings, TargetSpec
from engine.store import leader
from tests.inbound.serving import App, Client
from tests.support import PATIENCE_S, EventLog, opened_engine, settings


def configured(directory: Path, listen: str = "127.0.0.1:0") -> Settings:
    box = TargetSpec(name="box", channel="maildir", lane="box", options={"path": str(directory / "mail")})
    return settings({"box": box}, http={"listen": listen})


def reachable(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), PATIENCE_S):
            return True
    except ConnectionError:
        return False


def until(holds: Callable[[], bool]) -> None:
    while not holds():
        threading.Event().wait(0.01)


def http_of(engine: Engine) -> str:
    return engine.context.database.read(leader.read).http


def test_only_who_delivers_opens_it(tmp_path: Path) -> None:
    where = paths(str(tmp_path / "data"), None, {})
    with opened_engine(where, configured(tmp_path)) as engine:
        assert engine.serve() == ""
        assert engine.start("test") is Role.OWNER
        address = engine.serve()
        assert engine.serve() == address
        assert reachable(address)
        until(lambda: http_of(engine) == address)
        assert engine.situation().leader.http == address
        engine.stop()
        assert not reachable(address)
        assert http_of(engine) == ""
        assert engine.start("test") is Role.OWNER
        assert reachable(engine.serve())


def test_a_deposed_owner_closes_it_before_anybody_stops_the_engine(tmp_path: Path) -> None:
    where = paths(str(tmp_path / "data"), None, {})
    with opened_engine(where, configured(tmp_path)) as engine:
        engine.own("test")
        address = engine.serve()
        with closing(sqlite3.connect(where.database)) as other:
            other.execute("UPDATE leader SET epoch = epoch + 1")
            other.commit()
        engine.enqueue(NewMessage("box", text="x"))
        until(lambda: not reachable(address))
        assert engine.ended()


def test_it_serves_the_api(tmp_path: Path) -> None:
    where = paths(str(tmp_path / "data"), None, {})
    with opened_engine(where, configured(tmp_path)) as engine:
        engine.own("test")
        host, _, port = engine.serve().rpartition(":")
        with Client(socket.create_connection((host, int(port)), PATIENCE_S)) as client:
            assert client.get("/healthz").json == {"status": "ok"}
            assert client.get("/v1/messages").is_problem(401)


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    with opened_engine(paths(str(tmp_path / "data"), None, {}), configured(tmp_path)) as engine:
        engine.own("test")
        yield engine


def broken() -> tuple[Application, Callable[[], None]]:
    raise RuntimeError("boom")


def test_a_defect_closes_it_and_is_said_and_tried_again(engine: Engine) -> None:
    log, tries = EventLog(), []

    def build() -> tuple[Application, Callable[[], None]]:
        tries.append(1)
        return broken() if len(tries) == 1 else (App().wsgi, lambda: None)

    door = Door(engine.context, engine, log, epoch=1, build=build, retry_s=0.05)
    door.open()
    until(lambda: len(tries) == 2)
    until(lambda: bool(door.address) and reachable(door.address))
    door.close(1)
    assert door.address == ""
    (defect,) = [fields for _level, name, fields in log.events if name == "http_defect"]
    assert isinstance(defect["error"], RuntimeError)
    (incident,) = engine.incidents(everything=True)
    assert (incident.kind, incident.state) == ("http.closed", "resolved")


def test_whoever_knocks_at_a_door_with_a_defect_is_not_left_waiting(engine: Engine) -> None:
    door = Door(engine.context, engine, EventLog(), epoch=1, build=broken, retry_s=PATIENCE_S)
    address = door.open()
    until(lambda: not reachable(address))
    door.close(1)


def test_what_ends_the_application_is_called_once(engine: Engine) -> None:
    ended: list[int] = []
    door = Door(engine.context, engine, EventLog(), epoch=1, build=lambda: (App().wsgi, lambda: ended.append(1)))
    host, _, port = door.open().rpartition(":")
    with Client(socket.create_connection((host, int(port)), PATIENCE_S)) as client:
        assert client.get().status == 200
    door.close(1)
    door.close(1)
    assert ended == [1]


def test_a_port_that_is_taken_is_tried_again_until_it_is_free(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        engine.context.settings = configured(Path(engine.paths.data_dir), address)
        log = EventLog()
        door = Door(engine.context, engine, log, epoch=1, build=lambda: (App().wsgi, lambda: None), retry_s=0.05)
        assert door.open() == ""
        until(lambda: [one.kind for one in engine.incidents()] == ["http.closed"])
    until(lambda: door.address == address)
    until(lambda: not engine.incidents())
    door.close(1)
    assert log.names().count("http_closed") == 1
