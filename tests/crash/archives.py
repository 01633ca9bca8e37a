"""Backups and restores that are killed: nothing half-made is listed, the database is the old one or the new one.

`python -m tests.crash.archives --kills 200 --seed 1 [--act create|restore]` kills at random moments while messages come
in, judges after each, prints a table and everything that is wrong; ends with 1 if there is anything.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.crash.check import INVARIANTS, MIGRATIONS, chain
from tests.crash.evidence import Evidence, gather
from tests.crash.processes import CrashTestError
from tests.crash.site import Site

ACTS = ("create", "restore")
ANSWER_S = 60.0
_LINGER_S = 10.0
"""How long a child of a killed process may take to be gone: the kernel has to take its memory apart."""

_JUDGED = ("I1", "I7", "I10")
_MADE = "made-"


@dataclass(frozen=True, slots=True)
class Ground:
    """What every attempt begins with, and what comes of it when nothing goes wrong.

    name: of the backup that is restored. took_s: how long an act takes. before, after: what `fingerprint` says without
    and with the restore.
    """

    site: Site
    name: str
    took_s: dict[str, float]
    before: dict[str, str]
    after: dict[str, str]


# Making the ground


def prepare(root: Path) -> Ground:
    """Fill a data directory, and do each act once on a copy of it. Raises CrashTestError where that fails."""
    made = Site(root / "stage", ("webhook",), breaker=False)
    made.prepare(smtp_port=1, http_port=1)
    (name,) = words(made, "make")
    # The ledger of backups holds paths: what is copied from here must come to lie where it was made.
    site = Site(made.root.rename(root / "ground"), made.channels, breaker=False)
    took_s, after = {}, {}
    for act in ACTS:
        trial = staged(Ground(site, name, {}, {}, {}))
        done = words(trial, act, *([name] if act == "restore" else []))
        if len(done) != 2 or not done[1].startswith("done"):
            raise CrashTestError(f"{act}: {done}")
        took_s[act] = float(done[1].split()[1])
        after[act] = fingerprint(collected(trial))
    before = fingerprint(collected(site))
    if before == after["restore"] or before != after["create"]:
        raise CrashTestError("a restore that changes nothing, or a backup that changes messages, shows nothing")
    return Ground(site, name, took_s, before, after["restore"])


def staged(ground: Ground) -> Site:
    """Return a copy of the ground that may be spoilt, where the ground was made."""
    root = ground.site.root.with_name("stage")
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(ground.site.root, root)
    return Site(root, ground.site.channels, breaker=False)


def command(site: Site, act: str, *more: str) -> list[str]:
    """Return the words that start a step of tests.crash.archive_steps."""
    return [sys.executable, "-m", "tests.crash.archive_steps", act, str(site.data), *more]


def words(site: Site, act: str, *more: str) -> list[str]:
    """Do a step to its end; return the lines that it said."""
    done = subprocess.run(
        command(site, act, *more),
        capture_output=True,
        text=True,
        check=False,
        cwd=site.outside[-1],
        env=site.environment(),
        timeout=ANSWER_S,
    )
    if "Traceback" in done.stderr:
        raise CrashTestError(f"{act}: {done.stderr[-2000:]}")
    return done.stdout.splitlines()


# Judging


def collected(site: Site) -> Evidence:
    return gather(site.data, acks=site.all_acks(), run=site.run_log, migrations=MIGRATIONS)


def fingerprint(evidence: Evidence) -> dict[str, str]:
    """What tells the old database from the new one: the state of each message that was there before."""
    return {
        uid: f"{row['state']} {row['attempts']} {row['content_hash']}"
        for uid, row in evidence.messages.items()
        if str(row["idempotency_key"]).startswith(_MADE)
    }


def judged(site: Site, ground: Ground, act: str) -> tuple[str, list[str]]:
    """Say whether the database is the old one or the new one, and everything that is wrong, before anything starts."""
    evidence = collected(site)
    wrong = [f"{name} {uid}: {text}" for name in _JUDGED for uid, text in INVARIANTS[name](evidence)]
    wrong += [text for _, text in chain(evidence)]
    found = fingerprint(evidence)
    applied = sum('"action":"restore.applied"' in row["body"] for row in evidence.audit)
    if found == ground.before and applied == 0:
        return "old", wrong
    if act == "restore" and found == ground.after and applied == 1:
        return "new", wrong
    differing = {uid: (ground.before.get(uid), found.get(uid)) for uid in {*found, *ground.before}}
    changed = Counter(pair for pair in differing.values() if pair[0] != pair[1])
    return "mixed", [*wrong, f"neither old nor new: {applied} restores in the audit log, {changed.most_common(5)}"]


def looked(site: Site, *, disk_failed: bool = False) -> list[str]:
    """Start it again and look at everything; return what is wrong.

    disk_failed: then it may have needed 'doctor --fix', and a backup may be listed as one whose drill was not made.
    """
    said = words(site, "look")
    if not said or not said[-1].startswith("{"):
        return [f"the next start: {said[-1:]}"]
    found: dict[str, Any] = json.loads(said[-1])
    wrong = [
        f"{one['name']} is listed and does not verify: {one['steps']}" for one in found["backups"] if not one["ok"]
    ]
    # A safety backup is made in a hurry; and a file may be in its place, proven, and not yet in the ledger.
    early = [one for one in found["backups"] if one["kind"] not in {"safety", "found"} and one["proof"] != "proven"]
    wrong += [] if disk_failed else [f"{one['name']} ({one['kind']}) is listed as {one['proof']}" for one in early]
    if not found["audit"]:
        wrong.append("the audit log does not verify")
    if found["mended"] and not disk_failed:
        wrong.append("it was DEGRADED")
    wrong += [f"secret: {problem}" for problem in found["secrets"]]
    wrong += [f"{kind} is still asked for or running" for kind in found["commands"]]
    evidence = collected(site)
    return wrong + [
        f"afterwards {name} {uid}: {text}" for name in ("I7", "I8") for uid, text in INVARIANTS[name](evidence)
    ]


# Killing


def attempt(ground: Ground, act: str, share: float, *, served: bool = False) -> tuple[str, list[str]]:
    """Kill an act at that share of the time it takes, with messages coming in; return how it stands and what is wrong.

    served: an engine does it for the process that asks, and is what is killed. "ended" as the first: it was done
    before, nobody was killed.
    """
    took_s = ground.took_s
    site = staged(ground)
    with _begun(site, "load", str(site.acks(0))) as load, ExitStack() as others:
        owner = others.enter_context(_begun(site, "serve")) if served else None
        process = others.enter_context(_begun(site, act, *([ground.name] if act == "restore" else [])))
        # The moment of the kill is what this is about: chance decides, not an event.
        time.sleep(share * took_s[act])
        wrong = _killed(owner or process)
        assert process.stdout is not None
        said = process.stdout.read()
    wrong += [f"messages stopped coming in: {load.returncode}"] if load.returncode else []
    how, found = judged(site, ground, act)
    wrong += found + looked(site)
    if said.startswith("done"):
        took_s[act] = (took_s[act] + float(said.split()[1])) / 2  # how long it takes depends on who else is at work
        wrong += ["said it was done, and it was not"] if act == "restore" and how != "new" else []
        return "ended", wrong
    if served and not said.startswith(("error TryAgain", "error Stopped")):
        wrong.append(f"who asked was told: {said!r}")
    return how, wrong


def _killed(process: subprocess.Popen[str]) -> list[str]:
    """Kill it; say which of its children outlived it."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    process.kill()
    process.wait(ANSWER_S)
    _, alive = psutil.wait_procs(children, timeout=_LINGER_S)
    return [f"a child outlives it: {one.cmdline()}" for one in alive]


@contextmanager
def _begun(site: Site, act: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Run a step, from the moment that it begins; at the end of the block its standard input ends."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command(site, act, *more), stdin=pipe, stdout=pipe, text=True, cwd=site.outside[-1], env=site.environment()
    )
    assert process.stdout is not None
    try:
        if process.stdout.readline() != "begin\n":
            raise CrashTestError(f"{act} did not begin")
        yield process
    finally:
        process.communicate(timeout=ANSWER_S)


def campaign(ground: Ground, kills: int, seed: int, acts: tuple[str, ...] = ACTS) -> tuple[Counter[str], list[str]]:
    """Kill each act so many times in the middle; return how the databases stood, and everything that is wrong.

    What was done before the kill came is counted as "ended" and made up for.
    """
    chance = random.Random(seed)
    stood: Counter[str] = Counter()
    wrong = []
    for act in acts:
        for number in range(kills * _MOST_TRIES):
            if sum(count for how, count in stood.items() if how.startswith(act) and not how.endswith("ended")) >= kills:
                break
            # The end, where names and pages are exchanged, is short: a third of the kills are for it.
            share = chance.uniform(0.8, 1.3) if chance.random() < 1 / 3 else chance.uniform(0, 1)
            served = number % 2 == 1
            how, found = attempt(ground, act, share, served=served)
            stood[f"{act}: {how}"] += 1
            where = f"{act}{' by an engine' if served else ''}, killed at {share:.2f} of its time, {how}"
            wrong += [f"{where}: {one}" for one in found]
        else:
            wrong.append(f"{act}: too few of {kills * _MOST_TRIES} tries hit it in the middle")
    return stood, wrong


_MOST_TRIES = 10
"""How often at most is tried for one kill that hits."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.archives", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="of each act (default: 200)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--act", choices=ACTS, help="only this one")
    given = parser.parse_args(arguments)
    sys.stdout.write(f"seed {given.seed}\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="chronos-archives-") as folder:
        stood, wrong = campaign(prepare(Path(folder)), given.kills, given.seed, (given.act,) if given.act else ACTS)
    for how, count in sorted(stood.items()):
        sys.stdout.write(f"{how:20} {count}\n")
    for one in wrong:
        sys.stdout.write(f"{one}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
