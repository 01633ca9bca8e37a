"""The pager on a screen: every key, what is painted, what the owner is told."""

from __future__ import annotations

import pytest
from textual import events
from textual.geometry import Region

from chronos_tui.views.spans import Span
from chronos_tui.widgets.columns import Column
from chronos_tui.widgets.pager import ACTIONS, Slice, Where
from tests.tui.widgets.support import COLUMNS, KEYS, PagerApp, Source, press, screen, styles

SIZE = (40, 11)  # ten rows under the titles


async def test_opening_shows_titles_cursor_and_rows() -> None:
    app = PagerApp(Source(range(1, 4)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert screen(app.pager)[:4] == [
            "          # state     subject",
            "▸         3 ✗ dead    subject 3",
            "          2 ✗ dead    subject 2",
            "          1 ✗ dead    subject 1",
        ]
        assert app.heard == [("moved", 3)]


def test_every_action_has_a_key_here_and_a_method() -> None:
    assert set(ACTIONS) == set(KEYS)
    assert all(hasattr(PagerApp(Source([])).pager, f"action_{name}") for name in ACTIONS)


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ("j", 999),
        ("down down", 998),
        ("j j k", 999),
        ("j up", 1000),
        ("k", 1000),
        ("ctrl+d", 995),
        ("pagedown pagedown", 990),
        ("ctrl+d ctrl+d ctrl+u", 995),
        ("pagedown pageup", 1000),
        ("G", 1),
        ("end k", 2),
        ("G g", 1000),
        ("end home j", 999),
    ],
)
async def test_keys_move_the_cursor(keys: str, key: int) -> None:
    app = PagerApp(Source(range(1, 1001)))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, keys)
        assert app.pager.cursor_key == key
        assert sum(line.startswith("▸") for line in screen(app.pager)) == 1
        assert next(line for line in screen(app.pager) if line.startswith("▸")).split()[1] == str(key)
        row = app.pager.cursor_row
        assert row is not None
        assert row.key == key
        if key != 1000:
            await pilot.pause()
            assert app.heard[-1] == ("moved", key)


async def test_enter_opens_the_row_under_the_cursor() -> None:
    app = PagerApp(Source(range(1, 10)))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "j enter")
        await pilot.pause()
        assert app.heard[-1] == ("opened", 8)


async def test_marking_goes_on_to_the_next_row_and_a_second_time_takes_the_mark_away() -> None:
    app = PagerApp(Source(range(1, 10)))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "space space")
        assert app.pager.marked == {9, 8}
        assert app.pager.cursor_key == 7
        assert [line[:2] for line in screen(app.pager)[1:4]] == [" •", " •", "▸ "]
        await press(pilot, "k space")
        assert app.pager.marked == {9}
        await pilot.pause()
        assert ("marked", frozenset({9})) in app.heard


async def test_a_range_goes_from_the_last_mark_to_the_cursor_in_either_direction() -> None:
    app = PagerApp(Source(range(1, 100)))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "j j space j j v")
        assert app.pager.marked == {97, 96, 95, 94}
        await press(pilot, "escape")
        assert app.pager.marked == frozenset()
        await press(pilot, "v k k v")
        assert app.pager.marked == {94, 95, 96}


async def test_marks_survive_paging_and_a_range_from_a_row_that_is_not_loaded_marks_nothing() -> None:
    app = PagerApp(Source(range(1, 10_001)))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "space G v")
        assert app.pager.marked == {10_000}
        await pilot.pause()
        assert app.heard[-1] == ("range lost",)
        await press(pilot, "g")
        assert screen(app.pager)[1].startswith("▸•")


async def test_all_loaded_rows_can_be_marked() -> None:
    app = PagerApp(Source(range(1, 8)))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "*")
        assert app.pager.marked == frozenset(range(1, 8))


async def test_another_filter_drops_the_marks_another_order_keeps_them() -> None:
    app = PagerApp(Source(range(1, 8)))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "space j")
        app.pager.restart(keep_marks=True)
        assert app.pager.marked == {7}
        assert app.pager.cursor_key == 7
        app.pager.restart()
        assert app.pager.marked == frozenset()


async def test_moving_the_cursor_paints_two_rows() -> None:
    app = PagerApp(Source(range(1, 1001)))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "j")
        app.pager.painted.clear()
        await press(pilot, "j")
        assert app.pager.painted == [2, 3]


async def test_an_answer_that_says_the_same_paints_nothing() -> None:
    app = PagerApp(Source(range(1, 1001)))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "j j j")
        app.pager.painted.clear()
        asked = len(app.asks)
        app.pager.reload()
        await pilot.pause()
        assert [ask.where for ask in app.asks[asked:]] == [Where.AGAIN]
        assert app.pager.painted == []


async def test_a_row_that_changed_is_the_only_one_painted() -> None:
    app = PagerApp(Source(range(1, 1001)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.source.subject = lambda key: "delivered" if key == 996 else f"subject {key}"
        app.pager.painted.clear()
        app.pager.reload()
        assert app.pager.painted == [5]
        assert screen(app.pager)[5].endswith("delivered")


async def test_a_mark_paints_its_row_and_the_next() -> None:
    app = PagerApp(Source(range(1, 1001)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.pager.painted.clear()
        await press(pilot, "space")
        assert sorted(set(app.pager.painted)) == [1, 2]


async def test_the_cursors_row_is_lit_only_where_keys_go() -> None:
    app = PagerApp(Source(range(1, 1001)))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "j")
        lit = styles(app.pager, 2)
        assert lit[0][1] != styles(app.pager, 3)[0][1]
        app.set_focus(None)
        await pilot.pause()
        assert [style for _, style in styles(app.pager, 2)] == [style for _, style in styles(app.pager, 3)]
        assert screen(app.pager)[2].startswith("▸")
        app.pager.focus()
        await pilot.pause()
        assert styles(app.pager, 2) == lit


async def test_acting_never_hits_another_row_because_the_list_moved() -> None:
    app = PagerApp(Source(range(1, 1001)))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "j j j j")
        before = screen(app.pager)
        app.source.keys = [1003, 1002, 1001, *app.source.keys]
        app.pager.reload()
        await pilot.pause()
        assert app.pager.cursor_key == 996
        assert screen(app.pager) == before
        assert app.pager.newer == 3
        assert app.heard[-1] == ("newer", 3)
        await press(pilot, "g")
        assert app.pager.cursor_key == 1003
        await pilot.pause()
        assert app.heard[-2:] in ([("newer", 0), ("moved", 1003)], [("moved", 1003), ("newer", 0)])


async def test_a_row_filtered_away_hands_the_cursor_to_the_one_that_took_its_place() -> None:
    app = PagerApp(Source(range(1, 1001)))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "j j")
        app.source.keys.remove(998)
        app.pager.reload()
        await pilot.pause()
        assert app.pager.cursor_key == 997
        assert screen(app.pager)[3].startswith("▸")
        assert app.heard[-1] == ("moved", 997)


async def test_nothing_is_shown_before_the_first_answer_and_what_to_do_in_an_empty_list() -> None:
    app = PagerApp(Source([]), hold=True, empty=((Span("Nothing dead. Press n to send a message."),),))
    async with app.run_test(size=(60, 5)) as pilot:
        await pilot.pause()
        assert screen(app.pager)[1:] == [""] * 4
        app.reply()
        assert screen(app.pager)[1] == " Nothing dead. Press n to send a message."
        assert app.pager.cursor_key is None
        await press(pilot, "j k G g space v * enter ctrl+d ctrl+u")
        assert app.pager.marked == frozenset()


async def test_an_error_stands_where_the_rows_would_be_until_the_next_answer() -> None:
    app = PagerApp(Source(range(1, 1001)))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "j j")
        app.pager.fail("The database is locked by another program; close it, or wait.")
        await pilot.pause()
        text = " ".join(" ".join(screen(app.pager)[1:]).split())
        assert text == "✗ The database is locked by another program; close it, or wait."
        assert app.pager.cursor_row is None
        await press(pilot, "j enter space")
        await pilot.pause()
        assert app.heard[-1] == ("moved", None)
        assert app.pager.marked == frozenset()

        app.pager.reload()
        await pilot.pause()

        assert app.pager.cursor_key == 998
        assert app.heard[-1] == ("moved", 998)


async def test_the_failure_of_an_outdated_ask_is_not_shown() -> None:
    app = PagerApp(Source(range(1, 1001)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.pager.fail("too late", app.asks[0])
        assert app.pager.cursor_key == 1000


async def test_a_key_past_the_loaded_rows_waits_for_the_answer_and_goes_on() -> None:
    app = PagerApp(Source(range(1, 1001)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.hold = True
        for _ in range(45):
            app.pager.action_page_down()
        assert app.pager.cursor_key == 801
        assert app.asks[-1].where is Where.BEHIND
        app.reply()
        assert app.pager.cursor_key == 1000 - 45 * 5


async def test_an_outdated_answer_changes_nothing() -> None:
    app = PagerApp(Source(range(1, 1001)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        before = screen(app.pager)
        app.pager.answer(app.asks[0], Slice((), at_start=True, at_end=True))
        assert screen(app.pager) == before


async def test_show_goes_to_a_row_that_is_not_loaded() -> None:
    app = PagerApp(Source(range(1, 100_001)))
    async with app.run_test(size=SIZE) as pilot:
        app.pager.show(50_000)
        await pilot.pause()
        assert app.pager.cursor_key == 50_000
        await press(pilot, "k")
        assert app.pager.cursor_key == 50_001


async def test_the_arrow_stands_on_the_sorted_column() -> None:
    app = PagerApp(Source(range(1, 5)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.pager.painted.clear()
        app.pager.sort_by("id", descending=True)
        assert screen(app.pager)[0] == "         #▼ state     subject"
        assert app.pager.painted == [0]
        app.pager.sort_by("state")
        assert screen(app.pager)[0] == "          # state▲    subject"
        app.pager.sort_by("")
        assert screen(app.pager)[0] == "          # state     subject"


async def test_other_columns_are_painted_at_once() -> None:
    app = PagerApp(Source(range(1, 3)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.pager.set_columns((Column("number", width=6),))
        assert screen(app.pager)[:2] == ["   number", "▸  2"]


async def test_a_click_moves_a_double_click_opens_and_the_titles_do_neither() -> None:
    app = PagerApp(Source(range(1, 100)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.click(app.pager, offset=(5, 4))
        assert app.pager.cursor_key == 96
        await pilot.click(app.pager, offset=(5, 0))
        assert app.pager.cursor_key == 96
        await pilot.click(app.pager, offset=(5, 2), times=2)
        await pilot.pause()
        assert app.heard[-1] == ("opened", 98)


async def test_the_wheel_scrolls_and_keeps_the_cursor_on_the_screen() -> None:
    app = PagerApp(Source(range(1, 100)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot._post_mouse_events([events.MouseScrollDown], app.pager, (5, 4))
        assert screen(app.pager)[1].split()[1] == "96"
        assert app.pager.cursor_key == 96
        await pilot._post_mouse_events([events.MouseScrollUp], app.pager, (5, 4))
        assert app.pager.cursor_key == 96
        assert screen(app.pager)[1].split()[0] == "99"


async def test_any_size_down_to_one_cell() -> None:
    app = PagerApp(Source(range(1, 1001)))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "j j j")
        for width, height in ((1, 1), (2, 2), (3, 1), (5, 3), (200, 60), (7, 2), (1, 50), (80, 24)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            lines = [app.pager.render_line(y) for y in range(height)]
            assert all(line.cell_length == width for line in lines)
            assert all(sum(len(part.text) for part in line) == width for line in lines)
            assert app.pager.cursor_key == 997
            await press(pilot, "j k")
        assert sum(line.startswith("▸") for line in screen(app.pager)) == 1


async def test_a_screen_of_one_line_shows_the_cursors_row() -> None:
    app = PagerApp(Source(range(1, 1001)))
    async with app.run_test(size=(40, 1)) as pilot:
        await press(pilot, "j")
        assert screen(app.pager) == ["▸       999 ✗ dead    subject 999"]


async def test_wide_and_combining_text_fills_its_row_exactly() -> None:
    texts = [
        "備份失敗" * 20,
        "e\u0301" * 60,
        "👩\u200d👩\u200d👧" * 30,
        "☁\ufe0f" * 30,
        "\u0301\u0302",
        "日" + "a" * 50,
    ]
    app = PagerApp(Source(range(len(texts))))
    app.source.subject = lambda key: texts[key]
    for width in (24, 25, 26, 40):
        async with app.run_test(size=(width, 8)) as pilot:
            await pilot.pause()
            strips = app.pager.render_lines(Region(0, 0, width, 8))
            for strip in strips:
                assert sum(segment.cell_length for segment in strip) == width
        app = PagerApp(app.source)


async def test_another_theme_paints_all_rows_in_its_colours() -> None:
    app = PagerApp(Source(range(1, 4)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        before = styles(app.pager, 2)
        app.theme = "textual-light"
        await pilot.pause()
        after = styles(app.pager, 2)
        assert [text for text, _ in after] == [text for text, _ in before]
        assert after != before


async def test_a_million_rows_cost_what_is_loaded() -> None:
    app = PagerApp(Source(range(1_000_000)))
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "G g j ctrl+d G k")
        assert len(app.pager.rows) <= 400
        assert sum(ask.limit for ask in app.asks) < 5_000
        assert len(COLUMNS) == 3
