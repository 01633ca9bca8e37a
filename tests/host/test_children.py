"""One of our modules as a limited child: what it answers, what it may, and how it ends with its parent."""

from __future__ import annotations

import json
import os
import select
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ChronosError, DeadlineExceeded, NotPossible
from engine.host import children
from tests.host.errand import MODULE
from tests.store import rig
from tests.support import PATIENCE_S


class EnoughError(Exception):
    """What a listener raises that wants no more."""


def gone(pid: int) -> bool:
    """Wait until a process has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], PATIENCE_S)[0])
    finally:
        os.close(descriptor)


def test_a_child_does_what_it_is_asked_and_tells_how_far_it_is() -> None:
    heard: list[dict[str, Any]] = []
    done = children.run(MODULE, {"act": "answer", "steps": 3, "é": "✓"}, on_progress=heard.append)
    assert done == {"was": {"act": "answer", "steps": 3, "é": "✓"}}
    assert heard == [{"step": 0}, {"step": 1}, {"step": 2}]


def test_an_error_of_ours_comes_back_as_what_it_is_in_one_line() -> None:
    with pytest.raises(NotPossible, match=r"^the moon is full$"):
        children.run(MODULE, {"act": "refuse"})


def test_any_other_error_is_named(tmp_path: Path) -> None:
    with pytest.raises(ChronosError, match="RuntimeError: a defect"):
        children.run(MODULE, {"act": "break"})
    with pytest.raises(ChronosError, match="File too large"):
        children.run(MODULE, {"act": "write", "path": str(tmp_path / "a"), "size": 5000}, file_bytes=4096)
    with pytest.raises(ChronosError, match="more memory than it may have"):
        children.run(MODULE, {"act": "eat", "size": 1 << 30}, memory_bytes=512 << 20)


def test_a_child_that_dies_without_a_word_is_an_error_that_says_how() -> None:
    with pytest.raises(ChronosError, match="was killed by SIGKILL before it had an answer"):
        children.run(MODULE, {"act": "die"})
    with pytest.raises(ChronosError, match="ended with 1 before it had an answer"):
        children.run("tests.host.there_is_no_such_module", {})


def test_what_a_library_prints_is_not_taken_for_an_answer() -> None:
    assert children.run(MODULE, {"act": "chatter"}) == {"said": True}


def test_a_child_gets_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHRONOS_SECRET_SMTP", "hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "some.Backend")
    names = set(children.run(MODULE, {"act": "environment"})["names"])
    assert "PATH" in names
    assert not names & {"CHRONOS_SECRET_SMTP", "AWS_SECRET_ACCESS_KEY", "PYTHON_KEYRING_BACKEND"}


def test_a_child_writes_for_its_user_alone(tmp_path: Path) -> None:
    made = children.run(MODULE, {"act": "write", "path": str(tmp_path / "a"), "size": 1})
    assert made == {"mode": 0o600}


def test_a_nice_child_lets_others_go_first() -> None:
    here = os.nice(0)
    assert children.run(MODULE, {"act": "priority"}, nice=True) == {"nice": min(19, here + children.NICENESS)}
    assert children.run(MODULE, {"act": "priority"}) == {"nice": here}


def test_a_child_that_takes_too_long_is_killed() -> None:
    pids: list[int] = []
    with pytest.raises(DeadlineExceeded, match="did not end in time"):
        children.run(MODULE, {"act": "wait"}, on_progress=lambda told: pids.append(told["pid"]), limit_s=1.0)
    assert gone(pids[0])


def test_a_child_that_is_not_wanted_any_more_is_killed() -> None:
    pids: list[int] = []
    with pytest.raises(children.ChildStopped):
        children.run(
            MODULE,
            {"act": "wait"},
            on_progress=lambda told: pids.append(told["pid"]),
            stopped=lambda: bool(pids),
        )
    assert gone(pids[0])


def test_what_a_listener_raises_ends_the_child_and_goes_on() -> None:
    pids: list[int] = []

    def enough(told: dict[str, Any]) -> None:
        pids.append(told["pid"])
        raise EnoughError

    with pytest.raises(EnoughError):
        children.run(MODULE, {"act": "wait"}, on_progress=enough)
    assert gone(pids[0])


def test_a_child_dies_with_its_parent() -> None:
    with rig.running(
        """
        import json
        from engine.host import children
        children.run("tests.host.errand", {"act": "wait"}, on_progress=lambda told: print(json.dumps(told), flush=True))
        """
    ) as parent:
        pid = json.loads(rig.answer(parent))["pid"]
        parent.kill()
        assert gone(pid)
