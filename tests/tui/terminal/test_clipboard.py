"""Copying: by tmux where there is one, by OSC 52 otherwise, and said in words when it does not fit."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos_tui.terminal.clipboard import MOST_BASE64_BYTES, CopyError, copy
from tests.support import SKIP_NOTHING


def test_without_tmux_the_terminal_is_asked() -> None:
    written: list[str] = []
    copy("Größe\n2", env={}, write_past=written.append)
    (sequence,) = written
    assert sequence.startswith("\x1b]52;c;")
    assert sequence.endswith("\x07")
    assert base64.b64decode(sequence[7:-1]).decode() == "Größe\n2"


def test_what_no_terminal_takes_is_refused_in_words() -> None:
    written: list[str] = []
    copy("x" * (MOST_BASE64_BYTES // 4 * 3), env={}, write_past=written.append)
    with pytest.raises(CopyError, match="too long"):
        copy("x" * MOST_BASE64_BYTES, env={}, write_past=written.append)
    assert len(written) == 1


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A server of tmux of our own; the environment of a program in it."""
    program = shutil.which("tmux")
    if program is None:
        assert not SKIP_NOTHING, "tmux is missing"
        pytest.skip("needs tmux")
    socket = tmp_path / "tmux"
    base = {**os.environ, "TERM": "xterm-256color"}
    subprocess.run([program, "-S", str(socket), "-f", os.devnull, "new-session", "-d"], check=True, env=base)
    yield {**base, "TMUX": f"{socket},1,0"}
    subprocess.run([program, "-S", str(socket), "kill-server"], check=True, env=base)


def test_inside_tmux_its_buffer_has_the_text(tmux: dict[str, str]) -> None:
    written: list[str] = []
    text = "Größe; $(touch x) \n" + "x" * 200_000
    assert "tmux" in copy(text, env=tmux, write_past=written.append)
    shown = subprocess.run(["tmux", "show-buffer"], env=tmux, capture_output=True, check=True).stdout.decode()
    assert shown == text
    assert written == []


def test_a_tmux_that_is_gone_is_said(tmp_path: Path) -> None:
    if shutil.which("tmux") is None:
        assert not SKIP_NOTHING, "tmux is missing"
        pytest.skip("needs tmux")
    with pytest.raises(CopyError, match="tmux did not take it"):
        copy("x", env={**os.environ, "TMUX": f"{tmp_path / 'gone'},1,0"}, write_past=lambda _: None)
