"""The HTTP door from outside: where it listens, who may come in at all, and how it closes."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.channels.certs import Authority
from tests.inbound.serving import Client
from tests.interfaces.program import TIME_OUT_S, Box, Engine, run

OPEN = {"CHRONOS_HTTP_ENABLED": "true", "CHRONOS_HTTP_LISTEN": "127.0.0.1:0"}


@pytest.fixture
def open_box(box: Box) -> Box:
    box.extra.update(OPEN)
    return box


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A port that another program has."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other


def connect(engine: Engine) -> Client:
    host, _, port = engine.http.rpartition(":")
    return Client(socket.create_connection((host, int(port)), TIME_OUT_S))


def curl(*words: str) -> str:
    done = subprocess.run(["curl", "-sS", *words], capture_output=True, timeout=TIME_OUT_S, check=True, text=True)
    return done.stdout


def at(sock: socket.socket) -> str:
    return f"127.0.0.1:{sock.getsockname()[1]}"


def test_curl_gets_an_answer_at_the_address_of_the_ready_line(open_box: Box) -> None:
    with open_box.engine() as engine:
        assert json.loads(curl(f"http://{engine.http}/healthz")) == {"status": "ok"}
        assert "401" in curl("-i", f"http://{engine.http}/v1/messages")
        assert open_box.ok("status", "--json").json["engine"]["http"] == engine.http
        assert f"http       {engine.http}\n" in open_box.ok("status").out
        assert f"listens on {engine.http}" in open_box.chronos("health").out
        assert engine.stop() == 0
    assert open_box.ok("status", "--json").json["engine"]["http"] is None


def test_off_by_configuration_is_off(box: Box) -> None:
    with box.engine() as engine:
        assert engine.http == "off"
        assert "off: http.enabled is false" in box.chronos("health").out
        assert engine.stop() == 0


def test_a_unix_socket_is_served_to_its_owner_alone(open_box: Box) -> None:
    path = open_box.data_dir / "http.sock"
    open_box.extra["CHRONOS_HTTP_LISTEN"] = f"unix:{path}"
    with open_box.engine() as engine:
        assert engine.http == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(curl("--unix-socket", str(path), "http://localhost/healthz")) == {"status": "ok"}
        engine.process.kill()
        engine.process.wait(TIME_OUT_S)
    assert path.exists()  # it died without a word
    with open_box.engine() as engine:
        assert engine.http == f"unix:{path}"
        assert json.loads(curl("--unix-socket", str(path), "http://localhost/healthz")) == {"status": "ok"}
        assert engine.stop() == 0
    assert not path.exists()


def test_a_port_that_is_taken_stops_no_delivery_and_is_an_incident_until_it_is_free(
    open_box: Box, taken: socket.socket
) -> None:
    address = at(taken)
    open_box.extra["CHRONOS_HTTP_LISTEN"] = address
    with open_box.engine() as engine:
        assert engine.http == "off"
        assert any('"event":"http_closed"' in line for line in engine.lines + engine._early)
        open_box.send("--text", "x")
        engine.event("delivered", message_id=1)
        health = open_box.chronos("health", "--json")
        found = {one["name"]: one for one in health.json["checks"]}["http"]
        assert found["status"] == "warning"
        assert "another program has it" in found["value"]
        (incident,) = open_box.ok("status", "--json").json["incidents"]
        assert (incident["kind"], incident["subject"]) == ("http.closed", address)
        taken.close()
        engine.signal(signal.SIGHUP)  # or 30 s
        engine.event("http_listening", address=address)
        assert json.loads(curl(f"http://{address}/healthz")) == {"status": "ok"}
        while open_box.ok("status", "--json").json["incidents"]:
            pass
        assert engine.stop() == 0


def test_a_second_data_directory_takes_no_socket_away(open_box: Box, tmp_path: Path) -> None:
    path = open_box.data_dir / "http.sock"
    open_box.extra["CHRONOS_HTTP_LISTEN"] = str(path)
    second = Box(tmp_path / "second", dict(open_box.extra))
    second.home.mkdir()
    second.configure("{}")
    with open_box.engine() as engine, second.engine() as other:
        assert (engine.http, other.http) == (f"unix:{path}", "off")
        assert other.stop() == 0
        assert json.loads(curl("--unix-socket", str(path), "http://localhost/healthz")) == {"status": "ok"}
        assert engine.stop() == 0


# What is refused


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"CHRONOS_HTTP_LISTEN": "0.0.0.0:0"}, "http.listen: 0.0.0.0:0 is outside loopback"),
        ({"CHRONOS_HTTP_TLS_CERTIFICATE": "/nowhere.pem"}, "http.tls_certificate: /nowhere.pem: No such file"),
    ],
)
def test_a_door_that_must_not_open_so_keeps_an_engine_from_starting_and_no_message_from_being_taken(
    open_box: Box, variables: dict[str, str], says: str
) -> None:
    open_box.extra.update(variables)
    program = [sys.executable, "-m", "chronos_tui.app", "--data-dir", str(open_box.data_dir), "--engine-only"]
    refused = run(program, open_box.env, "", open_box.home)
    assert (refused.code, refused.out) == (78, "")
    assert says in refused.one_line
    checked = open_box.chronos("config", "check", "--json")
    assert checked.code == 3
    assert says in checked.json["problems"][0]
    assert open_box.send("--text", "x").startswith("msg_")
    assert open_box.ok("outbox", "counts", "--json").json["queued"] == 1


def test_the_operator_may_say_that_keys_travel_in_the_clear(open_box: Box) -> None:
    open_box.extra.update({"CHRONOS_HTTP_LISTEN": "0.0.0.0:0", "CHRONOS_SECURITY_REQUIRE_HTTPS": "false"})
    with open_box.engine() as engine:
        assert engine.http.startswith("0.0.0.0:")
        assert engine.stop() == 0


def test_a_reload_that_would_be_refused_leaves_the_door_as_it_is(open_box: Box) -> None:
    del open_box.extra["CHRONOS_HTTP_LISTEN"]
    listen = "http: {{listen: '{}'}}\ntargets: {{box: {{channel: maildir, path: mail}}}}\n"
    open_box.configure(listen.format("127.0.0.1:0"))
    with open_box.engine() as engine:
        open_box.configure(listen.format("0.0.0.0:0"))
        engine.signal(signal.SIGHUP)
        engine.until("not reloaded, the old configuration stays in force: http.listen: 0.0.0.0:0 is outside loopback")
        assert json.loads(curl(f"http://{engine.http}/healthz")) == {"status": "ok"}
        assert engine.stop() == 0


# TLS and reload


def _certificate(directory: Path, authority: Authority) -> bytes:
    before = set(directory.glob("*.pem"))
    authority.server("127.0.0.1")
    (made,) = set(directory.glob("*.pem")) - before
    return made.read_bytes()


def _serial(address: str, authority: Authority) -> object:
    host, _, port = address.removeprefix("https://").rpartition(":")
    trust = ssl.create_default_context(cafile=str(authority.file))
    with (
        socket.create_connection((host, int(port)), TIME_OUT_S) as plain,
        trust.wrap_socket(plain, server_hostname=host) as secured,
    ):
        found = secured.getpeercert()
        assert found is not None
        return found["serialNumber"]


def test_tls_is_served_to_strangers_and_a_new_certificate_is_read_on_sighup(open_box: Box, tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    authority = Authority(folder)
    file = folder / "served"
    file.write_bytes(_certificate(folder, authority))
    file.chmod(0o600)
    open_box.extra.update({"CHRONOS_HTTP_LISTEN": "0.0.0.0:0", "CHRONOS_HTTP_TLS_CERTIFICATE": str(file)})
    with open_box.engine() as engine:
        assert engine.http.startswith("https://0.0.0.0:")
        address = engine.http.replace("0.0.0.0", "127.0.0.1")
        assert json.loads(curl("--cacert", str(authority.file), f"{address}/healthz")) == {"status": "ok"}
        first = _serial(address, authority)
        file.write_bytes(_certificate(folder, authority))
        engine.signal(signal.SIGHUP)
        engine.event("config_reloaded")
        assert _serial(address, authority) != first
        assert engine.stop() == 0


def test_another_address_is_taken_over_on_sighup(open_box: Box) -> None:
    del open_box.extra["CHRONOS_HTTP_LISTEN"]
    open_box.configure("http: {listen: '127.0.0.1:0'}\n")
    with open_box.engine() as engine:
        assert json.loads(curl(f"http://{engine.http}/healthz")) == {"status": "ok"}
        path = open_box.data_dir / "door"
        open_box.configure(f"http: {{listen: '{path}'}}\n")
        engine.signal(signal.SIGHUP)
        engine.event("http_listening", address=f"unix:{path}")
        assert json.loads(curl("--unix-socket", str(path), "http://localhost/healthz")) == {"status": "ok"}
        with pytest.raises(ConnectionRefusedError):
            connect(engine)
        open_box.configure("http: {enabled: false}\n")
        del open_box.extra["CHRONOS_HTTP_ENABLED"]
        engine.signal(signal.SIGHUP)
        engine.event("config_reloaded")
        assert engine.stop() == 0


# How it closes


def test_a_client_that_holds_its_connection_does_not_keep_the_engine(open_box: Box) -> None:
    with open_box.engine() as engine, connect(engine) as idle, connect(engine) as half:
        assert idle.get("/healthz").status == 200
        half.raw(b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n")
        engine.signal(signal.SIGTERM)
        assert idle.rest() == b""
        engine.event("stopped")
        assert engine.process.wait(TIME_OUT_S) == 0


def test_an_owner_that_was_deposed_closes_its_door(open_box: Box) -> None:
    with open_box.engine() as engine, connect(engine) as client:
        assert client.get("/healthz").status == 200
        with sqlite3.connect(open_box.data_dir / "chronos.db") as database:
            database.execute("UPDATE leader SET epoch = epoch + 1, http = 'the next one'")
        database.close()
        open_box.send("--text", "x")
        assert client.rest() == b""
        assert engine.process.wait(TIME_OUT_S) == 1
    with sqlite3.connect(open_box.data_dir / "chronos.db") as database:
        assert database.execute("SELECT http FROM leader").fetchone() == ("the next one",)
    database.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into a process that is not dumpable")
def test_a_body_is_kept_in_memory_and_in_no_file(open_box: Box) -> None:
    """waitress puts a bigger one into a file outside the data directory, where I8 wants none."""
    with open_box.engine() as engine, connect(engine) as client:
        client.send("POST /v1/messages HTTP/1.1", "Host: x", "Content-Length: 9000000", body=bytes(8_999_999))
        links = Path(f"/proc/{engine.process.pid}/fd")
        assert [one for one in map(os.readlink, links.iterdir()) if "(deleted)" in one] == []
        assert client.raw(b"}").answer().status == 401
        assert engine.stop() == 0
