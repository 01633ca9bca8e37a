"""Backups that somebody else made or changed, whole in themselves: whose they are, and what their rows may do."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ArchiveForged, ArchiveRefused
from engine.host.archive.reader import open_archive
from engine.host.archive.writer import ZipWriter
from engine.operations import apikeys
from engine.operations.backup import copies, drilling, retaining, signing
from engine.operations.vault import Signer
from engine.rules.apikeys import Scope
from engine.rules.backups import DATABASE, Proof, statement
from engine.store.copies import CopyState
from tests.engine.hostile import told
from tests.engine.restores import Site, opened_site, rescue
from tests.support import settings

STRANGER = Signer(b"x" * 32)
Change = Callable[[sqlite3.Connection], object]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened_site(tmp_path / "data") as opened:
        yield opened


def forged(file: Path, change: Change, **claims: Any) -> Path:
    """Return the archive with a changed database, sound in every sum, signed by somebody whose key nobody knows."""
    target = file.with_name("forged.zip")
    with open_archive(file) as archive, tempfile.TemporaryDirectory() as folder:
        archive.extract(Path(folder))
        at_ms, database = archive.created_ms, Path(folder) / DATABASE
        small = {one.name: archive.read(one.name) for one in archive.members if one.name != DATABASE}
        with closing(sqlite3.connect(database)) as connection:
            change(connection)
            connection.commit()
        manifest = {**archive.manifest, **told(database, archive.manifest), **claims}
        content = database.read_bytes()
    with target.open("w+b") as stream:
        writer = ZipWriter(stream, at_ms)
        writer.begin_deflated(DATABASE)
        writer.write(content)
        members = [writer.end(), *(writer.add_stored(name, data) for name, data in small.items())]
        manifest["members"] = {one.name: one.document() for one in members}
        del manifest["signature"]
        value = STRANGER.sign(statement(manifest)).hex()
        named = {"algorithm": signing.ALGORITHM, "key": STRANGER.public_hex, "value": value}
        writer.add_manifest({**manifest, "signature": named}, members)
        writer.finish()
    return target


def another_id(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE meta SET value = 'f00d' WHERE key = 'database_id'")


def unchanged(_connection: sqlite3.Connection) -> None:
    """Leave it as it is."""


@pytest.mark.parametrize("vault", [True, False], ids=["vault", "key file"])
@pytest.mark.parametrize(
    ("change", "claims"),
    [(unchanged, {}), (unchanged, {"database_id": "f00d"}), (another_id, {"database_id": "f00d"})],
    ids=["as it is", "another id claimed", "another id"],
)
def test_where_there_are_keys_a_stranger_s_is_refused_whatever_it_says_whose_it_is(
    site: Site, *, vault: bool, change: Change, claims: dict[str, Any]
) -> None:
    """It may hold a door key of the forger's, and a log that goes on from today's."""
    if vault:
        site.make_vault()
    site.put(text="one")
    file = forged(site.back_up(), change, **claims)
    for ask in (site.plan, site.apply):
        with pytest.raises(ArchiveRefused):
            ask(file)
    assert drilling.drill(site.context, file).proof is not Proof.PROVEN
    looked_at = drilling.verify(site.context, file)
    assert (looked_at.ok, looked_at.authenticity) == (False, "forged")
    assert site.states() == {"queued": 1}


def test_what_goes_on_from_today_s_log_is_not_believed_for_that(site: Site, tmp_path: Path) -> None:
    """Somebody has a copy of the database, adds to it, and signs it with a key of their own."""
    with opened_site(tmp_path / "theirs") as theirs:
        theirs.put(text="both")
        theirs.database.checkpoint(truncate=True)
        site.back_up()
        key = apikeys.create(theirs.context, "evil", [Scope.ADMIN])
        file = forged(theirs.back_up(), another_id, database_id="f00d")
    with pytest.raises(ArchiveForged, match="--trust-key"):
        site.plan(file)
    with pytest.raises(ArchiveForged, match="--trust-key"):
        site.apply(file)
    assert apikeys.listing(site.context) == []
    assert key
    # The operator's word is what it takes; then its key is named among what changes.
    plan = site.plan(file, trust=[STRANGER.public_hex])
    assert [(one.name, one.what) for one in plan.keys] == [("evil", "comes back with the backup")]


def test_on_a_clean_machine_it_is_taken_with_a_warning(site: Site, tmp_path: Path) -> None:
    apikeys.create(site.context, "evil", [Scope.ADMIN])
    file = forged(site.back_up(), unchanged)
    with opened_site(tmp_path / "clean") as clean:
        where = clean.paths
    where.database.unlink()
    done = rescue(where, file, site.clock)
    assert any(STRANGER.public_hex in warning for warning in done.plan.warnings)


LEDGER = (
    "INSERT INTO backups (folder, name, kind, taken_ms, took_ms, size, sha256, archive_sha256, encrypted, manifest,"
    " proof, pruned_ms) VALUES (?, ?, 'manual', 1, 1, 1, ?, '', 0, ?, 'proven', ?)"
)
GOOD = "chronos-box-20260101T000000Z.zip"


@pytest.mark.parametrize(
    ("folder", "name", "manifest"),
    [
        ("/etc", "passwd", "{}"),
        ("/etc", f"../{GOOD}", "{}"),
        ("/var/../etc", GOOD, "{}"),
        ("relative", GOOD, "{}"),
        ("/var", GOOD, "[]"),
        ("/var", GOOD, "{"),
        ("/var", GOOD, "[" * 100_000),
    ],
    ids=["no backup", "upwards", "by detours", "relative", "a list", "cut", "deep"],
)
def test_a_ledger_that_names_other_files_is_refused(site: Site, folder: str, name: str, manifest: str) -> None:
    site.put(text="so that there is a log")
    file = forged(site.back_up(), lambda connection: connection.execute(LEDGER, (folder, name, "", manifest, 1)))
    with pytest.raises(ArchiveRefused, match="list of backups"):
        site.plan(file, trust=[STRANGER.public_hex])
    assert drilling.drill(site.context, file).proof is Proof.FAILED


def planted(site: Site, folder: Path, name: str, *, pruned: bool) -> None:
    site.change(
        "INSERT INTO backups (folder, name, kind, taken_ms, took_ms, size, sha256, archive_sha256, encrypted, manifest,"
        " proof, pruned_ms) VALUES (:folder, :name, 'manual', 1, 1, 1, '', '', 0, '{}', 'proven', :pruned)",
        folder=str(folder), name=name, pruned=1 if pruned else None,
    )  # fmt: skip


def test_retention_removes_nothing_outside_its_folder(site: Site, tmp_path: Path) -> None:
    """Rows that say that retention took a file and has yet to remove it."""
    file = site.back_up()
    backups = file.parent
    mine = tmp_path / "mine"
    mine.mkdir()
    victims = [mine / "precious", mine / GOOD, backups / "notes.txt", backups.parent / "config.yaml"]
    for victim in victims:
        victim.write_text("precious")
    planted(site, mine, "precious", pruned=True)
    planted(site, mine, GOOD, pruned=True)
    planted(site, backups, "notes.txt", pruned=True)
    planted(site, backups, "../config.yaml", pruned=True)
    # A link is removed itself, and never followed.
    (backups / GOOD).symlink_to(mine / "precious")
    planted(site, backups, GOOD, pruned=True)
    retaining.prune(site.context)
    assert [victim.read_text() for victim in victims] == ["precious"] * 4
    assert not os.path.lexists(backups / GOOD)
    assert file.exists()


def test_no_other_file_is_sent_off_the_box(site: Site, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    site.back_up()
    site.context.settings = settings(backup={"copy_to": [str(away)]})
    (tmp_path / "id_rsa").write_text("private")
    (tmp_path / GOOD).symlink_to(site.database.path)
    os.mkfifo(tmp_path / GOOD.replace("box", "fifo"))
    for name in ("id_rsa", GOOD, GOOD.replace("box", "fifo")):
        planted(site, tmp_path, name, pruned=False)
    for number in [row[0] for row in site.rows("SELECT id FROM backups WHERE manifest = '{}'")]:
        site.change(
            "INSERT INTO backup_copies (backup_id, destination, state, due_ms) VALUES (:id, :where, 'waiting', 0)",
            id=number, where=str(away),
        )  # fmt: skip
    for _ in range(4):
        copies.push_due(site.context)
        site.clock.advance_ms(86_400_000)
    names = {path.name for path in away.iterdir()}
    assert not names & {"id_rsa", GOOD, GOOD.replace("box", "fifo")}
    states = {row[0] for row in site.rows("SELECT state FROM backup_copies WHERE attempts > 0")}
    assert states == {CopyState.WAITING.value}


def test_an_old_one_that_is_given_out_as_a_newer_one_is_told(site: Site) -> None:
    """Both are genuine, so no signature tells them apart."""
    site.put(text="one")
    old, new = site.back_up(), site.back_up()
    renamed = new.with_name(GOOD)
    renamed.write_bytes(old.read_bytes())
    plan = site.plan(renamed)
    assert any(f"called {GOOD}; it is {old.name}, taken 20" in warning for warning in plan.warnings)
    step = drilling.verify(site.context, renamed).steps[0]
    assert (step.name, step.ok) == ("sums", True)
    assert f"it is {old.name}" in step.detail
    # In the place of one that the ledger knows nobody takes it.
    new.write_bytes(old.read_bytes())
    with pytest.raises(ArchiveForged, match="made here under that name"):
        site.plan(new)
    with pytest.raises(ArchiveForged, match="made here under that name"):
        site.apply(new)
    assert drilling.verify(site.context, new).proof is Proof.FAILED
    assert site.plan(old).warnings == ()


def _link(path: Path, site: Site) -> None:
    path.symlink_to(site.database.path)


def _hard_link(path: Path, site: Site) -> None:
    path.hardlink_to(site.database.path)


def _fifo(path: Path, _site: Site) -> None:
    os.mkfifo(path)


def _device(path: Path, _site: Site) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("suffix", ["", ".age"])
@pytest.mark.parametrize("listed", [True, False], ids=["in the ledger", "found"])
@pytest.mark.parametrize("plant", [_link, _hard_link, _fifo, _device])
def test_what_must_not_be_opened_is_not_opened(
    site: Site, *, plant: Callable[[Path, Site], None], listed: bool, suffix: str
) -> None:
    """Nobody waits for a FIFO, reads a device to its end, or drops the locks of the database by opening it."""
    path = site.back_up().with_name(GOOD + suffix)
    plant(path, site)
    if listed:
        planted(site, path.parent, path.name, pruned=False)
    opened = set[str]()

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open" and isinstance(arguments[0], (str, os.PathLike)):
            opened.add(os.fspath(arguments[0]))

    watching = True
    sys.addaudithook(heard)
    try:
        for ask in (drilling.verify, drilling.drill):
            found = ask(site.context, path)
            assert (found.proof, found.steps[0].name) == (Proof.FAILED, "file")
        for restore in (site.plan, site.apply):
            with pytest.raises(ArchiveRefused), drilling.plain(site.context, path, None) as file:
                restore(file)
            with pytest.raises(ArchiveRefused):
                restore(path)
        retaining.prune(site.context)
    finally:
        watching = False
    assert str(path) not in opened
    assert os.path.lexists(path)


def test_a_template_that_is_a_fifo_holds_up_no_restore(site: Site) -> None:
    config, templates = site.directory / "config.yaml", site.directory / "templates"
    config.write_text("instance: box\n")
    site.furnish()
    templates.mkdir()
    (templates / "a.txt").write_text("a")
    file = site.back_up()
    (templates / "a.txt").unlink()
    os.mkfifo(templates / "a.txt")
    config.unlink()
    os.mkfifo(config)
    assert site.plan(file).config == "differs"
    done = site.apply(file, with_configuration=True)
    assert any("is not a regular file" in note for note in done.notes)
