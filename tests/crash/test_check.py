"""The checker finds what is planted: bugs in copies of a good result, and defects in a living engine."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.crash.check import MIGRATIONS
from tests.crash.check import main as check_main
from tests.crash.loop import Plan, Result, check, run
from tests.crash.site import REPOSITORY, SECRET, Site

Spoil = Callable[["Copy"], None]


class Copy:
    """A copy of a good run, and the means to spoil it."""

    def __init__(self, root: Path) -> None:
        self.site = Site(root)
        self.data = self.site.data

    def sql(self, statement: str, *values: object, guarded: bool = False) -> list[Any]:
        """Run one statement; without `guarded` the triggers and foreign keys that forbid it are out of the way."""
        with closing(sqlite3.connect(self.site.database, isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            dropped = (
                [] if guarded else connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            )
            triggers = list(dropped)
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            rows = connection.execute(statement, values).fetchall()
            for _, sql in triggers:
                connection.execute(sql)
            return rows

    def one(self) -> int:
        """Return the id of some delivered message."""
        return int(self.sql("SELECT id FROM messages WHERE state = 'delivered' ORDER BY id LIMIT 1")[0][0])

    def sink_lines(self, change: Callable[[list[dict[str, Any]]], None]) -> None:
        path = self.site.root / "sink-http.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        change(lines)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def delete_acknowledged(copy: Copy) -> None:
    message_id = copy.one()
    copy.sql("DELETE FROM messages WHERE id = ?", message_id)


def cheat_a_receipt_away(copy: Copy) -> None:
    uid = next(line["id"] for line in _lines(copy) if line["outcome"] == "accepted")
    copy.sink_lines(lambda lines: lines.__setitem__(slice(None), [line for line in lines if line["id"] != uid]))


def call_a_refusal_delivered(copy: Copy) -> None:
    copy.sql("UPDATE attempts SET outcome = 'delivered', next_ms = NULL WHERE outcome = 'not_sent'")


def drop_an_attempt(copy: Copy) -> None:
    message_id = copy.sql("SELECT id FROM messages WHERE attempts > 1 LIMIT 1")[0][0]
    copy.sql("DELETE FROM attempts WHERE message_id = ? AND attempt_no = 1", message_id)


def receive_under_another_identity(copy: Copy) -> None:
    copy.sink_lines(lambda lines: lines.append({**lines[0], "id": "msg_" + "0" * 32}))


def receive_twice(copy: Copy) -> None:
    once = next(line for line in _lines(copy) if line["outcome"] == "accepted")
    copy.sink_lines(lambda lines: lines.append({**once, "at_ms": once["at_ms"] + 1}))


def receive_before_the_attempt(copy: Copy) -> None:
    copy.sink_lines(lambda lines: lines[0].update(at_ms=lines[0]["at_ms"] - 60_000))


def receive_other_bytes(copy: Copy) -> None:
    twice = next(line for line in _lines(copy) if sum(one["id"] == line["id"] for one in _lines(copy)) > 1)
    copy.sink_lines(lambda lines: next(one for one in lines if one["id"] == twice["id"]).update(sha256="0" * 64))


def rewrite_an_audit_entry(copy: Copy) -> None:
    copy.sql('UPDATE audit SET body = replace(body, \'"actor":"engine"\', \'"actor":"engina"\') WHERE seq = 3')
    copy.sql("UPDATE audit SET body = replace(body, 'producer', 'producet') WHERE seq = 3")


def cut_the_audit_log(copy: Copy) -> None:
    copy.sql("DELETE FROM audit WHERE seq > (SELECT max(seq) - 3 FROM audit)")


def take_an_audit_entry_out(copy: Copy) -> None:
    copy.sql("DELETE FROM audit WHERE seq = 10")


def go_on_without_an_audit_entry(copy: Copy) -> None:
    copy.sql("UPDATE messages SET state = 'dead' WHERE id = ?", copy.one())


def leave_an_orphan(copy: Copy) -> None:
    message_id = copy.one()
    statement = "UPDATE messages SET state = 'sending', lease_until_ms = 1, lease_epoch = 1, finished_ms = NULL"
    copy.sql(f"{statement} WHERE id = ?", message_id)


def leave_an_attempt_open(copy: Copy) -> None:
    copy.sql("UPDATE attempts SET outcome = NULL, finished_ms = NULL WHERE message_id = ?", copy.one())


def break_a_foreign_key(copy: Copy) -> None:
    copy.sql("INSERT INTO tags (tag, message_id) VALUES ('stray', 999999)")


def lose_a_body(copy: Copy) -> None:
    copy.sql("DELETE FROM bodies WHERE message_id = ?", copy.one())


def damage_a_page(copy: Copy) -> None:
    copy.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    root_page = copy.sql("SELECT rootpage FROM sqlite_master WHERE name = 'messages_uid'")[0][0]
    with copy.site.database.open("r+b") as file:
        file.seek((root_page - 1) * 4096 + 4000)
        file.write(b"\xff" * 90)


def change_the_schema(copy: Copy) -> None:
    copy.sql("DROP TRIGGER audit_is_append_only_update", guarded=True)


def count_wrong(copy: Copy) -> None:
    copy.sql("UPDATE counts SET n = n + 1 WHERE name = 'delivered'")


def open_a_file(copy: Copy) -> None:
    (copy.data / "engine.lock").chmod(0o644)


def leave_a_temporary(copy: Copy) -> None:
    (copy.data / ".config.cache.json.4711.abcd.tmp").touch()


def write_elsewhere(copy: Copy) -> None:
    (copy.site.root / "tmp" / "spool").touch()


def break_the_marker(copy: Copy) -> None:
    (copy.data / "DEGRADED").touch()


def retry_too_soon(copy: Copy) -> None:
    statement = "SELECT message_id, attempt_no, finished_ms FROM attempts WHERE outcome = 'not_sent' LIMIT 1"
    message_id, number, finished_ms = copy.sql(statement)[0]
    copy.sql(
        "UPDATE attempts SET next_ms = ? WHERE message_id = ? AND attempt_no = ?", finished_ms + 1, message_id, number
    )


def hide_an_abandoned_attempt(copy: Copy) -> None:
    copy.sql("UPDATE attempts SET outcome = 'not_sent' WHERE outcome = 'abandoned'")


def abandon_without_a_death(copy: Copy) -> None:
    copy.sql("UPDATE attempts SET outcome = 'abandoned' WHERE outcome = 'not_sent'")


def reign_twice(copy: Copy) -> None:
    copy.sql("UPDATE attempts SET epoch = 1 WHERE epoch = (SELECT max(epoch) FROM attempts)")


def leak_a_secret(copy: Copy) -> None:
    (copy.data / "logs").mkdir(mode=0o700, exist_ok=True)
    (copy.data / "logs" / "chronos.jsonl").write_text(json.dumps({"url": SECRET}))


def leak_descriptors(copy: Copy) -> None:
    last = [json.loads(line) for line in copy.site.run_log.read_text().splitlines() if '"sample"' in line][-1]
    copy.site.log("sample", pid=last["pid"], threads=last["threads"], rss_kib=last["rss_kib"], fds=last["fds"] + 100)


def change_a_key(copy: Copy) -> None:
    copy.sql("UPDATE messages SET idempotency_key = 'other' WHERE id = ?", copy.one())


def _lines(copy: Copy) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (copy.site.root / "sink-http.jsonl").read_text().splitlines()]


PLANTED: list[tuple[Spoil, str]] = [
    (delete_acknowledged, "I1"),
    (change_a_key, "I1"),
    (leave_an_orphan, "I2"),
    (leave_an_attempt_open, "I2"),
    (drop_an_attempt, "I2"),
    (call_a_refusal_delivered, "I3"),
    (cheat_a_receipt_away, "I3"),
    (receive_under_another_identity, "I3"),
    (receive_before_the_attempt, "I3"),
    (receive_other_bytes, "I3"),
    (receive_twice, "I4"),
    (hide_an_abandoned_attempt, "I4"),
    (abandon_without_a_death, "I4"),
    (reign_twice, "I4"),
    (retry_too_soon, "I5"),
    (rewrite_an_audit_entry, "I6"),
    (cut_the_audit_log, "I6"),
    (take_an_audit_entry_out, "I6"),
    (go_on_without_an_audit_entry, "I6"),
    (break_a_foreign_key, "I7"),
    (lose_a_body, "I7"),
    (damage_a_page, "I7"),
    (change_the_schema, "I7"),
    (count_wrong, "I7"),
    (open_a_file, "I8"),
    (leave_a_temporary, "I8"),
    (write_elsewhere, "I8"),
    (break_the_marker, "I8"),
    (leak_descriptors, "I9"),
    (leak_a_secret, "I10"),
]


def test_a_good_result_has_no_violations(good: Result) -> None:
    assert good.violations == []
    assert len(good.evidence.acks) >= 60
    assert any(attempt["outcome"] == "abandoned" for all_ in good.evidence.attempts.values() for attempt in all_)


@pytest.mark.parametrize(("spoil", "invariant"), PLANTED, ids=[spoil.__name__ for spoil, _ in PLANTED])
def test_the_checker_finds_what_is_planted(
    good: Result, good_root: Path, tmp_path: Path, spoil: Spoil, invariant: str
) -> None:
    assert not good.violations
    root = tmp_path / "copy"
    shutil.copytree(good_root, root)
    log = (root / "run.jsonl").read_text().replace(str(good_root), str(root))
    (root / "run.jsonl").write_text(log)
    copy = Copy(root)
    assert check(copy.site)[1] == []

    spoil(copy)

    assert invariant in {violation.invariant for violation in check(copy.site)[1]}


DEFECTS = [
    ("forget-identity", "I3"),
    ("lease-for-ever", "I2"),
    ("deliver-nothing", "I3"),
    ("send-twice", "I3"),
    ("other-bytes", "I3"),
    ("hide-uncertainty", "I3"),
    ("no-backoff", "I5"),
    ("no-audit", "I6"),
]


@pytest.mark.parametrize(("defect", "invariant"), DEFECTS)
def test_the_checker_finds_an_engine_s_defect(tmp_path: Path, defect: str, invariant: str) -> None:
    calm = Plan(2, 60, 11, ("webhook",), life_s=0.4, slow_s=0.3, settle_s=4, breaker=False, program="child")
    plan = replace(calm, defect=defect)

    result = run(plan, tmp_path)

    assert invariant in {violation.invariant for violation in result.violations}


def test_the_script_names_the_violation_and_ends_with_1(good_root: Path, tmp_path: Path) -> None:
    acks = tmp_path / "acks"
    acks.write_text("msg_" + "f" * 32 + " key\n")
    words = [sys.executable, "-m", "tests.crash.check", str(good_root / "disk" / "data"), "--acks", str(acks)]

    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "I1 msg_" + "f" * 32 + ": acknowledged, but not in the database" in done.stdout


def test_the_script_ends_with_1_when_there_is_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_main([str(tmp_path)]) == 1
    assert "cannot be read" in capsys.readouterr().out


def test_the_checker_imports_nothing_of_the_engine() -> None:
    script = "import sys, tests.crash.check; print([name for name in sys.modules if name.startswith('engine')])"

    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
    assert MIGRATIONS.is_dir()
