"""`chronos backup` from outside: what is made, shown, proven and pruned, and what each ends with."""

from __future__ import annotations

import json
import os
import pty
import shutil
import stat
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.interfaces.program import TIME_OUT_S, Box
from tests.interfaces.test_nouns import completions

FIELDS = {
    "id", "name", "folder", "kind", "taken_at", "took_ms", "size_bytes", "sha256", "archive_sha256", "encrypted",
    "proof", "proof_detail", "proven_at", "drilled_at", "drill_took_ms", "verified_at", "verified_ok",
    "verified_detail", "gone_at", "copies",
}  # fmt: skip


def damaged(file: Path) -> Path:
    """Flip one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return file


def test_the_path_alone_is_on_stdout_and_the_file_is_an_ordinary_zip(box: Box) -> None:
    uid = box.send("--subject", "first", "--text", "x")
    made = box.ok("backup", "create")
    file = Path(made.out.removesuffix("\n"))
    assert file.parent == box.data_dir / "backups"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "proven: it was restored and looked at" in made.err
    with ZipFile(file) as archive:
        assert archive.testzip() is None
        assert {"chronos.db", "config.yaml", "manifest.json", "SHA256SUMS", "RESTORE.md"} <= set(archive.namelist())
    entries = box.ok("audit", "list", "--json").json["entries"]
    assert [one["action"] for one in entries if one["action"].startswith("backup.")][-1] == "backup.created"
    assert box.ok("outbox", "show", uid, "--json").json["state"] == "queued"


def test_a_backup_is_listed_and_shown(box: Box) -> None:
    assert "makes one" in box.ok("backup", "list").err
    box.send("--text", "x")
    made = box.ok("backup", "create", "--json").json
    assert set(made) == FIELDS
    assert (made["kind"], made["proof"], made["encrypted"], made["copies"]) == ("manual", "proven", False, [])
    assert box.ok("backup", "list", "--json").json == {"backups": [made]}
    assert [json.loads(line) for line in box.ok("backup", "list", "--jsonl").out.splitlines()] == [made]
    header, row = box.ok("backup", "list").out.splitlines()
    assert header.split()[:2] == ["backup", "kind"]
    assert "manual" in row
    assert "last proven restore" in box.ok("backup", "list").err
    standing = box.ok("status", "--json").json["backups"]
    assert (standing["count"], standing["proven_at"], standing["under_way"]) == (1, made["proven_at"], [])
    assert "last proven restore" in box.ok("status").out

    for word in (made["name"], str(Path(made["folder"]) / made["name"]), str(made["id"])):
        shown = box.ok("backup", "show", word, "--json").json
        assert {name: shown[name] for name in FIELDS} == made
    assert shown["manifest"]["counts"]["queued"] == 1
    words = box.ok("backup", "show", made["name"]).out
    assert "1 queued" in words
    assert shown["manifest"]["signature"]["key"] in words


def test_it_goes_where_it_is_wanted_and_is_not_proven_unless_asked(box: Box) -> None:
    (box.home / "usb").mkdir()
    made = box.ok("backup", "create", "--out", "usb", "--no-drill")
    file = Path(made.out.strip())
    assert file.parent == box.home / "usb"
    assert "unproven" in made.err
    assert box.ok("backup", "create", "--quiet").err == ""
    drilled = box.ok("backup", "drill", str(file), "--json").json
    assert (drilled["ok"], drilled["proof"], drilled["why"]) == (True, "proven", None)
    assert all(step["ok"] for step in drilled["steps"])


def test_verify_and_drill_end_with_0_for_a_sound_file(box: Box) -> None:
    name = box.ok("backup", "create", "--json").json["name"]
    verified = box.ok("backup", "verify", name, "--json").json
    assert (verified["ok"], verified["authenticity"]) == (True, "confirmed")
    assert verified["manifest"]["name"] == name
    assert box.ok("backup", "verify", name).out.splitlines()[-1].startswith("ok: it is as it was made")
    assert box.ok("backup", "drill", name).out.splitlines()[-1].startswith("ok: it can be restored")
    assert box.ok("backup", "list", "--json").json["backups"][0]["verified_ok"] is True


def test_a_flipped_bit_ends_with_3_and_the_reason(box: Box) -> None:
    file = damaged(Path(box.ok("backup", "create").out.strip()))
    for verb in ("verify", "drill"):
        found = box.chronos("backup", verb, file.name, "--json")
        assert (found.code, found.json["ok"]) == (3, False)
        assert "damaged" in found.json["why"]
        assert box.chronos("backup", verb, str(file)).out.splitlines()[-1].startswith("failed: ")
    assert "damaged" in box.ok("backup", "list").out


@pytest.mark.parametrize("verb", ["show", "verify", "drill"])
def test_a_file_that_is_not_there_ends_with_4(box: Box, verb: str) -> None:
    for word in ("chronos-box-20261124T030000Z.zip", "/nowhere/x.zip", "../../x", "77"):
        assert box.chronos("backup", verb, word).code == 4
        assert box.chronos("backup", verb, word).one_line


def test_a_file_of_others_is_damaged_and_no_defect(box: Box) -> None:
    other = box.home / "other.zip"
    with ZipFile(other, "w") as archive:
        archive.writestr("../../evil", "x")
    found = box.chronos("backup", "verify", str(other))
    assert found.code == 3
    assert "not a backup of Chronos" in found.out
    assert not (box.home / "evil").exists()


def test_a_file_from_elsewhere_is_shown_by_what_it_says_itself(box: Box) -> None:
    made = box.ok("backup", "create", "--json").json
    moved = shutil.copy(Path(made["folder"]) / made["name"], box.home / "usb.zip")
    found = box.ok("backup", "show", str(moved), "--json").json
    assert (found["id"], found["taken_at"][:19]) == (None, made["taken_at"][:19])
    (box.home / "note.txt").write_text("no backup")
    assert box.ok("backup", "show", "note.txt", "--json").json["taken_at"] is None
    assert "1970" not in box.ok("backup", "show", "note.txt").out
    assert "is no file" in box.chronos("backup", "show", str(box.home)).err


def test_a_list_fits_beside_the_copies_of_its_backups(box: Box) -> None:
    box.ok("config", "set", "backup.copy_to", f"[{box.home / 'nas'}]")
    box.ok("backup", "create", "--no-drill")
    box.ok("backup", "create")
    header, *rows = box.ok("backup", "list").out.splitlines()
    assert all(len(line) <= 80 for line in (header, *rows))
    assert [(row.split()[-4], row.split()[-3:]) for row in rows] == [
        ("proven", ["0", "of", "1"]),
        ("unproven", ["0", "of", "1"]),
    ]


def test_hostile_words_of_an_archive_reach_no_terminal(box: Box) -> None:
    file = box.home / "chronos-\x1b]0;owned\x07-20261124T030000Z.zip"
    file.write_bytes(b"PK\x03\x04" + b"\x1b[2J" * 100)
    for verb in ("verify", "drill", "show"):
        found = box.chronos("backup", verb, str(file))
        assert found.code in {0, 3}
        assert "\x1b" not in found.out + found.err


def test_an_encrypted_one_is_opened_by_a_file_or_stdin_and_by_nothing_else(box: Box) -> None:
    identity = box.home / "key.txt"
    made = subprocess.run(["age-keygen", "-o", identity], capture_output=True, text=True, check=True)
    recipient = made.stderr.rpartition(" ")[2].strip()
    box.ok("config", "set", "backup.encrypt_to", f"[{recipient}]")
    name = box.ok("backup", "create", "--json").json["name"]
    assert name.endswith(".zip.age")
    locked = box.ok("backup", "verify", name).out.splitlines()  # the sum of the file itself is in the ledger
    assert locked[-1].startswith("ok as far as it was looked at: decrypting: ")
    assert box.chronos("backup", "drill", name).code == 3
    abroad = shutil.copy(box.data_dir / "backups" / name, box.home / "abroad.zip.age")
    assert box.chronos("backup", "verify", str(abroad)).code == 3
    assert box.ok("backup", "verify", name, "--identity-file", str(identity)).code == 0
    assert box.ok("backup", "drill", name, "--identity-file", "-", stdin=identity.read_text()).code == 0
    assert box.chronos("backup", "verify", name, "--identity-file", "/nowhere").code == 4
    other = box.home / "other.txt"
    subprocess.run(["age-keygen", "-o", other], capture_output=True, check=True)
    assert box.chronos("backup", "verify", name, "--identity-file", str(other)).code == 3, "it vouches for nothing"
    copied = shutil.copy(box.data_dir / "backups" / name, box.home / "usb.zip.age")
    unseen = box.chronos("backup", "verify", str(copied))
    assert (unseen.code, unseen.out.splitlines()[-1].partition(":")[0]) == (3, "not verified")
    (box.home / "empty").write_text("# nothing\n")
    assert box.chronos("backup", "verify", name, "--identity-file", "empty").code == 2
    both = box.chronos("backup", "verify", name, "--identity-file", "-", "--passphrase-file", "-")
    assert (both.code, "only one" in both.one_line) == (2, True)


def test_a_passphrase_comes_from_the_vault_a_file_or_stdin(box: Box) -> None:
    box.ok("init", "--root-key", "file")
    box.ok("secret", "set", "backup", stdin="correct horse battery staple\n")
    box.ok("config", "set", "backup.encrypt_to", '["secret:backup"]')
    made = box.ok("backup", "create", "--json").json
    assert (made["encrypted"], made["proof"]) == (True, "proven")
    box.ok("backup", "drill", made["name"])
    elsewhere = Box(box.home / "other")
    elsewhere.home.mkdir()
    elsewhere.configure("{}")
    file = str(Path(made["folder"]) / made["name"])
    words = "correct horse battery staple"
    verified = elsewhere.ok("backup", "verify", file, "--passphrase-file", "-", "--json", stdin=f"{words}\n").json
    assert verified["authenticity"] == "unknown_key"
    assert elsewhere.chronos("backup", "verify", file, "--passphrase-file", "-", stdin="wrong\n").code == 3
    refused = elsewhere.chronos("backup", "verify", file, words)
    assert (refused.code, "correct" in refused.err) == (2, False)


def test_secrets_of_a_backup_are_opened_by_a_recovery_kit(box: Box) -> None:
    box.ok("init", "--root-key", "file")
    box.ok("secret", "set", "smtp", stdin="hunter2")
    kit = box.home / "kit.txt"
    passphrase = box.ok("secret", "export-recovery-kit", str(kit)).out.strip()
    file = box.ok("backup", "create").out.strip()
    elsewhere = Box(box.home / "other")
    elsewhere.home.mkdir()
    elsewhere.configure("{}")
    without = elsewhere.chronos("backup", "drill", file)
    assert (without.code, "not proven" in without.out) == (3, True)
    drilled = elsewhere.ok("backup", "drill", file, "--kit", str(kit), "--json", stdin=passphrase + "\n")
    assert drilled.json["proof"] == "proven"
    assert elsewhere.chronos("backup", "drill", file, "--kit", str(kit), stdin="wrong\n").code == 2
    assert elsewhere.chronos("backup", "drill", file, "--kit", "/nowhere").code == 4


def test_nothing_is_pruned_unless_somebody_says_so(box: Box) -> None:
    box.ok("config", "set", "backup.keep", "{hourly: 1, daily: 0, weekly: 0, monthly: 0, yearly: 0}")
    names = [box.ok("backup", "create", "--json").json["name"] for _ in range(3)]
    planned = box.ok("backup", "prune", "--dry-run", "--json").json
    assert (planned["dry_run"], planned["kept"], planned["pruned"]) == (True, 1, 2)
    assert [one["name"] for one in planned["decisions"] if one["keep"]] == names[-1:]
    assert "goes" in box.ok("backup", "prune", "--dry-run").out
    refused = box.chronos("backup", "prune")
    assert (refused.code, "add --yes" in refused.one_line) == (2, True)
    assert len(box.ok("backup", "list", "--json").json["backups"]) == 3

    pruned = box.ok("backup", "prune", "--yes", "--json").json
    assert (pruned["pruned"], pruned["freed_bytes"] > 0) == (2, True)
    assert [one["name"] for one in box.ok("backup", "list", "--json").json["backups"]] == names[-1:]
    assert "nothing goes" in box.ok("backup", "prune").out


@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 1, 2), ("y\n", 0, 1)])
def test_on_a_terminal_pruning_is_asked(box: Box, answer: str, code: int, left: int) -> None:
    box.ok("config", "set", "backup.keep", "{hourly: 1, daily: 0, weekly: 0, monthly: 0, yearly: 0}")
    for _ in range(2):
        box.ok("backup", "create", "--no-drill")
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        done = subprocess.run(
            box.command("backup", "prune"), env=box.env, cwd=box.home, stdin=theirs, stdout=subprocess.PIPE,
            stderr=theirs, timeout=TIME_OUT_S, check=False,
        )  # fmt: skip
        asked = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == code
    assert "remove 1 backup? [y/N]" in asked
    assert len(box.ok("backup", "list", "--json").json["backups"]) == left


@pytest.mark.parametrize(("words", "shown"), [((), True), (("--quiet",), False), (("--json",), False)])
def test_progress_is_one_line_on_a_terminal(box: Box, words: tuple[str, ...], shown: bool) -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            box.command("backup", "create", *words), env=box.env, cwd=box.home, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=theirs, timeout=TIME_OUT_S, check=True,
        )  # fmt: skip
        os.write(theirs, b"|")
        said = os.read(ours, 100_000).decode().removesuffix("|")
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.stdout
    assert ("\r\x1b[K" in said) is shown
    if shown:
        bar, _, rest = said.rpartition("\r\x1b[K")
        assert "\n" not in bar
        assert "proven" in rest


def test_a_running_engine_makes_it_and_says_so_in_the_log(box: Box) -> None:
    with box.engine() as engine:
        made = box.ok("backup", "create", "--json").json
        assert made["proof"] == "proven"
        engine.event("command_ended", state="done")
        assert engine.stop() == 0
    [created] = box.ok("audit", "list", "--filter", "action:backup.created", "--json").json["entries"]
    assert created["actor"].startswith("cli:")


def test_names_of_backups_are_completed(box: Box, tmp_path: Path) -> None:
    folder = box.data_dir / "backups"
    folder.mkdir()
    for name in ("chronos-a-20261124T030000Z.zip", "chronos-b-20261124T030000Z.zip.age", "note.txt"):
        (folder / name).touch()
    (tmp_path / "elsewhere.zip").touch()
    for line in ("chronos backup drill ", "chronos restore plan "):
        offered = set(completions(box, line, tmp_path))
        assert {"chronos-a-20261124T030000Z.zip", "chronos-b-20261124T030000Z.zip.age", "elsewhere.zip"} <= offered
        assert "note.txt" not in offered
