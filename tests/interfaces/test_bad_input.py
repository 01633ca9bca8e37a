"""One clear line, the right exit code, nothing lost, no traceback: whatever is wrong around a command."""

from __future__ import annotations

import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.channels.certs import Authority
from tests.interfaces.program import Box
from tests.servers import SmtpSink


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("targets: [\n", "config.yaml:"),
        ("smtp:\n  prot: 25\n", "config.yaml:2: smtp.prot: unknown key; did you mean port?"),
        ("smtp: {port: many}\n", "config.yaml:1: smtp.port: must be a whole number"),
        ("targets: {box: {channel: pigeon}}\n", "config.yaml:1: targets.box"),
    ],
)
def test_a_broken_configuration_stops_every_command_with_78(box: Box, text: str, says: str) -> None:
    box.configure(text)
    for words in (("send", "box", "--text", "x"), ("outbox", "list"), ("health", "--json")):
        broken = box.chronos(*words)
        assert (broken.code, broken.out) == (78, ""), words
        assert says in broken.one_line


def test_every_problem_of_the_configuration_has_its_line(box: Box) -> None:
    box.configure("smtp: {prot: 25}\nhttp: {enable: true}\n")
    broken = box.chronos("outbox", "counts")
    assert broken.code == 78
    assert [line.split(": ")[1] for line in broken.err.splitlines()] == ["config.yaml:1", "config.yaml:2"]


def test_a_variable_that_nobody_knows_is_a_configuration_error(box: Box) -> None:
    broken = box.chronos("outbox", "counts", CHRONOS_SMTP_HOTS="x")
    assert broken.code == 78
    assert "CHRONOS_SMTP_HOTS" in broken.one_line


def test_a_locked_database_is_tried_again_later_and_nothing_is_stored(box: Box) -> None:
    box.send("--text", "first")
    with box_locked(box):
        busy = box.chronos("send", "box", "--text", "second", CHRONOS_DATABASE_BUSY_TIMEOUT="50ms")
    assert (busy.code, busy.out) == (75, "")
    assert busy.one_line
    assert box.ok("outbox", "counts", "--json").json["queued"] == 1
    box.send("--text", "second")


@contextmanager
def box_locked(box: Box) -> Iterator[None]:
    other = sqlite3.connect(box.data_dir / "chronos.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_a_file_that_is_no_database_is_left_alone(box: Box) -> None:
    file = box.data_dir / "chronos.db"
    file.write_bytes(b"not a database" * 1000)
    foreign = box.chronos("send", "box", "--text", "x")
    assert (foreign.code, foreign.out) == (1, "")
    assert "chronos.db" in foreign.one_line
    assert file.read_bytes() == b"not a database" * 1000


def test_a_data_directory_that_others_can_write_to_is_refused(box: Box) -> None:
    box.data_dir.chmod(0o777)
    refused = box.chronos("send", "box", "--text", "x")
    assert refused.code == 78
    assert str(box.data_dir) in refused.one_line


def test_a_wrong_password_is_found_by_the_test_and_costs_no_message(
    box: Box, authority: Authority, server_tls: ssl.SSLContext
) -> None:
    with SmtpSink(tls=server_tls, login=("ops", "right password")) as server:
        box.configure(
            f"smtp: {{host: localhost, port: {server.port}, username: ops, password: 'secret:smtp', "
            f"from: ops@example.org, ca_file: {authority.file}}}\n"
            "targets: {me: {channel: email, to: [me@example.org]}}\n"
        )
        box.extra["CHRONOS_SECRET_SMTP"] = "the wrong password"
        tested = box.chronos("target", "test", "me", "--json")
        assert tested.code == 3
        assert [(step["name"], step["ok"]) for step in tested.json["steps"]][-1] == ("login", False)
        assert "the wrong password" not in tested.out + tested.err
        with box.engine() as engine:
            uid = box.send("--text", "x", target="me")
            engine.event("attempt_failed", outcome="misconfigured")
            assert engine.stop() == 0
        assert "the wrong password" not in "".join(engine.lines)
        assert box.ok("outbox", "show", uid, "--json").json["state"] == "queued"
        assert "target.misconfigured" in box.ok("status").out
        box.extra["CHRONOS_SECRET_SMTP"] = "right password"
        with box.engine() as engine:
            box.ok("target", "enable", "me")
            box.ok("outbox", "retry", uid)
            engine.event("delivered", message_id=1)
            assert engine.stop() == 0
        assert len(server.mails) == 1


@pytest.fixture
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server_tls(authority: Authority) -> ssl.SSLContext:
    return authority.server("localhost")
