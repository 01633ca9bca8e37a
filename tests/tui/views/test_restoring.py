"""What the restore wizard says: the plan in the command's words, what is held and why, what is asked, the result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chronos_tui.commands import planning
from chronos_tui.commands.output import Painted
from chronos_tui.views import restoring
from chronos_tui.views.spans import Document, line_text, width
from engine.operations.restore.restoring import HeldMessage, KeyChange, Plan, TableChange
from tests.tui.views.test_backups import HOSTILE, NOW_MS, command

PLAN = Plan(
    archive="/b/chronos-box-20261124T030000Z.zip",
    sha256="0" * 64,
    taken_ms=NOW_MS,
    age_ms=7_200_000,
    instance="box.example.org",
    relation="continues",
    authenticity="confirmed",
    schema=3,
    tables=(TableChange("messages", 60, 12, 62),),
    states={"queued": (50, 12, 0), "held": (0, 0, 52), "delivered": (500, 0, 500)},
    held=(
        HeldMessage("01J", 42, "mail", "Invoice", "queued", "held", "restored: was queued at 03:00"),
        HeldMessage("01K", 43, "hook", "", "sending", "held", "restored: was being sent; it may have arrived"),
    ),
    held_total=52,
    would_resend=500,
    secrets=(),
    keys=(KeyChange("ab12", "n8n", "stays revoked"),),
    audit_carried=700,
    audit_note="",
    config="differs",
    warnings=("the clock was set back",),
    needs_bytes=5 * 1024 * 1024,
)
DONE: dict[str, Any] = {
    "archive": "chronos-box-20261124T030000Z.zip",
    "safety_backup": "chronos-box-20261124T150000Z.zip",
    "held": [
        {
            "uid": "01J",
            "id": 42,
            "target": "mail",
            "subject": "Invoice",
            "was": "queued",
            "now": "held",
            "reason": "why",
        }
    ],
    "held_total": 3,
    "tag": "restored-20261124T150000Z",
    "audit_entries_carried": 700,
    "epoch": 9,
    "took_ms": 4_000,
    "notes": [],
    "plan": {},
}


def text(document: Document) -> str:
    return "\n".join(line_text(line) for line in document)


def test_the_plan_is_told_in_the_words_of_the_command() -> None:
    printed = [
        "".join(part.text if isinstance(part, Painted) else part for part in line)
        for line in planning.plan_lines(PLAN, configure="c")
    ]
    assert text(restoring.plan(PLAN)).splitlines() == printed
    assert any("500" in line for line in printed)
    assert any("stays revoked" in line for line in printed)


def test_the_configuration_comes_only_when_it_was_chosen() -> None:
    assert "yours are kept beside them" not in text(restoring.plan(PLAN))
    assert "yours are kept beside them" in text(restoring.plan(PLAN, with_configuration=True))


def test_what_is_held_is_told_one_by_one_with_its_reason() -> None:
    shown = text(restoring.held(restoring.held_of(PLAN), PLAN.held_total))
    assert "⏸ 52 messages are held" in shown
    assert "#42  mail  Invoice" in shown
    assert "it may have arrived" in shown
    assert "hook  no subject" in shown
    assert "and 50 more" in shown
    assert "Nothing is held" in text(restoring.held((), 0))


def test_the_question_says_age_held_warnings_and_the_undo_and_wants_the_name_of_this_box() -> None:
    found = restoring.question(PLAN, "here.example.org", with_configuration=False)
    assert found.typed == "here.example.org"
    shown = text(found.lines)
    for said in ("2 h old, of box.example.org", "52 messages will be held", "the clock was set back", "safety backup"):
        assert said in shown
    assert "The configuration becomes" not in shown
    assert "The configuration becomes" in text(restoring.question(PLAN, "x", with_configuration=True).lines)
    assert all(width(line) <= 76 for line in found.lines)


def test_the_result_lists_what_is_held_and_leads_there() -> None:
    shown = text(restoring.result(DONE))
    for said in (
        "restored",
        "chronos restore apply chronos-box-20261124T150000Z.zip",
        "#42  mail  Invoice",
        "and 2 more",
    ):
        assert said in shown
    assert restoring.outbox_place(DONE) == "tag:restored-20261124T150000Z"
    assert restoring.outbox_place({**DONE, "held_total": 0}) == ""


def test_a_restore_of_today_stands_in_one_line() -> None:
    ended = command(kind="restore", state="done", result=DONE, finished_ms=NOW_MS)
    assert "chronos-box-20261124T030000Z.zip: 3 held   o shows it" in line_text(restoring.last(ended, NOW_MS))
    assert "nothing held" in line_text(restoring.last(replace(ended, result={**DONE, "held_total": 0}), NOW_MS))
    assert restoring.last(replace(ended, result=None), NOW_MS) == ()


def test_nothing_of_an_archive_reaches_the_terminal_as_it_is() -> None:
    hostile = replace(
        PLAN,
        archive=HOSTILE,
        instance=HOSTILE,
        audit_note=HOSTILE,
        warnings=(HOSTILE,),
        held=(HeldMessage(HOSTILE, 1, HOSTILE, HOSTILE, HOSTILE, "held", HOSTILE),),
        keys=(KeyChange(HOSTILE, HOSTILE, HOSTILE),),
        tables=(TableChange(HOSTILE, 1, 2, 3),),
    )
    shown = [*restoring.plan(hostile), *restoring.question(hostile, HOSTILE, with_configuration=True).lines]
    shown += restoring.held(restoring.held_of(hostile), 1)
    shown += restoring.result(
        {**DONE, "archive": HOSTILE, "tag": HOSTILE, "notes": [HOSTILE], "safety_backup": HOSTILE}
    )
    assert all(char.isprintable() for line in shown for char in line_text(line))
