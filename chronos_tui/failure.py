"""Turns what went wrong into one line on stderr and an exit code. The last resort of both programs; fixes nothing."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Collection, Mapping
from typing import NoReturn

from chronos_tui import bridge

INTERRUPTED = 130
"""128 + SIGINT, what a shell shows for a program that Ctrl-C ended."""

BROKEN_PIPE = 141
"""128 + SIGPIPE: the reader left, as `head` does."""

_MOST_CHARS = 2_000


def guarded(program: str, run: Callable[[], int], env: Mapping[str, str], opened: Collection[str] = ()) -> int:
    """Run a program and return its exit code; every failure is said in one line, with a traceback only if
    CHRONOS_DEBUG is set.

    opened: the secrets that the program opened until then, which no traceback repeats.
    """
    _give_streams()
    try:
        code = run()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _abandon_stdout()
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, people get a line and a code
        return report(program, error, env, opened)


def _give_streams() -> None:
    """Replace streams that the caller closed: the work is done all the same, its words go nowhere."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for as long as the process lives
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123


def leave(code: int) -> NoReturn:
    """End the process now, with what was printed written out."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        code = code or 1
    os._exit(code)


def report(program: str, error: Exception, env: Mapping[str, str], opened: Collection[str] = ()) -> int:
    """Say what went wrong on stderr; return the exit code."""
    if env.get("CHRONOS_DEBUG"):
        _show_traceback(error, opened)
    if isinstance(error, bridge.ConfigError):
        lines, code = error.problems, error.exit_code
    elif isinstance(error, bridge.ChronosError):
        lines, code = [str(error)], error.exit_code
    elif isinstance(error, OSError):
        lines, code = [_system_words(error)], 1
    else:
        name = type(error).__name__
        lines, code = [f"internal error ({name}): this is a defect; run again with CHRONOS_DEBUG=1 to see where"], 1
    for line in lines:
        say(program, line)
    return code


def _show_traceback(error: Exception, opened: Collection[str]) -> None:
    """Print it without secrets: what a library raises may quote them."""
    import traceback

    redactor = bridge.Redactor()
    for value in opened:
        redactor.register(value)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(redactor.redact("".join(traceback.format_exception(error))))


def say(program: str, text: str) -> None:
    """Print one line on stderr, safe for a terminal. A stderr that nobody reads is no reason to fail."""
    line = bridge.safe_line(text, _MOST_CHARS)
    try:
        print(f"{program}: {line}", file=sys.stderr, flush=True)  # noqa: T201 - this is where programs speak
    except (OSError, ValueError):
        return


def _system_words(error: OSError) -> str:
    where = f"{error.filename}: " if isinstance(error.filename, str) else ""
    return f"{where}{error.strerror or error}"


def _abandon_stdout() -> None:
    """Point stdout at nothing: the interpreter flushes it once more at exit and would complain."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
