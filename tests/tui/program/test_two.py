"""Two processes on one data directory: each sees what the other does, and somebody always delivers."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.interfaces.program import Box, run
from tests.tui.program.receiver import Receiver, receiving
from tests.tui.program.visit import Visit, command

CONFIG = """\
environment: development
targets:
  forms: {{channel: webhook, url: "{http}"}}
"""


@pytest.fixture
def forms() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def box(tmp_path: Path, forms: Receiver) -> Box:
    made = Box(tmp_path)
    made.configure(CONFIG.format(http=forms.url))
    return made


def _engine_alone(box: Box) -> tuple[int, str]:
    result = run(command(box, "--engine-only"), box.env, "", box.home)
    return result.code, result.err


def test_an_attached_cockpit_names_who_delivers_and_both_see_each_others_acts(box: Box, forms: Receiver) -> None:
    with box.engine() as engine, Visit(box, columns=120) as visit:
        visit.wait_header(f"delivered by pid {engine.process.pid} (engine-only)")
        visit.panel(2, "due/age")

        # What others do is seen here: a message by `chronos`, its delivery by the engine.
        box.send("--subject", "From outside", "--text", "x", target="forms")
        visit.wait_for(lambda lines: any("From outside" in line and "delivered" in line for line in lines))

        # What is done here is done by the engine: a pause holds its deliveries, the end of the pause lets them go.
        visit.say("pause forms 10m")
        visit.wait_header("10 min")
        assert [one["scope"] for one in box.ok("holds", "--json").json["holds"]] == ["target:forms"]
        uid = box.send("--subject", "Waits", "--text", "x", target="forms")
        visit.wait_for("Waits")
        visit.say("resume forms")
        visit.wait_for("y resume")
        visit.send("y")
        forms.wait_answered(2)
        assert forms.ids[1] == uid
        visit.wait_for(lambda lines: any("Waits" in line and "delivered" in line for line in lines))

        # And the other way round.
        box.ok("pause", "target:forms", "--for", "20m")
        visit.wait_header("20 min")
        box.ok("resume", "target:forms")
        visit.wait_for(lambda lines: "20 min" not in lines[0])
        assert visit.leave() == 0
        assert engine.process.poll() is None


def test_an_attached_cockpit_takes_over_when_the_owner_is_killed(box: Box, forms: Receiver) -> None:
    with box.engine() as engine, Visit(box, columns=120) as visit:
        visit.wait_header("delivered by pid")
        engine.process.kill()
        engine.process.wait()
        uid = box.send("--subject", "Nobody there", "--text", "x", target="forms")
        visit.wait_header("delivering here")
        forms.wait_answered(1)
        assert forms.ids == [uid]
        visit.panel(2, "due/age")
        visit.wait_for(lambda lines: any("Nobody there" in line and "delivered" in line for line in lines))
        assert visit.leave() == 0


def test_no_engine_starts_where_a_cockpit_delivers(box: Box) -> None:
    with Visit(box) as visit:
        visit.wait_header("delivering here")
        code, words = _engine_alone(box)
        assert code not in {0, 1, 2}
        assert f"already delivered by pid {visit.pid} (cockpit)" in words
        assert words.count("\n") == 1
        assert visit.leave() == 0


def test_two_cockpits_of_which_the_second_goes_on_when_the_first_leaves(box: Box, forms: Receiver) -> None:
    with Visit(box, columns=120) as first, Visit(box, columns=120, up=False) as second:
        first.wait_header("delivering here")
        second.wait_header(f"delivered by pid {first.pid} (cockpit)")
        assert first.leave() == 0
        second.wait_header("delivering here")
        box.send("--subject", "After the first", "--text", "x", target="forms")
        forms.wait_answered(1)
        assert second.leave() == 0
        second.assert_as_before()
    with box.engine() as engine:
        assert engine.stop() == 0


def test_a_cockpit_that_is_killed_is_followed_by_the_other_one(box: Box, forms: Receiver) -> None:
    with Visit(box, columns=120) as visit:
        visit.wait_header("delivering here")
        with Visit(box, columns=120, up=False) as other:
            other.wait_header(f"delivered by pid {visit.pid}")
            visit.signal(signal.SIGKILL)
            other.wait_header("delivering here")
            box.send("--subject", "Once more", "--text", "x", target="forms")
            forms.wait_answered(1)
            assert other.leave() == 0


def test_an_owner_that_is_frozen_is_told_from_one_that_is_gone(box: Box) -> None:
    """Its lock is held, so nobody takes over; its heartbeat stays away, and the first line says for how long."""
    with box.engine() as engine, Visit(box, columns=120) as visit:
        visit.wait_header("heartbeat ok")
        engine.signal(signal.SIGSTOP)
        try:
            with closing(sqlite3.connect(box.data_dir / "chronos.db", isolation_level=None)) as connection:
                connection.execute("UPDATE leader SET heartbeat_ms = heartbeat_ms - 60000")
            visit.wait_header("engine silent")
            assert "delivering here" not in visit.header
        finally:
            engine.signal(signal.SIGCONT)
        visit.wait_header("heartbeat ok")
        assert visit.leave() == 0


def test_nobody_is_left_behind(box: Box) -> None:
    with Visit(box) as visit:
        pid = visit.pid
        assert visit.leave() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    children = subprocess.run(["pgrep", "-f", str(box.data_dir)], capture_output=True, text=True, check=False)
    assert children.stdout == ""
