"""What of the environment steers the cockpit, and what does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from chronos_tui.terminal.environment import prepare_environment, speaks_utf8, wants_no_colour, wants_plain_output


def test_nothing_that_steers_textual_is_left() -> None:
    env = {
        "TEXTUAL": "debug,devtools",
        "TEXTUAL_DRIVER": "evil:Driver",
        "TEXTUAL_PRESS": "q",
        "TEXTUAL_THEME": "dracula",
        "TEXTUAL_ANIMATIONS": "full",
        "TEXTUAL_DISABLE_KITTY_KEY": "1",
        "COLUMNS": "10",
        "LINES": "3",
        "NO_COLOR": "",
        "COLORTERM": "truecolor",
        "TERM": "xterm",
    }
    prepare_environment(env)
    assert env == {
        "TEXTUAL_ANIMATIONS": "none",
        "TEXTUAL_FPS": "120",
        "TEXTUAL_SMOOTH_SCROLL": "0",
        "TEXTUAL_DISABLE_KITTY_KEY": "1",
        "COLORTERM": "truecolor",
        "TERM": "xterm",
    }


def test_it_is_asked_without_loading_textual() -> None:
    code = "import sys, chronos_tui.terminal.environment; sys.exit('textual' in sys.modules or 'rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("env", "utf8"),
    [
        ({}, False),
        ({"LANG": "C"}, False),
        ({"LANG": "en_US.UTF-8"}, True),
        ({"LANG": "de_DE.utf8@euro"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "en_US.UTF-8"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8", "LC_CTYPE": "POSIX"}, False),
        ({"LC_ALL": "", "LC_CTYPE": "", "LANG": "C.UTF-8"}, True),
    ],
)
def test_the_first_that_is_set_names_the_locale(env: dict[str, str], utf8: bool) -> None:
    assert speaks_utf8(env) is utf8


def test_an_empty_wish_is_none() -> None:
    assert not wants_no_colour({"NO_COLOR": ""})
    assert wants_no_colour({"NO_COLOR": "0"})
    assert not wants_plain_output({"CHRONOS_PLAIN_TERMINAL": "0"})
    assert wants_plain_output({"CHRONOS_PLAIN_TERMINAL": "1"})
