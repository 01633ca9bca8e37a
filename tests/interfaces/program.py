"""The programs from outside: `chronos` and `chronos-tui --engine-only` as processes of their own."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TIME_OUT_S = 60
"""For a process or a line that never comes; nothing is expected to take so long."""

_KEPT = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "PYTHONPATH")


_QUIET = {"CHRONOS_HTTP_ENABLED": "false"}
"""Engines of tests that have nothing to do with HTTP open no port: many run at once."""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    @property
    def one_line(self) -> str:
        """What stands on stderr, which must be one line and no traceback."""
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        return self.err.rstrip("\n")


@dataclass
class Box:
    """A data directory of its own, and an environment in which nothing else of this machine is seen."""

    home: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def data_dir(self) -> Path:
        return self.home / "data"

    @property
    def env(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        root = str(Path(__file__).parents[2])
        return {**kept, "PYTHONPATH": root, "HOME": str(self.home), "TZ": "UTC", **_QUIET, **self.extra}

    def configure(self, text: str) -> None:
        """Write the configuration into the data directory."""
        self.data_dir.mkdir(mode=0o700, exist_ok=True)
        file = self.data_dir / "config.yaml"
        file.write_text(text)
        file.chmod(0o600)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "chronos_tui.commands", "--data-dir", str(self.data_dir), *words]

    def chronos(self, *words: str, stdin: str | bytes | int = "", **env: str) -> Result:
        """Run `chronos` to its end."""
        return run(self.command(*words), {**self.env, **env}, stdin, self.home)

    def ok(self, *words: str, stdin: str | bytes | int = "", **env: str) -> Result:
        """Run `chronos`, which must end with 0."""
        result = self.chronos(*words, stdin=stdin, **env)
        assert result.code == 0, result
        return result

    def send(self, *words: str, target: str = "box") -> str:
        """Queue a message and return its uid."""
        return self.ok("send", target, *words).out.strip()

    @contextmanager
    def engine(self, *, wait: bool = True, **env: str) -> Iterator[Engine]:
        """Run the engine; it must have ended when the block does, or it is killed."""
        engine = Engine(self, env)
        try:
            if wait:
                engine.ready()
            yield engine
        finally:
            engine.end()


def run(command: list[str], env: dict[str, str], stdin: str | bytes | int, cwd: Path) -> Result:
    given: dict[str, Any] = (
        {"stdin": stdin} if isinstance(stdin, int) else {"input": stdin.encode() if isinstance(stdin, str) else stdin}
    )
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, timeout=TIME_OUT_S, check=False, **given)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Run a process; it must have ended when the block does, or it is killed, so that no failing test waits for it."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


class Engine:
    """`chronos-tui --engine-only` as a process; its stderr is read line by line."""

    def __init__(self, box: Box, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            self.command(box.data_dir),
            env={**box.env, **env},
            cwd=box.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.lines: list[str] = []
        self._early: list[str] = []
        self._queue: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @staticmethod
    def command(data_dir: Path) -> list[str]:
        """Return how it is started."""
        return [sys.executable, "-m", "chronos_tui.app", "--data-dir", str(data_dir), "--engine-only"]

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._queue.put(line.decode())
        self._queue.put("")

    def until(self, pattern: str) -> re.Match[str]:
        """Wait for a line of stderr that matches."""
        while line := self._next():
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"ended with {self.process.wait()} before {pattern!r}: {''.join(self.lines)}")

    def _next(self) -> str:
        return self._early.pop(0) if self._early else self._queue.get(timeout=TIME_OUT_S)

    def ready(self) -> re.Match[str]:
        """Wait for the ready line. What was said before it, such as what the dispatcher took up, can still be found."""
        found = self.until(r"^chronos engine ready pid=(\d+) data=(\S+) http=(\S+)$")
        self._early, self.lines = self.lines[:-1], self.lines[-1:]
        return found

    @property
    def http(self) -> str:
        """Where it listens, by its ready line."""
        return next(found[1] for line in self.lines if (found := re.search(r" http=(\S+)$", line.rstrip())))

    def event(self, name: str, **fields: object) -> dict[str, Any]:
        """Wait for a log line with that event and these fields."""
        while True:
            found = self.until(rf'^{{.*"event":"{name}"')
            record: dict[str, Any] = json.loads(found.string)
            if all(record.get(key) == value for key, value in fields.items()):
                return record

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(TIME_OUT_S)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(TIME_OUT_S)
        self._reader.join(TIME_OUT_S)
        assert self.process.stderr is not None
        self.process.stderr.close()
