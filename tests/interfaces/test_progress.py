"""Ctrl-C during a long act: the act ends at its next step, a second one ends the process; the handler comes back."""

from __future__ import annotations

import os
import signal

import pytest

from chronos_tui import bridge
from chronos_tui.commands import output, progress


@pytest.fixture
def out() -> output.Output:
    return output.make(as_json=False, jsonl=False, quiet=False, no_color=True, env={})


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_one_ends_the_act_at_its_next_step(out: output.Output, capsys: pytest.CaptureFixture[str]) -> None:
    steps = []

    def act() -> None:
        with progress.line(out) as report:
            report("copying", 0, 10)
            press()
            steps.append("still here: what is under way is not torn")
            report("copying", 1, 10)
            steps.append("never")

    with pytest.raises(KeyboardInterrupt):
        act()
    assert len(steps) == 1
    assert capsys.readouterr().err == "chronos: interrupted; everything is as it was before\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_one_is_not_waited_for(out: output.Output) -> None:
    def act() -> None:
        with progress.line(out):
            press()
            press()
            pytest.fail("it goes on")

    with pytest.raises(KeyboardInterrupt):
        act()


def test_an_act_that_somebody_else_stopped_says_so(out: output.Output) -> None:
    with pytest.raises(bridge.Stopped, match="cancelled"), progress.line(out):
        raise bridge.Stopped("cancelled; everything is as it was before")
    with progress.line(out) as report:
        report("copying", 1, 1)


def test_a_process_that_ignores_ctrl_c_goes_on_ignoring_it(out: output.Output) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with progress.line(out) as report:
            press()
            report("copying", 1, 10)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
