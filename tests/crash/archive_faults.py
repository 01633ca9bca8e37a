"""Faults at the write-side system calls of a backup and of a restore: SIGKILL, EIO and ENOSPC at the k-th of each kind.

`python -m tests.crash.archive_faults --all` tries every point; `--sample N --seed S` some. Needs strace. An act is one
process that starts others: a fault strikes each of them at its own k-th call.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from tests.crash.archives import ACTS, ANSWER_S, Ground, command, judged, looked, prepare, staged
from tests.crash.site import Site

FAULTS: dict[str, tuple[str, ...]] = {
    "pwrite64": ("SIGKILL", "EIO", "ENOSPC"),
    "write": ("SIGKILL", "EIO", "ENOSPC"),
    "fdatasync": ("SIGKILL", "EIO"),
    "fsync": ("SIGKILL", "EIO"),
    "ftruncate": ("SIGKILL", "EIO"),
    "openat": ("SIGKILL", "EIO", "ENOSPC"),
    "rename": ("SIGKILL", "EIO", "ENOSPC"),
    "link": ("SIGKILL", "EIO", "ENOSPC"),
    "mkdir": ("SIGKILL", "EIO", "ENOSPC"),
    "unlink": ("SIGKILL", "EIO"),
    "unlinkat": ("SIGKILL", "EIO"),
    "rmdir": ("SIGKILL", "EIO"),
}
_WRITES = ("O_WRONLY", "O_RDWR", "O_CREAT")
_LINE = re.compile(r"(\d+) +(\w+)\((.*)")


@dataclass(frozen=True, slots=True)
class Point:
    """One fault: every process of the act meets it at its k-th `call`."""

    act: str
    call: str
    k: int
    fault: str

    def __str__(self) -> str:
        return f"{self.act}: {self.fault} at {self.call} {self.k}"


def points(ground: Ground, act: str) -> list[Point]:
    """Do the act once without a fault; return a point for each call on the data directory.

    An error where another process of the act has its k-th call elsewhere (a pipe, a library that is loaded) would show
    nothing of a disk; there is no such point.
    """
    site = staged(ground)
    log = site.root / "strace.log"
    _traced(site, ground, act, "-y", "-o", str(log), "-e", f"trace={','.join(FAULTS)}")
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    here: dict[tuple[str, int], list[bool]] = defaultdict(list)
    for line in log.read_text(errors="replace").splitlines():
        if (found := _LINE.match(line)) is not None:
            pid, call, rest = found.groups()
            counted[pid][call] += 1
            here[call, counted[pid][call]].append(_concerns(site, call, rest))
    return [
        Point(act, call, k, fault)
        for (call, k), ours in sorted(here.items())
        for fault in FAULTS[call]
        if (any(ours) if fault == "SIGKILL" else all(ours))
    ]


def _concerns(site: Site, call: str, rest: str) -> bool:
    return str(site.data) in rest and (call != "openat" or any(flag in rest for flag in _WRITES))


def sample(found: list[Point], count: int, seed: int) -> list[Point]:
    """Return some points, of each kind of call as many: writing a copy is a thousand calls, renaming it is one."""
    chance = random.Random(seed)
    kinds: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for point in chance.sample(found, len(found)):
        kinds[point.act, point.call].append(point)
    dealt = [point for turn in zip_longest(*kinds.values()) for point in turn if point is not None]
    return dealt[:count]


def attempt(point: Point, ground: Ground) -> list[str]:
    """Do the act with the fault, then start again; return everything that is wrong."""
    site = staged(ground)
    action = "signal=SIGKILL" if point.fault == "SIGKILL" else f"error={point.fault}"
    inject = f"inject={point.call}:{action}:when={point.k}"
    said, errors = _traced(site, ground, point.act, "-o", "/dev/null", "-e", f"trace={point.call}", "-e", inject)
    wrong = [f"a defect: {errors[-600:]}"] if "Traceback" in errors else []
    wrong += [f"it does not say what is wrong: {said}"] if "a defect of the engine" in said else []
    how, found = judged(site, ground, point.act)
    if "\ndone" in said and point.act == "restore" and how != "new":
        wrong.append("said it was done, and it was not")
    return wrong + found + looked(site, disk_failed=point.fault != "SIGKILL")


def _traced(site: Site, ground: Ground, act: str, *strace: str) -> tuple[str, str]:
    """Return what the act said on its standard output and on the other."""
    done = subprocess.run(
        ["strace", "-f", "-e", "signal=none", *strace, *command(site, act, *([ground.name] * (act == "restore")))],
        capture_output=True,
        text=True,
        check=False,
        cwd=site.outside[-1],
        env=site.environment(),
        timeout=2 * ANSWER_S,
    )
    return done.stdout, done.stderr


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.archive_faults", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every point; takes a while")
    parser.add_argument("--sample", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--fault", choices=("SIGKILL", "EIO", "ENOSPC"), help="only this one")
    parser.add_argument("--act", choices=ACTS, help="only this one")
    given = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory(prefix="chronos-archives-") as folder:
        ground = prepare(Path(folder))
        chosen = [
            point
            for act in ACTS
            if given.act in {None, act}
            for point in points(ground, act)
            if given.fault in {None, point.fault}
        ]
        if not given.all:
            chosen = sample(chosen, given.sample, given.seed)
        sys.stdout.write(f"{len(chosen)} points, seed {given.seed}\n")
        for point in chosen:
            wrong = attempt(point, ground)
            bad += bool(wrong)
            for one in wrong:
                sys.stdout.write(f"{point}: {one}\n")
                sys.stdout.flush()
    sys.stdout.write(f"{bad} of {len(chosen)} points are bad\n")
    return 1 if bad else 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
