"""A restore in lines for people: what is told of a plan and of a result, and that no word of an archive is obeyed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chronos_tui.commands import planning
from chronos_tui.commands.output import Painted, Part, make
from engine.operations.backup import archiveshapes
from engine.operations.restore.restoring import HeldMessage, KeyChange, Plan, SecretChange, TableChange

HOSTILE = "a\x1b]0;owned\x07\n\u202eb"


def plan(**changes: Any) -> Plan:
    given = {
        "archive": "chronos-box-20261124T030000Z.zip",
        "taken_ms": 1_795_489_200_000,
        "age_ms": 7_200_000,
        "instance": "box",
        "relation": "continues",
        "authenticity": "confirmed",
        "schema": 3,
        "tables": (TableChange("messages", 5, 3, 6), TableChange("holds", 1, 1, 1)),
        "states": {"queued": (2, 3, 0), "held": (0, 0, 5), "dead": (0, 0, 0)},
        "held": (),
        "held_total": 0,
        "would_resend": 0,
        "secrets": (),
        "keys": (),
        "audit_carried": 0,
        "audit_note": "it stays",
        "config": "same",
        "warnings": (),
        "needs_bytes": 1_000,
        "sha256": "0" * 64,
    }
    return Plan(**{**given, **changes})


def held(n: int, **changes: Any) -> tuple[HeldMessage, ...]:
    one = HeldMessage("msg_1", 1, "ops", "a subject", "queued", "held", "restored: was queued")
    return tuple(one._replace(uid=f"msg_{number}", **changes) for number in range(n))


def words(lines: Iterable[tuple[Part, ...]]) -> str:
    return "\n".join("".join(part.text if isinstance(part, Painted) else part for part in line) for line in lines)


def test_what_changes_is_told_and_nothing_else() -> None:
    told = words(planning.plan_lines(plan()))
    assert "2 h ago, on box" in told
    assert "by a key of this installation" in told
    assert "queued" in told
    assert "dead" not in told
    assert "messages" in told
    assert "holds" not in told
    assert "0 messages will wait until you release them" in told


def test_secrets_keys_warnings_and_repeats_are_named() -> None:
    told = words(
        planning.plan_lines(
            plan(
                secrets=(SecretChange("smtp", "comes back"),),
                keys=(KeyChange("00aa", "n8n", "revoked since; stays so"),),
                warnings=("the clock was wrong",),
                would_resend=12,
                authenticity="unknown_key",
                audit_carried=1,
            )
        )
    )
    assert "smtp: comes back" in told
    assert "00aa (n8n): revoked since; stays so" in told
    assert "the clock was wrong" in told
    assert "12 messages that waited in the backup and went out since: not sent again" in told
    assert "a key that is not known here" in told
    assert "1 entry made since; it stays" in told


def test_many_held_messages_are_counted_and_the_first_are_named() -> None:
    told = words(planning.plan_lines(plan(held=held(100), held_total=5_000)))
    assert told.count("restored: was queued") == 20
    assert "and 4980 more" in told
    assert "more" not in words(planning.plan_lines(plan(held=held(20), held_total=20)))


def test_each_front_end_says_how_the_configuration_comes_along() -> None:
    assert "stays; --with-configuration puts the" in words(planning.plan_lines(plan(config="differs")))
    assert "stays; c puts the backup's" in words(planning.plan_lines(plan(config="differs"), configure="c"))


def test_a_result_says_how_to_go_on() -> None:
    done = {
        "archive": "x.zip", "safety_backup": "s.zip", "held": [], "held_total": 0, "tag": "restored-20261124T090000Z",
        "audit_entries_carried": 2, "epoch": 7, "took_ms": 900, "notes": ["old files lie in damaged-1"],
    }  # fmt: skip
    told = words(planning.done_lines(done))
    assert "chronos restore apply s.zip" in told
    assert "old files lie in damaged-1" in told
    assert "to release" not in told
    some = [archiveshapes.restore_plan_shape(plan(held=held(1)))["held"][0]]
    told = words(planning.done_lines({**done, "held": some, "held_total": 1, "safety_backup": None}))
    assert "chronos outbox release --filter 'tag:restored-20261124T090000Z'" in told
    assert "undo" not in told


def test_no_word_of_an_archive_reaches_a_terminal_as_it_is(capsys: Any) -> None:
    hostile = plan(
        archive=HOSTILE, instance=HOSTILE, relation=HOSTILE, authenticity=HOSTILE, audit_note=HOSTILE, config=HOSTILE,
    sha256="0" * 64,
        warnings=(HOSTILE,), tables=(TableChange(HOSTILE, 1, 2, 3),), states={HOSTILE: (1, 2, 3)},
        held=held(1, target=HOSTILE, subject=HOSTILE, reason=HOSTILE), held_total=1,
        secrets=(SecretChange(HOSTILE, HOSTILE),), keys=(KeyChange(HOSTILE, HOSTILE, HOSTILE),),
    )  # fmt: skip
    out = make(as_json=False, jsonl=False, quiet=False, no_color=False, env={})
    lines = list(planning.plan_lines(hostile))
    for line in lines:
        out.line(*line)
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == len(lines)
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
