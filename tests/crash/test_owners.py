"""One owner at a time: engines that start at once, an owner that is frozen, and what a missing fence would do."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.loop import check, settle
from tests.crash.processes import EngineProcess, ProducerProcess, Sinks
from tests.crash.site import POLICY, Site

SEED = 5
SLOW_S = 0.4
LEASE_MARGIN_MS = 300
TIMEOUT_MS = 700


def _command(site: Site, *more: str) -> list[str]:
    return [sys.executable, "-m", "tests.crash.child", "--data", str(site.data), *more]


@contextmanager
def _opened(root: Path, **options: object) -> Iterator[Site]:
    site = replace(Site(root, ("webhook",), breaker=False), **options)  # type: ignore[arg-type]
    with Sinks(site, SEED, slow_s=SLOW_S) as sinks:
        site.prepare(smtp_port=sinks.ports["smtp"], http_port=sinks.ports["http"])
        yield site


def _producer(site: Site, count: int, *more: str) -> ProducerProcess:
    return ProducerProcess(site, 0, "--count", str(count), "--seed", str(SEED), *more)


def test_of_engines_that_start_at_once_exactly_one_owns(tmp_path: Path) -> None:
    with _opened(tmp_path) as site:
        for _ in range(3):
            with ExitStack() as stack:
                engines = [stack.enter_context(EngineProcess(site, _command(site))) for _ in range(4)]

                owners = [engine for engine in engines if engine.wait_ready()]

                assert len(owners) == 1, [engine.words for engine in engines]
                for engine in engines:
                    if engine is not owners[0]:
                        assert engine.wait() == 5
                        assert f"already delivered by pid {owners[0].pid} " in engine.words
                        assert engine.words.count("\n") == 1
                owners[0].kill()
    assert check(site)[1] == []


def test_a_frozen_owner_keeps_its_place_and_sends_nothing_twice_unmarked(tmp_path: Path) -> None:
    policy = replace(POLICY, lease_ms=TIMEOUT_MS + LEASE_MARGIN_MS)
    with _opened(tmp_path, timeout_ms=TIMEOUT_MS, policy=policy) as site:
        command = _command(site, "--lease-margin-ms", str(LEASE_MARGIN_MS))
        producer = _producer(site, 120)
        with EngineProcess(site, command) as engine:
            assert engine.wait_ready()
            producer.wait(60)
            engine.send(signal.SIGSTOP)
            # Longer than two leases: this much time has to pass, there is no event to wait for.
            time.sleep(2 * policy.lease_ms / 1000)
            with EngineProcess(site, command) as second:
                assert not second.wait_ready()
                assert second.wait() == 5
                assert f"pid {engine.pid} " in second.words
            engine.send(signal.SIGCONT)
            assert settle(site, engine, 60)
            assert engine.terminate() == 0
    evidence, violations = check(site)
    assert violations == []
    assert {message["state"] for message in evidence.messages.values()} <= {"delivered", "uncertain"}


def test_the_checker_finds_two_owners_at_once(tmp_path: Path) -> None:
    with _opened(tmp_path) as site:
        command = _command(site, "--defect", "no-fence")
        with EngineProcess(site, command) as first:
            assert first.wait_ready()
            producer = _producer(site, 80)
            producer.wait(60)
            with EngineProcess(site, command) as second:
                assert second.wait_ready()
                settle(site, second, 20)
                second.terminate()
            first.terminate()
    assert "I4" in {violation.invariant for violation in check(site)[1]}


def test_the_checker_finds_an_acknowledgement_before_the_commit(tmp_path: Path) -> None:
    with _opened(tmp_path) as site:
        producer = _producer(site, 50, "--pace-ms", "50", "--defect", "acknowledge-early")
        give_up = time.monotonic() + 30
        while not (site.acks(0).exists() and site.acks(0).stat().st_size) and time.monotonic() < give_up:
            time.sleep(0.01)
        producer.stop()
        with EngineProcess(site, _command(site)) as engine:
            assert engine.wait_ready()
            settle(site, engine, 20)
            engine.terminate()
    assert "I1" in {violation.invariant for violation in check(site)[1]}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_engine_asked_to_end_records_what_is_on_the_wire(tmp_path: Path, number: signal.Signals) -> None:
    with _opened(tmp_path) as site:
        producer = _producer(site, 40)
        with EngineProcess(site, _command(site)) as engine:
            assert engine.wait_ready()
            producer.wait(60)
            assert engine.terminate(number) == 0
        assert check(site, settled=False)[1] == []
