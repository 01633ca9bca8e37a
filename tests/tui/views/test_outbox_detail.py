"""One message as a text: what is true of it stands there, what is hostile in it does no harm, what is long is cut."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chronos_tui.views import detail as views
from chronos_tui.views.spans import Document, line_text
from engine.model import Attempt, Content, State
from engine.operations.reading import Detail
from engine.rules.explain import explain
from tests.tui.cockpit import in_utc
from tests.tui.views.test_outbox import HOSTILE, NOW_MS, message


def attempt(**changes: Any) -> Attempt:
    return Attempt(
        message_id=1042,
        attempt_no=1,
        target="me",
        epoch=1,
        started_ms=NOW_MS - 60_000,
        finished_ms=NOW_MS - 58_000,
        outcome="rejected",
        code="535",
        detail="auth failed",
        rule="refused for good",
        next_ms=None,
        accepted=(),
        refused=(),
    )._replace(**changes)


def document(
    body: views.Body | None = None,
    attempts: tuple[Attempt, ...] = (),
    tags: tuple[str, ...] = (),
    attachments: tuple[tuple[str, str, int], ...] = (),
    **changes: Any,
) -> Document:
    one = message(**changes)
    story = explain(one, attempts, NOW_MS, holds=(), breaker_words=None, order_blocker=None, route=None)
    with in_utc():
        return views.document(
            views.Facts(Detail(one, attempts, tags, attachments), story, body or views.Body()), NOW_MS
        )


def text(*args: Any, **changes: Any) -> str:
    return "\n".join(line_text(line) for line in document(*args, **changes))


def test_it_begins_with_what_it_is_and_what_to_do() -> None:
    lines = text(attempts=(attempt(),)).split("\n")
    assert lines[0] == "✗ dead  Backup failed"
    assert lines[1].startswith("Dead at ")
    assert lines[2] == "What to do: r retries it (once the receiver's objection is met)"


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"state": State.HELD}, "l releases it"),
        ({"state": State.QUEUED, "due_ms": NOW_MS + 60_000}, "r sends it now"),
        ({"state": State.QUEUED}, "the first line says whether an engine delivers here"),
        ({"state": State.CANCELLED}, "n sends a new one if it is still wanted"),
        ({"state": State.DELIVERED}, "nothing to do"),
    ],
)
def test_advice_names_keys_instead_of_commands(changes: dict[str, Any], advice: str) -> None:
    assert f"What to do: {advice}" in text(**changes)


@pytest.mark.parametrize("state", list(State))
def test_no_advice_sends_the_operator_to_a_shell_for_what_a_key_does(state: State) -> None:
    said = text(attempts=(attempt(),), state=state)
    assert "chronos outbox" not in said
    assert "chronos resume" not in said


def test_an_uncertain_one_is_settled_by_keys() -> None:
    advice = text(state=State.UNCERTAIN).split("\n")[2]
    assert "R resends it" in advice
    assert "x cancels it" in advice
    assert advice.endswith("A settles it as arrived, X as not arrived")


def test_the_story_has_local_times_and_names_their_zone_once() -> None:
    said = text(attempts=(attempt(),))
    assert "── Story (times in UTC)" in said
    assert "14:12:20  Try 1 to me: refused for good, “535 auth failed”" in said


def test_a_day_that_is_not_today_is_named() -> None:
    assert "2026-09-18 14:13:20  Queued" in text(created_ms=NOW_MS - 3 * 86_400_000)


def test_the_facts_name_who_queued_it_where_it_goes_and_its_keys() -> None:
    said = text(
        tags=("nightly", "backup"),
        idempotency_key="cron-1",
        collapse_key="disk",
        ordering_key="db",
        route="alerts",
        hop=1,
        template="weekly",
        cycle=2,
    )
    for words in (
        "#1042  msg_",
        "by cli:me",
        "me (email), step 2 of route alerts",
        "nightly backup",
        "cron-1",
        "disk",
        "db",
        "weekly",
        "16, round 2",
        "normal",
        "10 B",
    ):
        assert words in said, words


def test_each_try_has_the_receivers_words_and_who_took_it() -> None:
    tries = (
        attempt(outcome="not_sent", code="", detail="connection refused", rule="failure 1 of 16"),
        attempt(attempt_no=2, accepted=("a@example.org",), refused=(("b@example.org", "no such user"),)),
        attempt(attempt_no=3, outcome=None, finished_ms=None, code="", detail="", rule=""),
    )
    said = text(attempts=tries).partition("── Tries")[2]
    assert said.index("→ under way") < said.index("“535 auth failed”") < said.index("“connection refused”")
    assert "accepted a@example.org" in said
    assert "refused b@example.org: no such user" in said
    assert "in 2 s to me" in said


def test_hundreds_of_tries_and_recipients_are_cut_with_their_number() -> None:
    people = tuple(f"{n}@example.org" for n in range(50))
    tries = tuple(attempt(attempt_no=n, accepted=people if n == 100 else ()) for n in range(1, 101))
    said = text(attempts=tries)
    assert "and 70 before them" in said
    assert "and 30 more accepted" in said


def test_the_body_is_shown_as_text_html_as_source_data_laid_out() -> None:
    body = views.Body("Hello.\nBye.", "<b>Hello</b>", '{"a": [1, 2]}', (("X-Job", "backup"),))
    said = text(body)
    assert "── Text\nHello.\nBye." in said
    assert "── HTML, as source\n<b>Hello</b>" in said
    assert '── Data, laid out\n{\n  "a": [\n    1,\n    2\n  ]\n}' in said
    assert "── Headers\nX-Job: backup" in said


def test_attachments_are_named_with_their_sizes() -> None:
    assert "backup.log  text/plain, 2 KiB" in text(attachments=(("backup.log", "text/plain", 2048),))


def test_what_is_too_long_is_cut_with_a_note() -> None:
    said = text(views.Body(text="x" * 3_000_000))
    assert len(said) < 2 * views.BODY_CHARS
    assert "cut here, of 3 000 000 characters; E opens all of it" in said
    assert "cut here" not in text(views.Body(text="x" * (views.BODY_CHARS - 1)))


def test_tabs_that_make_it_too_long_are_cut_with_a_note_too() -> None:
    assert "cut here" in text(views.Body(text="\t" * (views.BODY_CHARS - 1)))


@pytest.mark.parametrize(
    "data",
    ["no json", "[" * 100_000, '"' + "x" * 300_000 + '"', "[" * 900 + "0," * 50_000 + "0" + "]" * 900],
    ids=["no json", "deep", "long", "wide in the deep"],
)
def test_data_that_cannot_be_laid_out_is_shown_as_it_is(data: str) -> None:
    assert views.pretty_json(data) is None
    assert "── Data\n" in text(views.Body(data=data))


def test_nothing_hostile_is_left_in_any_line() -> None:
    hostile_json = json.dumps({HOSTILE: HOSTILE}, ensure_ascii=False)
    said = document(
        views.Body(HOSTILE, HOSTILE, hostile_json, ((HOSTILE, HOSTILE),)),
        (
            attempt(detail=HOSTILE, code=HOSTILE, rule=HOSTILE, outcome=HOSTILE, accepted=(HOSTILE,), target=HOSTILE),
            attempt(refused=((HOSTILE, HOSTILE),)),
        ),
        (HOSTILE,),
        ((HOSTILE, HOSTILE, 3),),
        subject=HOSTILE,
        target=HOSTILE,
        channel=HOSTILE,
        queued_by=HOSTILE,
        state_reason=HOSTILE,
        last_word=HOSTILE,
        idempotency_key=HOSTILE,
        collapse_key=HOSTILE,
        ordering_key=HOSTILE,
        route=HOSTILE,
        template=HOSTILE,
    )
    for line in said:
        for span in line:
            assert span.text == "" or span.text.isprintable(), span


def test_the_whole_text_for_an_editor_is_whole_and_safe() -> None:
    said = Content("Hi\x1b[2J", "a\tb\n" * 40_000 + "end\x1b]0;x\x07", "<p>", "{}", (("X-A", "b\nc"),), ())
    whole = views.whole_text(said)
    assert whole.startswith("Subject: Hi\nX-A: b⏎c\n\na  b\n")
    assert "\nend\n" in whole
    assert "\x1b" not in whole
    assert whole.endswith("\n<p>\n\n{}\n")


def test_the_title_says_which_message_and_which_match() -> None:
    line = views.heading(message(), "2 of 17", 60)
    assert line_text(line).startswith("─ #1042 ✗ dead ── 2 of 17 ──")
    assert len(line_text(line)) == 60
