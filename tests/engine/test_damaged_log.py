"""An audit log that somebody damaged stops no write, no start and no look at itself; each damage is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.operations import (
    checkpointing,
    configwatch,
    guarding,
    incidents,
    pruning,
    rotating,
    secrets,
    verifying,
)
from engine.operations.context import Machine
from engine.operations.vault import Provider
from engine.rules.incidents import Kind
from engine.store import audit
from engine.store.tx import Tx
from tests.support import Box, data_dir, opened_box

DAY_MS = 86_400_000
HEAD = "WHERE name = 'audit_head'"
LAST = "WHERE seq = (SELECT max(seq) FROM audit)"


class _KilledError(Exception):
    """In place of a SIGKILL."""


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
            audit.append(tx, box.clock.now_ms(), "cli:1", "hold.started", "hold:all", {"n": number})

    box.database.write(work)


def raw(box: Box, *statements: str) -> None:
    connection = sqlite3.connect(box.database.path, isolation_level=None)
    for name in ("insert", "update"):
        connection.execute(f"DROP TRIGGER IF EXISTS audit_is_append_only_{name}")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def put_in(box: Box, body: str) -> None:
    raw(box, f"INSERT INTO audit (seq, body, hash) SELECT max(seq) + 1, '{body}', 'x' FROM audit")


@pytest.mark.parametrize(
    "damage",
    [
        f"UPDATE counts SET n = 9007199254740991 {HEAD}",
        f"UPDATE counts SET n = 9223372036854775807 {HEAD}",
        f"UPDATE counts SET n = -5 {HEAD}",
        f"UPDATE counts SET word = CAST(x'ff' AS TEXT) {HEAD}",
        f"UPDATE counts SET word = '' {HEAD}",
        f"UPDATE audit SET hash = CAST(x'ff' AS TEXT) {LAST}",
    ],
)
def test_a_damaged_head_is_found_and_keeps_nothing_from_being_written(box: Box, damage: str) -> None:
    fill(box, 3)
    raw(box, damage)
    assert not verifying.examine(box.context).ok
    before = box.database.read(audit.head)[0]
    fill(box, 2)
    assert box.database.read(audit.head)[0] == before + 2


def test_a_log_without_its_recorded_head_and_with_a_last_hash_that_is_no_text_goes_on(box: Box) -> None:
    fill(box, 3)
    raw(box, f"DELETE FROM counts {HEAD}", f"UPDATE audit SET hash = CAST(x'ff' AS TEXT) {LAST}")
    fill(box, 2)
    assert not verifying.examine(box.context).ok


@pytest.mark.parametrize(
    "body",
    [
        '{"action":"engine.started"}',
        '{"action":"engine.started","detail":5}',
        '{"action":"engine.started","detail":{"file_sha256":7}}',
        '{"action":"engine.started","detail":{"file_sha256":"x"},"seq":"q","at":1}',
    ],
)
def test_a_damaged_record_of_a_start_stops_no_start_and_no_watch(box: Box, body: str) -> None:
    put_in(box, body)
    configwatch.take(box.context)
    box.database.write(lambda tx: configwatch.at_start(tx, box.context))
    configwatch.watch(box.context)


@pytest.mark.parametrize(
    "damage",
    [
        "INSERT INTO audit (seq, body, hash) SELECT max(seq) + 1, '{\"action\":\"audit.verified\"}', 'x' FROM audit",
        'INSERT INTO audit (seq, body, hash) SELECT max(seq) + 1, \'{"action":"audit.verified","at":5}\', 1 FROM audit',
        "UPDATE audit SET body = '{\"x\":1}' WHERE seq = 1",
    ],
)
def test_no_damage_keeps_the_daily_verification_from_finding_it(box: Box, damage: str) -> None:
    raw(box, damage)
    guarding.audit_log(box.context)
    assert [one.kind for one in incidents.listing(box.context)] == [Kind.AUDIT_BROKEN]


@pytest.mark.parametrize(
    "body",
    [
        '{"subject":"vault"}',
        '{"action":"vault.rotated","subject":"vault"}',
        '{"action":"vault.rotated","subject":"vault","detail":7}',
        '{"action":"secret.set","subject":"secret:a","detail":7}',
        '{"action":"secret.set","subject":"secret:a","detail":{"version":"x"}}',
    ],
)
def test_a_damaged_record_of_the_vault_keeps_no_secret_from_being_used(box: Box, body: str) -> None:
    secrets.set_secret(box.context, "a", "v")
    put_in(box, body)
    secrets.check(box.context)
    assert secrets.set_secret(box.context, "a", "w").version == 2
    assert secrets.look_up(box.context, "secret:a") == "w"


def test_entries_that_are_deleted_behind_the_mark_while_the_log_is_verified_are_no_alarm(box: Box) -> None:
    """The mark stands still while the archived entries go, 500 at a time."""
    for _ in range(3):
        fill(box, 2_500)
        checkpointing.make(box.context)
        box.clock.advance_ms(DAY_MS)
    box.clock.advance_ms(10 * DAY_MS)

    def killed(_done: int, _total: int) -> None:
        raise _KilledError

    with pytest.raises(_KilledError):
        pruning.prune(box.context, keep_ms=DAY_MS, progress=killed)
    mark = box.database.read(audit.pruned_seq)
    assert mark - box.database.read(lambda tx: audit.bounds(tx, mark))[0] == 500
    looks = []

    def meanwhile(done: int, _total: int) -> None:
        looks.append(done)
        if len(looks) == 1:
            while box.database.write(lambda tx: audit.delete_pruned(tx, mark)):
                pass

    found = verifying.verify(box.context, meanwhile)
    assert found.ok, found.why
    assert incidents.listing(box.context) == []


def test_an_archive_that_was_damaged_anywhere_is_named(box: Box) -> None:
    fill(box, 200)
    checkpointing.make(box.context)
    box.clock.advance_ms(10 * DAY_MS)
    pruning.prune(box.context, keep_ms=DAY_MS)
    (file,) = (box.directory / pruning.FOLDER).iterdir()
    whole = file.read_bytes()
    assert pruning.verify_archives(box.context).ok
    for place in range(10, len(whole), 7):  # behind gzip's header, of which some bits mean nothing
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        found = pruning.verify_archives(box.context)
        assert not found.ok, place
        assert file.name in found.why
