"""However the program is left, the terminal is as it was, the process ends, and nothing spins."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from tests.tui import wire
from tests.tui.pty import Terminal, paste
from tests.tui.terminal.sample import SECRET

Start = Callable[..., Terminal]
BOTH = pytest.mark.parametrize("output", [[], ["--plain"]], ids=["frugal", "plain"])
MOST_CPU_S = 4.0
"""Starting takes some tenths; whatever spins for as long as a test waits takes more."""


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the sample, wait until it is there."""
    with ExitStack() as stack:

        def started(*options: str, **named: Any) -> Terminal:
            terminal = Terminal([sys.executable, "-m", "tests.tui.terminal.sample", *options], **named)
            stack.enter_context(terminal)
            terminal.wait_for("sample ready")
            terminal.wait_for("ASCII")
            return terminal

        yield started


def left_in_order(terminal: Terminal, code: int = 0) -> None:
    assert terminal.wait_exit() == code
    assert terminal.modes == set()
    assert terminal.attributes_restored is True
    assert terminal.cpu_s < MOST_CPU_S
    assert wire.foreign(terminal.raw) == []


@BOTH
def test_quitting_leaves_the_terminal_as_it_was(start: Start, output: list[str]) -> None:
    terminal = start(*output)
    assert {"1049", "-25", "2004"} <= terminal.modes
    assert "1000" not in terminal.modes
    terminal.send("q")
    left_in_order(terminal)
    assert terminal.text.strip() == ""


def test_the_mouse_is_given_back(start: Start) -> None:
    terminal = start("--mouse")
    assert {"1000", "1006"} <= terminal.modes
    terminal.send("q")
    left_in_order(terminal)


@BOTH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_in_order(start: Start, output: list[str], number: signal.Signals) -> None:
    terminal = start(*output)
    terminal.signal(number)
    left_in_order(terminal)
    assert f"left by {number.name}" in terminal.text


def test_a_second_sigterm_does_not_wait_for_a_loop_that_hangs(start: Start) -> None:
    terminal = start()
    terminal.send("h")
    terminal.wait_raw(b"\x07")
    for _ in range(20):  # two that come at once are one
        terminal.signal(signal.SIGTERM)
        with suppress(AssertionError):
            terminal.wait_event("ended", timeout=0.5)
            break
    assert terminal.wait_exit() == -signal.SIGTERM
    assert terminal.modes == set()
    assert terminal.attributes_restored is True


@BOTH
def test_a_dropped_line_ends_the_process(start: Start, output: list[str]) -> None:
    terminal = start(*output)
    terminal.hang_up()
    assert terminal.wait_exit() == 0
    assert terminal.cpu_s < MOST_CPU_S


@BOTH
def test_a_dropped_line_ends_the_process_under_nohup_too(start: Start, output: list[str]) -> None:
    terminal = start(*output, nohup=True)
    terminal.hang_up()
    assert terminal.wait_exit() == 0
    assert terminal.cpu_s < MOST_CPU_S


def test_nohup_means_it(start: Start) -> None:
    terminal = start(nohup=True)
    terminal.signal(signal.SIGHUP)
    terminal.send("m")
    terminal.wait_for("mark 1")
    terminal.send("q")
    left_in_order(terminal)
    assert "left by" not in terminal.text


def test_a_line_that_takes_nothing_does_not_keep_the_process(start: Start) -> None:
    terminal = start()
    for _ in range(40):
        os.write(terminal._master, b"fc")  # nobody reads what this makes it write
    terminal.signal(signal.SIGTERM)
    assert terminal.wait_event("ended")["code"] == 0


@BOTH
def test_stopping_gives_the_terminal_back_and_going_on_repaints(start: Start, output: list[str]) -> None:
    terminal = start(*output)
    for by_key in (True, False):
        if by_key:
            terminal.send("ctrl+z")
        else:
            terminal.signal(signal.SIGTSTP)
        assert terminal.wait_event("stopped")["attributes_restored"] is True
        terminal.quiet(50)
        assert terminal.modes == set()
        assert "sample ready" not in terminal.text
        terminal.foreground()
        terminal.wait_for("sample ready")
        terminal.wait_for("ASCII")
        assert {"1049", "-25", "2004"} <= terminal.modes
    terminal.send("q")
    left_in_order(terminal)


@BOTH
def test_being_stopped_outright_and_continued_repaints(start: Start, output: list[str]) -> None:
    terminal = start(*output)
    terminal.signal(signal.SIGSTOP)
    terminal.wait_event("stopped")
    terminal.emulator.feed("\x1b[2Jthe shell's own words")
    terminal.foreground()
    terminal.wait_for("sample ready")
    terminal.wait_for(lambda lines: "the shell's own words" not in "\n".join(lines))
    terminal.send("q")
    left_in_order(terminal)


def test_continued_in_the_background_it_leaves_the_terminal_alone(start: Start) -> None:
    terminal = start()
    terminal.send("ctrl+z")
    terminal.wait_event("stopped")
    terminal.quiet(50)
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.quiet(300)
    assert terminal.modes == set()
    terminal.foreground()
    terminal.wait_for("sample ready")
    terminal.send("q")
    left_in_order(terminal)


@BOTH
def test_ctrl_l_repaints_what_something_else_wrote(start: Start, output: list[str]) -> None:
    terminal = start(*output)
    terminal.emulator.feed("\x1b[5;5HWall message")
    assert "Wall message" in terminal.text
    terminal.send("ctrl+l")
    terminal.wait_for(lambda lines: "Wall message" not in "\n".join(lines))
    terminal.wait_for("sample ready")
    terminal.send("q")
    left_in_order(terminal)


@BOTH
def test_a_crash_says_one_line_and_no_locals(start: Start, output: list[str]) -> None:
    terminal = start(*output, columns=120)
    terminal.send("x")
    left_in_order(terminal, code=1)
    said = [line for line in terminal.lines if line]
    assert said == [
        "told of ZeroDivisionError",
        "chronos-tui: internal error (ZeroDivisionError): this is a defect; details in the log",
    ]
    assert SECRET.encode() not in terminal.raw


def test_a_crash_shows_a_plain_traceback_when_asked(start: Start) -> None:
    terminal = start(env={"CHRONOS_DEBUG": "1"})
    terminal.send("x")
    left_in_order(terminal, code=1)
    assert b"in action_crash" in terminal.raw
    assert SECRET.encode() not in terminal.raw


def test_a_crash_before_the_first_paint_leaves_the_terminal_as_it_was() -> None:
    with Terminal([sys.executable, "-m", "tests.tui.terminal.sample", "--bad-css"]) as terminal:
        left_in_order(terminal, code=1)
        assert "chronos-tui: internal error" in terminal.text


def test_an_unknown_sequence_falls_back_to_plain_output(start: Start) -> None:
    terminal = start()
    terminal.send("w")
    terminal.wait_raw(b"\x1b[3g")
    terminal.send("f")
    terminal.wait_for(lambda lines: "99 " in lines[1] + lines[2])
    terminal.send("q")
    assert terminal.wait_exit() == 0
    assert terminal.modes == set()
    assert wire.foreign(terminal.raw) == ["\x1b[3g"]


@BOTH
def test_what_is_pasted_arrives_clean(start: Start, output: list[str]) -> None:
    terminal = start(*output)
    terminal.send("i")
    terminal.wait_for("type now")
    terminal.send(paste("a\x1b[31mb\x07c\u202ed\u200be\x9bf"), "!")
    terminal.wait_for("'abcdef!'")
    assert wire.foreign(terminal.raw) == []


def test_resizing_at_any_moment_ends_in_the_right_picture(start: Start) -> None:
    terminal = start()
    for columns, rows in [(1, 1), (120, 40), (2, 2), (61, 7), (80, 24)]:
        terminal.resize(columns, rows)
        terminal.send("f")
    terminal.send("f")
    terminal.wait_for("sample ready")
    terminal.wait_for("ASCII")
    terminal.send("q")
    left_in_order(terminal)


def test_nothing_is_written_at_rest(start: Start) -> None:
    terminal = start()
    terminal.send("i")
    terminal.quiet(300)
    before = len(terminal.raw)
    with pytest.raises(AssertionError, match="did not become"):
        terminal.wait_for(lambda _: len(terminal.raw) > before, timeout=1.3)  # a blinking cursor writes twice in it
    terminal.send("ctrl+l")
    terminal.wait_for("sample ready")
