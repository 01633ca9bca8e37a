"""Retention at work: what goes is written down first, what must stay stays, a killed run is finished by the next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import NotPossible, TryAgain
from engine.operations.backup import backups, retaining
from engine.operations.backup.retaining import Decision
from engine.rules.backups import Kind, Name, Proof
from engine.store import audit
from engine.store import backups as ledger
from tests.backuprig import box_with_paths, fake, listed
from tests.support import Box, settings

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
KEEP = {"hourly": 2, "daily": 2, "weekly": 0, "monthly": 0, "yearly": 0, "within_ms": 0}


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with box_with_paths(tmp_path / "data", settings(backup={"keep": KEEP})) as found:
        yield found


def hours(box: Box, *ago: int, **fields: Any) -> list[int]:
    """Write backups of so many hours ago; return their numbers."""
    return [fake(box.context, box.clock.now_ms() - n * HOUR_MS, **fields) for n in ago]


def files(box: Box) -> list[str]:
    return sorted(path.name for path in backups.folder(box.context).iterdir())


def kept(decisions: list[Decision]) -> list[int | None]:
    return [one.backup.id for one in decisions if one.keep]


def pruned_entries(box: Box) -> list[dict[str, Any]]:
    span = audit.Span(0, 1 << 40)
    rows = box.database.read(lambda tx: audit.of_action(tx, "backup.pruned", span, 100, upwards=True))
    return [audit.fields_of(row.body) for row in rows]


def test_what_is_not_kept_goes_with_its_file_its_row_and_an_entry(box: Box) -> None:
    newest, second, third, old = hours(box, 0, 1, 2, 90)
    before = files(box)

    decisions = retaining.prune(box.context)

    assert [one.backup.id for one in decisions] == [newest, second, third, old]
    assert third not in kept(decisions)
    assert {newest, second} <= set(kept(decisions))
    gone = listed(box.context, third)
    assert (gone.pruned_ms, gone.gone_ms) == (box.clock.now_ms(), box.clock.now_ms())
    assert files(box) == [name for name in before if name != gone.name]
    [entry] = pruned_entries(box)
    assert (entry["subject"], entry["actor"]) == (f"backup:{gone.name}", "test:me")
    assert entry["detail"]["reason"] == next(one.reason for one in decisions if one.backup.id == third)
    assert third not in [one.id for one in backups.listing(box.context)]


def test_a_dry_run_says_the_same_and_does_nothing(box: Box) -> None:
    hours(box, 0, 1, 2, 90)
    before = files(box)

    said = retaining.prune(box.context, dry_run=True)

    assert files(box) == before
    assert pruned_entries(box) == []
    assert retaining.prune(box.context) == said


def test_a_dry_run_is_for_everybody_and_pruning_is_not(box: Box) -> None:
    hours(box, 0, 1, 2)
    box.context.read_only = True

    assert len(retaining.prune(box.context, dry_run=True)) == 3
    with pytest.raises(NotPossible, match="read-only"):
        retaining.prune(box.context)


def test_the_newest_proven_one_outlives_any_number_of_newer_ones(box: Box) -> None:
    [good] = hours(box, 24 * 30)
    hours(box, *range(60), proof=Proof.UNPROVEN)

    assert good in kept(retaining.prune(box.context))
    assert listed(box.context, good).pruned_ms is None


def test_one_whose_file_is_gone_does_not_count_as_the_newest_proven(box: Box) -> None:
    missing, good = hours(box, 24 * 20, 24 * 30)
    hours(box, *range(60), proof=Proof.UNPROVEN)
    Path(listed(box.context, missing).folder, listed(box.context, missing).name).unlink()

    assert good in kept(retaining.prune(box.context))


def test_what_others_put_there_and_what_lies_elsewhere_is_left_alone(box: Box, tmp_path: Path) -> None:
    hours(box, *range(10))
    folder = backups.folder(box.context)
    theirs = folder / Name("other", box.clock.now_ms() - 900 * DAY_MS, encrypted=False).text
    theirs.write_bytes(b"theirs")
    (folder / "notes.txt").write_text("mine")
    usb = fake(box.context, box.clock.now_ms() - 800 * DAY_MS, kind=Kind.MANUAL)
    row = listed(box.context, usb)
    moved = tmp_path / "usb"
    moved.mkdir()
    Path(row.folder, row.name).rename(moved / row.name)
    box.database.write(lambda tx: _move(tx, usb, str(moved)))

    found = retaining.prune(box.context)

    assert usb not in [one.backup.id for one in found]
    assert (moved / row.name).exists()
    assert theirs.exists()
    assert (folder / "notes.txt").exists()


def _move(tx: Any, number: int, folder: str) -> None:
    tx._connection.execute("UPDATE backups SET folder = ? WHERE id = ?", (folder, number))


def test_what_is_dated_ahead_of_now_stays(box: Box) -> None:
    ahead = fake(box.context, box.clock.now_ms() + 400 * DAY_MS)
    hours(box, *range(10))

    assert ahead in kept(retaining.prune(box.context))
    assert len(kept(retaining.plan(box.context))) == 3  # two hours of one day, and the one ahead


def test_a_run_that_was_killed_behind_its_entry_is_finished_by_the_next(box: Box) -> None:
    _newest, _second, third = hours(box, 0, 1, 2)
    box.database.write(lambda tx: ledger.record_pruned(tx, third, box.clock.now_ms()))
    left = Path(listed(box.context, third).folder, listed(box.context, third).name)
    assert left.exists()

    retaining.prune(box.context)

    assert not left.exists()
    assert listed(box.context, third).gone_ms == box.clock.now_ms()


def test_a_file_that_cannot_be_removed_is_named_and_the_others_go(box: Box) -> None:
    numbers = hours(box, 0, 1, 2, 3)
    stubborn = listed(box.context, numbers[2])
    place = Path(stubborn.folder, stubborn.name)
    place.unlink()
    box.database.write(lambda tx: ledger.record_pruned(tx, stubborn.id, box.clock.now_ms()))
    place.mkdir()  # what is no file cannot be unlinked

    with pytest.raises(NotPossible, match="cannot be removed"):
        retaining.prune(box.context)

    assert listed(box.context, numbers[3]).gone_ms is not None
    assert listed(box.context, stubborn.id).gone_ms is None


def test_a_drill_that_fails_between_the_decision_and_the_act_stops_it(box: Box) -> None:
    good, *rest = hours(box, 0, 1, 2, 3, 4)

    def judged_meanwhile(_stage: str, _done: int, _total: int) -> None:
        box.database.write(lambda tx: ledger.record_drill(tx, good, Proof.FAILED, "damaged", at_ms=1, took_ms=1))

    with pytest.raises(TryAgain, match="judged anew"):
        retaining.prune(box.context, report=judged_meanwhile)

    assert [listed(box.context, number).pruned_ms for number in rest] == [None] * 4


def test_rows_of_what_went_long_ago_are_forgotten(box: Box) -> None:
    _newest, _second, third = hours(box, 0, 1, 2)
    retaining.prune(box.context)

    assert retaining.forget_pruned(box.context) == 0
    box.clock.advance_ms(retaining.FORGET_MS + 1)
    assert retaining.forget_pruned(box.context) == 1
    assert box.database.read(lambda tx: ledger.get(tx, third)) is None
