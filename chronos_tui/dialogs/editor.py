"""Opens a long text in the operator's own program, with the terminal lent to it. No shell is ever asked."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from textual.app import App, SuspendNotSupported

from chronos_tui import bridge


def command(env: Mapping[str, str]) -> list[str]:
    """Return the words that start $VISUAL, $EDITOR or less. Raises NotPossible when there is none."""
    for name in ("VISUAL", "EDITOR"):
        try:
            words = shlex.split(env.get(name, ""))
        except ValueError as error:
            raise bridge.NotPossible(f"${name} cannot be taken apart: {error}") from error
        if words:
            return words
    for name in ("less", "more", "vi"):
        if shutil.which(name, path=env.get("PATH")):
            return [name]
    raise bridge.NotPossible("set $VISUAL or $EDITOR: neither less, more nor vi is here")


def open_text(app: App[object], text: str, env: Mapping[str, str]) -> None:
    """Show `text`, safe for a terminal, and come back when the program ends. What is changed in it is dropped.

    Raises NotPossible when the terminal cannot be lent, or when the program cannot be started.
    """
    words = command(env)
    directory = Path(tempfile.mkdtemp(prefix="chronos-"))  # 0700
    try:
        file = directory / "message.txt"
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
        with app.suspend():
            # Nothing of the message is in the command: the file's name is ours.
            subprocess.run([*words, str(file)], env={**env, "LESSSECURE": "1"}, check=False)  # noqa: S603
    except SuspendNotSupported as error:
        raise bridge.NotPossible("this terminal cannot be lent to another program") from error
    except OSError as error:
        raise bridge.NotPossible(f"cannot start {bridge.safe_line(words[0], 60)}: {error.strerror}") from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)
