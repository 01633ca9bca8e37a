"""What `chronos-tui` does before there is a screen: it says what is missing in one line and touches no terminal."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.interfaces.program import Box, run
from tests.tui.program.visit import Visit, command
from tests.tui.pty import Terminal

ESC = b"\x1b"


def _said(box: Box, *words: str, **env: str) -> tuple[int, bytes]:
    """Run the cockpit in a terminal until it ends by itself; return its exit code and what it wrote."""
    with Visit(box, *words, env=env, up=False) as visit:
        code = visit.wait_exit()
        assert visit.attributes_restored
        return code, bytes(visit.raw)


def _one_line(raw: bytes) -> str:
    text = raw.decode()
    assert text.startswith("chronos-tui: ")
    assert text.count("\n") == 1
    assert ESC not in raw
    assert "Traceback" not in text
    return text


def test_without_a_terminal_it_says_so_and_exits_2(box: Box) -> None:
    result = run(command(box), box.env, "", box.home)
    assert result.code == 2
    assert "needs a terminal" in result.one_line
    assert "--engine-only" in result.one_line
    assert result.out == ""
    assert "\x1b" not in result.err


@pytest.mark.parametrize("redirection", ["</dev/null", ">out"])
def test_half_a_terminal_is_none(box: Box, redirection: str) -> None:
    line = f"exec {shlex.join(command(box))} {redirection}"
    env = {**box.env, "LANG": "C.UTF-8"}
    with Terminal(["/bin/sh", "-c", line], env=env, cwd=box.home) as terminal:
        assert terminal.wait_exit() == 2
        assert "needs a terminal" in _one_line(bytes(terminal.raw))
    written = box.home / "out"
    assert not written.exists() or written.read_bytes() == b""


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_can_do_nothing_is_none(box: Box, term: str) -> None:
    code, raw = _said(box, TERM=term)
    assert code == 2
    assert "needs a terminal" in _one_line(raw)


def test_a_mistake_in_the_configuration_is_said_before_the_screen_is_touched(box: Box) -> None:
    box.configure("targets: {ops: {channel: webhok}}\nnonsense: 1\n")
    code, raw = _said(box)
    assert code == 78
    assert ESC not in raw
    assert b"nonsense" in raw
    assert b"webhok" in raw
    assert b"Traceback" not in raw


def test_a_database_that_is_none_is_said_before_the_screen_is_touched(box: Box) -> None:
    (box.data_dir / "chronos.db").write_bytes(b"this is no database, whatever its name says " * 200)
    code, raw = _said(box)
    assert code not in {0, 2, 78}
    line = _one_line(raw)
    assert "chronos.db" in line


def test_a_data_directory_that_others_may_write_to_is_refused(box: Box) -> None:
    box.data_dir.chmod(0o777)
    code, raw = _said(box)
    assert code != 0
    assert str(box.data_dir) in _one_line(raw)


def test_help_and_version_need_no_terminal(box: Box) -> None:
    shown = run(command(box, "--help"), box.env, "", box.home)
    assert (shown.code, shown.err) == (0, "")
    assert "--read-only" in shown.out
    assert "--plain-terminal" in shown.out
    assert run(command(box, "--version"), box.env, "", box.home).out.startswith("chronos-tui ")


def test_an_unknown_option_is_said_with_a_way_out(box: Box) -> None:
    result = run(command(box, "--raed-only"), box.env, "", box.home)
    assert result.code == 2
    assert "--raed-only" in result.err
    assert "\x1b" not in result.err


def test_started_and_left_at_once_the_terminal_is_as_it_was(box: Box) -> None:
    with Visit(box) as visit:
        assert "1049" in visit.modes
        assert visit.leave() == 0
        visit.assert_as_before()


def test_nothing_of_the_environment_steers_it(box: Box, tmp_path: Path) -> None:
    """Textual reads variables that load a driver by name, write every key to a file, and press keys."""
    env = {
        "TEXTUAL_DRIVER": "textual.drivers.headless_driver:HeadlessDriver",
        "TEXTUAL_PRESS": "q",
        "TEXTUAL_LOG": str(tmp_path / "textual.log"),
        "TEXTUAL_DEBUG": "1",
        "COLUMNS": "17",
        "LINES": "5",
    }
    with Visit(box, env=env) as visit:
        assert len(visit.header) > 60
        assert visit.leave() == 0
    assert not (tmp_path / "textual.log").exists()
    assert not (box.home / "keys.log").exists()
