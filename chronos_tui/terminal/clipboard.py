"""Copies text to the operator's clipboard, over SSH and inside tmux. Draws nothing."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Callable, Mapping

MOST_BASE64_BYTES = 74_994
"""What xterm and others take in one OSC 52; more is ignored there without a word."""

_TMUX_S = 2.0


class CopyError(Exception):
    """The text could not be copied; the message says why."""


def copy(text: str, *, env: Mapping[str, str], write_past: Callable[[str], None]) -> str:
    """Copy `text` and return in words where it is now.

    Inside tmux by tmux itself, because it drops OSC 52 by default; otherwise by OSC 52, written by `write_past` beside
    what the cockpit draws. The terminal does not answer, so that only tmux's copy is known to have worked.

    Raises CopyError if the text is too long or tmux refuses it.
    """
    if env.get("TMUX") and (tmux := shutil.which("tmux", path=env.get("PATH"))):
        _load_buffer(tmux, text, env)
        return "in tmux's buffer and the clipboard"
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    if len(encoded) > MOST_BASE64_BYTES:
        raise CopyError(
            f"too long for the clipboard over this line: {len(text):,} characters, about {MOST_BASE64_BYTES * 3 // 4:,}"
            " bytes fit; export it instead".replace(",", " ", 1)
        )
    write_past(f"\x1b]52;c;{encoded}\x07")
    return "sent to the terminal's clipboard"


def _load_buffer(tmux: str, text: str, env: Mapping[str, str]) -> None:
    try:
        # The text goes by stdin: arguments are for everybody to read in `ps`.
        subprocess.run(  # noqa: S603 - a fixed command, found by PATH
            [tmux, "load-buffer", "-w", "-"],
            input=text.encode("utf-8", "replace"),
            env={name: value for name, value in env.items() if not name.startswith("CHRONOS_SECRET_")},
            check=True,
            capture_output=True,
            timeout=_TMUX_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CopyError(f"tmux did not take it ({type(error).__name__}); is its server still running?") from error
