"""Bars: nothing looks different from little."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chronos_tui.views.sparkline import BARS, bars


def test_values_become_bars() -> None:
    assert bars(range(9), 9) == " ▁▂▃▄▅▆▇█"


def test_little_is_not_nothing() -> None:
    assert bars((0, 1, 1_000_000), 3) == " ▁█"


def test_fewer_values_than_cells_stand_at_the_right() -> None:
    assert bars((1, 2), 4) == "  ▄█"
    assert bars((), 3) == "   "
    assert bars((1,), 0) == ""


def test_more_values_than_cells_are_added_up_from_the_right() -> None:
    assert bars((9, 1, 1, 1, 1), 3) == "█▂▂"


def test_a_given_most_makes_two_lines_comparable() -> None:
    assert bars((5,), 1, most=10) == "▄"
    assert bars((50,), 1, most=10) == "█"


@given(st.lists(st.floats(-10, 1e9), max_size=50), st.integers(0, 60))
def test_the_width_is_exact_and_zero_alone_is_blank(values: list[float], width: int) -> None:
    text = bars(values, width)
    assert len(text) == width
    assert set(text) <= {" ", *BARS}
    if 0 < len(values) <= width:
        assert [value > 0 for value in values] == [cell != " " for cell in text[-len(values) :]]
