"""Audit entries as rows, as words, in full; the title; how far a verification is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chronos_tui.views import audit, auditwords
from chronos_tui.views.audit import Heading, Verified
from chronos_tui.views.spans import line_text, width
from engine.operations.auditing import Entry
from engine.operations.witnessing import Sent, Signing
from engine.rules.checkpoints import Checkpoint
from engine.rules.durations import rfc3339
from tests.support import START_MS
from tests.tui.cockpit import MINUTE_MS, in_utc

UID = "msg_" + "0a" * 16
HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\u202e[@click=app.quit]x[/]\r\nnext\u200b"


def entry(action: str = "message.queued", subject: str = UID, detail: Any = None, **changes: Any) -> Entry:
    """Return an entry as the engine hands it out."""
    fields: dict[str, Any] = {"seq": 812, "at": rfc3339(START_MS), "actor": "cli:root", "prev": "0" * 64} | changes
    fields |= {"action": action, "subject": subject, "detail": {} if detail is None else detail}
    body = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Entry(**{"hash": "ab" * 32, "body": body} | fields)


@pytest.mark.parametrize(
    ("action", "detail", "words"),
    [
        ("message.queued", {"id": 8, "target": "ops", "sha256": "ab", "key": "cron-1"}, "to ops, key cron-1"),
        (
            "message.dead",
            {"id": 3, "target": "ops", "attempt": 16, "reason": "tried often enough", "last": "535 no"},
            "to ops, try 16: tried often enough; 535 no",
        ),
        ("message.settled", {"id": 3, "before": "uncertain", "as": "dead"}, "was uncertain, as dead"),
        ("message.cancelled", {"id": 3, "before": "sending", "requested": True}, "if it can still be stopped"),
        ("message.rerouted", {"id": 3, "from": "a", "to": "b", "reason": "late"}, "from a, to b: late"),
        ("bulk.retry", {"count": 37, "filter": "state:dead", "ids": [1, 2]}, "37 messages, state:dead"),
        ("bulk.hold", {"count": 2, "filter": "", "ids": [1, 2]}, "2 messages, chosen one by one"),
        ("bulk.undo", {"action": "cancel"}, "cancel taken back"),
        ("hold.started", {"until": rfc3339(START_MS), "reason": "disk"}, "until 2026-09-21 14:13:20 UTC: disk"),
        ("hold.ended", {"reason": "its time is over"}, "its time is over"),
        ("target.breaker_opened", {"probe_at": rfc3339(START_MS), "reason": "refused"}, "next probe 2026-09-21"),
        ("target.disabled", {"reason": "410 gone", "by": UID}, "reason 410 gone"),
        ("config.loaded", {"targets": 3, "sha256": "0123456789abcdef"}, "3 targets, digest 0123456789ab"),
        ("engine.started", {"mode": "cockpit", "pid": 12, "config_sha256": "ab"}, "cockpit, pid 12"),
        ("clock.set_back", {"back_ms": 7_200_000}, "by 2 h"),
        ("backup.made", {"bytes": 12, "names": ["a", "b"]}, 'bytes 12, names ["a", "b"]'),
        ("hold.started", {"until": ["never"]}, 'until ["never"]'),
    ],
)
def test_a_detail_is_said_in_words(action: str, detail: dict[str, Any], words: str) -> None:
    with in_utc():
        assert words in auditwords.words(entry(action, detail=detail))


def test_a_row_is_coarse_where_it_is_narrow_and_exact_where_it_is_wide() -> None:
    one = entry(detail={"id": 8, "target": "ops"})
    with in_utc():
        narrow = [cell.text for cell in audit.cells(one, START_MS + 5 * MINUTE_MS, wide=False)]
        wide = [cell.text for cell in audit.cells(one, START_MS + 5 * MINUTE_MS, wide=True)]

    assert narrow == ["", "812", "5 min", "cli:root", "message.queued", "#8", "to ops"]
    assert wide == ["low", "812", "2026-09-21 14:13:20", "cli:root", "message.queued", f"#8 {UID}", "to ops"]


@pytest.mark.parametrize(
    ("one", "mark", "word"),
    [
        (entry(), "", "low"),
        (entry("key.created", detail={"scopes": ["send"]}), "·", "· medium"),
        (entry("key.created", detail={"scopes": ["admin"]}), "!", "! high"),
        (entry("incident.opened", detail={"severity": "critical"}), "✗", "✗ critical"),
    ],
)
def test_the_risk_is_a_mark_or_a_word_and_its_rule_is_told(one: Entry, mark: str, word: str) -> None:
    assert audit.cells(one, START_MS, wide=False)[0].text == mark
    assert audit.cells(one, START_MS, wide=True)[0].text == word
    assert f"risk      {word}: {one.risk.reason}" in [line_text(line) for line in audit.document(one)]


NEWEST = Checkpoint(812, "ab" * 32, rfc3339(START_MS - 3 * 60 * MINUTE_MS), "cd" * 32, "sig", "box")
SENT = Sent(START_MS - 5 * 60 * MINUTE_MS, 800, "me", UID)


@pytest.mark.parametrize(
    ("signing", "words"),
    [
        (
            Signing(NEWEST, 12, 3 * 60 * MINUTE_MS, SENT, "me", vault=True),
            "✓ signed up to 812, 3 h ago, 12 entries since; witnessed 5 h ago to me",
        ),
        (
            Signing(NEWEST, 1, 60 * MINUTE_MS, None, "me", vault=True),
            "✓ signed up to 812, 1 h ago, 1 entry since; not yet witnessed to me",
        ),
        (
            Signing(NEWEST, 0, 0, None, "", vault=True),
            "✓ signed up to 812, just now, 0 entries since; nobody else knows the head: W sends it",
        ),
        (Signing(None, 9, None, None, "", vault=True), "no checkpoint: the engine makes one soon; c makes one now"),
        (Signing(None, 9, None, None, "", vault=False), "no checkpoint: there is no vault to sign with; 7 v makes one"),
    ],
)
def test_one_line_says_how_far_the_log_is_signed(signing: Signing, words: str) -> None:
    assert line_text(audit.signing(signing, START_MS, 120)).strip() == words
    assert width(audit.signing(signing, START_MS, 80)) <= 80


def test_a_row_stays_the_same_within_a_minute() -> None:
    one = entry(at=rfc3339(START_MS - 10 * MINUTE_MS))

    assert audit.cells(one, START_MS, wide=False) == audit.cells(one, START_MS + 59_000, wide=False)
    assert audit.cells(one, START_MS, wide=False) != audit.cells(one, START_MS + 60_000, wide=False)


def test_the_bad_entry_is_marked_by_a_symbol_too() -> None:
    assert audit.cells(entry(), START_MS, wide=False, bad_seq=812)[1] == ("✗ 812", "failed")
    assert audit.cells(entry(), START_MS, wide=False, bad_seq=811)[1] == ("812", "dim")


@pytest.mark.parametrize(
    "one",
    [
        entry(actor=HOSTILE, action=HOSTILE, subject=HOSTILE, detail={HOSTILE: HOSTILE, "deep": [{"a": HOSTILE}]}),
        entry("hold.started", detail={"until": HOSTILE, "reason": HOSTILE}),
        entry("message.dead", detail={"id": HOSTILE, "last": HOSTILE, "target": {"x": HOSTILE}}),
        entry("bulk.retry", detail={"count": HOSTILE, "filter": HOSTILE}),
        entry(at=HOSTILE, prev=HOSTILE, hash=HOSTILE),
        entry(detail="a text where an object should be" + HOSTILE),
        entry(detail={"long": "x" * 2_000_000, "more": "e\u0301" + "\u0301" * 500}),
    ],
)
def test_nothing_of_what_others_said_steers_the_terminal(one: Entry) -> None:
    lines = [cell.text for cell in audit.cells(one, START_MS, wide=True)]
    lines += [line_text(line) for line in audit.document(one)]
    lines.append(line_text(audit.title(Heading(HOSTILE, 1, HOSTILE, Verified(1, 1, 1, HOSTILE), 0, HOSTILE), 1, 80)))

    for line in lines:
        assert line.isprintable(), line
        assert not {"\u202e", "\u200b"} & set(line)
    assert sum(map(len, lines)) < 300_000


def test_an_entry_in_full_has_every_field_and_what_was_hashed() -> None:
    one = entry("bulk.retry", "bulk:3", {"count": 2, "ids": [4, 5], "rows": [{"id": 4}, {"id": 5}], "note": "a\nb"})
    with in_utc():
        text = "\n".join(line_text(line) for line in audit.document(one))

    for part in ("812", "2026-09-21 14:13:20 UTC", "cli:root", "bulk.retry", "bulk:3", "ab" * 32, "0" * 64, one.body):
        assert part in text
    assert "  ids  [4, 5]" in text
    assert "  rows\n    1\n      id  4\n    2\n      id  5" in text
    assert "  note  a\n    b" in text


def test_an_entry_nested_without_end_is_shown_as_far_as_anybody_reads() -> None:
    deep: Any = "end"
    for _ in range(90):
        deep = {"in": deep}

    assert len(audit.document(entry("a.b", detail={"deep": deep}))) < 80


@pytest.mark.parametrize(
    ("one", "uid"),
    [
        (entry(), UID),
        (entry("target.disabled", "ops", {"by": UID}), UID),
        (entry("hold.started", "hold:all", {"by": "me"}), ""),
        (entry("x", "msg_zz"), ""),
        (entry("x", "y", "no object"), ""),
    ],
)
def test_an_entry_speaks_of_a_message_or_of_none(one: Entry, uid: str) -> None:
    assert audit.speaks_of(one) == uid


@pytest.mark.parametrize("cells", [40, 80, 120, 200])
@pytest.mark.parametrize(
    "verified", [None, Verified(START_MS, 4213), Verified(START_MS, 811, 812, "entry 812 was changed")]
)
def test_the_title_fits_and_never_loses_the_verdict(cells: int, verified: Verified | None) -> None:
    heading = Heading("action:hold", 1_204_331, "5f3a9c1e" * 8, verified)
    with in_utc():
        line = audit.title(heading, START_MS + MINUTE_MS, cells)
    text = line_text(line)

    assert width(line) == cells or (cells == 40 and verified)
    assert "action:hold" in text
    if verified is not None:
        assert ("✗ entry 812" if verified.bad_seq else "✓ verified 14:13:20") in text
    if cells >= 120:
        assert "head 1 204 331 5f3a9c1e" in text
        assert verified is None or verified.bad_seq or "4 213 entries" in text


def test_the_title_says_what_came_above_and_how_far_a_search_is() -> None:
    assert "3 newer above" in line_text(audit.title(Heading(newer=3), START_MS, 80))
    assert "back to 812" in line_text(audit.title(Heading(newer=3, note="searching… back to 812"), START_MS, 80))


def test_progress_is_a_number_and_a_bar() -> None:
    text = line_text(audit.progress("verifying", 600_000, 1_200_000, 80))

    assert "600 000 of 1 200 000" in text
    assert "█" * 10 + "░" * 10 in text
    assert "50 %" in text
    assert "esc cancels" in text
    assert width(audit.progress("verifying", 600_000, 1_200_000, 60)) <= 60
    assert "0 %" in line_text(audit.progress("verifying", 0, 0, 80))


@pytest.mark.parametrize(
    ("expression", "since_ms", "moves"),
    [
        ("", None, False),
        ("action:hold", None, False),
        ("since:2h", START_MS - 7_200_000, True),
        ("age<30m action:hold", START_MS - 1_800_000, True),
        ("age>30m", None, True),
        ("-since:2h", None, True),
        ("since:2026-09-21", START_MS - START_MS % 86_400_000, False),
        ("since:2026-09-21 age<=1h", START_MS - 3_600_000, True),
    ],
)
def test_an_export_begins_where_the_filter_does(expression: str, since_ms: int | None, moves: bool) -> None:
    assert audit.since_ms(expression, START_MS) == since_ms
    assert audit.moves_with_time(expression) is moves
