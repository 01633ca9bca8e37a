"""Acts in words, and messages as the lines of a file: previews, results, CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from chronos_tui.views import acts, export
from chronos_tui.views.spans import line_text, width
from engine.model import State
from engine.operations.acts import Act, Action
from engine.operations.bulk import Bulk, Frozen
from engine.operations.shapes import message as message_shape
from tests.tui.views.test_outbox import HOSTILE, NOW_MS, message


def frozen(action: Action, total: int, **changes: Any) -> Frozen:
    ones = [message(id=n, subject=changes.get("subject", f"subject {n}")) for n in (1, 2, 3)][: min(total, 3)]
    return Frozen(7, action, "", total, ones[0], ones[-1], tuple(ones), changes.get("estimate_ms", 12_000))


def said(preview: acts.Preview) -> str:
    return "\n".join([preview.title, *(line_text(line) for line in preview.lines)])


def bulk(action: Action = Action.CANCEL, **changes: Any) -> Bulk:
    known: dict[str, Any] = {
        "bulk_id": 7,
        "action": action,
        "filter": "",
        "actor": "me",
        "created_ms": NOW_MS,
        "state": "done",
        "total": 9,
        "applied": 7,
        "skipped": 2,
        "undone": 0,
        "undo_until_ms": NOW_MS + 1,
    }
    return Bulk(**(known | changes))


def test_a_preview_says_how_many_oldest_newest_sample_time_and_meaning() -> None:
    text = said(acts.preview(frozen(Action.CANCEL, 40), NOW_MS, said="tag:nightly"))
    assert text.startswith("Cancel 40 messages?\n40 messages that match tag:nightly.")
    for words in ("oldest #1", "#2", "newest #3", "subject 1", "About 12 s", "They are not sent", "u takes it back"):
        assert words in text, words


def test_what_takes_a_moment_needs_no_word_of_it() -> None:
    assert "About" not in said(acts.preview(frozen(Action.CANCEL, 3, estimate_ms=999), NOW_MS, said=""))


def test_a_preview_of_marked_ones_says_which_the_act_does_not_fit() -> None:
    preview = acts.preview(frozen(Action.HOLD, 9), NOW_MS, unfit={"dead": 2, "delivered": 1})
    text = said(preview)
    assert "Hold 6 messages?\n9 messages marked.\n3 of them are left alone: 2 dead, 1 delivered." in text
    assert preview.yes == "hold 6"


@pytest.mark.parametrize("action", list(Action))
def test_what_cannot_be_undone_says_so_and_is_typed_when_it_is_much(action: Action) -> None:
    much = acts.preview(frozen(action, 1_001), NOW_MS, said="")
    few = acts.preview(frozen(action, 1_000), NOW_MS, said="")
    final = action not in {Action.CANCEL, Action.HOLD, Action.RELEASE}
    assert ("cannot be undone" in said(much)) == final
    assert (much.typed, few.typed) == ("1001" if final else "", "")


def test_an_act_on_all_of_the_outbox_says_so() -> None:
    assert "in the outbox to which it applies" in said(acts.preview(frozen(Action.HOLD, 3), NOW_MS, said=""))


def test_a_preview_fits_its_dialog_and_holds_nothing_hostile() -> None:
    preview = acts.preview(frozen(Action.RETRY, 3, subject=HOSTILE * 9), NOW_MS, said=HOSTILE)
    for line in preview.lines:
        assert all(span.text == "" or span.text.isprintable() for span in line)
    assert all(width(line) <= 120 for line in preview.lines)


def test_cancelling_an_uncertain_one_says_that_it_may_have_arrived() -> None:
    text = said(acts.one_final("cancel", message(state=State.UNCERTAIN), NOW_MS))
    assert text.startswith("Cancel #1042?")
    assert "It may have arrived already" in text


def test_a_cancel_of_many_says_for_how_many_there_is_no_way_back() -> None:
    words = "2 of them are uncertain: there it cannot be undone."
    assert words in said(acts.preview(frozen(Action.CANCEL, 9), NOW_MS, said="", uncertain=2))
    assert words not in said(acts.preview(frozen(Action.RESEND, 9), NOW_MS, said="", uncertain=2))


def test_a_result_says_what_was_left_alone_and_why() -> None:
    assert acts.done_many(bulk(skipped=0, applied=9)) == "9 of 9 cancelled; u undoes"
    assert acts.done_many(bulk()) == "7 of 9 cancelled; 2 left alone (had gone on meanwhile); u undoes"
    assert "2 left alone (2 dead); u undoes" in acts.done_many(bulk(), {"dead": 2})
    assert "(1 dead, 1 had gone on meanwhile)" in acts.done_many(bulk(), {"dead": 1})
    assert not acts.done_many(bulk(Action.RETRY, undo_until_ms=None)).endswith("u undoes")


def test_one_message_is_named_with_its_undo() -> None:
    assert acts.done_one(Act(5, State.QUEUED, undo_id=3), "hold", requested=False) == "#5 held; u undoes"
    assert acts.done_one(Act(5, State.DEAD), "retry", requested=False) == "#5 queued again"
    assert "unless it is just being accepted" in acts.done_one(Act(5, State.SENDING), "cancel", requested=True)


def test_an_undo_says_what_had_gone_on() -> None:
    assert acts.taken_back(bulk(undone=7)) == "cancel taken back for 7"
    assert acts.taken_back(bulk(undone=5)) == "cancel taken back for 5; 2 had gone on and stay as they are"


@pytest.mark.parametrize("done", [0, 1, 500, 12_000, 50_000])
def test_progress_is_a_bar_and_a_number_in_the_width(done: int) -> None:
    line = acts.progress_line(done, 50_000, 60)
    assert width(line) == 60
    assert line_text(line).count("█") == (60 - width((line[2],))) * done // 50_000


@pytest.mark.parametrize(
    "subject", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\t=1", "\r=1", "\uff1d1", "\x1b[m=1", "\u200b=1"]
)
def test_no_cell_of_a_csv_is_a_formula(subject: str) -> None:
    written = export.csv_rows([message(subject=subject)], {1042: ("=x",)})
    (row,) = csv.reader(io.StringIO(written))
    cells = dict(zip(export.FIELDS, row, strict=True))
    assert cells["subject"].startswith("'")
    assert cells["tags"] == "'=x"
    assert cells["id"] == "1042"


def test_csv_and_json_lines_hold_each_message_once_with_its_tags() -> None:
    ones = [message(id=n, subject='a "quoted", text') for n in (1, 2)]
    rows = list(csv.DictReader(io.StringIO(export.csv_head() + export.csv_rows(ones, {1: ("a", "b")}))))
    assert [(row["id"], row["subject"], row["tags"]) for row in rows] == [
        ("1", 'a "quoted", text', "a b"),
        ("2", 'a "quoted", text', ""),
    ]
    documents = [json.loads(line) for line in export.json_rows(ones, {1: ("a", "b")}).splitlines()]
    assert documents == [message_shape(ones[0], ("a", "b")), message_shape(ones[1], ())]


def test_exports_hold_no_control_characters() -> None:
    for made in (export.csv_rows([message(subject=HOSTILE)], {}), export.json_rows([message(subject=HOSTILE)], {})):
        assert not set(made) & set(map(chr, (*range(10), 11, 12, *range(14, 32), 127, 0x9B, 0x202E)))


def test_the_columns_of_a_csv_are_those_of_the_documents() -> None:
    assert set(export.FIELDS) - {"tags"} <= set(message_shape(message()))
