"""The outbox in lines: what a row, the counts and the title say, at every width, with any text in them."""

from __future__ import annotations

from typing import Any

import pytest

from chronos_tui.views import outbox, times
from chronos_tui.views.outbox import Heading
from chronos_tui.views.spans import Line, line_text, width
from engine.model import Message, OnUncertain, Priority, State
from engine.rules.orders import Order

NOW_MS = 1_790_000_000_000
MINUTE_MS = 60_000
HOSTILE = "a\x1b[31mred\x1b]0;title\x07\u202e\u200b[@click=app.quit]x[/]\x00\nb" + "\u0301" * 50


def message(**changes: Any) -> Message:
    return Message(
        id=1042,
        uid="msg_" + "0" * 32,
        state=State.DEAD,
        target="me",
        lane="me",
        channel="email",
        template="",
        subject="Backup failed",
        priority=Priority.NORMAL,
        created_ms=NOW_MS - 2 * 60 * MINUTE_MS,
        due_ms=NOW_MS - 60 * MINUTE_MS,
        expires_ms=None,
        finished_ms=NOW_MS,
        attempts=16,
        failures=16,
        cycle=1,
        cycle_ms=NOW_MS,
        lease_until_ms=None,
        cancel_requested=False,
        on_uncertain=OnUncertain.RESEND,
        idempotency_key=None,
        collapse_key=None,
        ordering_key=None,
        ready=True,
        route="",
        hop=0,
        hop_ms=None,
        queued_by="cli:me",
        last_code="535",
        last_word="auth failed",
        state_reason="refused for good",
        size=10,
    )._replace(**changes)


def texts(one: Message) -> list[str]:
    return [span.text for span in outbox.row(one, NOW_MS)]


def test_a_row_says_number_state_target_subject_age_tries_and_the_last_word() -> None:
    assert texts(message()) == ["1042", "✗ dead", "me", "Backup failed", "2 h", "16", "535 auth failed"]


def test_what_waits_says_when_it_is_due_and_everything_else_how_old_it_is() -> None:
    waiting = message(state=State.QUEUED, due_ms=NOW_MS + 5 * MINUTE_MS)
    assert texts(waiting)[4] == "in 5 min"
    assert texts(waiting._replace(due_ms=NOW_MS - 1))[4] == "2 h"
    assert texts(waiting._replace(state=State.HELD))[4] == "2 h"


def test_a_delivered_one_has_no_last_word_and_one_without_words_its_reason() -> None:
    assert texts(message(state=State.DELIVERED))[6] == ""
    assert texts(message(last_code="", last_word=""))[6] == "refused for good"


@pytest.mark.parametrize("state", list(State))
def test_every_state_is_a_symbol_and_a_word(state: State) -> None:
    symbol, _, word = outbox.state_span(state.value).text.partition(" ")
    assert (len(symbol), word) == (1, state.value)


def test_no_cell_holds_what_a_terminal_would_obey() -> None:
    row = outbox.row(message(subject=HOSTILE, target=HOSTILE, last_word=HOSTILE, last_code=HOSTILE), NOW_MS)
    for span in row:
        assert span.text.isprintable(), span
        assert span.text.count("\u0301") <= 4 * 2  # code and word


def test_a_message_without_a_subject_says_so() -> None:
    assert texts(message(subject=""))[3] == "(no subject)"


@pytest.mark.parametrize(
    ("distance_ms", "words"),
    [
        (0, "now"),
        (-59_999, "now"),
        (59_999, "now"),
        (-MINUTE_MS, "1 min"),
        (-59 * MINUTE_MS, "59 min"),
        (-60 * MINUTE_MS, "1 h"),
        (-47 * 60 * MINUTE_MS, "47 h"),
        (-72 * 60 * MINUTE_MS, "3 d"),
        (4 * MINUTE_MS + 1, "in 5 min"),
        (5 * MINUTE_MS, "in 5 min"),
    ],
)
def test_times_in_lists_are_coarse(distance_ms: int, words: str) -> None:
    assert times.coarse(NOW_MS + distance_ms, NOW_MS) == words


def test_the_counts_name_first_what_is_wrong_and_leave_out_what_is_not_there() -> None:
    line = outbox.counts_line({"delivered": 1_204_331, "queued": 14, "dead": 3, "held": 0, "uncertain": 1}, 120)
    assert line_text(line) == " ✗ 3 dead  ! 1 uncertain  · 14 queued  ✓ 1 204 331 delivered"


@pytest.mark.parametrize("cells", range(20, 160, 7))
def test_counts_that_do_not_fit_leave_out_the_least_telling_and_say_so(cells: int) -> None:
    counts = {state.value: 1_000 + n for n, state in enumerate(State)}
    text = line_text(outbox.counts_line(counts, cells))
    assert "dead" in text
    assert "uncertain" in text
    if cells >= 60:
        assert len(text) < cells
    assert ("…" in text) == ("cancelled" not in text)


def test_an_outbox_without_messages_has_no_counts() -> None:
    assert line_text(outbox.counts_line(dict.fromkeys((state.value for state in State), 0), 80)) == " no message yet"


FULL = Heading("state:dead", 3, 1_204_331, "due", descending=False, marked=2, newer=12, newer_exact=False)


def test_the_title_says_filter_order_marks_and_what_came_above() -> None:
    text = line_text(outbox.title(FULL, 100))
    assert text.startswith("─ Outbox ── state:dead ── by due ▲ ── • 2 marked ── 12+ newer above ──")
    assert text.endswith("── 3 of 1 204 331 ─")


@pytest.mark.parametrize("cells", [60, 80, 120, 200])
@pytest.mark.parametrize("heading", [Heading(), Heading(total=1), FULL, FULL._replace(expression="x" * 300)])
def test_the_title_fills_the_width(heading: Heading, cells: int) -> None:
    assert width(outbox.title(heading, cells)) == cells


def test_a_count_that_ended_at_its_limit_says_so() -> None:
    assert "100 000+ of 1 204 331" in line_text(outbox.title(FULL._replace(matching=100_000), 120))
    assert "99 999 of" in line_text(outbox.title(FULL._replace(matching=99_999), 120))
    assert "? of" in line_text(outbox.title(FULL._replace(matching=None), 120))


def _said(lines: tuple[Line, ...]) -> str:
    return " ".join(line_text(line) for line in lines)


def test_an_empty_list_says_what_to_do() -> None:
    assert _said(outbox.empty("")) == "The outbox is empty. n sends a message."
    assert _said(outbox.empty("state:dead")).startswith("Nothing dead. / changes the filter, esc shows all")
    assert _said(outbox.empty("dead")).startswith("No message says “dead”; state:dead shows what is dead. /")
    assert _said(outbox.empty("tag:x\x1b[m")).startswith("Nothing matches tag:x /")


def test_every_order_that_can_be_chosen_is_the_engines() -> None:
    assert {name for _key, name, _words in outbox.ORDERS} == {order.value for order in Order}
    letters = [key for key, _name, _words in outbox.ORDERS]
    assert len(set(letters)) == len(letters)
