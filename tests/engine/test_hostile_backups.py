"""Hostile databases in well-formed backups that are signed by a key of ours: refused with a reason, nothing touched.

CHRONOS_HOSTILE_SEEDS: how many pages are filled with noise, and how many have bits turned over.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from engine.engine import Engine
from engine.errors import ChronosError
from engine.host.paths import paths
from engine.model import Attachment, NewMessage
from engine.operations.backup import signing
from engine.operations.vault import Provider
from engine.rules.backups import DATABASE, Proof
from tests.engine import hostile
from tests.engine.hostile import PAGES, ROWS, SCHEMAS, Change, Honest, Hostile
from tests.support import settings

SEEDS = range(int(os.environ.get("CHRONOS_HOSTILE_SEEDS", "6")))
MESSAGES = 60


class Place(NamedTuple):
    """An outbox and an honest backup of it, taken apart."""

    engine: Engine
    honest: Honest

    @property
    def live(self) -> Path:
        return self.engine.paths.database


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("hostile")
    engine = Engine.open(paths(str(root / "data"), None, {}), {}, actor="test:me", settings=settings())
    try:
        engine.vault_create(Provider.FILE)
        engine.secret_set("mail", "correct horse battery staple")
        file = Attachment("note.bin", "application/octet-stream", bytes(range(256)) * 100)
        engine.enqueue_many(
            [
                NewMessage(target="hook", subject=f"{n}", text=f"text {n} " * 200, attachments=(file,), tags=("some",))
                for n in range(MESSAGES)
            ]
        )
        made = engine.backup_create(drill=False)
        (root / "apart").mkdir()
        yield Place(engine, hostile.unpack(made.path, root / "apart"))
    finally:
        engine.close()


def packed(place: Place, folder: Path, change: Change, **claims: Any) -> Path:
    """Return a backup whose database was changed, and whose manifest tells of it what can be told."""
    folder.mkdir(exist_ok=True)
    database = folder / "changed.db"
    shutil.copyfile(place.honest.database, database)
    change(database)
    claims = {**hostile.told(database, place.honest.manifest), **claims}
    sign = partial(_signature, place)
    return hostile.pack(place.honest, database, folder / "hostile.zip", sign, **claims)


def _signature(place: Place, manifest: Any) -> dict[str, Any]:
    signed: dict[str, Any] = signing.sign(place.engine.context, manifest)["signature"]
    return signed


def bytes_of(place: Place) -> str:
    """Return a sum of the live database and its log, by a process of its own: SQLite must not see them opened here."""
    live = [str(place.live), f"{place.live}-wal"]
    return subprocess.run(["sha256sum", *live], capture_output=True, text=True, check=True).stdout


def content_of(place: Place) -> list[Any]:
    """Return what stands in it, but for the audit log and the ledger, where a drill is recorded."""
    recorded = ("audit", "backups", "backup_copies", "counts", "search")

    def read(connection: sqlite3.Connection) -> list[Any]:
        sql = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        names = [name for (name,) in connection.execute(sql).fetchall() if not name.startswith(recorded)]
        return [(name, connection.execute(f'SELECT * FROM "{name}"').fetchall()) for name in names]

    return place.engine.context.database.inspect(read)


def left_behind(place: Place) -> list[str]:
    """Return the processes and files that should be gone."""
    children = [" ".join(one.cmdline()) for one in psutil.Process().children(recursive=True)]
    names = [path.name for path in place.live.parent.iterdir()]
    return [one for one in children if "engine.store" in one] + [
        name for name in names if name.startswith(("drill-", "restore-")) or name.endswith(".tmp")
    ]


def refused(place: Place, archive: Path) -> list[str]:
    """Have a backup drilled, planned and restored; return the reasons. Nothing of it may do anything."""
    content = content_of(place)
    verdict = place.engine.backup_drill(str(archive))
    assert verdict.proof is not Proof.PROVEN, [(step.name, step.detail) for step in verdict.steps]
    assert content_of(place) == content
    before = bytes_of(place)
    with pytest.raises(ChronosError) as planned:
        place.engine.restore_plan(str(archive))
    assert bytes_of(place) == before
    with pytest.raises(ChronosError) as applied:
        place.engine.restore_apply(str(archive))
    assert without_commands(content_of(place)) == without_commands(content)
    assert left_behind(place) == []
    reasons = [verdict.why, str(planned.value), str(applied.value)]
    for reason in reasons:
        assert reason
        assert reason.isprintable(), ascii(reason)
        assert "defect" not in reason
    return reasons


def outcome_of(ask: Any, *arguments: Any, **more: Any) -> tuple[Any, str]:
    """Return the answer, or the words of a refusal."""
    try:
        return ask(*arguments, **more), ""
    except ChronosError as error:
        return None, str(error)


def without_commands(content: list[Any]) -> list[Any]:
    """Leave out the acts that were asked for: that one failed is on record."""
    return [(name, rows) for name, rows in content if name != "commands"]


@pytest.mark.parametrize("bad", [*SCHEMAS, *PAGES, *ROWS], ids=lambda bad: bad.name)
def test_a_hostile_database_is_refused_with_its_reason(place: Place, tmp_path: Path, bad: Hostile) -> None:
    archive = packed(place, tmp_path, bad.change)
    assert place.engine.backup_verify(str(archive)).ok, "what is tried here begins behind sums and signature"

    reasons = refused(place, archive)

    assert all(bad.why in reason for reason in reasons), reasons


def test_an_honest_one_passes(place: Place, tmp_path: Path) -> None:
    """Or the tests above would show nothing."""
    archive = packed(place, tmp_path, lambda _database: None)

    assert place.engine.backup_verify(str(archive)).ok
    assert place.engine.backup_drill(str(archive)).ok
    assert place.engine.restore_plan(str(archive)).authenticity == "confirmed"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_page_of_noise_is_refused(place: Place, tmp_path: Path, seed: int) -> None:
    said: list[str] = []
    archive = packed(place, tmp_path, lambda database: said.append(hostile.garbled_page(database, seed)))

    assert refused(place, archive), said


@pytest.mark.parametrize("seed", SEEDS)
def test_bits_turned_over_are_refused_or_hurt_nobody(place: Place, tmp_path: Path, seed: int) -> None:
    """A bit in a text is a text of its own; what SQLite finds broken must never be taken."""
    said: list[str] = []
    archive = packed(place, tmp_path, lambda database: said.append(hostile.flipped_bits(database, seed)))
    sound = False
    with closing(sqlite3.connect(tmp_path / "changed.db")) as found:
        try:
            sound = found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        except sqlite3.Error:
            sound = False

    if sound:
        place.engine.backup_drill(str(archive))
        assert left_behind(place) == []
    else:
        assert refused(place, archive), said


@pytest.mark.parametrize(
    "claims",
    [
        {"counts": {"queued": MESSAGES + 1}},
        {"counts": {"queued": 2**53 - 1}},
        {"counts": {"queued": MESSAGES, "\x1b[2J": 1}},
        {"counts": None},
        {"rows": {"messages": 1}},
        {"rows": {'messages" WHERE 0; DROP TABLE messages; --': 1}},
        {"rows": {"sqlite_master": 1}},
        {"audit": {"seq": 1, "hash": "0" * 64, "pruned": 0, "checkpoint": None}},
        {"audit": None},
        {"schema": 1},
        {"schema": "3"},
        {"schema": -1},
        {"schema": 2**53 - 1},
    ],
    ids=lambda claims: ascii(claims)[:60],
)
def test_a_manifest_that_lies_is_refused(place: Place, tmp_path: Path, claims: dict[str, Any]) -> None:
    assert refused(place, packed(place, tmp_path, lambda _database: None, **claims))


def _as_link(path: Path) -> None:
    info = zipfile.ZipInfo(DATABASE)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(info, "/etc/passwd")


def test_a_link_named_like_the_database_is_refused(place: Place, tmp_path: Path) -> None:
    archive = tmp_path / "link.zip"
    _as_link(archive)

    assert not place.engine.backup_verify(str(archive)).ok
    assert refused(place, archive)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "directory"])
def test_what_is_no_file_is_refused_and_nobody_waits_for_it(place: Place, tmp_path: Path, make: Any) -> None:
    path = tmp_path / "chronos-box-20260101T000000Z.zip"
    make(path, 0o700)

    for ask in (place.engine.backup_verify, place.engine.backup_drill, place.engine.restore_plan):
        found, said = outcome_of(ask, str(path))
        assert said.isprintable() if said else not found.ok
    assert left_behind(place) == []


HARMLESS = {
    "noise in the search index": hostile.sql("UPDATE search_data SET block = randomblob(200)"),
    "a header that names a log": hostile.patched(18, b"\2\2"),
    "reserved bytes": hostile.patched(72, b"\xff" * 20),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_is_made_anew_in_any_case_is_refused_or_does_no_harm(place: Place, tmp_path: Path, change: Change) -> None:
    archive = packed(place, tmp_path, change)
    before = bytes_of(place)
    data = tmp_path / "elsewhere"
    with closing(Engine.open(paths(str(data), None, {}), {}, actor="test:me", settings=settings())) as other:
        key = json.loads(zipfile.ZipFile(archive).read("manifest.json"))["signature"]["key"]
        _, said = outcome_of(other.restore_apply, str(archive), trust=(key,))
        assert said.isprintable()
        assert "defect" not in said
        assert len(other.page(limit=100).messages) == (0 if said else MESSAGES)
        sound = other.context.database.inspect(lambda found: found.execute("PRAGMA integrity_check").fetchall())
        assert sound == [("ok",)]
    assert bytes_of(place) == before
