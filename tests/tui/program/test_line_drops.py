"""The line drops in the middle of a restore: whoever delivers goes on, and the next cockpit shows what came of it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.interfaces.program import Box
from tests.tui.program.receiver import Receiver, receiving
from tests.tui.program.visit import Visit

CONFIG = """\
environment: development
instance: box.example.org
targets:
  forms: {{channel: webhook, url: "{http}"}}
"""
PATIENCE_S = 60.0


@pytest.fixture
def forms() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def restores(box: Box) -> list[tuple[str, str]]:
    """Return state and error of every restore that was asked for."""
    with closing(sqlite3.connect(f"file:{box.data_dir}/chronos.db?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT state, error FROM commands WHERE kind = 'restore'").fetchall()


def until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, "never came true"
        time.sleep(0.02)


def test_a_restore_goes_on_when_the_line_drops(box: Box, forms: Receiver) -> None:
    box.configure(CONFIG.format(http=forms.url))
    with box.engine() as engine:
        box.ok("pause", "target:forms", "--for", "1h")
        waiting = box.send("--subject", "Waits for the operator", "--text", "x", target="forms")
        box.ok("backup", "create")
        with Visit(box, columns=120) as visit:
            visit.wait_header("delivered by pid")
            visit.panel(4, "✓ proven")
            visit.send("R")
            visit.wait_for("Restore plan")
            visit.wait_for("will wait until you release")
            visit.send("R")
            visit.wait_for("to do it")
            visit.send("box.example.org", "\r")
            until(lambda: [state for state, _error in restores(box)] in (["running"], ["done"]))
            visit.hang_up()
            visit.wait_exit()
        until(lambda: restores(box)[0][0] != "running")
        assert restores(box) == [("done", "")]
        assert engine.process.poll() is None
        assert box.ok("outbox", "show", waiting, "--json").json["state"] == "held"

        with Visit(box, columns=120) as visit:
            visit.panel(4, "safety")
            visit.wait_for("1 held   o shows it")
            visit.send("o")
            visit.wait_for("Waits for the operator")
            visit.send("o")
            visit.wait_for("tag:restored-")
            assert visit.leave() == 0
    assert forms.ids == []
