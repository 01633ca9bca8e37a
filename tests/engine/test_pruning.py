"""Old entries go into signed archives, proved before anything is deleted; killed anywhere, the next run goes on."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import stat
from collections.abc import Iterator
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ChronosError, NotPossible, StorageFull
from engine.operations import auditing, checkpointing, pruning, rotating, verifying
from engine.operations.context import Machine
from engine.operations.vault import Provider
from engine.rules.durations import rfc3339
from engine.store import audit
from engine.store.tx import Tx
from tests.support import Box, data_dir, opened_box

DAY_MS = 86_400_000


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    where = data_dir(tmp_path)
    where.data_dir.mkdir(mode=0o700)
    with opened_box(where.data_dir) as made:
        made.context.machine = Machine(where)
        rotating.create(made.context, Provider.FILE)
        yield made


def fill(box: Box, entries: int) -> None:
    def work(tx: Tx) -> None:
        for number in range(entries):
            audit.append(tx, box.clock.now_ms(), "cli:1", "hold.started", "hold:all", {"n": number, "é": "✓"})

    box.database.write(work)


def grown(box: Box, days: int = 5, entries: int = 700) -> None:
    """A log of some days, each with a checkpoint at its end."""
    for _ in range(days):
        fill(box, entries)
        checkpointing.make(box.context)
        box.clock.advance_ms(DAY_MS)


def numbers(box: Box) -> list[int]:
    return [row[0] for row in box.database.read(lambda tx: tx.search("SELECT seq FROM audit ORDER BY seq", {}))]


def folder(box: Box) -> Path:
    return box.directory / pruning.FOLDER


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_what_is_older_goes_into_an_archive_and_the_log_still_verifies(box: Box) -> None:
    grown(box)
    entries = {entry.seq: entry for entry in auditing.page(box.context, limit=10_000)}
    steps: list[tuple[int, int]] = []
    done = pruning.prune(box.context, keep_ms=2 * DAY_MS, progress=lambda now, all_: steps.append((now, all_)))
    assert done.last is not None
    assert (done.first, done.entries, done.dry_run) == (1, done.last, False)
    assert numbers(box)[0] == done.last + 1
    assert steps[-1] == (done.entries, done.entries)
    assert max(after[0] - before[0] for before, after in itertools.pairwise([(0, 0), *steps])) == 500

    (name,) = done.files
    assert name == f"audit-1-{done.last}.jsonl.gz"
    *lines, end = read(folder(box) / name)
    assert [line["seq"] for line in lines] == list(range(1, done.last + 1))
    assert [line["hash"] for line in lines] == [entries[seq].hash for seq in range(1, done.last + 1)]
    assert (end["seq"], end["hash"]) == (done.last, entries[done.last].hash)
    assert stat.S_IMODE((folder(box) / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder(box).stat().st_mode) == 0o700

    assert verifying.verify(box.context).ok
    assert pruning.verify_archives(box.context) == pruning.Archives(ok=True, files=1, entries=done.last)
    (entry,) = auditing.page(box.context, "action:audit.pruned")
    assert (entry.detail["seq"], entry.detail["file"], entry.actor) == (done.last, name, "test:me")


def test_nothing_younger_goes_and_never_the_newest_checkpoint(box: Box) -> None:
    grown(box, days=3)
    cutoff_ms = box.clock.now_ms() - 2 * DAY_MS
    done = pruning.prune(box.context, keep_ms=2 * DAY_MS)
    left = auditing.page(box.context, limit=10_000)
    assert min(entry.at for entry in left) >= rfc3339(cutoff_ms)
    assert done.entries > 0
    newest = checkpointing.newest(box.context)
    assert newest is not None
    box.clock.advance_ms(100 * DAY_MS)
    pruning.prune(box.context, keep_ms=0)
    assert numbers(box)[0] == newest.seq + 1, "the entry that holds it stays"
    assert checkpointing.newest(box.context) == newest
    assert pruning.prune(box.context, keep_ms=0).entries == 0


def test_a_clock_that_was_set_back_keeps_what_was_written_before_it(box: Box) -> None:
    fill(box, 10)
    box.clock.jump_ms(50 * DAY_MS)
    fill(box, 1)
    box.clock.jump_ms(-49 * DAY_MS)
    fill(box, 10)
    checkpointing.make(box.context)
    box.clock.advance_ms(30 * DAY_MS)
    done = pruning.prune(box.context, keep_ms=DAY_MS)
    assert done.last is not None
    assert done.last < numbers(box)[0] <= 12


def test_a_dry_run_says_the_same_and_does_nothing(box: Box) -> None:
    grown(box, days=3)
    before = numbers(box)
    said = pruning.prune(box.context, keep_ms=DAY_MS, dry_run=True)
    assert numbers(box) == before
    assert not folder(box).exists()
    done = pruning.prune(box.context, keep_ms=DAY_MS)
    assert (said.first, said.last, said.entries, said.dry_run) == (done.first, done.last, done.entries, True)


def test_archives_follow_one_another(box: Box) -> None:
    for _ in range(3):
        grown(box, days=2, entries=300)
        pruning.prune(box.context, keep_ms=DAY_MS, segment=250)
    files = sorted(folder(box).iterdir(), key=lambda path: int(path.name.split("-")[1]))
    assert len(files) > 5
    spans = [tuple(map(int, path.name.removesuffix(".jsonl.gz").split("-")[1:])) for path in files]
    assert spans[0][0] == 1
    assert all(after[0] == before[1] + 1 for before, after in itertools.pairwise(spans))
    assert max(last - first for first, last in spans) < 250
    assert verifying.verify(box.context).ok
    found = pruning.verify_archives(box.context)
    assert (found.ok, found.files, found.entries) == (True, len(files), numbers(box)[0] - 1)


@pytest.mark.parametrize("harm", ["missing", "changed", "cut", "another"])
def test_an_archive_that_was_tampered_with_is_named(box: Box, harm: str) -> None:
    grown(box, days=3)
    pruning.prune(box.context, keep_ms=DAY_MS, segment=500)
    path = sorted(folder(box).iterdir())[-1]
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    if harm == "missing":
        path.unlink()
    elif harm == "changed":
        path.write_bytes(gzip.compress(b"".join(lines).replace(b"cli:1", b"cli:2", 1)))
    elif harm == "cut":
        path.write_bytes(gzip.compress(b"".join([*lines[:-2], lines[-1]])))
    else:
        path.write_bytes(path.read_bytes()[:-50])
    found = pruning.verify_archives(box.context)
    assert not found.ok
    assert path.name.split("-")[1] in found.why


def test_without_a_vault_nothing_is_pruned(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        box.context.machine = Machine(data_dir(tmp_path))
        fill(box, 5)
        box.clock.advance_ms(DAY_MS)
        with pytest.raises(NotPossible, match="init --root-key"):
            pruning.prune(box.context, keep_ms=0)
        assert len(numbers(box)) == 5


def test_a_log_that_is_not_sound_is_not_signed_away(box: Box) -> None:
    grown(box, days=2)
    box.database.write(lambda tx: tx.search("DROP TRIGGER audit_is_append_only_update", {}))
    box.database.write(lambda tx: tx.search("UPDATE audit SET hash = '' WHERE seq = 17", {}))
    before = numbers(box)
    with pytest.raises(NotPossible, match="entry 17"):
        pruning.prune(box.context, keep_ms=0)
    assert before == [seq for seq in numbers(box) if seq <= before[-1]]


def test_one_process_prunes_at_a_time(box: Box) -> None:
    grown(box, days=2)
    folder(box).mkdir(mode=0o700)
    descriptor = os.open(folder(box), os.O_RDONLY)
    try:
        flock(descriptor, LOCK_EX)
        with pytest.raises(NotPossible, match="another process"):
            pruning.prune(box.context, keep_ms=0)
    finally:
        os.close(descriptor)
    assert pruning.prune(box.context, keep_ms=0).entries > 0


class _KilledError(Exception):
    pass


def test_killed_while_entries_are_deleted_the_next_run_goes_on(box: Box) -> None:
    grown(box)

    def killed(done: int, _total: int) -> None:
        if done >= 1_000:
            raise _KilledError

    with pytest.raises(_KilledError):
        pruning.prune(box.context, keep_ms=2 * DAY_MS, progress=killed)
    first = numbers(box)[0]
    mark = box.database.read(audit.pruned_seq)
    assert first <= mark, "archived and not yet deleted"
    assert verifying.verify(box.context).ok
    assert pruning.prune(box.context, keep_ms=2 * DAY_MS).entries == 0
    assert numbers(box)[0] == mark + 1
    assert verifying.verify(box.context).ok
    assert pruning.verify_archives(box.context).ok


def test_killed_before_the_log_knew_of_it_an_archive_is_written_anew(box: Box) -> None:
    grown(box, days=3)
    folder(box).mkdir(mode=0o700)
    (folder(box) / ".audit-1-7.jsonl.gz.tmp").write_bytes(b"half")
    (folder(box) / "audit-1-7.jsonl.gz").write_bytes(b"of a run that was killed before its transaction")
    (folder(box) / "notes.txt").write_text("somebody's own")
    done = pruning.prune(box.context, keep_ms=DAY_MS)
    assert sorted(path.name for path in folder(box).iterdir()) == sorted([*done.files, "notes.txt"])
    assert pruning.verify_archives(box.context).ok


class _Full:
    """A signer during whose work the disk fills up: the archive has its entries and not its end."""

    def __init__(self, box: Box) -> None:
        from engine.operations import vault

        self._signer = vault.signer(box.context)
        self.public_hex = self._signer.public_hex

    def sign(self, message: bytes) -> bytes:
        raise StorageFull("the disk is full")


def test_a_failure_leaves_the_log_as_it_was_and_no_file(box: Box) -> None:
    grown(box, days=2)
    before = numbers(box)
    with pytest.raises(ChronosError):
        pruning.prune(box.context, keep_ms=0, signer=_Full(box))
    assert numbers(box) == before
    assert list(folder(box).iterdir()) == []


def test_verifying_while_somebody_prunes_raises_no_alarm(box: Box) -> None:
    grown(box)
    times = 0

    def prunes(done: int, _total: int) -> None:
        nonlocal times
        if done == 2_000 and not times:
            times += 1
            pruning.prune(box.context, keep_ms=2 * DAY_MS)

    assert verifying.verify(box.context, prunes).ok
    assert times == 1
