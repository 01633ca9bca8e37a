"""The crash loop: load on the engine, SIGKILL at random moments, a full disk if wanted, and the checker at the end.

`python -m tests.crash.loop --kills 50 --messages 5000 --seed 1 [--channels webhook,email] [--fill-disk]`
Prints the seed, a table, and every violation; ends with 1 if there is one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.crash.check import MIGRATIONS, Violation, judge
from tests.crash.diskroom import Ballast, private_disk
from tests.crash.evidence import Evidence, gather
from tests.crash.processes import CrashTestError, EngineProcess, ProducerProcess, Sinks
from tests.crash.report import table
from tests.crash.site import Site

PRODUCERS = 3
FULL_S = 2.5
ON_WIRE_S = 5.0
DISK_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does.

    life_s: the mean time between a start and its kill. slow_s: what a slow answer takes. settle_s: how long the last
    engine has for what is left.
    """

    kills: int
    messages: int
    seed: int
    channels: tuple[str, ...] = ("webhook", "email")
    fill_disk: bool = False
    life_s: float = 1.2
    slow_s: float = 1.0
    settle_s: float = 240.0
    breaker: bool = True
    program: str = "chronos-tui"
    defect: str = ""
    producer_defect: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    plan: Plan
    evidence: Evidence
    violations: list[Violation]
    kills: int
    refused_starts: int
    took_s: float


def engine_command(site: Site, plan: Plan) -> list[str]:
    """Return the program under test: `chronos-tui --engine-only`, or our own small one, which can carry a defect."""
    if plan.program == "child":
        words = [sys.executable, "-m", "tests.crash.child", "--data", str(site.data)]
        return [*words, "--defect", plan.defect] if plan.defect else words
    return [str(Path(sys.executable).with_name("chronos-tui")), "--data-dir", str(site.data), "--engine-only"]


class Loop:
    """One run on one site."""

    def __init__(self, plan: Plan, site: Site) -> None:
        self._plan = plan
        self._site = site
        self._rng = random.Random(plan.seed)
        self._command = engine_command(site, plan)
        self._ballast = Ballast(site.disk / "ballast")
        self._producers: list[ProducerProcess] = []
        self.kills = 0
        self.refused_starts = 0

    def run(self) -> None:
        """Do it all; what it leaves is for the checker. Raises CrashTestError when something hangs."""
        with Sinks(self._site, self._plan.seed, slow_s=self._plan.slow_s) as sinks:
            self._site.prepare(smtp_port=sinks.ports["smtp"], http_port=sinks.ports["http"])
            try:
                self._start_producers()
                self._kill_phase()
                self._last_life()
            finally:
                self._ballast.free()
                for producer in self._producers:
                    producer.stop()

    def _start_producers(self) -> None:
        plan = self._plan
        share = -(-plan.messages // PRODUCERS)
        pace_ms = int(plan.kills * plan.life_s * 0.6 / max(share, 1) * 1000)
        for number in range(PRODUCERS):
            count = max(min(share, plan.messages - number * share), 0)
            self._producers.append(self._producer(number, number * share, count, pace_ms))

    def _producer(self, number: int, first: int, count: int, pace_ms: int = 0) -> ProducerProcess:
        words = ["--first", str(first), "--count", str(count), "--seed", str(self._plan.seed)]
        words += ["--pace-ms", str(pace_ms)]
        if self._plan.producer_defect:
            words += ["--defect", self._plan.producer_defect]
        if self._plan.program != "child":
            words += ["--command", str(Path(sys.executable).with_name("chronos"))]
        return ProducerProcess(self._site, number, *words)

    def _kill_phase(self) -> None:
        fill_at = self._plan.kills * 2 // 5
        for number in range(self._plan.kills):
            if self._plan.fill_disk and number == fill_at:
                self._with_full_disk()
            with self._start() as engine:
                early = self._rng.random() < 0.2
                if not early:
                    engine.wait_ready()
                # The moment of the kill is what the run is about: chance decides, not an event.
                time.sleep(self._rng.uniform(0, 0.5 if early else 2 * self._plan.life_s))
                # But a run in which no kill met a message on the wire shows nothing: some wait for one.
                if number == 0 or (not early and self._rng.random() < 0.3):
                    self._wait_until_on_wire()
                engine.kill()
                self.kills += 1
            if self._rng.random() < 0.3:
                self._rng.choice(self._producers).kill_and_restart()

    def _wait_until_on_wire(self) -> None:
        """Return once something is being sent, or when nothing is for a while."""
        give_up = time.monotonic() + ON_WIRE_S
        while time.monotonic() < give_up and self._site.database.exists():
            with (
                contextlib.closing(sqlite3.connect(f"file:{self._site.database}?mode=ro", uri=True)) as connection,
                contextlib.suppress(sqlite3.OperationalError),  # the engine is only just making it
            ):
                if connection.execute("SELECT n FROM counts WHERE name = 'sending'").fetchone()[0]:
                    return
            time.sleep(0.005)

    def _start(self) -> EngineProcess:
        return EngineProcess(self._site, self._command)

    def _with_full_disk(self) -> None:
        """An engine that runs while the space goes, is killed, and cannot start again until it is back."""
        with self._start() as engine:
            engine.wait_ready()
            self._ballast.fill()
            time.sleep(FULL_S)
            engine.kill()
            self.kills += 1
        give_up = time.monotonic() + FULL_S
        while time.monotonic() < give_up:
            with self._start() as engine:
                engine.wait_ready_for(FULL_S)
                self.refused_starts += not engine.ready
                engine.kill()
        self._ballast.free()

    def _last_life(self) -> None:
        """No more kills: everything must come to its end, and an idle engine must use no more than before."""
        with self._start() as engine:
            if not engine.wait_ready():
                raise CrashTestError(f"the last engine did not start: {engine.words}")
            for producer in self._producers:
                producer.wait(self._plan.settle_s)
            settle(self._site, engine, self._plan.settle_s)
            engine.sample()
            more = self._producer(PRODUCERS, self._plan.messages, max(self._plan.messages // 20, 20))
            self._producers.append(more)
            more.wait(self._plan.settle_s)
            settle(self._site, engine, self._plan.settle_s)
            engine.sample()
            code = engine.terminate()
            if code != 0:
                raise CrashTestError(f"SIGTERM ended the engine with {code}: {engine.words}")


def settle(site: Site, engine: EngineProcess, timeout_s: float) -> bool:
    """Wait until nothing is waiting or on the wire; return whether it came to that. Raises CrashTestError."""
    give_up = time.monotonic() + timeout_s
    while waiting := _waiting(site):
        if not engine.alive:
            raise CrashTestError(f"the last engine died: {engine.words}")
        if time.monotonic() > give_up:
            return False  # the checker names what was left behind
        time.sleep(0.1 if waiting < 50 else 0.5)
    return True


def _waiting(site: Site) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{site.database}?mode=ro", uri=True, timeout=10)) as found:
        return int(found.execute("SELECT sum(n) FROM counts WHERE name IN ('queued', 'sending')").fetchone()[0])


def check(site: Site, *, settled: bool = True) -> tuple[Evidence, list[Violation]]:
    """Judge what lies on the site."""
    evidence = gather(site.data, acks=site.all_acks(), sinks=site.sink_logs(), run=site.run_log, migrations=MIGRATIONS)
    evidence.settled = settled
    return evidence, judge(evidence)


def run(plan: Plan, root: Path) -> Result:
    """Run and judge. `root` is an empty directory, which keeps everything."""
    site = Site(root, plan.channels, breaker=plan.breaker)
    began = time.monotonic()
    loop = Loop(plan, site)
    loop.run()
    evidence, violations = check(site)
    if plan.fill_disk and not any(path.stat().st_size for path in root.glob("acks-*.refused")):
        violations.append(Violation("I1", "", "nothing was refused on a full disk: it was not full"))
    return Result(plan, evidence, violations, loop.kills, loop.refused_starts, time.monotonic() - began)


@contextlib.contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep
        return
    root = Path(tempfile.mkdtemp(prefix="chronos-crash-"))
    try:
        yield root
    finally:
        shutil.rmtree(root)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.loop", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--channels", default="webhook,email", help="of webhook, email")
    parser.add_argument("--fill-disk", action="store_true", help="fill the disk up for a while; needs to be root")
    parser.add_argument("--program", choices=("chronos-tui", "child"), default="chronos-tui", help="what is killed")
    parser.add_argument("--keep", type=Path, help="a new directory that keeps everything for a look afterwards")
    given = parser.parse_args(arguments)
    plan = Plan(
        given.kills,
        given.messages,
        given.seed,
        tuple(given.channels.split(",")),
        given.fill_disk,
        program=given.program,
    )
    if plan.fill_disk:
        private_disk(["-m", "tests.crash.loop", *(arguments if arguments is not None else sys.argv[1:])])
    sys.stdout.write(f"seed {plan.seed}\n")
    sys.stdout.flush()
    with _place(given.keep) as root:
        if plan.fill_disk:
            Ballast.mount(root / "disk", DISK_BYTES)
        try:
            result = run(plan, root)
        except CrashTestError as error:
            sys.stdout.write(f"failed: {error}\n")
            return 1
        finally:
            if plan.fill_disk:
                Ballast.unmount(root / "disk")
        sys.stdout.write(table(result))
        for violation in result.violations:
            sys.stdout.write(f"{violation}\n")
    return 1 if result.violations else 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
