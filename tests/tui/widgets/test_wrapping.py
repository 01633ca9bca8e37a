"""Soft wrapping: nothing lost, nothing too wide, nothing made that nobody looks at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chronos_tui.views.spans import Line, Span, line_text
from chronos_tui.widgets.wrapping import MOST_CHARS, Flow, Spot, wrap

ODD = "ab  備é\u0301👩\u200d☁\ufe0f"
TEXTS = st.lists(st.builds(Span, st.text(ODD, max_size=40), st.sampled_from(["", "ok", "dim"])), max_size=5).map(tuple)


def rows(text: str, width: int) -> list[str]:
    return [line_text(row) for row in wrap((Span(text),), width)]


def test_a_row_breaks_behind_a_space() -> None:
    assert rows("the quick brown fox", 10) == ["the quick ", "brown fox"]
    assert rows("the quick brown fox", 9) == ["the quick ", "brown fox"]


def test_a_long_word_is_cut_rather_than_wasting_the_row() -> None:
    assert rows("a " + "x" * 12, 8) == ["a xxxxxx", "xxxxxx"]


def test_wide_characters_take_two_cells() -> None:
    assert rows("備份失敗", 5) == ["備份", "失敗"]


def test_an_empty_line_is_one_row() -> None:
    assert list(wrap((), 5)) == [()]
    assert list(wrap((Span(""),), 5)) == [()]


def test_spans_keep_their_roles_over_a_break() -> None:
    line = (Span("abc", "ok"), Span("defgh", "dim"))
    assert list(wrap(line, 4)) == [(Span("abc", "ok"), Span("d", "dim")), (Span("efgh", "dim"),)]


@given(TEXTS, st.integers(1, 20))
def test_the_rows_are_the_line_and_no_row_is_too_wide(line: Line, width: int) -> None:
    made = list(wrap(line, width))
    assert "".join(line_text(row) for row in made) == line_text(line)
    for row in made:
        text = line_text(row)
        text = text.removesuffix(" ")  # one space may hang over the edge
        assert cell_len(text) <= width or len(text) == 1
    assert all(line_text(row) for row in made[1:])


def test_a_line_of_a_megabyte_is_wrapped_only_where_it_is_looked_at() -> None:
    made = wrap((Span("日本語 text " * 100_000),), 80)
    assert [cell_len(line_text(next(made))) <= 81 for _ in range(40)] == [True] * 40


def test_a_line_without_end_is_cut_with_a_note() -> None:
    flow = Flow(((Span("x" * 1_000_000),), (Span("next"),)), 80)
    note = flow.row(flow.step(flow.last(), -1))
    assert note is not None
    assert line_text(note[1]).endswith(f"{1_000_000 - MOST_CHARS} more characters are not shown")


@given(st.lists(st.text(ODD, max_size=30), min_size=1, max_size=12), st.integers(1, 12), st.data())
def test_steps_go_over_the_rows_one_by_one(texts: list[str], width: int, data: st.DataObject) -> None:
    document = tuple((Span(text),) for text in texts)
    flow = Flow(document, width)
    every = [spot for spot, _, _ in flow.rows(Spot(), 10_000)]
    start = data.draw(st.integers(0, len(every) - 1))
    delta = data.draw(st.integers(-len(every) - 2, len(every) + 2))
    assert flow.step(every[start], delta) == every[min(max(0, start + delta), len(every) - 1)]
    assert flow.last() == every[-1]


def test_the_row_of_a_character_is_found() -> None:
    flow = Flow(((Span("x" * 25),),), 10)
    assert [flow.spot(0, offset) for offset in (0, 9, 10, 24)] == [(0, 0), (0, 0), (0, 1), (0, 2)]
