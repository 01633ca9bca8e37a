"""What the backups panel says, without a terminal: proof, room, progress, a backup in full, what a check found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chronos_tui.views import backupdetail, backups, backupsbox
from chronos_tui.views.spans import Document, Line, line_text, width
from engine.operations.backup.backups import Backup
from engine.operations.backup.backupstanding import Standing
from engine.operations.backup.drilling import Step, Verdict
from engine.operations.backup.retaining import Decision
from engine.operations.commanding import Command
from engine.rules.backups import Kind, Proof
from engine.store.copies import Copy

NOW_MS = 1_790_000_000_000
HOUR_MS = 3_600_000
HOSTILE = "\x1b]52;c;eA==\x07\x1b[2J\u202egpj.exe\n\r"


def backup(**changes: Any) -> Backup:
    facts: dict[str, Any] = {
        "id": 7,
        "folder": "/var/lib/chronos/backups",
        "name": "chronos-box-20261124T030000Z.zip",
        "kind": Kind.SCHEDULED,
        "taken_ms": NOW_MS - 3 * HOUR_MS,
        "took_ms": 4_200,
        "size": 5 * 1024 * 1024,
        "sha256": "ab" * 32,
        "archive_sha256": "ab" * 32,
        "encrypted": False,
        "manifest": {},
        "proof": Proof.PROVEN,
        "proof_detail": "",
        "proven_ms": NOW_MS - 3 * HOUR_MS,
        "drilled_ms": NOW_MS - 3 * HOUR_MS,
        "drill_took_ms": 2_000,
        "verified_ms": None,
        "verified_ok": None,
        "verified_word": "",
        "gone_ms": None,
        "copies": (),
    }
    return Backup(**{**facts, **changes})


def copy(**changes: Any) -> Copy:
    facts: dict[str, Any] = {
        "destination": "sftp://nas/backups",
        "state": "copied",
        "attempts": 1,
        "due_ms": NOW_MS,
        "copied_ms": NOW_MS - HOUR_MS,
        "verified_ms": NOW_MS - HOUR_MS,
        "detail": "",
    }
    return Copy(**{**facts, **changes})


def command(**changes: Any) -> Command:
    facts: dict[str, Any] = {
        "id": 3,
        "kind": "backup",
        "arguments": {},
        "actor": "cockpit:me",
        "asked_ms": NOW_MS,
        "expires_ms": NOW_MS + 30_000,
        "state": "running",
        "epoch": 1,
        "started_ms": NOW_MS,
        "finished_ms": None,
        "stage": "packing the database",
        "done": 45,
        "total": 100,
        "cancel_requested": False,
        "result": None,
        "error": "",
        "error_kind": "",
    }
    return Command(**{**facts, **changes})


STANDING = Standing(
    folder="/var/lib/chronos/backups",
    free_bytes=12 * 1024**3,
    next_ms=NOW_MS + 5 * HOUR_MS,
    proven_ms=NOW_MS - 3 * HOUR_MS,
    newest_ms=NOW_MS - 3 * HOUR_MS,
    newest_proof="proven",
    newest_detail="",
    count=4,
    size=20 * 1024 * 1024,
    copies_waiting=0,
    copies_failing=0,
    warning_ms=36 * HOUR_MS,
    critical_ms=96 * HOUR_MS,
    under_way=(),
    restored=None,
)


def text(document: Document) -> str:
    return "\n".join(line_text(line) for line in document)


def words(line: Line) -> str:
    return line_text(line)


# The list


@pytest.mark.parametrize(
    ("changes", "shown", "role"),
    [
        ({}, "✓ proven", "ok"),
        ({"proof": Proof.UNPROVEN, "proof_detail": "the vault is locked"}, "! unproven", "warning"),
        ({"proof": Proof.FAILED}, "✗ failed", "failed"),
        ({"verified_ok": False, "verified_word": "sums differ"}, "✗ damaged", "failed"),
        ({"gone_ms": NOW_MS}, "✗ gone", "failed"),
    ],
)
def test_the_proof_is_said_by_symbol_word_and_role(changes: dict[str, Any], shown: str, role: str) -> None:
    found = backups.row(backup(**changes), NOW_MS)[0]
    assert (found.text, found.role) == (shown, role)


def test_a_row_says_age_size_kind_copies_and_encryption() -> None:
    one = backup(encrypted=True, copies=(copy(), copy(state="waiting", attempts=0, copied_ms=None)))
    assert [span.text for span in backups.row(one, NOW_MS)][2:7] == ["3 h", "5 MiB", "scheduled", "1/2", "encrypted"]
    assert backups.row(backup(copies=(copy(), copy())), NOW_MS)[5] == ("2/2", "ok")
    assert backups.row(backup(copies=(copy(state="failed"),)), NOW_MS)[5] == ("✗ 0/1", "failed")
    assert backups.row(backup(copies=(copy(state="waiting", attempts=3),)), NOW_MS)[5].role == "failed"


def test_what_is_wrong_with_the_newest_or_the_copies_stands_in_the_tabs() -> None:
    good = backup()
    assert backups.badge([good]) == ("", "")
    assert backups.badge([backup(proof=Proof.FAILED), good]) == ("failed", "failed")
    assert backups.badge([good, backup(proof=Proof.FAILED)]) == ("", ""), "an old one has a successor"
    assert backups.badge([backup(copies=(copy(state="failed"),))]) == ("1 copy failing", "failed")


# How it stands


def test_the_line_above_the_list_says_what_matters_most_first() -> None:
    full = words(backups.line(STANDING, NOW_MS, 200))
    assert "✓ last proven restore 3 h ago" in full
    assert "12 GiB free" in full
    assert "/var/lib/chronos/backups" in full
    assert "next " in full
    for cells in (80, 60, 40):
        narrow = backups.line(STANDING, NOW_MS, cells)
        assert width(narrow) <= cells
        assert "last proven restore" in words(narrow)


@pytest.mark.parametrize(
    ("hours", "symbol", "role"), [(1, "✓", "ok"), (36, "✓", "ok"), (37, "!", "warning"), (97, "✗", "failed")]
)
def test_the_age_of_the_last_proof_is_judged_by_the_configuration(hours: int, symbol: str, role: str) -> None:
    found = backups.last_proven(replace(STANDING, proven_ms=NOW_MS - hours * HOUR_MS), NOW_MS)
    assert found.text.startswith(symbol)
    assert found.role == role


def test_what_is_missing_is_said() -> None:
    bare = replace(STANDING, proven_ms=None, next_ms=None, free_bytes=None, copies_failing=2)
    shown = words(backups.line(bare, NOW_MS, 200))
    for said in ("no proven restore yet", "none is scheduled", "the folder cannot be read", "copies failing: 2"):
        assert said in shown


def test_the_overview_says_what_to_do_where_there_is_none_yet() -> None:
    none = replace(STANDING, count=0, size=0, proven_ms=None, newest_ms=None)
    shown = "\n".join(words(item.spans) for item in backupsbox.items(none, NOW_MS, 60))
    assert "No backup yet. 4 b makes one." in shown


def test_the_overview_says_proof_newest_copies_next_and_what_runs() -> None:
    busy = replace(
        STANDING,
        newest_proof="unproven",
        newest_detail="the vault is locked",
        copies_failing=1,
        copies_waiting=2,
        under_way=(command(),),
    )
    items = backupsbox.items(busy, NOW_MS, 100)
    shown = "\n".join(words(item.spans) for item in items)
    for said in (
        "last proven restore",
        "backing up",
        "45 %",
        "not proven: the vault is locked",
        "failing: 1",
        "2 copies",
    ):
        assert said in shown
    assert {item.panel for item in items} == {"backups"}
    assert all(width(item.spans) <= 58 for item in backupsbox.items(busy, NOW_MS, 60))


# What is under way


def test_an_act_says_stage_percent_and_bar_in_any_width() -> None:
    for cells in (60, 80, 200):
        line = backups.under_way(command(), cells)
        assert width(line) <= cells
        assert "backing up · packing the database" in words(line)
        assert "45 %" in words(line)
        assert "█" in words(line)


def test_an_act_that_waits_or_ends_says_so() -> None:
    assert "waits for the engine" in words(backups.under_way(command(state="waiting"), 80))
    ending = words(backups.under_way(command(cancel_requested=True), 80))
    assert "it ends at its next step" in ending
    assert "x cancels" not in ending
    assert "x cancels" not in words(backups.under_way(command(), 80, keys=False))


@pytest.mark.parametrize("total", [0, -1])
def test_a_stage_without_a_total_shows_no_bar(total: int) -> None:
    assert words(backups.progress("draining", 3, total, 60)) == "draining …"


def test_more_done_than_there_was_stays_in_the_bar() -> None:
    assert "100 %" in words(backups.progress("copying", 900, 100, 60))


def test_what_came_of_it_is_one_sentence() -> None:
    done = {"name": "chronos-box.zip", "proof": "proven", "took_ms": 3000}
    assert backups.outcome(command(state="done", result=done)) == (
        "chronos-box.zip: made in 3 s, proven by a trial restore",
        "ok",
    )
    assert backups.outcome(command(state="done", result={**done, "proof": "unproven"}))[1] == "warning"
    assert backups.outcome(command(state="failed", error="disk full")) == ("backing up: disk full", "failed")
    assert "nothing is left behind" in backups.outcome(command(state="cancelled"))[0]
    assert backups.outcome(command(kind="restore", state="expired"))[1] == "failed"


# One in full

MANIFEST = {
    "instance": "box",
    "chronos": "0.5.0",
    "sqlite": "3.45.1",
    "schema": 3,
    "counts": {"queued": 12, "dead": 0, "delivered": 1204},
    "rows": {"messages": 1216},
    "audit": {"seq": 4711, "hash": "cd" * 32, "pruned": 0, "checkpoint": {"seq": 4700}},
    "vault": {"vault_id": "v", "root_id": "r1", "key_version": 2},
    "members": {"chronos.db": {"size": 4096, "sha256": "ef" * 32}},
    "signature": {"algorithm": "ed25519", "key": "12" * 32, "value": "00"},
}


def test_a_backup_in_full_says_everything() -> None:
    shown = text(backupdetail.document(backup(manifest=MANIFEST, copies=(copy(),)), NOW_MS))
    for said in (
        "✓ proven",
        "took 2 s",
        "not since it was made",
        "12 queued, 1 204 delivered",
        "entry 4 711",
        "signed up to entry 4 700",
        "ed25519, key 1212121212121212…",
        "chronos.db",
        "4 KiB",
        "sftp://nas/backups",
        "read back 1 h ago",
    ):
        assert said in shown


def test_a_backup_without_copies_or_manifest_says_what_to_do() -> None:
    shown = text(backupdetail.document(backup(drilled_ms=None), NOW_MS))
    assert "backup.copy_to says where to" in shown
    assert "v reads the file" in shown
    assert "never; d restores it" in shown


@pytest.mark.parametrize(
    "manifest",
    [
        {"counts": 3, "members": [1], "audit": "x", "signature": None, "vault": 7},
        {"counts": {HOSTILE: 3}, "members": {HOSTILE: {"size": "no", "sha256": None}}, "instance": HOSTILE},
        {"members": {"a": 1}, "audit": {"seq": HOSTILE, "checkpoint": []}, "signature": {"key": 5}},
    ],
)
def test_a_manifest_of_others_is_shown_whatever_it_says(manifest: dict[str, Any]) -> None:
    one = backup(manifest=manifest, name=HOSTILE, proof_detail=HOSTILE, copies=(copy(detail=HOSTILE),), folder=HOSTILE)
    shown = text(backupdetail.document(one, NOW_MS)) + "".join(span.text for span in backups.row(one, NOW_MS))
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert "\x1b" not in shown


# Checks


def verdict(*steps: Step, proof: Proof = Proof.PROVEN) -> Verdict:
    ok = all(step.ok is not False for step in steps)
    return Verdict("/b/chronos-box.zip", ok, proof, steps, 2_500, None, "confirmed")


def test_a_drill_that_went_well_is_told_step_by_step() -> None:
    found = verdict(Step("sums", True, "5 members", 10), Step("integrity", True, "", 1_800))
    shown = text(backupdetail.verdict(found, drilled=True))
    assert "restored for a trial, and everything in it is right" in shown
    assert shown.index("sums") < shown.index("5 members") < shown.index("integrity")
    assert backupdetail.verdict_words(found, drilled=True) == ("chronos-box.zip: proven", "ok")


def test_a_verification_does_not_claim_a_restore() -> None:
    found = verdict(Step("sums", True, "", 10))
    assert "restored for a trial" not in text(backupdetail.verdict(found, drilled=False))
    unproven = verdict(Step("sums", True, "", 10), proof=Proof.UNPROVEN)
    assert "A drill (d) proves" in text(backupdetail.verdict(unproven, drilled=False))


def test_what_failed_or_could_not_be_made_is_said_first() -> None:
    bad = verdict(Step("sums", False, "chronos.db: damaged", 10), proof=Proof.FAILED)
    assert words(backupdetail.verdict(bad, drilled=True)[0]) == "✗ It cannot be relied on. chronos.db: damaged"
    assert backupdetail.verdict_words(bad, drilled=False)[1] == "failed"
    locked = verdict(Step("sums", True, "", 1), Step("secrets", None, "the vault is locked", 0), proof=Proof.UNPROVEN)
    shown = text(backupdetail.verdict(locked, drilled=True))
    assert shown.startswith("! Not everything could be looked at. the vault is locked")
    assert "could not be made: the vault is locked" in shown
    own = verdict(Step("audit", False, "entry 3 was changed", 1), proof=Proof.UNPROVEN)
    assert "the database was like that" in words(backupdetail.verdict(own, drilled=True)[0])


# Retention


def test_what_goes_is_shown_with_its_reason_before() -> None:
    found = [
        Decision(backup(), keep=True, reason="daily 1"),
        Decision(backup(name="old.zip"), keep=False, reason="no rule"),
    ]
    question = backups.pruning(found, NOW_MS)
    assert question.typed == "1"
    assert "1 of 2 backups go, 5 MiB." in text(question.lines)
    assert "old.zip" in text(question.lines)
    assert backups.pruned(found) == "1 removed, 5 MiB free again"
    assert backups.pruned(found[:1]) == "retention keeps all of them: nothing goes"


def test_many_that_go_are_counted() -> None:
    found = [Decision(backup(name=f"{at}.zip"), keep=False, reason="") for at in range(20)]
    question = backups.pruning(found, NOW_MS)
    assert "and 12 more" in text(question.lines)
    assert all(width(line) <= 76 for line in question.lines)
