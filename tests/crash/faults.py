"""Faults at every write-side system call of an engine's life: SIGKILL, EIO, ENOSPC at the k-th call, then the checker.

`python -m tests.crash.faults --all` tries every point; `--sample N --seed S` some. Needs strace.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.crash.loop import check
from tests.crash.site import Site
from tests.servers import HttpSink, Log

ANSWER_S = 30.0
_DATABASE = ("chronos.db", "chronos.db-wal", "chronos.db-shm", "chronos.db-journal")
_FILES = (*_DATABASE, "engine.lock", "write.lock", "DEGRADED", "config.cache.json")
FAULTS: dict[str, tuple[str, ...]] = {
    "pwrite64": ("SIGKILL", "EIO", "ENOSPC"),
    "write": ("SIGKILL", "EIO", "ENOSPC"),
    "fdatasync": ("SIGKILL", "EIO"),
    "fsync": ("SIGKILL", "EIO"),
    "ftruncate": ("SIGKILL", "EIO"),  # ours and SQLite's only shorten, which takes no space
    "openat": ("SIGKILL", "EIO", "ENOSPC"),
    "unlink": ("SIGKILL", "EIO"),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A part of a life. before: commands without faults. traced: with them. thread: whose calls are counted."""

    name: str
    before: tuple[str, ...]
    traced: tuple[str, ...]
    thread: str = "main"


SCENES = (
    Scene("first start", (), ("open", "own")),
    Scene("restart", ("open", "enqueue", "close"), ("open", "own")),
    Scene("enqueue", ("open",), ("enqueue", "enqueue")),
    Scene("take-over", ("open", "enqueue"), ("own",)),
    Scene("deliver", ("open", "own"), ("enqueue", "settle"), "dispatcher"),
    Scene("shutdown", ("open", "own", "enqueue", "settle"), ("close",)),
    Scene("last words", ("open", "own", "enqueue", "settle"), ("close",), "dispatcher"),
)


@dataclass(frozen=True, slots=True)
class Point:
    """One fault: the k-th `call` of the scene."""

    scene: Scene
    call: str
    k: int
    fault: str

    def __str__(self) -> str:
        return f"{self.scene.name}: {self.fault} at {self.call} {self.k}"


class Dead(Exception):
    """The child was killed, as the fault wanted it."""


class Child:
    """A process of tests.crash.steps and, for some of its commands, a tracer."""

    def __init__(self, site: Site) -> None:
        words = [sys.executable, "-m", "tests.crash.steps", str(site.data), str(site.acks(0))]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            words, stdin=pipe, stdout=pipe, text=True, cwd=site.outside[-1], env=site.environment()
        )
        self._site = site
        self.dispatcher = ""

    def ask(self, command: str) -> str:
        """Return the answer. Raises Dead."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with suppress(BrokenPipeError):
            stdin.write(command + "\n")
            stdin.flush()
        answer = stdout.readline().strip()
        if not answer:
            raise Dead(command)
        if command == "own" and answer.startswith("ok "):
            self.dispatcher = answer.removeprefix("ok ")
        return answer

    @contextmanager
    def traced(self, scene: Scene, *expressions: str, files: bool = True) -> Iterator[Path]:
        """Trace one thread's calls while the block runs; yield the trace.

        files: only calls on the files of the data directory whose names are known.
        """
        log = self._site.root / "strace.log"
        words = ["strace", "-e", "signal=none", "-o", str(log)]
        for name in _FILES if files else ():
            words += ["-P", str(self._site.data / name)]
        for expression in expressions:
            words += ["-e", expression]
        tid = self.dispatcher if scene.thread == "dispatcher" else str(self._process.pid)
        tracer = subprocess.Popen([*words, "-p", tid], stderr=subprocess.PIPE, text=True)
        try:
            assert tracer.stderr is not None
            line = tracer.stderr.readline()
            if "attached" not in line:
                raise RuntimeError(f"strace cannot trace: {line.strip()}")
            yield log
        finally:
            tracer.terminate()
            tracer.communicate()

    def end(self) -> int:
        """End it, whatever it is doing; return its exit code."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            code = self._process.wait(ANSWER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code


def points(scene: Scene, root: Path) -> list[Point]:
    """Play the scene once without a fault and return a point for each call that it made."""
    with stage(root) as site:
        child = Child(site)
        try:
            for command in scene.before:
                child.ask(command)
            with child.traced(scene, f"trace={','.join(FAULTS)}") as log:
                for command in scene.traced:
                    child.ask(command)
        finally:
            child.end()
        found = Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", log.read_text(), re.MULTILINE))
    return [
        Point(scene, call, k, fault)
        for call, count in sorted(found.items())
        for k in range(1, count + 1)
        for fault in FAULTS.get(call, ())
    ]


def attempt(point: Point, root: Path) -> list[str]:
    """Play the scene with the fault, then a life without one; return everything that is wrong."""
    with stage(root) as site:
        wrong = play(point, site)
        wrong += recover(site, mend=point.fault == "EIO")
        _, violations = check(site)
        return wrong + [str(violation) for violation in violations]


def play(point: Point, site: Site) -> list[str]:
    """Play the scene with the fault; return what went wrong beyond it."""
    child = Child(site)
    action = "signal=SIGKILL" if point.fault == "SIGKILL" else f"error={point.fault}"
    wrong = []
    try:
        for command in point.scene.before:
            answer = child.ask(command)
            if not answer.startswith("ok"):
                wrong.append(f"{command}: {answer}")
        expressions = (f"trace={point.call}", f"inject={point.call}:{action}:when={point.k}")
        # strace looks at the first name of a rename, which is a temporary file's.
        with child.traced(point.scene, *expressions, files=point.call != "rename"):
            for command in point.scene.traced:
                child.ask(command)
        child.ask("close")
    except Dead as death:
        if point.fault != "SIGKILL":
            wrong.append(f"the process ended during {death}")
    finally:
        child.end()
    return wrong


def recover(site: Site, *, mend: bool) -> list[str]:
    """A life without faults, which must get everything out; only a broken disk may need the operator before."""
    began = time.monotonic()
    child = Child(site)
    try:
        commands = ("open", *(("mend",) if mend else ()), "own", "enqueue", "settle", "close")
        answers = {command: child.ask(command) for command in commands}
    except Dead as death:
        return [f"the next life ended during {death}"]
    finally:
        child.end()
    wrong = [f"the next life: {command}: {answer}" for command, answer in answers.items() if answer[:2] != "ok"]
    if time.monotonic() - began > ANSWER_S:
        wrong.append("the next life took too long")
    return wrong


@contextmanager
def stage(root: Path) -> Iterator[Site]:
    """A fresh data directory, and a sink without faults of its own."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(mode=0o700)
    site = Site(root, ("webhook",), breaker=False)
    log = Log(root / "sink-http.jsonl")
    try:
        with HttpSink(log=log) as sink:
            site.prepare(smtp_port=1, http_port=sink.port)
            yield site
    finally:
        log.close()


def run(chosen: list[Point], root: Path) -> dict[Point, list[str]]:
    """Try the points one after the other; return those that something is wrong with."""
    return {point: wrong for point in chosen if (wrong := attempt(point, root))}


def all_points(root: Path) -> list[Point]:
    return [point for scene in SCENES for point in points(scene, root)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.faults", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every point; takes a while")
    parser.add_argument("--sample", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--fault", choices=("SIGKILL", "EIO", "ENOSPC"), help="only this one")
    parser.add_argument("--scene", choices=[scene.name for scene in SCENES], help="only this part of a life")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chronos-faults-") as folder:
        root = Path(folder) / "stage"
        chosen = [
            one
            for one in all_points(root)
            if given.scene in {None, one.scene.name} and given.fault in {None, one.fault}
        ]
        if not given.all:
            chosen = random.Random(given.seed).sample(chosen, min(given.sample, len(chosen)))
        sys.stdout.write(f"{len(chosen)} points, seed {given.seed}\n")
        bad = 0
        for point in chosen:
            wrong = attempt(point, root)
            bad += bool(wrong)
            for words in wrong:
                sys.stdout.write(f"{point}: {words}\n")
                sys.stdout.flush()
    sys.stdout.write(f"{bad} of {len(chosen)} points are bad\n")
    return 1 if bad else 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
