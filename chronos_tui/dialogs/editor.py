"""Opens a long text in the operator's own program, with the terminal lent to it. No shell is ever asked."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

from chronos_tui import bridge

_LOOK_S = 0.2
_END_S = 1.0
"""What is left of the 5 s for leaving belongs to what is on the wire."""


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


def open_text(app: App[Any], text: str, env: Mapping[str, str], leaving: Callable[[], bool] = lambda: False) -> None:
    """Show `text`, safe for a terminal, and come back when the program ends. What is changed in it is dropped.

    leaving: whether the cockpit was told to end meanwhile: then the program is ended too, for nobody else can.

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
            _run([*words, str(file)], {**_without_secrets(env), "LESSSECURE": "1"}, leaving)
    except SuspendNotSupported as error:
        raise bridge.NotPossible("this terminal cannot be lent to another program") from error
    except OSError as error:
        raise bridge.NotPossible(f"cannot start {bridge.safe_line(words[0], 60)}: {error.strerror}") from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _without_secrets(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a program that is not ours: every process of this user can read what it gets."""
    return {name: value for name, value in env.items() if not name.startswith("CHRONOS_SECRET_")}


def _run(words: list[str], env: Mapping[str, str], leaving: Callable[[], bool]) -> None:
    with subprocess.Popen(words, env=dict(env)) as program:  # noqa: S603 - the operator's own choice
        while program.poll() is None:
            if leaving():
                program.terminate()
                _wait(program, _END_S)
                program.kill()
            _wait(program, _LOOK_S)


def _wait(program: subprocess.Popen[bytes], timeout_s: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(timeout_s)
