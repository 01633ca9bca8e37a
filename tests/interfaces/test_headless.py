"""`chronos-tui --engine-only`, from outside: one owner, signals, systemd, what stands on stderr."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.interfaces.program import TIME_OUT_S, Box, run, started


class Gate(ThreadingHTTPServer):
    """A webhook receiver that answers 200 once `open` is set, and says when a request has arrived."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _GateRequest)
        self.open = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.ids: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _GateRequest(BaseHTTPRequestHandler):
    server: Gate

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.ids.append(self.headers["webhook-id"])
        self.server.arrived.release()
        if not self.server.open.wait(TIME_OUT_S):
            return
        try:
            self.send_response(200)
            self.end_headers()
        except OSError:  # the engine that asked is gone
            return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        return


@contextmanager
def gate() -> Iterator[Gate]:
    server = Gate()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.open.set()
        server.shutdown()
        thread.join(TIME_OUT_S)
        server.server_close()


def through(server: Gate) -> str:
    return f"targets: {{gate: {{channel: webhook, url: '{server.url}'}}}}\n"


def test_the_ready_line_names_pid_and_data_directory(box: Box) -> None:
    with box.engine(wait=False) as engine:
        found = engine.ready()
        assert int(found[1]) == engine.process.pid
        assert found[2] == str(box.data_dir)
        assert box.ok("status", "--json").json["engine"]["pid"] == engine.process.pid
        checks = box.ok("health", "--json").json["checks"]
        # What was never proven is not called healthy, and on a new box is no fault either.
        assert {one["name"]: one["status"] for one in checks if one["status"] != "ok"} == {"backup_proven": "unknown"}
        assert engine.stop() == 0
    assert box.ok("status", "--json").json["engine"]["running"] is False


def test_what_another_process_queues_is_delivered(box: Box) -> None:
    with box.engine() as engine:
        uid = box.send("--subject", "hello")
        engine.event("delivered", message_id=1, target="box")
        assert engine.stop() == 0
    shown = box.ok("outbox", "show", uid, "--json").json
    assert (shown["state"], shown["attempts"], shown["history"][0]["outcome"]) == ("delivered", 1, "delivered")


def test_a_running_engine_obeys_what_another_process_says(box: Box) -> None:
    with box.engine() as engine:
        box.ok("pause", "target:box", "--for", "1h")
        held = box.send("--text", "x")
        # Queued behind it and delivered: the engine has looked, and left the held one alone.
        box.send("--text", "y", target=f"maildir:{box.home}/other")
        engine.event("delivered", message_id=2)
        assert box.ok("outbox", "show", held, "--json").json["state"] == "queued"
        box.ok("resume")
        engine.event("delivered", message_id=1)
        assert engine.stop() == 0


def test_a_second_engine_is_refused_with_the_pid_of_the_first(box: Box) -> None:
    with box.engine() as engine:
        second = run(
            [sys.executable, "-m", "chronos_tui.app", "--engine-only", "--data-dir", str(box.data_dir)],
            box.env,
            "",
            box.home,
        )
        assert second.code == 5
        assert f"already delivered by pid {engine.process.pid} (engine-only)" in second.one_line
        assert engine.stop() == 0
    with box.engine() as third:
        assert third.stop() == 0


def test_an_engine_that_was_stopped_for_longer_than_it_waits_goes_on(box: Box) -> None:
    # What Ctrl-Z and a machine that slept do. CPython's sigtimedwait then answers with a signal that never came.
    with box.engine(WATCHDOG_USEC="20000") as engine:
        for _ in range(5):  # it is nearly always waiting, and must be for the test to see anything
            engine.signal(signal.SIGSTOP)
            os.waitpid(engine.process.pid, os.WUNTRACED)
            box.ok("config", "path")  # takes longer than the 10 ms after which the engine looks up, and no turn of its
            engine.signal(signal.SIGCONT)
        box.send("--text", "x")
        engine.event("delivered", message_id=1)
        assert engine.stop() == 0


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_is_on_the_wire_finish(box: Box, first: signal.Signals) -> None:
    with gate() as server:
        box.configure(through(server))
        with box.engine() as engine:
            uid = box.send("--text", "x", target="gate")
            assert server.arrived.acquire(timeout=TIME_OUT_S)
            engine.signal(first)
            engine.event("stopping", signal=first.name)
            server.open.set()
            engine.event("stopped", drained=True)
            assert engine.process.wait(TIME_OUT_S) == 0
    shown = box.ok("outbox", "show", uid, "--json").json
    assert (shown["state"], shown["attempts"]) == ("delivered", 1)


def test_a_second_signal_leaves_at_once_and_the_next_start_takes_up_its_work(box: Box) -> None:
    with gate() as server:
        box.configure(through(server))
        with box.engine() as engine:
            uid = box.send("--text", "x", target="gate")
            assert server.arrived.acquire(timeout=TIME_OUT_S)
            engine.signal(signal.SIGTERM)
            engine.event("stopping")
            engine.signal(signal.SIGTERM)
            assert engine.process.wait(TIME_OUT_S) == 128 + signal.SIGTERM
        assert box.ok("outbox", "show", uid, "--json").json["state"] == "sending"
        server.open.set()
        with box.engine() as engine:
            engine.event("orphans_taken_up", count=1)
            engine.event("delivered", message_id=1)
            assert engine.stop() == 0
        assert server.ids == [uid, uid]
    history = box.ok("outbox", "show", uid, "--json").json["history"]
    assert [one["outcome"] for one in history] == ["abandoned", "delivered"]


def test_a_receiver_that_never_answers_does_not_keep_the_engine(box: Box) -> None:
    """After the time to drain the attempt is recorded as cut off, and sent again at once by the next start."""
    with gate() as server:
        box.configure(through(server))
        with box.engine() as engine:
            uid = box.send("--text", "x", target="gate")
            assert server.arrived.acquire(timeout=TIME_OUT_S)
            engine.signal(signal.SIGTERM)
            engine.event("stopped", drained=False)
            assert engine.process.wait(TIME_OUT_S) == 0
    shown = box.ok("outbox", "show", uid, "--json").json
    assert (shown["state"], [one["outcome"] for one in shown["history"]]) == ("queued", ["abandoned"])


def test_sighup_puts_a_changed_configuration_in_force(box: Box) -> None:
    with box.engine() as engine:
        box.configure("targets: {new: {channel: maildir, path: new}}\n")
        engine.signal(signal.SIGHUP)
        engine.event("config_reloaded")
        box.send("--text", "x", target="new")
        engine.event("delivered", target="new")
        assert engine.stop() == 0


def test_a_broken_configuration_is_said_and_the_old_one_stays(box: Box) -> None:
    with box.engine() as engine:
        uid = box.send("--text", "x", "--in", "1h")
        box.configure("targets: {box: {channel: maildir, pth: mail}}\n")
        engine.signal(signal.SIGHUP)
        said = engine.until(r"^chronos-tui: not reloaded, the old configuration stays in force: (.*)")
        assert "config.yaml:1: targets.box" in said[1]
        box.configure("targets: {box: {channel: maildir, path: mail}}\n")
        box.ok("outbox", "retry", uid)
        engine.event("delivered", message_id=1)
        assert engine.stop() == 0


def test_an_engine_that_was_deposed_says_so_and_ends_with_1(box: Box) -> None:
    with box.engine() as engine:
        with sqlite3.connect(box.data_dir / "chronos.db") as database:
            database.execute("UPDATE leader SET epoch = epoch + 1")
        database.close()
        box.send("--text", "x")
        engine.until(r"^chronos-tui: deliveries ended: another process took over")
        assert engine.process.wait(TIME_OUT_S) == 1
    assert box.ok("outbox", "counts", "--json").json["queued"] == 1


def test_systemd_hears_how_it_is_doing(box: Box) -> None:
    address = box.home / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(TIME_OUT_S)

        def until(word: str) -> None:
            while not systemd.recv(4096).decode().startswith(word):
                pass

        with box.engine(NOTIFY_SOCKET=str(address), WATCHDOG_USEC="200000") as engine:
            until("READY=1")
            until("WATCHDOG=1")
            engine.signal(signal.SIGHUP)
            until("RELOADING=1\nMONOTONIC_USEC=")
            until("READY=1")
            engine.signal(signal.SIGTERM)
            until("STOPPING=1")
            assert engine.process.wait(TIME_OUT_S) == 0


def test_its_files_are_private_and_its_log_is_json(box: Box) -> None:
    with box.engine() as engine:
        box.send("--text", "x")
        engine.event("delivered")
        assert "Umask:\t0077\n" in Path(f"/proc/{engine.process.pid}/status").read_text()
        assert engine.stop() == 0
    files = [path for path in box.data_dir.rglob("*") if path.is_file()]
    assert {"chronos.db", "engine.lock", "chronos.jsonl"} <= {path.name for path in files}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    lines = [json.loads(line) for line in (box.data_dir / "logs" / "chronos.jsonl").read_text().splitlines()]
    assert "delivered" in [line["event"] for line in lines]
    assert "delivered" in [line["event"] for line in box.ok("log", "--json").json["lines"]]
    assert box.ok("log", "--channel", "security", "--json").json["lines"][0]["event"] == "engine_started"


def test_the_engine_alone_never_imports_textual(box: Box) -> None:
    words = ["--data-dir", str(box.data_dir), "--engine-only"]
    script = "import sys; from chronos_tui.app import main; code = main({!r}); print(*sys.modules); sys.exit(code)"
    with started(
        [sys.executable, "-c", script.format(words)],
        env=box.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("chronos engine ready")
        process.send_signal(signal.SIGTERM)
        modules, _ = process.communicate(timeout=TIME_OUT_S)
        assert process.returncode == 0
    assert {name.partition(".")[0] for name in modules.split()} & {"textual", "rich", "click", "sqlite_utils"} == set()


def test_on_a_terminal_it_speaks_in_sentences(box: Box) -> None:
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "chronos_tui.app", "--data-dir", str(box.data_dir), "--engine-only"]
    box.configure(
        "defaults: {retry: {first: 1h, jitter: 0}}\n"
        "targets: {box: {channel: maildir, path: mail}, closed: {channel: maildir, path: config.yaml/mail}}\n"
    )
    box.send("--text", "x")
    box.send("--text", "x", target="closed")
    with started(command, env={**box.env, "TERM": "xterm"}, stdin=terminal, stderr=terminal) as process:
        os.close(terminal)
        with os.fdopen(controller, "rb", buffering=0) as screen:
            shown = ""
            while not (re.search(r"delivered #1", shown) and re.search(r"next try", shown)):
                shown += screen.read(4096).decode()
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIME_OUT_S) == 0
    assert re.search(r"^\d\d:\d\d:\d\d delivered #1 to box \(maildir\) in \d+ ms\r$", shown, re.MULTILINE)
    assert re.search(r"^\d\d:\d\d:\d\d #2 to closed: .*; next try in 1 h\r$", shown, re.MULTILINE)
    assert "{" not in shown


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "needs a terminal"),
        (("--engine-onyl",), 2, "did you mean --engine-only?"),
        (("--engine-only", "--config", "broken.yaml"), 78, "broken.yaml:1: "),
        (("--engine-only", "--data-dir", ""), 2, "--data-dir: must name a path"),
        (("--engine-only", "--data-dir", "/proc/chronos"), 5, "cannot make the directory /proc/chronos"),
    ],
)
def test_what_keeps_it_from_starting_is_one_line(box: Box, words: tuple[str, ...], code: int, says: str) -> None:
    (box.home / "broken.yaml").write_text("targets: [")
    command = [sys.executable, "-m", "chronos_tui.app", "--data-dir", str(box.data_dir), *words]
    result = run(command, box.env, "", box.home)
    assert result.code == code, result
    assert says in result.one_line
    assert result.out == ""


def test_help_and_version_need_nothing(box: Box) -> None:
    command = [sys.executable, "-m", "chronos_tui.app"]
    help_text = run([*command, "--help"], box.env, "", box.home)
    assert help_text.code == 0
    assert "--engine-only" in help_text.out
    assert run([*command, "--version"], box.env, "", box.home).out.startswith("chronos-tui ")
    assert not Path(box.home / ".local").exists()
