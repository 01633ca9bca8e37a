"""A backup is listed once it was proven, and never half: whatever is full, damaged, locked, taken or killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.errors import ArchiveRefused, ChronosError, NotFound, NotPossible, VaultLocked
from engine.host.age import decrypt
from engine.operations import auditing, rotating, verifying
from engine.operations.backup import backups
from engine.operations.backup.backups import Backup
from engine.operations.backup.signing import KEY_FILE
from engine.operations.commanding import Stopped
from engine.operations.context import Machine
from engine.operations.vault import Provider
from engine.rules.backups import Kind, Name, Proof, parse_name
from engine.store import backups as ledger
from tests.store import rig
from tests.support import SKIP_NOTHING, START_MS, Box, EventLog, FakeClock, data_dir, opened_box, settings


class Ticking(FakeClock):
    """Time that goes on with each look, as it does."""

    def __init__(self, now_ms: int = START_MS, step_ms: int = 7) -> None:
        super().__init__(now_ms)
        self._step_ms = step_ms

    def now_ms(self) -> int:
        self.jump_ms(self._step_ms)
        return super().now_ms()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    where = data_dir(tmp_path)
    where.data_dir.mkdir(mode=0o700)
    where = where._replace(config_file=where.data_dir / "config.yaml")
    with opened_box(where.data_dir, clock=Ticking()) as made:
        made.context.machine = Machine(where, log=EventLog())
        for number in range(5):
            made.put(text=f"message {number}")
        yield made


def folder(box: Box) -> Path:
    return box.directory / "backups"


def make(box: Box, **options: Any) -> Backup:
    """Make one, some seconds after the one before."""
    box.clock.advance_ms(5_000)
    return backups.create(box.context, Kind.MANUAL, **options)


def configure(box: Box, **changes: Any) -> None:
    box.context.settings = settings(backup=changes)


def left_over(box: Box) -> list[str]:
    """What lies in the folder beside backups, and scratch directories."""
    there = [path.name for path in folder(box).iterdir()] if folder(box).exists() else []
    return [
        *(name for name in there if parse_name(name) is None),
        *(path.name for path in box.directory.glob("drill-*")),
    ]


def recorded(box: Box, action: str) -> list[dict[str, Any]]:
    found = auditing.page(box.context, limit=1000)
    return [dict(entry.detail) for entry in found if entry.action == action]


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None and not SKIP_NOTHING:
            pytest.skip(f"{program} is not installed")


def at_stage(stage: str, act: Callable[[], None]) -> Callable[[str, int, int], None]:
    """Return a listener that does something once, when a stage begins."""
    done: list[str] = []

    def report(now: str, _done: int, _total: int) -> None:
        if now == stage and not done:
            done.append(now)
            act()

    return report


# What a backup is


def test_a_backup_is_proven_recorded_private_and_leaves_nothing_beside_it(box: Box) -> None:
    stages: list[str] = []
    made = make(box, report=lambda stage, _done, _total: stages.append(stage))
    assert (made.id, made.kind, made.proof, made.proof_detail) == (1, Kind.MANUAL, Proof.PROVEN, "")
    assert made.path == folder(box) / made.name
    assert made.proven_ms is not None
    assert made.gone_ms is None
    assert made.sha256 == made.archive_sha256 == box_sha256(made.path)
    assert made.size == made.path.stat().st_size
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder(box).stat().st_mode) == 0o700
    assert left_over(box) == []
    assert stages[0] == "copying the database"
    assert {"packing", "checking every sum", "verifying the audit log"} <= set(stages)
    (entry,) = recorded(box, "backup.created")
    assert (entry["sha256"], entry["proof"], entry["audit_seq"]) == (made.sha256, "proven", 5)
    assert verifying.verify(box.context).ok
    assert backups.listing(box.context) == [made]


def box_sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_manifest_counts_what_the_copy_holds(box: Box, tmp_path: Path) -> None:
    box.finish(box.claim(most=1)[0])
    made = make(box)
    with zipfile.ZipFile(made.path) as archive:
        assert archive.testzip() is None
        archive.extract("chronos.db", tmp_path)
        manifest = json.loads(archive.read("manifest.json"))
        assert set(archive.namelist()) == {*manifest["members"], "manifest.json", "SHA256SUMS"}
    assert manifest == made.manifest
    assert manifest["counts"] == {"delivered": 1, "queued": 4}
    assert manifest["name"] == made.name
    assert manifest["instance"] == box.context.settings.instance
    with closing(sqlite3.connect(tmp_path / "chronos.db")) as connection:
        for table, rows in manifest["rows"].items():
            assert connection.execute(f'SELECT count(*) FROM "{table}"').fetchone() == (rows,), table
        seq, digest = connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        assert (manifest["audit"]["seq"], manifest["audit"]["hash"]) == (seq, digest)
        assert connection.execute("SELECT value FROM meta WHERE key = 'database_id'").fetchone() == (
            manifest["database_id"],
        )


def test_its_own_note_is_enough_to_look_at_it_with_a_shell(box: Box, tmp_path: Path) -> None:
    """Whoever has nothing but the file and RESTORE.md: every line of it that needs no Chronos does what it says."""
    needs("unzip", "sha256sum", "sqlite3")
    made = make(box)
    with zipfile.ZipFile(made.path) as archive:
        note = archive.read("RESTORE.md").decode("ascii")
    words = re.findall(r"^    ((?:unzip|cd|sha256sum|sqlite3) .+)$", note, re.MULTILINE)
    assert len(words) == 8
    uid = box.message(1).uid
    work = tmp_path / "elsewhere"
    work.mkdir()
    shutil.copy(made.path, work)
    script = "set -eu\n" + "\n".join(words).replace("'UID'", f"'{uid}'")
    done = subprocess.run(["sh", "-c", script], cwd=work, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for expected in ("chronos.db: OK", "manifest.json: OK", "\nok\n", "queued|5", f"{uid}|hook|", "message 0"):
        assert expected in done.stdout, expected


def left_out(box: Box) -> dict[str, str]:
    assert isinstance(box.context.log, EventLog)
    return {
        Path(fields["file"]).name: fields["reason"]
        for _level, name, fields in box.context.log.events
        if name == "backup_left_out"
    }


def test_templates_that_lead_elsewhere_are_left_out(box: Box, tmp_path: Path) -> None:
    """A key that is called a template must not lie in every backup; nor may the database be opened by its path."""
    paths = box.context.machine.paths
    assert paths is not None
    templates = paths.config_file.with_name("templates")
    templates.mkdir()
    (tmp_path / "root.key").write_text("secret")
    (templates / "a.txt").symlink_to(tmp_path / "root.key")
    (templates / "b.txt").symlink_to(tmp_path / "nothing")
    (templates / "c.txt").symlink_to(templates / "c.txt")
    (templates / "d.txt").hardlink_to(box.database.path)
    with zipfile.ZipFile(make(box).path) as archive:
        assert archive.namelist() == ["chronos.db", "RESTORE.md", "manifest.json", "SHA256SUMS"]
    reasons = left_out(box)
    assert "link" in reasons["a.txt"]
    assert "link" in reasons["b.txt"]
    assert "link" in reasons["c.txt"]
    assert "database" in reasons["d.txt"]


def test_more_templates_than_a_backup_takes_do_not_keep_it_from_being_made(box: Box) -> None:
    paths = box.context.machine.paths
    assert paths is not None
    templates = paths.config_file.with_name("templates")
    templates.mkdir()
    for number in range(1_200):
        (templates / f"{number:04}.txt").write_text("x")
    for number in range(17):  # beyond the 64 MiB that are held in memory
        with (templates / f"0{number:02}-large").open("wb") as file:
            file.truncate(4 * 1024 * 1024)
    made = make(box)
    assert made.proof is Proof.PROVEN
    with zipfile.ZipFile(made.path) as archive:
        assert len(archive.namelist()) == 1_000
    reasons = left_out(box)
    assert "1199.txt" in reasons
    assert [name for name, why in reasons.items() if "MiB" in why] == ["015-large", "016-large"]


def test_a_folder_of_templates_that_cannot_be_read_is_said(box: Box) -> None:
    paths = box.context.machine.paths
    assert paths is not None
    templates = paths.config_file.with_name("templates")
    templates.symlink_to(templates)
    assert make(box).proof is Proof.PROVEN
    assert "templates" in left_out(box)


def test_configuration_and_templates_go_with_it_and_what_does_not_fit_is_said(box: Box) -> None:
    paths = box.context.machine.paths
    assert paths is not None
    paths.config_file.write_text("instance: here\n")
    templates = paths.config_file.with_name("templates")
    templates.mkdir()
    for name in ("b.txt", "a.html", "bad name.txt"):
        (templates / name).write_text(name)
    (templates / "huge.txt").write_bytes(b"x" * (4 * 1024 * 1024 + 1))
    (templates / "folder").mkdir()
    os.mkfifo(templates / "fifo")
    made = make(box)
    assert made.proof is Proof.PROVEN
    with zipfile.ZipFile(made.path) as archive:
        assert archive.namelist()[1:4] == ["config.yaml", "templates/a.html", "templates/b.txt"]
        assert archive.read("config.yaml") == b"instance: here\n"
        assert "`templates/`" in archive.read("RESTORE.md").decode()
    assert isinstance(box.context.log, EventLog)
    left_out = [fields["file"] for _level, name, fields in box.context.log.events if name == "backup_left_out"]
    assert [Path(file).name for file in left_out] == ["bad name.txt", "fifo", "huge.txt"]


# The vault


def test_without_a_vault_a_key_in_a_file_signs(box: Box) -> None:
    first, second = make(box), make(box)
    key_file = box.directory / KEY_FILE
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert first.manifest["signature"]["key"] == second.manifest["signature"]["key"]
    assert key_file.read_text().strip() not in (str(first.manifest), str(second.manifest))
    assert first.manifest["vault"] is None
    assert first.manifest["audit"]["checkpoint"] is None


def test_with_a_vault_its_key_signs_and_the_head_is_vouched_for(box: Box) -> None:
    rotating.create(box.context, Provider.FILE)
    made = make(box)
    checkpoint = made.manifest["audit"]["checkpoint"]
    assert made.proof is Proof.PROVEN
    assert made.manifest["signature"]["key"] == checkpoint["key"]
    assert checkpoint["seq"] == made.manifest["audit"]["seq"] - 1, "the newest entry is the checkpoint"
    assert made.manifest["vault"]["root_id"]
    assert not (box.directory / KEY_FILE).exists()


def test_with_a_locked_vault_it_is_made_all_the_same_and_listed_as_unproven(box: Box) -> None:
    rotating.create(box.context, Provider.FILE)
    (key,) = (path for path in box.directory.iterdir() if "root" in path.name)
    key.rename(key.with_suffix(".away"))
    box.context.kept.clear()
    made = make(box)
    assert made.proof is Proof.UNPROVEN
    assert "root.key is missing" in made.proof_detail
    assert made.proven_ms is None
    assert made.verified_ok is True
    assert (box.directory / KEY_FILE).exists()
    assert [one.name for one in backups.listing(box.context)] == [made.name]


def test_what_is_not_drilled_is_read_again_and_unproven(box: Box) -> None:
    made = make(box, drill=False)
    assert (made.proof, made.proof_detail, made.verified_ok) == (Proof.UNPROVEN, "not drilled", True)
    configure(box, drill=False)
    assert make(box).proof is Proof.UNPROVEN
    assert make(box, drill=True).proof is Proof.PROVEN


# Encrypted


def test_an_encrypted_one_is_proven_first_and_opens_with_the_identity(box: Box, tmp_path: Path) -> None:
    identity, recipient = age_key(tmp_path)
    configure(box, encrypt_to=[recipient])
    made = make(box)
    assert made.name.endswith(".zip.age")
    assert made.encrypted
    assert made.proof is Proof.PROVEN
    assert made.sha256 == box_sha256(made.path) != made.archive_sha256
    assert b"message 0" not in made.path.read_bytes()
    plain = tmp_path / "plain.zip"
    with made.path.open("rb") as src, plain.open("wb") as dst:
        decrypt(src, dst, identities=[identity])
    assert box_sha256(plain) == made.archive_sha256
    assert left_over(box) == []
    assert zipfile.ZipFile(plain).namelist()[0] == "chronos.db"


def age_key(tmp_path: Path) -> tuple[str, str]:
    """Return an identity and its recipient, of the ordinary program."""
    needs("age-keygen")
    done = subprocess.run(
        ["age-keygen", "-o", str(tmp_path / "id")], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    recipient = done.stderr.split()[-1]
    return (tmp_path / "id").read_text().splitlines()[-1], recipient


def test_a_passphrase_that_cannot_be_had_is_no_reason_to_write_it_in_plain(box: Box) -> None:
    configure(box, encrypt_to=["secret:backups"])
    with pytest.raises(ChronosError, match="backups"):
        make(box)
    assert backups.listing(box.context) == []
    assert left_over(box) == []
    box.context.machine = box.context.machine._replace(env={"CHRONOS_SECRET_BACKUPS": "correct horse"})
    made = make(box)
    assert made.encrypted
    assert b"message 0" not in made.path.read_bytes()


# One at a time, each with its own name


def test_a_second_that_is_taken_is_waited_out(box: Box) -> None:
    folder(box).mkdir(mode=0o700)
    taken = folder(box) / Name(box.context.settings.instance, START_MS, encrypted=True).text
    taken.write_bytes(b"somebody's")
    box.context.clock = Ticking(START_MS, 450)
    made = backups.create(box.context, Kind.MANUAL)
    assert made.name == Name(box.context.settings.instance, START_MS + 1000, encrypted=False).text
    assert taken.read_bytes() == b"somebody's"


def test_no_name_is_given_twice_also_when_retention_took_the_first(box: Box) -> None:
    first = make(box)
    assert first.id is not None
    number = first.id
    first.path.unlink()
    box.database.write(lambda tx: ledger.record_pruned(tx, number, 1))
    box.context.clock = Ticking(first.taken_ms - first.taken_ms % 1000, 450)
    assert backups.create(box.context, Kind.MANUAL).name != first.name


def test_two_are_not_made_at_once(box: Box) -> None:
    def another() -> None:
        with pytest.raises(NotPossible, match="another backup is being made"):
            backups.create(box.context, Kind.MANUAL)

    made = make(box, report=at_stage("packing", another))
    assert [one.name for one in backups.listing(box.context)] == [made.name]
    assert recorded(box, "backup.failed") == []


def test_a_folder_of_ones_own_choice_takes_it(box: Box, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such directory"):
        make(box, folder=tmp_path / "elsewhere")
    assert recorded(box, "backup.failed") == []
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    made = make(box, folder=tmp_path / "elsewhere")
    assert made.path.parent == tmp_path / "elsewhere"
    assert backups.listing(box.context) == [made]
    assert backups.find_file(box.context, made.name) == made.path
    assert backups.get(box.context, made.name) == made


def test_a_folder_that_others_can_write_to_is_refused_and_that_is_recorded(box: Box) -> None:
    folder(box).mkdir()
    folder(box).chmod(0o777)
    with pytest.raises(ChronosError, match="other users can write to it"):
        make(box)
    assert recorded(box, "backup.failed")[0]["kind"] == "ConfigError"


def test_nothing_is_made_where_nothing_may_be_changed(box: Box) -> None:
    box.context.read_only = True
    with pytest.raises(NotPossible, match="read-only"):
        make(box)
    assert not folder(box).exists()


def test_copies_are_wanted_as_soon_as_it_is_listed(box: Box) -> None:
    configure(box, copy_to=["/mnt/one", "rclone:two:path"])
    assert [copy.destination for copy in make(box).copies] == ["/mnt/one", "rclone:two:path"]


# What goes wrong


def test_an_operator_who_stops_it_leaves_everything_as_it_was(box: Box) -> None:
    def stop() -> None:
        raise Stopped("enough")

    for stage in ("copying the database", "packing", "checking every sum", "comparing the schema"):
        with pytest.raises(Stopped):
            make(box, report=at_stage(stage, stop))
        assert backups.listing(box.context) == []
        assert left_over(box) == []
    assert recorded(box, "backup.failed") == []
    assert make(box).proof is Proof.PROVEN


def test_a_child_that_is_killed_ends_it_and_says_so(box: Box) -> None:
    for _ in range(10):  # so much that the child is still at it when it is heard of
        box.put(data=json.dumps(os.urandom(1_000_000).hex()))

    def kill() -> None:
        (child,) = psutil.Process().children()
        child.send_signal(signal.SIGKILL)

    with pytest.raises(ChronosError, match="SIGKILL"):
        make(box, report=at_stage("packing", kill))
    assert backups.listing(box.context) == []
    assert left_over(box) == []
    assert "SIGKILL" in recorded(box, "backup.failed")[0]["error"]


@pytest.mark.parametrize("drill", [True, False])
def test_what_was_written_and_does_not_read_back_is_never_listed(box: Box, drill: bool) -> None:
    def flip() -> None:
        (path,) = folder(box).glob(".chronos-*.tmp")
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    with pytest.raises(ArchiveRefused, match="damaged"):
        make(box, drill=drill, report=at_stage("checking every sum", flip))
    assert backups.listing(box.context) == []
    assert left_over(box) == []


def test_a_database_that_is_not_sound_itself_does_not_become_a_backup(box: Box) -> None:
    """Every sum is right, for they were taken of what is wrong: the drill is what finds it."""
    box.database.write(lambda tx: tx.search("UPDATE counts SET n = n + 7 WHERE name = 'queued'", {}))
    with pytest.raises(ArchiveRefused, match=r"just written is not sound and was not kept: chronos-.*queued") as caught:
        make(box)
    assert ".tmp" not in str(caught.value)
    assert backups.listing(box.context) == []
    assert left_over(box) == []
    assert recorded(box, "backup.failed")[0]["kind"] == "ArchiveRefused"


KILLED = """
    import sys
    from pathlib import Path
    from engine.clock import SystemClock
    from engine.operations.backup import backups
    from engine.operations.context import Machine
    from engine.rules.backups import Kind
    from tests.support import data_dir, opened_box
    where = data_dir(Path(sys.argv[1]))
    def report(stage, done, total):
        if stage == sys.argv[2]:
            print(stage, flush=True)
            sys.stdin.readline()
    with opened_box(where.data_dir) as box:
        box.context.machine = Machine(where)
        box.context.clock = SystemClock()
        backups.create(box.context, Kind.MANUAL, report=report)
        print("made", flush=True)
        sys.stdin.readline()
"""
STAGES = ("copying the database", "packing", "checking every sum", "verifying the audit log", "reading it again")


@pytest.mark.parametrize("stage", STAGES)
def test_a_process_that_is_killed_leaves_no_half_backup(box: Box, tmp_path: Path, stage: str) -> None:
    with rig.running(KILLED, tmp_path, stage) as process:
        assert rig.answer(process) == stage
        assert left_over(box) != []
        with pytest.raises(NotPossible, match="another backup is being made"):
            make(box)
        assert backups.sweep(box.context) == 0, "its files are in use"
        process.kill()
        process.wait()
    assert backups.listing(box.context) == []
    assert backups.sweep(box.context) > 0
    assert [name for name in left_over(box) if not name.startswith("drill-")] == []
    assert make(box).proof is Proof.PROVEN
    assert left_over(box) == []
    assert len(backups.listing(box.context)) == 1


def test_a_process_that_is_killed_afterwards_left_a_whole_one(box: Box, tmp_path: Path) -> None:
    with rig.running(KILLED, tmp_path, "no such stage") as process:
        assert rig.answer(process) == "made"
        process.kill()
    (found,) = backups.listing(box.context)
    assert (found.id, found.proof) == (1, Proof.PROVEN)
    assert backups.sweep(box.context) == 0


FULL = """
    import json, os, subprocess, sys
    from pathlib import Path
    from engine.errors import StorageFull
    from engine.operations import auditing
    from engine.operations.backup import backups
    from engine.operations.context import Machine
    from engine.rules.backups import Kind, Proof
    from tests.support import data_dir, opened_box
    where, small = data_dir(Path(sys.argv[1])), Path(sys.argv[1]) / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={sys.argv[2]}m,mode=0700", "none", str(small)], check=True)
    where.data_dir.mkdir(mode=0o700)
    ballast = small / "ballast"
    def fill(stage, done, total):
        if stage == "copying the database" and not ballast.exists():
            copy = where.database.stat().st_size + box.database.wal_bytes if sys.argv[3] == "packing" else 0
            free = os.statvfs(small)
            with ballast.open("wb", buffering=0) as file:
                file.write(bytes(free.f_bavail * free.f_frsize - copy))
    with opened_box(where.data_dir) as box:
        box.context.machine = Machine(where)
        for number in range(8):
            box.put(data=json.dumps(os.urandom(400_000).hex()))
        try:
            backups.create(box.context, Kind.MANUAL, folder=small, report=fill)
            error = None
        except StorageFull as problem:
            error = str(problem)
        ballast.unlink(missing_ok=True)
        left = sorted(os.listdir(small))
        failed = [entry.detail["kind"] for entry in auditing.page(box.context) if entry.action == "backup.failed"]
        box.clock.advance_ms(5_000)
        again = sys.argv[3] != "" and backups.create(box.context, Kind.MANUAL, folder=small).proof is Proof.PROVEN
        degraded = box.database.degraded
    subprocess.run(["umount", str(small)], check=True)
    print(json.dumps({"error": error, "left": left, "failed": failed, "again": again, "degraded": degraded}))
"""


def on_a_small_disk(tmp_path: Path, size_mb: int, stage: str) -> dict[str, Any]:
    from tests.crash.diskroom import NoPrivateDiskError, unshare_words

    try:
        words = unshare_words()
    except NoPrivateDiskError as error:
        if SKIP_NOTHING:
            raise
        pytest.skip(str(error))
    found: dict[str, Any] = rig.run(FULL, tmp_path, size_mb, stage, command=tuple(words))
    return found


@pytest.mark.parametrize("stage", ["copying", "packing"])
def test_a_disk_that_fills_up_meanwhile_ends_it_without_a_trace(tmp_path: Path, stage: str) -> None:
    found = on_a_small_disk(tmp_path, 120, stage)
    assert "the disk is full" in found["error"]
    assert found["left"] == []
    assert found["failed"] == ["StorageFull"]
    assert found["again"] is True
    assert found["degraded"] is False


def test_where_there_is_no_room_it_is_not_begun_and_the_numbers_are_said(tmp_path: Path) -> None:
    found = on_a_small_disk(tmp_path, 40, "")
    assert re.search(r"needs 8\d(\.\d+)? MiB for a while, and 40 MiB are free", found["error"]), found["error"]
    assert found["left"] == []


# Finding


def test_a_file_that_lies_in_the_folder_is_listed_though_no_ledger_knows_it(box: Box, tmp_path: Path) -> None:
    made = make(box)
    stray = folder(box) / made.name.replace(box.context.settings.instance, "other.box").replace("2026", "2025")
    shutil.copy(made.path, stray)
    for name in ("notes.txt", f".{made.name}.1.tmp", made.name + ".bak"):
        (folder(box) / name).write_text("no backup")
    (folder(box) / Name("a", 0, encrypted=False).text).mkdir()
    (folder(box) / Name("b", 0, encrypted=False).text).symlink_to(made.path)
    first, second = backups.listing(box.context)
    assert first == made
    assert (second.id, second.kind, second.name, second.proof) == (None, Kind.FOUND, stray.name, Proof.UNPROVEN)
    assert second.size == made.size
    assert second.taken_ms // 1000 == made.taken_ms // 1000 - 365 * 86_400
    assert backups.get(box.context, stray.name).manifest == made.manifest
    stray.write_bytes(b"PK")
    assert backups.get(box.context, stray.name).proof is Proof.FAILED


def test_a_backup_goes_by_its_number_its_name_and_its_path(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(box)
    monkeypatch.chdir(folder(box))
    for word in ("1", made.name, str(made.path), f"./{made.name}", f"../backups/{made.name}"):
        assert backups.get(box.context, word) == made, word
        assert backups.find_file(box.context, word) == made.path, word
    for word in ("", "2", "9" * 30, "nobody.zip", "/nobody/x.zip", "a\0b", "é\x1b[31m", ".."):
        with pytest.raises(NotFound) as caught:
            backups.find_file(box.context, word)
        assert str(caught.value).isprintable()
        with pytest.raises(NotFound):
            backups.get(box.context, word)


def test_a_backup_whose_file_is_gone_says_since_when(box: Box) -> None:
    made = make(box)
    kept = made.path.rename(made.path.with_name("away"))
    (found,) = backups.listing(box.context)
    assert found.gone_ms is not None
    with pytest.raises(NotFound, match="no such file"):
        backups.find_file(box.context, "1")
    box.database.write(lambda tx: ledger.record_gone(tx, 1, 42))
    assert backups.get(box.context, "1").gone_ms == 42
    kept.rename(made.path)
    assert backups.listing(box.context) == [made]


def test_what_retention_took_is_not_listed(box: Box) -> None:
    made = make(box)
    box.database.write(lambda tx: ledger.record_pruned(tx, 1, 1))
    made.path.unlink()
    assert backups.listing(box.context) == []
    with pytest.raises(NotFound):
        backups.get(box.context, "1")


def test_the_vault_that_was_locked_is_named_where_it_is_needed(box: Box) -> None:
    """A passphrase in a vault that cannot be opened: refused before anything is copied."""
    rotating.create(box.context, Provider.FILE)
    from engine.operations import secrets

    secrets.set_secret(box.context, "backups", "correct horse")
    (key,) = (path for path in box.directory.iterdir() if "root" in path.name)
    key.rename(key.with_suffix(".away"))
    box.context.kept.clear()
    configure(box, encrypt_to=["secret:backups"])
    with pytest.raises(VaultLocked):
        make(box)
    assert left_over(box) == []
