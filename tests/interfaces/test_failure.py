"""What went wrong becomes one line and an exit code, whatever it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chronos_tui import failure, sendmail
from engine.errors import BadInput, ChronosError, ConfigError, EngineNeeded, NotFound, NotPossible, TryAgain


def raising(error: BaseException) -> Callable[[], int]:
    def run() -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ChronosError("it failed"), 1, "chronos: it failed\n"),
        (BadInput("odd"), 2, "chronos: odd\n"),
        (NotFound("no such thing"), 4, "chronos: no such thing\n"),
        (NotPossible("not now"), 5, "chronos: not now\n"),
        (EngineNeeded("nobody"), 69, "chronos: nobody\n"),
        (TryAgain("busy"), 75, "chronos: busy\n"),
        (ConfigError(["a: one", "b: two"]), 78, "chronos: a: one\nchronos: b: two\n"),
        (FileNotFoundError(2, "No such file or directory", "x"), 1, "chronos: x: No such file or directory\n"),
        (KeyboardInterrupt(), 130, ""),
        (BadInput("two\nlines \x1b[31mred"), 2, "chronos: two⏎lines red\n"),
    ],
)
def test_an_error_is_said_in_one_line(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failure.guarded("chronos", raising(error), {}) == code
    assert capsys.readouterr() == ("", said)


def test_a_defect_is_owned_up_to_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody wrote the text of such an error for people, and it may repeat what it was given."""
    assert failure.guarded("chronos", raising(KeyError("password=hunter2")), {}) == 1
    said = capsys.readouterr().err
    assert said.startswith("chronos: internal error (KeyError)")
    assert "CHRONOS_DEBUG=1" in said
    assert "hunter2" not in said
    assert said.count("\n") == 1


def test_debugging_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert failure.guarded("chronos", raising(BadInput("odd")), {"CHRONOS_DEBUG": "1"}) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.endswith("chronos: odd\n")


def test_sendmail_is_reserved_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert sendmail.main() == 5
    assert "not available in this version" in capsys.readouterr().err
