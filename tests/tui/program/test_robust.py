"""What happens to the cockpit from outside: signals, a line that drops, sizes, a database or a disk that gives out."""

from __future__ import annotations

import shlex
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash.diskroom import NoPrivateDiskError, unshare_words
from tests.interfaces.program import Box
from tests.support import PATIENCE_S, SKIP_NOTHING
from tests.tui.program import seeds
from tests.tui.program.receiver import Receiver, receiving
from tests.tui.program.visit import Visit
from tests.tui.pty import Terminal

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
def sending(tmp_path: Path, forms: Receiver) -> Box:
    """A box with one message, whose receiver keeps it on the wire."""
    box = Box(tmp_path)
    box.configure(CONFIG.format(http=forms.url))
    forms.open.clear()
    box.send("--subject", "On the wire", "--text", "x", target="forms")
    return box


def _ask(box: Box, question: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(box.data_dir / "chronos.db")) as connection:
        return connection.execute(question).fetchall()


def _until(condition: Callable[[], bool]) -> None:
    patience, deadline_s = threading.Event(), time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "never came true"
        patience.wait(0.02)  # another process writes; there is nothing to be told by


def _states(box: Box) -> list[str]:
    return [str(row[0]) for row in _ask(box, "SELECT state FROM messages ORDER BY id")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda one: one.name)
def test_a_signal_lets_what_is_on_the_wire_finish_and_leaves_the_terminal_as_it_was(
    sending: Box, forms: Receiver, number: signal.Signals
) -> None:
    with Visit(sending) as visit:
        forms.wait_arrived(1)
        visit.signal(number)
        visit.wait_for(lambda _lines: "1049" not in visit.modes)
        forms.open.set()
        code = visit.wait_exit()
        visit.assert_as_before()
    assert code in {0, 128 + number, -number}
    assert _states(sending) == ["delivered"]
    assert len(forms.ids) == 1


def test_a_line_that_drops_loses_nothing(sending: Box, forms: Receiver) -> None:
    with Visit(sending) as visit:
        forms.wait_arrived(1)
        visit.hang_up()
        forms.open.set()
        visit.wait_exit()
    assert _states(sending) == ["delivered"]
    assert forms.ids == forms.arrived


def test_what_does_not_end_in_time_is_recorded_as_cut_off_and_sent_again(sending: Box, forms: Receiver) -> None:
    with Visit(sending) as visit:
        forms.wait_arrived(1)
        visit.signal(signal.SIGTERM)
        assert visit.wait_exit() >= 0
        visit.assert_as_before()
        assert b"finishing what is on the wire" in visit.raw
    forms.open.set()
    with sending.engine():
        _until(lambda: _states(sending) == ["delivered"])
    assert len(set(forms.arrived)) == 1  # the same identity each time


def test_killed_it_loses_nothing_and_the_last_session_is_there_again(sending: Box, forms: Receiver) -> None:
    with Visit(sending) as visit:
        visit.panel(2, "due/age")
        visit.filter("wire")
        visit.wait_for("─ wire ─")
        visit.signal(signal.SIGTERM)
        visit.wait_exit()
    with Visit(sending, up=False) as visit:
        visit.wait_for("On the wire")
        visit.signal(signal.SIGKILL)
        assert visit.wait_exit() == -signal.SIGKILL
    forms.open.set()
    with Visit(sending) as visit:
        visit.wait_for("─ wire ─")
        visit.wait_for(lambda lines: any("On the wire" in line and "delivered" in line for line in lines))
        assert visit.leave() == 0
        visit.assert_as_before()
    assert len(set(forms.arrived)) == 1


def test_stopped_and_continued_it_gives_the_terminal_back_and_paints_anew(thousand: Box) -> None:
    with Visit(thousand) as visit:
        visit.panel(2, "due/age")
        visit.caught_up()
        shown = visit.lines[2:]
        visit.signal(signal.SIGTSTP)
        visit.wait_event("stopped")
        visit.wait_for(lambda _lines: "1049" not in visit.modes)
        visit.assert_as_before()
        before = len(visit.raw)
        visit.foreground()
        visit.wait_for(lambda lines: lines[2:] == shown)
        assert b"report 1000" in visit.raw[before:]
        visit.send("j")
        visit.caught_up()
        assert visit.leave() == 0
        visit.assert_as_before()


def test_any_size_is_survived_and_a_small_one_says_what_is_missing(thousand: Box) -> None:
    with Visit(thousand) as visit:
        visit.panel(2, "due/age")
        visit.send("enter")
        visit.wait_for("─ #1000")
        visit.quiet(150)
        shown = visit.lines[1:-1]
        for size in ((59, 19), (60, 19), (59, 20)):
            visit.resize(*size)
            visit.wait_for(f"{size[0]}x{size[1]} is too small: 60x20 are needed")
        for size in ((1, 1), (200, 60), (2, 30), (300, 2), (60, 20), (1, 1), (500, 120), (61, 21), (17, 5)) * 3:
            visit.resize(*size)
        visit.resize(80, 24)
        visit.wait_for(lambda lines: lines[1:-1] == shown)
        assert visit.running
        visit.send("q")
        visit.wait_gone("─ #1000")
        assert visit.leave() == 0
        visit.assert_as_before()


@pytest.mark.parametrize("killed", [False, True], ids=["quit", "killed"])
def test_an_act_on_many_that_was_left_is_finished_by_the_next_owner(tmp_path: Path, killed: bool) -> None:
    rows = 60_000
    box = seeds.empty(Box(tmp_path))
    seeds.fill(box.data_dir / "chronos.db", rows, "queued")
    with Visit(box) as visit:
        visit.panel(2, "due/age")
        visit.say("hold state:queued")
        visit.wait_for("y hold 60 000")
        visit.send("y")
        visit.wait_for("it goes on")
        if killed:
            visit.signal(signal.SIGKILL)
            visit.wait_exit()
        else:
            visit.send(b"qqy")  # leave the dialog, quit, yes
            assert visit.wait_exit() == 0
    if killed:  # else it may have come to its end while what was on the wire did
        assert _ask(box, "SELECT state FROM bulks") == [("acting",)]
    with box.engine():
        _until(lambda: _ask(box, "SELECT state FROM bulks") == [("done",)])
    assert _ask(box, "SELECT state, n FROM (SELECT state, count(*) AS n FROM messages GROUP BY state)") == [
        ("held", rows)
    ]


def test_a_database_that_others_keep_locked_leaves_the_screen_usable(thousand: Box) -> None:
    with Visit(thousand) as visit:
        visit.panel(2, "due/age")
        visit.filter("state:queued")
        visit.wait_for("report 993")
        with closing(sqlite3.connect(thousand.data_dir / "chronos.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            visit.send("x")  # waits for the lock, or says that it could not
            visit.send("j", "enter")
            visit.wait_for("─ #983")
            visit.send("q")
            visit.wait_gone("─ #983")
            visit.panel(3, "─ Audit")
            visit.send("2")
            visit.wait_for("due/age")
            other.execute("ROLLBACK")
        visit.send("g", "x")
        _until(lambda: "cancelled" in {row[0] for row in _ask(thousand, "SELECT state FROM messages WHERE id = 993")})
        assert visit.leave() == 0


def test_a_table_that_cannot_be_read_is_said_where_its_rows_would_be_and_comes_back(thousand: Box) -> None:
    with Visit(thousand) as visit:
        visit.panel(2, "report 1000")
        with closing(sqlite3.connect(thousand.data_dir / "chronos.db", isolation_level=None)) as other:
            other.execute("PRAGMA legacy_alter_table = ON")
            other.execute("ALTER TABLE messages RENAME TO mislaid")
            visit.send("3")
            visit.wait_for("─ Audit")
            visit.send("2")
            visit.wait_for("no such table: messages")
            visit.send("j", "G", "enter", "x")
            visit.caught_up()
            other.execute("ALTER TABLE mislaid RENAME TO messages")
        visit.wait_for("report 1 of host-1")  # where G led
        visit.wait_gone("no such table")
        assert visit.leave() == 0
        visit.assert_as_before()


@pytest.mark.parametrize("room", [0, 48], ids=["not a byte", "48 KiB"])
def test_on_a_full_disk_it_shows_what_it_can_and_says_what_it_cannot(thousand: Box, tmp_path: Path, room: int) -> None:
    """SQLite's index of its log takes 32 KiB; without it nothing can be read, with it everything but written."""
    try:
        words = unshare_words()
    except NoPrivateDiskError as error:
        if SKIP_NOTHING:
            raise
        pytest.skip(str(error))
    disk = tmp_path / "disk"
    disk.mkdir()
    source = shlex.quote(str(thousand.data_dir))
    script = (
        f"mount -t tmpfs -o size=4m,mode=0700 none {disk} && cp {source}/config.yaml {source}/chronos.db {disk} && "
        f"dd if=/dev/zero of={disk}/ballast bs=4k 2>/dev/null; truncate -s -{room}K {disk}/ballast; "
        f"exec {shlex.quote(sys.executable)} -m chronos_tui.app --data-dir {disk}"
    )
    kept = {name: value for name, value in thousand.env.items() if name not in {"LANG", "LC_ALL"}}
    with Terminal([*words, "sh", "-c", script], env=kept) as terminal:
        if not room:
            assert terminal.wait_exit() == 75
            assert b"free some space" in terminal.raw
            assert b"\x1b" not in terminal.raw
            return
        terminal.wait_for("q quit")
        terminal.send("2")
        terminal.wait_for("report 1000")
        terminal.send("j", "enter")
        terminal.wait_for("─ #999")
        terminal.send("q")
        terminal.wait_for(lambda _lines: "─ #999" not in terminal.text)
        terminal.send("q")
        terminal.wait_for(lambda _lines: "y quit" in terminal.text or "1049" not in terminal.modes)
        terminal.send("y")
        assert terminal.wait_exit() == 0
        assert terminal.modes == set()


def test_read_only_offers_no_act_and_does_none(thousand: Box) -> None:
    before = _ask(thousand, "SELECT id, state, due_ms FROM messages ORDER BY id")
    with Visit(thousand, "--read-only") as visit:
        visit.wait_header("read-only")
        visit.panel(2, "report 1000")
        visit.filter("state:queued")
        visit.wait_for("report 993")
        for word in (" retry", " cancel", " hold", " release", " new"):
            assert word not in visit.lines[-1], visit.lines[-1]
        visit.send("r", "x", "h", "l", "a", "n", "p", "P", "u")
        visit.caught_up()
        visit.say("hold state:queued")
        visit.wait_for("read-only: nothing can be changed")
        visit.send("ctrl+c")
        visit.wait_gone(":hold")
        assert visit.leave() == 0
    assert _ask(thousand, "SELECT id, state, due_ms FROM messages ORDER BY id") == before
    assert _ask(thousand, "SELECT count(*) FROM holds") == [(0,)]


def test_ctrl_c_twice_leaves_at_once_and_once_does_not(thousand: Box) -> None:
    with Visit(thousand) as visit:
        visit.send("ctrl+c")
        visit.wait_for("once more")
        assert visit.running
        visit.send("ctrl+c")
        assert visit.wait_exit() in {0, 130}
        visit.assert_as_before()
