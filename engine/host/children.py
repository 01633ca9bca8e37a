"""Runs one of our modules as a limited child process, and is the child's side of it. Decides nothing itself.

`run` starts `python -P -m MODULE`, writes one JSON document to its stdin (what to do, and the limits to do it in) and
reads JSON lines from its stdout: progress, and at the end a result or an error. `serve` is what such a module calls. A
child has none of our environment variables, writes files for its user alone, and dies when its parent does.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from engine import errors
from engine.errors import ChronosError, DeadlineExceeded

if TYPE_CHECKING:
    import subprocess

Tell = Callable[[dict[str, Any]], None]

NICENESS = 10
_KEPT = ("PATH", "HOME", "TZ", "TMPDIR", "SQLITE_TMPDIR", "LANG", "LC_", "LD_", "PYTHON")
"""What a child sees of the environment, by the beginnings of the names: nothing that may be a secret."""

_NEVER_KEPT = "PYTHON_KEYRING"
_MOST_LINE_BYTES = 64 * 1024 * 1024
"""Of one answer. A child that judges hostile data must not fill its parent's memory."""

_LOOK_S = 0.1
_PR_SET_PDEATHSIG = 1  # linux/prctl.h, see prctl(2)


class ChildStopped(ChronosError):
    """The child was ended because its parent asked for it."""


# The parent's side


def run(
    module: str,
    order: Mapping[str, Any],
    *,
    on_progress: Tell | None = None,
    limit_s: float | None = None,
    stopped: Callable[[], bool] | None = None,
    memory_bytes: int | None = None,
    file_bytes: int | None = None,
    nice: bool = False,
) -> dict[str, Any]:
    """Have a module of ours do `order` in a process of its own; return its result.

    on_progress: told what the child tells on the way; what it raises ends the child. stopped: asked ten times a second
    whether to end it. memory_bytes: of address space. file_bytes: of any one file that it writes. nice: it lets
    everybody else go first, on the processor and on the disk.

    Raises what the child raised, as the same class of engine.errors; ChildStopped; DeadlineExceeded after `limit_s`;
    ChronosError when it died without a word.
    """
    limits = {"parent": os.getpid(), "memory_bytes": memory_bytes, "file_bytes": file_bytes, "nice": nice}
    give_up = None if limit_s is None else time.monotonic() + limit_s
    with _started(module) as child:
        _give(child, {"limits": limits, "order": dict(order)})
        for answer in _answers(child, module, give_up, stopped):
            if "result" in answer:
                result: dict[str, Any] = answer["result"]
                return result
            if "error" in answer:
                raise _error(answer)
            if on_progress is not None:
                on_progress(answer["progress"])
        child.wait()
        raise ChronosError(f"{module}: its process {_ended(child.returncode)} before it had an answer")


@contextlib.contextmanager
def _started(module: str) -> Iterator[subprocess.Popen[bytes]]:
    import subprocess

    kept = {
        name: value for name, value in os.environ.items() if name.startswith(_KEPT) and not name.startswith(_NEVER_KEPT)
    }
    child = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=kept,
        start_new_session=True,  # a Ctrl-C at the terminal is the parent's to handle
    )
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # what the pipe to a dead child still holds
                pipe.close()


def _give(child: subprocess.Popen[bytes], request: dict[str, Any]) -> None:
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it died at once; what it said, if anything, is read next
        child.stdin.write(json.dumps(request).encode())
        child.stdin.close()


def _answers(
    child: subprocess.Popen[bytes], module: str, give_up: float | None, stopped: Callable[[], bool] | None
) -> Iterator[dict[str, Any]]:
    assert child.stdout is not None
    descriptor = child.stdout.fileno()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    buffer = b""
    while True:
        if stopped is not None and stopped():
            raise ChildStopped("stopped")
        if give_up is not None and time.monotonic() > give_up:
            raise DeadlineExceeded(f"{module}: its process did not end in time and was killed")
        if not poll.poll(_LOOK_S * 1000):
            continue
        chunk = os.read(descriptor, 65_536)
        if not chunk:
            return
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            yield _parsed(line, module)
        if len(buffer) > _MOST_LINE_BYTES:
            raise ChronosError(f"{module}: its process answered with more than {_MOST_LINE_BYTES >> 20} MiB")


def _parsed(line: bytes, module: str) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ChronosError(f"{module}: its process answered with what is no JSON") from error
    if not isinstance(answer, dict) or not answer.keys() & {"progress", "result", "error"}:
        raise ChronosError(f"{module}: its process answered with what is no answer")
    return answer


def _error(answer: Mapping[str, Any]) -> ChronosError:
    return errors.revived(str(answer.get("kind")), " ".join(str(answer["error"]).split())[:2_000])


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


# The child's side


def serve(main: Callable[[dict[str, Any], Tell], dict[str, Any]]) -> NoReturn:
    """Read the order, take on its limits, do it, answer, and end this process.

    main: called with the order and a function that tells progress; returns the result. What it raises is the answer.
    """
    # What a library prints must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.load(sys.stdin)

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        _limit(request["limits"])
        say({"result": main(request["order"], lambda words: say({"progress": words}))})
    except ChronosError as error:
        say({"error": str(error), "kind": type(error).__name__})
    except MemoryError:
        say({"error": "it needs more memory than it may have", "kind": "ChronosError"})
    except Exception as error:  # noqa: BLE001 - the last line of a process: whatever it is, the parent says it
        say({"error": f"{type(error).__name__}: {error}", "kind": "ChronosError"})
    answers.close()
    raise SystemExit(0)


def _limit(limits: Mapping[str, Any]) -> None:
    import resource

    from engine.host.process import harden

    harden()
    _die_with(limits["parent"])
    for what, most in ((resource.RLIMIT_AS, limits["memory_bytes"]), (resource.RLIMIT_FSIZE, limits["file_bytes"])):
        if most is not None:
            hard = resource.getrlimit(what)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)  # noqa: PLW2901 - a lower one stays
            resource.setrlimit(what, (most, most))
    if limits["nice"]:
        _step_back()


def _die_with(parent: int) -> None:
    """Be killed when the thread that started this process ends, however it ends."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    # Without it the parent still kills us whenever it ends by itself.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        raise ChronosError("the process that asked is gone")


def _step_back() -> None:
    import psutil

    with contextlib.suppress(OSError, psutil.Error):
        os.nice(NICENESS)
        if hasattr(psutil, "IOPRIO_CLASS_IDLE"):
            psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
