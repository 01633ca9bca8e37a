"""Backups get to the places off the box, are read back there, and what does not get there is tried again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.operations.backup import copies
from engine.operations.commanding import Stopped
from engine.operations.context import Context, Machine
from engine.rules.backups import Kind, Proof
from engine.store import audit, backups
from engine.store import copies as store
from engine.store.backups import Entry
from engine.store.copies import Copy, CopyState
from engine.store.tx import Tx
from tests.host import sshd_rig
from tests.support import START_MS, Box, EventLog, open_database, opened_box, settings

NAME = "chronos-box-20260921T000000Z.zip"
HOUR_MS = 3_600_000


class Desk:
    """An outbox whose backups are files of a few bytes, and places to copy them to."""

    def __init__(self, box: Box, tmp_path: Path) -> None:
        self.box = box
        self.folder = tmp_path / "backups"
        self.folder.mkdir()
        self.log = EventLog()
        self.near, self.far = tmp_path / "near", tmp_path / "far"
        self.near.mkdir()
        self.far.mkdir()
        self.places(self.near, self.far)

    @property
    def context(self) -> Context:
        return self.box.context

    def places(self, *places: Path | str, env: dict[str, str] | None = None) -> None:
        self.context.settings = settings(backup={"copy_to": [str(place) for place in places]})
        self.context.machine = Machine(env=env or {}, log=self.log)

    def backup(self, name: str = NAME, *, taken_ms: int = START_MS, wanted: bool = True, proven: bool = True) -> int:
        data = name.encode() * 100
        (self.folder / name).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        entry = Entry(
            id=0,
            folder=str(self.folder),
            name=name,
            kind=Kind.MANUAL,
            taken_ms=taken_ms,
            took_ms=1,
            size=len(data),
            sha256=digest,
            archive_sha256=digest,
            encrypted=False,
            manifest={},
            proof=Proof.PROVEN if proven else Proof.UNPROVEN,
            proof_detail="",
            proven_ms=taken_ms if proven else None,
            drilled_ms=None,
            drill_took_ms=None,
            verified_ms=None,
            verified_ok=None,
            verified_word="",
            gone_ms=None,
            pruned_ms=None,
        )

        def work(tx: Tx) -> int:
            number = backups.insert(tx, entry)
            if wanted:
                store.enqueue(tx, number, self.context.settings.backup["copy_to"], START_MS)
            return number

        return self.box.database.write(work)

    def copies(self, number: int) -> dict[str, Copy]:
        found = self.box.database.read(store.kept)[number]
        return {Path(copy.destination).name: copy for copy in found}

    def entries(self) -> list[dict[str, object]]:
        span = audit.Span(0, 1 << 62)
        found = self.box.database.read(lambda tx: audit.of_action(tx, copies.COPIED, span, 100, upwards=True))
        return [json.loads(one.body) for one in found]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with opened_box(tmp_path) as box:
        yield Desk(box, tmp_path)


def test_a_backup_gets_to_every_place_once_and_the_audit_log_says_so(desk: Desk) -> None:
    number = desk.backup()

    assert copies.push_due(desk.context) == 2

    for place in (desk.near, desk.far):
        assert (place / NAME).read_bytes() == (desk.folder / NAME).read_bytes()
    for copy in desk.copies(number).values():
        assert copy.state is CopyState.COPIED
        assert (copy.attempts, copy.copied_ms, copy.verified_ms) == (1, START_MS, START_MS)
        assert copy.detail.endswith("and read back")
    assert [entry["subject"] for entry in desk.entries()] == [f"backup:{NAME}"] * 2
    assert {entry["detail"]["destination"] for entry in desk.entries()} == {str(desk.near), str(desk.far)}  # type: ignore[index]
    assert copies.push_due(desk.context) == 0
    assert len(desk.entries()) == 2


def test_a_place_that_is_away_holds_up_no_other_and_gets_it_when_it_is_back(desk: Desk) -> None:
    desk.far.rmdir()
    number = desk.backup()

    assert copies.push_due(desk.context) == 1

    away = desk.copies(number)["far"]
    assert (away.state, away.attempts) == (CopyState.WAITING, 1)
    assert "is no directory" in away.detail
    assert START_MS + 48_000 <= away.due_ms <= START_MS + 72_000
    assert desk.log.names().count("backup_copy_failed") == 1

    desk.far.mkdir()
    assert copies.push_due(desk.context) == 0
    desk.box.clock.advance_ms(72_000)
    assert copies.push_due(desk.context) == 1
    assert desk.copies(number)["far"].state is CopyState.COPIED
    assert desk.copies(number)["far"].attempts == 2


def test_pauses_grow_to_hours_and_a_copy_is_given_up_after_a_week(desk: Desk) -> None:
    desk.places(desk.far)
    desk.far.rmdir()
    number = desk.backup()

    pauses = []
    while desk.copies(number)["far"].state is CopyState.WAITING:
        copies.push_due(desk.context)
        found = desk.copies(number)["far"]
        pauses.append(found.due_ms - desk.box.clock.now_ms())
        desk.box.clock.advance_ms(max(0, pauses[-1]))

    assert desk.copies(number)["far"].state is CopyState.FAILED
    assert "given up (36 attempts used up): " in desk.copies(number)["far"].detail
    assert max(pauses) <= 7.2 * HOUR_MS
    assert 5 * 24 * HOUR_MS < sum(pauses) < 9 * 24 * HOUR_MS
    assert copies.push_due(desk.context) == 0


def test_the_newest_backup_goes_first(desk: Desk) -> None:
    desk.places(desk.near)
    names = ["chronos-box-20260919T000000Z.zip", "chronos-box-20260921T000000Z.zip", "chronos-box-20260920T000000Z.zip"]
    for name in names:
        desk.backup(name, taken_ms=START_MS + int(name[12:20]))

    copies.push_due(desk.context)

    assert [entry["subject"] for entry in desk.entries()] == [f"backup:{name}" for name in sorted(names, reverse=True)]


def test_a_place_that_was_configured_later_gets_the_newest_proven_backup(desk: Desk) -> None:
    desk.places(desk.near)
    desk.backup("chronos-box-20260919T000000Z.zip", taken_ms=START_MS - 2)
    proven = desk.backup(taken_ms=START_MS - 1)
    desk.backup("chronos-box-20260922T000000Z.zip", taken_ms=START_MS, proven=False)
    copies.push_due(desk.context)

    desk.places(desk.near, desk.far)

    assert copies.push_due(desk.context) == 1
    assert [file.name for file in desk.far.iterdir()] == [NAME]
    assert desk.copies(proven)["far"].state is CopyState.COPIED


def test_what_waits_for_a_place_that_is_not_configured_any_more_is_forgotten(desk: Desk) -> None:
    desk.far.rmdir()
    number = desk.backup()
    copies.push_due(desk.context)
    assert set(desk.copies(number)) == {"near", "far"}

    desk.places()
    copies.push_due(desk.context)

    assert set(desk.copies(number)) == {"near"}
    assert (desk.near / NAME).exists()


def test_a_file_that_rotted_here_is_not_taken_for_a_copy(desk: Desk) -> None:
    desk.places(desk.near)
    number = desk.backup()
    (desk.folder / NAME).write_bytes(b"x" + (desk.folder / NAME).read_bytes()[1:])

    assert copies.push_due(desk.context) == 0

    copy = desk.copies(number)["near"]
    assert copy.state is CopyState.WAITING
    assert f"{desk.folder / NAME} is damaged" in copy.detail
    assert desk.entries() == []


def test_a_backup_whose_file_is_gone_waits_and_says_so(desk: Desk) -> None:
    desk.places(desk.near)
    number = desk.backup()
    (desk.folder / NAME).unlink()

    assert copies.push_due(desk.context) == 0

    assert "No such file" in desk.copies(number)["near"].detail
    assert list(desk.near.iterdir()) == []


def test_a_copy_that_got_there_although_its_try_failed_is_not_sent_again(desk: Desk) -> None:
    desk.places(desk.near)
    desk.near.rmdir()
    number = desk.backup()
    copies.push_due(desk.context)
    desk.near.mkdir()
    (desk.near / NAME).write_bytes((desk.folder / NAME).read_bytes())
    before = (desk.near / NAME).stat()
    desk.box.clock.advance_ms(HOUR_MS)

    assert copies.push_due(desk.context) == 1

    assert desk.copies(number)["near"].detail == "it lay there already, and was read back"
    assert (desk.near / NAME).stat().st_ino == before.st_ino


def test_one_that_is_stopped_is_as_it_was_before(desk: Desk) -> None:
    number = desk.backup()

    def report(_stage: str, _done: int, _total: int) -> None:
        raise Stopped("stopped")

    with pytest.raises(Stopped):
        copies.push_due(desk.context, report)

    assert {(copy.state, copy.attempts) for copy in desk.copies(number).values()} == {(CopyState.WAITING, 0)}
    assert not (desk.near / NAME).exists()
    assert copies.push_due(desk.context) == 2


def test_others_write_while_a_copy_is_under_way_and_hear_how_far_it_is(desk: Desk, tmp_path: Path) -> None:
    desk.places(desk.near)
    desk.backup()
    told: list[tuple[str, int, int]] = []
    other = open_database(tmp_path, migrated=False, owner=False, busy_ms=100)

    def report(stage: str, done: int, total: int) -> None:
        told.append((stage, done, total))
        other.write(lambda tx: audit.append(tx, START_MS, "test:me", "test.written", "test", {}))

    try:
        assert copies.push_due(desk.context, report) == 1
    finally:
        other.close()

    size = (desk.folder / NAME).stat().st_size
    assert told == [
        (f"copying {NAME} to {desk.near}", size, size),
        (f"reading {NAME} back from {desk.near}", size, size),
    ]


@sshd_rig.NEEDED
def test_a_backup_gets_to_a_real_ssh_server_with_the_operators_own_configuration(desk: Desk, tmp_path: Path) -> None:
    with sshd_rig.running_sshd(tmp_path / "rig") as rig:
        desk.places(f"sftp://box/{desk.far}", env=rig.env)
        number = desk.backup()

        assert copies.push_due(desk.context) == 1

    (copy,) = desk.copies(number).values()
    assert copy.detail == f"{(desk.folder / NAME).stat().st_size} bytes sent to box, and read back"
    assert (desk.far / NAME).read_bytes() == (desk.folder / NAME).read_bytes()


def test_the_standing_of_a_place_is_that_of_its_newest_backup(desk: Desk) -> None:
    desk.backup("chronos-box-20260919T000000Z.zip", taken_ms=START_MS - 5)
    copies.push_due(desk.context)
    desk.far.rename(desk.far.with_name("unmounted"))
    desk.backup(taken_ms=START_MS)
    copies.push_due(desk.context)

    near, far = sorted(desk.box.database.read(store.standing), key=lambda one: one.state.value)

    assert (near.destination, near.state, near.name, near.copied_ms) == (str(desk.near), "copied", NAME, START_MS)
    assert (far.destination, far.state, far.attempts, far.copied_ms) == (str(desk.far), "waiting", 1, START_MS - 5)
    assert "is no directory" in far.detail
