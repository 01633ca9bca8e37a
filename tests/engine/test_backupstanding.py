"""How it stands with backups, by the ledger and the configuration; that the change feed sees each change of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.model import Settings
from engine.operations import commanding
from engine.operations.watching import Topic
from engine.rules.backups import Kind, Proof
from engine.store import backups, commands
from engine.store.tx import Tx
from tests.support import START_MS, FakeClock, data_dir, opened_engine, settings

HOUR_MS = 3_600_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(tmp_path: Path, clock: FakeClock) -> Iterator[Engine]:
    with opened_engine(data_dir(tmp_path), clock=clock) as opened:
        yield opened


def add(
    engine: Engine,
    at_ms: int,
    proof: Proof = Proof.PROVEN,
    *,
    kind: Kind = Kind.MANUAL,
    gone: bool = False,
    pruned: bool = False,
) -> int:
    """Put a row into the ledger."""
    entry = backups.Entry(
        id=0,
        folder="/b",
        name=f"{at_ms}.zip",
        kind=kind,
        taken_ms=at_ms,
        took_ms=1,
        size=100,
        sha256="",
        archive_sha256="",
        encrypted=False,
        manifest={},
        proof=proof,
        proof_detail="" if proof == Proof.PROVEN else "why",
        proven_ms=at_ms + 1 if proof == Proof.PROVEN else None,
        drilled_ms=at_ms + 1,
        drill_took_ms=1,
        verified_ms=None,
        verified_ok=None,
        verified_word="",
        gone_ms=None,
        pruned_ms=None,
    )

    def work(tx: Tx) -> int:
        number = backups.insert(tx, entry)
        if gone:
            backups.record_gone(tx, number, at_ms)
        if pruned:
            backups.record_pruned(tx, number, at_ms)
        return number

    return engine.context.database.write(work)


def test_without_a_backup_nothing_is_proven_and_the_next_one_is_known(engine: Engine, tmp_path: Path) -> None:
    found = engine.backup_standing()
    assert (found.proven_ms, found.newest_ms, found.count, found.size) == (None, None, 0, 0)
    assert found.folder == str(tmp_path / "data" / "backups")
    assert found.free_bytes is not None
    assert found.free_bytes > 0
    assert found.next_ms is not None
    assert 0 < found.next_ms - START_MS <= 24 * HOUR_MS
    assert not Path(found.folder).exists(), "looking makes nothing"


@pytest.mark.parametrize(
    "configuration",
    [settings(backup={"schedule": "off"}), settings(database={"backup_enabled": False})],
    ids=["off", "disabled"],
)
def test_without_a_schedule_nothing_comes_next(tmp_path: Path, configuration: Settings) -> None:
    with opened_engine(data_dir(tmp_path), configuration) as engine:
        assert engine.backup_standing().next_ms is None


def test_a_folder_that_cannot_be_one_has_no_room(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with opened_engine(data_dir(tmp_path), settings(backup={"directory": str(tmp_path / "file" / "b")})) as engine:
        assert engine.backup_standing().free_bytes is None


def test_only_what_is_still_there_counts(engine: Engine) -> None:
    add(engine, START_MS - 9 * HOUR_MS)
    add(engine, START_MS - 8 * HOUR_MS, Proof.UNPROVEN)
    add(engine, START_MS - 7 * HOUR_MS, gone=True)
    add(engine, START_MS - 6 * HOUR_MS, pruned=True)
    add(engine, START_MS - 5 * HOUR_MS, Proof.UNPROVEN, kind=Kind.SAFETY)
    found = engine.backup_standing()
    assert found.proven_ms == START_MS - 9 * HOUR_MS + 1
    assert (found.newest_ms, found.newest_proof, found.newest_detail) == (START_MS - 8 * HOUR_MS, "unproven", "why")
    assert (found.count, found.size) == (3, 300)


def test_what_is_under_way_and_what_was_restored_today_is_told(engine: Engine, clock: FakeClock) -> None:
    context = engine.context
    first = commanding.ask(context, "restore", {})

    def done(tx: Tx) -> None:
        commands.take(tx, START_MS, first.id, 1)
        commands.finish(tx, START_MS, first.id, state="done", result={"tag": "x"}, error="", error_kind="")

    context.database.write(done)
    second = commanding.ask(context, "backup", {})
    found = engine.backup_standing()
    assert [one.id for one in found.under_way] == [second.id]
    assert found.restored is not None
    assert found.restored.result == {"tag": "x"}
    clock.advance_ms(25 * HOUR_MS)
    assert engine.backup_standing().restored is None


def test_the_change_feed_names_backups_when_what_is_seen_of_them_moves(engine: Engine) -> None:
    feed = engine.changes()
    context = engine.context
    number = add(engine, START_MS)
    asked = commanding.ask(context, "backup", {})

    def record(work: Callable[[Tx], object]) -> None:
        context.database.write(work)

    steps: list[Callable[[Tx], object]] = [
        lambda tx: backups.record_drill(tx, number, Proof.FAILED, "x", at_ms=START_MS + 5, took_ms=1),
        lambda tx: backups.record_verification(tx, number, ok=True, word="", at_ms=START_MS + 6),
        lambda tx: backups.record_gone(tx, number, START_MS),
        lambda tx: backups.record_pruned(tx, number, START_MS),
        lambda tx: commands.take(tx, START_MS, asked.id, 1),
        lambda tx: commands.progress(tx, asked.id, "packing", 1, 2),
        lambda tx: commands.cancel(tx, START_MS, asked.id),
        lambda tx: commands.finish(tx, START_MS, asked.id, state="done", result={}, error="", error_kind=""),
    ]
    try:
        feed.poll()
        for step in steps:
            record(step)
            assert feed.poll() == {Topic.BACKUPS}
    finally:
        feed.close()
