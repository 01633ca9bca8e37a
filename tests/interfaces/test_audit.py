"""chronos audit: checkpoint, verify against a witness, prune; the daily witness of an engine: from outside."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.interfaces.program import Box

CONFIG = """\
targets:
  box: {channel: maildir, path: mail}
security: {audit_witness: box}
"""


@pytest.fixture
def signed(box: Box) -> Box:
    """A box with a vault."""
    box.ok("init", "--root-key", "file")
    return box


def tamper(box: Box, *statements: str) -> None:
    """Change the database behind everybody's back."""
    database = sqlite3.connect(box.data_dir / "chronos.db", isolation_level=None)
    rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'")
    for (name,) in rows.fetchall():
        database.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        database.execute(statement)
    database.close()


def test_without_a_vault_a_checkpoint_is_not_possible(box: Box) -> None:
    refused = box.chronos("audit", "checkpoint")
    assert refused.code == 5
    assert "chronos init --root-key" in refused.one_line
    checks = {one["name"]: one for one in box.ok("health", "--json").json["checks"]}
    assert checks["audit_checkpoint"]["value"].startswith("not signed: there is no vault")
    box.send("--text", "x")
    assert box.chronos("audit", "prune", "--keep", "1d").code == 5


def test_a_checkpoint_that_was_redirected_is_a_witness(signed: Box, tmp_path: Path) -> None:
    signed.send("--text", "x")
    made = signed.ok("audit", "checkpoint")
    assert set(made.json) == {"at", "hash", "key", "seq", "signature", "instance"}
    witness = tmp_path / "head.json"
    witness.write_text(made.out)
    signed.send("--text", "y")
    found = signed.ok("audit", "verify", "--against", str(witness), "--json").json
    assert (found["ok"], found["confirmed"], found["checkpoints"]) == (True, True, 1)
    assert found["witness"] == {"seq": made.json["seq"], "entries": 0, "checkpoints": 1}
    assert "agrees with the witness" in signed.ok("audit", "verify", "--against", "-", stdin=made.out).out

    (signed.data_dir / "audit-head.json").unlink()
    keep = made.json["seq"] - 1
    tamper(
        signed,
        f"DELETE FROM audit WHERE seq > {keep}",
        f"UPDATE counts SET n = {keep}, word = (SELECT hash FROM audit WHERE seq = {keep}) WHERE name = 'audit_head'",
    )
    broken = signed.chronos("audit", "verify", "--against", str(witness), "--json")
    assert (broken.code, broken.json["ok"], broken.json["bad_seq"]) == (3, False, keep + 1)
    assert f"the log ends at {keep}" in broken.json["why"]


def test_an_export_names_the_first_entry_that_differs(signed: Box, tmp_path: Path) -> None:
    for word in "abc":
        signed.send("--text", word)
    copy = tmp_path / "audit.jsonl"
    copy.write_text(signed.ok("audit", "export").out)
    assert signed.ok("audit", "verify", "--against", str(copy)).out.startswith("ok: ")
    tamper(signed, "UPDATE audit SET body = replace(body, 'cli:', 'cri:') WHERE seq = 3")
    broken = signed.chronos("audit", "verify", "--against", str(copy))
    assert broken.code == 3
    assert "entry 3" in broken.out


@pytest.mark.parametrize("content", ["", "hello\n", "{}\n", '{"prev": 1}\n', "\x00\x01"])
def test_a_file_that_is_no_witness_is_a_usage_error(box: Box, tmp_path: Path, content: str) -> None:
    file = tmp_path / "x"
    file.write_text(content)
    refused = box.chronos("audit", "verify", "--against", str(file))
    assert refused.code == 2
    assert str(file) in refused.one_line
    assert box.chronos("audit", "verify", "--against", str(tmp_path / "nothing")).code == 4
    assert box.chronos("audit", "verify", "--key", "abc").code == 2


def test_a_head_is_sent_to_a_target_and_the_mail_verifies(signed: Box) -> None:
    sent = signed.ok("audit", "checkpoint", "--to", "box", "--json").json
    with signed.engine():
        signed.ok("send", "box", "--text", "behind it", "--wait", "30s")
    mails = list((signed.data_dir / "mail" / "new").iterdir())
    (witness,) = [mail for mail in mails if b"audit verify --against" in mail.read_bytes()]
    found = signed.ok("audit", "verify", "--against", str(witness), "--json").json
    assert (found["ok"], found["witness"]["seq"]) == (True, sent["seq"])
    assert signed.ok("outbox", "show", sent["uid"], "--json").json["uid"] == sent["uid"]
    assert signed.chronos("audit", "checkpoint", "--to", "nobody").code == 4


def _witnessed(box: Box, *, wanted: int) -> list[Any]:
    """Let the engine work until it has sent so many heads, or for some twenty messages."""
    found: list[Any] = []
    for _ in range(20):
        box.ok("send", "box", "--text", "x", "--wait", "30s")
        found = box.ok("audit", "list", "--filter", "action:audit.witnessed", "--json").json["entries"]
        if len(found) >= wanted:
            break
    return found


def test_an_engine_signs_and_sends_by_itself_once_a_day(signed: Box) -> None:
    signed.configure(CONFIG)
    with signed.engine() as engine:
        first = _witnessed(signed, wanted=1)
        engine.stop()
    with signed.engine() as engine:
        assert _witnessed(signed, wanted=1) == first
        engine.stop()
    assert first[0]["detail"]["to"] == "box"
    assert first[0]["actor"] == "engine"
    checks = {one["name"]: one for one in signed.ok("health", "--json").json["checks"]}
    assert checks["audit_checkpoint"]["status"] == "ok"


def test_pruning_archives_what_is_old_and_the_archives_verify(signed: Box) -> None:
    for word in "abc":
        signed.send("--text", word)
    signed.ok("audit", "checkpoint")
    kept = signed.ok("audit", "prune", "--keep", "1d", "--json").json
    assert (kept["entries"], kept["files"], kept["first"]) == (0, [], None)
    said = signed.ok("audit", "prune", "--keep", "1ms", "--dry-run", "--json").json
    done = signed.ok("audit", "prune", "--keep", "1ms", "--json").json
    assert (said["last"], said["dry_run"], done["dry_run"]) == (done["last"], True, False)
    archive = signed.data_dir / "audit-archive" / done["files"][0]
    lines = gzip.decompress(archive.read_bytes()).splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [*range(1, done["last"] + 1), done["last"]]
    found = signed.ok("audit", "verify", "--archives", "--json").json
    assert (found["ok"], found["archives"]["ok"], found["archives"]["entries"]) == (True, True, done["last"])
    archive.unlink()
    assert signed.chronos("audit", "verify", "--archives").code == 3
    assert signed.chronos("audit", "prune").code == 2
