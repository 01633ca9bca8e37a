"""The scanner finds what it is for: a test that trusts it can fail."""

from __future__ import annotations

import sys

import pytest

from tests.tui import wire
from tests.tui.pty import Terminal, key


@pytest.mark.parametrize(
    "planted",
    [
        "\x1b]0;title\x07",
        "\x1b]52;c;aGk=\x07",
        "\x1b]8;;http://x\x1b\\",
        "\x1b[6n",
        "\x1b[?1047h",
        "\x1b[8m",
        "\x1b[38;5;1;58;5;3m",
        "\x1bc",
        "\x1bP+q\x1b\\",
        "\x07",
        "\x00",
        "\x7f",
        "\x9b",
        "\u202e",
        "\u200b",
        "\ufeff",
        "\U000e0041",
        "\u2028",
        "\x1b[4:3m",
        "\x1b[1t",
        "\x1b(0",
    ],
)
def test_what_is_foreign_is_found(planted: str) -> None:
    assert "".join(wire.foreign(f"before\x1b[1;31m{planted}after\x1b[0m".encode())) == planted


def test_what_the_cockpit_writes_is_not_foreign() -> None:
    ours = "\x1b[?1049h\x1b[?25l\x1b[>1u\x1b[H\x1b[2J"
    ours += "\x1b[3;5H\x1b[0;38;2;1;2;3;48;5;9mtext é 日\x1b[m\x1b[K\x1b[5X\r\n\b\x1b[?1049l"
    assert wire.foreign(ours.encode()) == []
    assert wire.foreign("\x1b]52;c;aGk=\x07", also=r"\x1b\]52;c;[A-Za-z0-9+/=]*\x07") == []


def test_what_a_program_leaves_switched_on_is_seen() -> None:
    code = "import sys; sys.stdout.write('\\x1b[?1049h\\x1b[?25l\\x1b[>1u\\x1b[?2004h\\x1b[?2004l')"
    with Terminal([sys.executable, "-c", code]) as terminal:
        assert terminal.wait_exit() == 0
        assert terminal.modes == {"1049", "-25", "kitty"}


def test_attributes_that_are_not_put_back_are_seen() -> None:
    with Terminal([sys.executable, "-c", "import tty; tty.setraw(0)"]) as terminal:
        assert terminal.wait_exit() == 0
        assert terminal.attributes_restored is False


def test_keys_are_what_a_terminal_sends() -> None:
    assert [key(name) for name in ("enter", "ctrl+d", "f5", "esc", "up", "text", "é")] == [
        b"\r",
        b"\x04",
        b"\x1b[15~",
        b"\x1b",
        b"\x1b[A",
        b"text",
        "é".encode(),
    ]
