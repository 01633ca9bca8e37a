"""Columns give way in the order they say, and cells are cut by what they take on the screen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chronos_tui.views.spans import Span, line_text
from chronos_tui.widgets.columns import Column, cell_width, cut, fit, fit_indexes, lay_out

NUMBER = Column("#", right=True, width=6)
STATE = Column("state", width=9, rank=1)
SUBJECT = Column("subject", least=10, weight=3)
WORD = Column("last word", least=5, weight=1, rank=2)
ALL = (NUMBER, STATE, SUBJECT, WORD)


def test_flexible_columns_share_what_is_left_by_weight() -> None:
    assert fit(ALL, 80) == [(NUMBER, 6), (STATE, 9), (SUBJECT, 10 + 35), (WORD, 5 + 12)]


def test_the_width_is_used_to_the_last_cell_when_a_column_is_flexible() -> None:
    for width in range(33, 200):
        assert sum(cells for _, cells in fit(ALL, width)) + 3 == width


def test_the_highest_rank_leaves_first() -> None:
    assert [column for column, _ in fit(ALL, 33)] == [NUMBER, STATE, SUBJECT, WORD]
    assert [column for column, _ in fit(ALL, 32)] == [NUMBER, STATE, SUBJECT]
    assert [column for column, _ in fit(ALL, 26)] == [NUMBER, SUBJECT]


def test_at_last_the_columns_at_the_right_leave_and_one_always_stays() -> None:
    assert fit(ALL, 16) == [(NUMBER, 6)]
    assert fit(ALL, 3) == [(NUMBER, 3)]
    assert fit(ALL, 0) == [(NUMBER, 0)]
    assert fit((), 10) == []


def test_cells_are_aligned_padded_and_cut() -> None:
    fitted = fit_indexes(ALL, 33)
    line = lay_out((Span("42"), Span("✗ dead", "failed"), Span("Backup failed on box"), Span("535")), ALL, fitted)
    assert line_text(line) == "    42 ✗ dead    Backup fa… 535  "
    assert Span("✗ dead", "failed") in line


def test_a_missing_cell_is_empty() -> None:
    assert line_text(lay_out((Span("42"),), ALL, fit_indexes(ALL, 26))) == "    42" + " " * 20


@pytest.mark.parametrize(
    ("text", "cells", "expected"),
    [
        ("hello", 5, "hello"),
        ("hello", 4, "hel…"),
        ("hello", 1, "…"),
        ("hello", 0, ""),
        ("備份失敗", 8, "備份失敗"),
        ("備份失敗", 7, "備份失…"),
        ("備份失敗", 6, "備份…"),
        ("e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
        ("two words", 5, "two…"),
        ("\u200d\u200d備a", 2, "…"),
    ],
)
def test_text_is_cut_by_the_cells_it_takes(text: str, cells: int, expected: str) -> None:
    assert cut(text, cells) == expected


@given(st.text(alphabet="ab 備é\u0301👩\u200d☁\ufe0f", max_size=80), st.integers(0, 30))
def test_what_is_cut_always_fits(text: str, cells: int) -> None:
    assert cell_len(cut(text, cells)) <= cells
    assert cell_width(text) == cell_len(text)
    shown = text.lstrip("\u200d\ufe0f").rstrip("\u200d")  # which a joiner in front of it may have made narrower
    if max(cell_len(text), cell_len(shown)) <= cells and len(text) < 16 * cells:
        assert cut(text, cells) == shown


def test_a_megabyte_is_looked_at_only_as_far_as_it_is_shown() -> None:
    assert cut("\u0301" * 1_000_000, 5) == "\u0301" * (5 * 16 + 32)
    assert cut("日" * 1_000_000, 5) == "日日…"
