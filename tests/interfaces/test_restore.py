"""`chronos restore` from outside: a plan that touches nothing, and a restore that sends nothing twice."""

from __future__ import annotations

import hashlib
import os
import pty
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.interfaces.program import TIME_OUT_S, Box
from tests.interfaces.test_backup import damaged


def backed_up(box: Box) -> str:
    return box.ok("backup", "create").out.strip()


def states(box: Box) -> dict[str, str]:
    """Return state by subject."""
    return {one["subject"]: one["state"] for one in box.ok("outbox", "list", "--json").json["messages"]}


def delivered(box: Box) -> int:
    return len(list((box.data_dir / "mail" / "new").glob("*")))


def contents(box: Box) -> str:
    """Return a digest of all that the database holds."""
    with sqlite3.connect(f"file:{box.data_dir / 'chronos.db'}?mode=ro", uri=True) as database:
        return hashlib.sha256("\n".join(database.iterdump()).encode()).hexdigest()


def deliver_all(box: Box) -> None:
    with box.engine() as engine:
        for _ in range(600):
            if not any(one in {"queued", "sending"} for one in states(box).values()):
                break
        assert engine.stop() == 0


def on_terminal(box: Box, typed: str, *words: str) -> tuple[int, str]:
    """Run a command on a terminal with an answer typed ahead; return its code and what the terminal showed."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed.encode())
        done = subprocess.run(
            box.command(*words), env=box.env, cwd=box.home, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs,
            timeout=TIME_OUT_S, check=False,
        )  # fmt: skip
        os.write(theirs, b"|")
        return done.returncode, os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)


PLAN = {
    "archive", "sha256", "taken_at", "age_ms", "instance", "relation", "authenticity", "schema", "tables", "states",
    "held", "held_total", "would_resend", "secrets", "keys", "audit_carried", "audit_note", "config", "warnings",
    "needs_bytes",
}  # fmt: skip


def test_a_plan_says_what_would_change_and_touches_nothing(box: Box) -> None:
    box.send("--subject", "old", "--text", "x")
    file = backed_up(box)
    deliver_all(box)
    box.send("--subject", "new", "--text", "x")
    before = contents(box)
    plan = box.ok("restore", "plan", file, "--json").json
    assert set(plan) == PLAN
    assert (plan["relation"], plan["authenticity"], plan["config"]) == ("continues", "confirmed", "same")
    assert plan["states"]["delivered"] == {"here": 1, "backup": 0, "after": 1}
    assert plan["states"]["held"] == {"here": 0, "backup": 0, "after": 1}
    assert (plan["held_total"], plan["would_resend"]) == (1, 1)
    assert [one["subject"] for one in plan["held"]] == ["new"]
    words = box.ok("restore", "plan", Path(file).name)
    assert "not sent again" in words.out
    assert "nothing was touched" in words.err
    assert contents(box) == before


def test_nothing_is_restored_unless_somebody_says_so(box: Box) -> None:
    file = backed_up(box)
    box.send("--subject", "new", "--text", "x")
    before = contents(box)
    refused = box.chronos("restore", "apply", file)
    assert (refused.code, "add --yes" in refused.one_line) == (2, True)
    code, said = on_terminal(box, "y\n", "restore", "apply", file)
    assert code == 1
    assert "type the name of this box (" in said
    assert "relation" in said
    assert "nothing was done" in said
    assert contents(box) == before


def test_the_name_of_the_box_is_typed_to_restore(box: Box) -> None:
    box.ok("config", "set", "instance", "box-7")
    box.send("--subject", "old", "--text", "x")
    file = backed_up(box)
    code, said = on_terminal(box, "box-7\n", "restore", "apply", file)
    assert code == 0, said
    assert states(box) == {"old": "held"}


def test_a_restore_sends_nothing_twice_and_says_what_is_held(box: Box) -> None:
    box.send("--subject", "old", "--text", "x")
    file = backed_up(box)
    deliver_all(box)
    box.send("--subject", "new", "--text", "x")
    key = box.ok("key", "create", "--name", "k", "--scope", "send", "--json").json["id"]
    box.ok("key", "revoke", key, "--yes")
    done = box.ok("restore", "apply", file, "--yes", "--json").json
    assert [(one["subject"], one["now"]) for one in done["held"]] == [("new", "held")]
    assert done["held_total"] == 1
    assert done["held"][0]["reason"]
    assert states(box) == {"old": "delivered", "new": "held"}
    assert box.ok("key", "list", "--json").json["keys"][0]["state"] == "revoked"
    assert box.ok("audit", "verify", "--json").json["ok"] is True
    assert "restore.applied" in [one["action"] for one in box.ok("audit", "list", "--json").json["entries"]]
    deliver_all(box)
    assert delivered(box) == 1

    box.ok("outbox", "release", "--filter", f"tag:{done['tag']}", "--yes")
    deliver_all(box)
    assert delivered(box) == 2

    undone = box.ok("restore", "apply", done["safety_backup"], "--yes", "--json").json
    assert undone["held_total"] == 0  # both were delivered since, and nothing takes that back
    assert states(box) == {"old": "delivered", "new": "delivered"}


def test_the_result_is_told_with_how_to_go_on(box: Box) -> None:
    box.send("--subject", "old\u202e", "--text", "x")
    file = backed_up(box)
    told = box.ok("restore", "apply", file, "--yes").out
    assert told.startswith("restored ")
    assert "chronos outbox release --filter 'tag:restored-" in told
    assert "chronos restore apply " in told
    assert "\u202e" not in told


def test_a_damaged_archive_ends_with_1_and_changes_nothing(box: Box) -> None:
    box.send("--subject", "old", "--text", "x")
    file = damaged(Path(backed_up(box)))
    before = contents(box)
    for words in (("plan", str(file)), ("apply", str(file), "--yes")):
        refused = box.chronos("restore", *words)
        assert refused.code == 1
        assert "damaged" in refused.err
    with sqlite3.connect(box.data_dir / "chronos.db") as database:
        assert database.execute("SELECT count(*) FROM messages").fetchone() == (1,)
    assert states(box) == {"old": "queued"}
    assert before


def test_a_file_that_is_not_there_ends_with_4(box: Box) -> None:
    for words in (("plan", "x.zip"), ("apply", "x.zip", "--yes")):
        assert box.chronos("restore", *words).code == 4


def test_an_engine_that_runs_does_it_and_goes_on(box: Box) -> None:
    box.send("--subject", "old", "--text", "x", "--at", "2099-01-01T00:00:00Z")
    file = backed_up(box)
    with box.engine() as engine:
        done = box.ok("restore", "apply", file, "--yes", "--json").json
        assert done["held_total"] == 1
        box.ok("send", "box", "--subject", "after", "--text", "x", "--wait", "30s")
        assert states(box) == {"old": "held", "after": "delivered"}
        assert engine.stop() == 0


def destroyed(box: Box) -> None:
    for name in ("chronos.db-wal", "chronos.db-shm"):
        (box.data_dir / name).unlink(missing_ok=True)
    (box.data_dir / "chronos.db").write_bytes(b"not a database at all" * 1000)


def gone(box: Box) -> None:
    for name in ("chronos.db", "chronos.db-wal", "chronos.db-shm"):
        (box.data_dir / name).unlink(missing_ok=True)


def torn(box: Box) -> None:
    """Damage one table so that the file still opens."""
    file = box.data_dir / "chronos.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()
    with file.open("r+b") as content:
        content.seek((page - 1) * 4096)
        content.write(b"\xff" * 4096)


@pytest.mark.parametrize("lost", [destroyed, gone, torn])
def test_it_works_over_a_database_that_is_lost(box: Box, lost: Any) -> None:
    box.send("--subject", "old", "--text", "x")
    file = backed_up(box)
    lost(box)
    plan = box.ok("restore", "plan", Path(file).name, "--json").json
    assert plan["relation"] in {"destroyed", "empty"}
    assert (plan["held_total"], plan["states"]["held"]["after"]) == (1, 1)
    assert (box.data_dir / "chronos.db").exists() == (lost is not gone)  # a plan makes nothing
    done = box.ok("restore", "apply", Path(file).name, "--yes", "--json").json
    assert (done["held_total"], done["safety_backup"]) == (1, None)
    assert states(box) == {"old": "held"}
    assert box.ok("audit", "verify", "--json").json["ok"] is True


def test_a_clean_machine_gets_database_and_configuration(box: Box) -> None:
    box.ok("init", "--root-key", "file")
    box.ok("secret", "set", "smtp", stdin="hunter2")
    kit = box.home / "kit.txt"
    passphrase = box.ok("secret", "export-recovery-kit", str(kit)).out.strip()
    box.send("--subject", "old", "--text", "x")
    file = backed_up(box)
    clean = Box(box.home / "clean")
    clean.home.mkdir()
    plan = clean.ok("restore", "plan", file, "--json").json
    assert (plan["authenticity"], plan["config"]) == ("unknown_key", "absent here")
    key = box.ok("backup", "show", file, "--json").json["manifest"]["signature"]["key"]
    assert f"signed by the key {key}, which is not known here" in clean.ok("restore", "plan", file).out
    assert clean.ok("restore", "plan", file, "--trust-key", key, "--json").json["authenticity"] == "confirmed"
    assert not (clean.data_dir / "chronos.db").exists()
    done = clean.ok("restore", "apply", file, "--yes", "--json").json
    assert done["held_total"] == 1
    clean.ok("secret", "import-recovery-kit", str(kit), "--to", "file", stdin=f"{passphrase}\n")
    assert clean.ok("secret", "check", "--json").json["ok"] is True
    assert states(clean) == {"old": "held"}
    deliver_all(clean)
    assert delivered(clean) == 0


def test_an_encrypted_one_is_restored_with_what_opens_it(box: Box) -> None:
    identity = box.home / "key.txt"
    made = subprocess.run(["age-keygen", "-o", identity], capture_output=True, text=True, check=True)
    box.ok("config", "set", "backup.encrypt_to", f"[{made.stderr.rpartition(' ')[2].strip()}]")
    box.send("--subject", "old", "--text", "x")
    file = backed_up(box)
    refused = box.chronos("restore", "plan", file)
    assert refused.code in {2, 5}
    assert refused.one_line
    assert box.ok("restore", "plan", file, "--identity-file", "key.txt", "--json").json["held_total"] == 1
    gone(box)
    done = box.ok("restore", "apply", file, "--yes", "--identity-file", "-", "--json", stdin=identity.read_text())
    assert done.json["held_total"] == 1
    assert not [one for one in box.data_dir.rglob("*.zip") if one.is_file()]  # nothing decrypted stays


@pytest.mark.parametrize("words", [("--trust-key", "xyz"), ("--trust-key", "ab" * 31), ("--identity-file",)])
def test_options_that_make_no_sense_are_usage_errors(box: Box, words: tuple[str, ...]) -> None:
    assert box.chronos("restore", "plan", "x.zip", *words).code == 2
