"""Reading and searching a document."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Region

from chronos_tui.views.spans import Document, Span
from chronos_tui.widgets.textview import ACTIONS, TextView
from tests.tui.widgets.support import press, screen, styles

KEYS = {
    "cursor_down": "j,down",
    "cursor_up": "k,up",
    "page_down": "ctrl+d,pagedown",
    "page_up": "ctrl+u,pageup",
    "home": "g,home",
    "end": "G,end",
    "next_match": "n",
    "previous_match": "N",
}
SIZE = (20, 5)


class Recorded(TextView):
    """A view with keys that notes which lines are painted."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding(keys, action) for action, keys in KEYS.items()]
    painted: list[int]

    def refresh(self, *regions: Region, **options: Any) -> Any:
        if hasattr(self, "painted") and options.get("repaint", True):
            for region in regions or (self.size.region,):
                self.painted += region.line_range
        return super().refresh(*regions, **options)


class ViewApp(App[None]):
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, document: Document = ()) -> None:
        super().__init__()
        self.view = Recorded(empty=((Span("Nothing to read."),),))
        self.view.show(document, 1)

    def compose(self) -> ComposeResult:
        yield self.view

    def on_mount(self) -> None:
        self.view.focus()


def lines(count: int) -> Document:
    return tuple((Span(f"line {number}"),) for number in range(count))


def test_every_action_has_a_key_here_and_a_method() -> None:
    assert set(ACTIONS) == set(KEYS)
    assert all(hasattr(TextView, f"action_{name}") for name in ACTIONS)


@pytest.mark.parametrize(
    ("keys", "first"),
    [
        ("j", "line 1"),
        ("down down k", "line 1"),
        ("up", "line 0"),
        ("ctrl+d", "line 2"),
        ("pagedown pagedown pageup", "line 2"),
        ("ctrl+d ctrl+u", "line 0"),
        ("G", "line 95"),
        ("end j", "line 95"),
        ("G k", "line 94"),
        ("G g", "line 0"),
        ("end home", "line 0"),
    ],
)
async def test_keys_scroll_and_the_screen_stays_full(keys: str, first: str) -> None:
    app = ViewApp(lines(100))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, keys)
        assert screen(app.view)[0] == first
        assert "" not in screen(app.view)


async def test_a_document_that_fits_does_not_scroll() -> None:
    app = ViewApp(lines(3))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "j ctrl+d G")
        assert screen(app.view) == ["line 0", "line 1", "line 2", "", ""]


async def test_long_lines_wrap_and_keep_their_roles() -> None:
    app = ViewApp(((Span("the quick brown fox "), Span("jumps over", "failed")), (Span("end"),)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert screen(app.view) == ["the quick brown fox", "jumps over", "end", "", ""]
        assert styles(app.view, 1)[0][1] != styles(app.view, 2)[0][1]


async def test_an_empty_document_says_what_to_do() -> None:
    app = ViewApp()
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "j k G g n N ctrl+d ctrl+u")
        assert screen(app.view)[0] == "Nothing to read."


async def test_searching_goes_from_match_to_match_and_around() -> None:
    app = ViewApp(lines(100))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert app.view.found == ""
        assert app.view.search("LINE 9".lower()) == 11
        assert app.view.found == "1 of 11"
        assert "line 9" in screen(app.view)
        await press(pilot, "n")
        assert app.view.found == "2 of 11"
        assert "line 90" in screen(app.view)
        await press(pilot, "N N")
        assert app.view.found == "11 of 11"
        assert "line 99" in screen(app.view)
        assert app.view.search("nowhere") == 0
        assert app.view.found == "no match"


async def test_case_counts_only_when_upper_case_is_searched_for() -> None:
    app = ViewApp(((Span("Error and error"),),))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert app.view.search("error") == 2
        assert app.view.search("Error") == 1
        assert app.view.search("ERROR") == 0
        assert app.view.search("") == 0
        assert app.view.found == ""


async def test_matches_are_lit_the_current_one_differently_also_over_spans() -> None:
    app = ViewApp(((Span("aa b"), Span("b aa", "dim")),))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert app.view.search("bb") == 1
        assert styles(app.view, 0)[1][0] == "bb"
        app.view.search("aa")
        first, last = styles(app.view, 0)[0], styles(app.view, 0)[-1]
        assert first[0] == "aa"
        assert last[0].startswith("aa")
        assert first[1] != last[1]
        await press(pilot, "n")
        assert styles(app.view, 0)[0][1] != first[1]


async def test_the_same_document_that_grew_stays_where_it_was_read() -> None:
    app = ViewApp(lines(100))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "ctrl+d ctrl+d ctrl+d")
        app.view.search("line 50")
        top = screen(app.view)
        app.view.show(lines(120), 1)
        assert screen(app.view) == top
        assert app.view.found == "1 of 1"
        app.view.show(lines(3), 1)
        assert screen(app.view)[:3] == ["line 0", "line 1", "line 2"]


async def test_another_document_begins_at_its_top_without_the_search() -> None:
    app = ViewApp(lines(100))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "G")
        app.view.search("line 5")
        app.view.show(lines(100), 2)
        assert screen(app.view)[0] == "line 0"
        assert app.view.found == ""
        await press(pilot, "n")
        assert screen(app.view)[0] == "line 0"


async def test_only_lines_that_changed_are_painted() -> None:
    app = ViewApp(lines(100))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.view.painted = []
        app.view.show(lines(100), 1)
        assert app.view.painted == []
        changed = list(lines(100))
        changed[2] = (Span("changed"),)
        changed[50] = (Span("not on the screen"),)
        app.view.show(tuple(changed), 1)
        assert app.view.painted == [2]
        app.view.action_cursor_up()
        assert app.view.painted == [2]


async def test_a_resize_keeps_the_text_that_stood_first() -> None:
    words = " ".join(f"word{number:03}" for number in range(200))
    app = ViewApp(((Span(words),),))
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "ctrl+d ctrl+d ctrl+d ctrl+d ctrl+d")
        first = screen(app.view)[0].split()[0]
        await pilot.resize_terminal(37, 6)
        await pilot.pause()
        assert first in screen(app.view)[0]


async def test_any_size_down_to_one_cell() -> None:
    app = ViewApp((*lines(3), (Span("日本語 e\u0301 👩\u200d👧 text" * 9),), *lines(9)))
    async with app.run_test(size=SIZE) as pilot:
        app.view.search("text")
        for width, height in ((1, 1), (2, 2), (3, 1), (200, 60), (7, 2), (1, 50), (80, 24)):
            await pilot.resize_terminal(width, height)
            await press(pilot, "G k n ctrl+u N g")
            strips = app.view.render_lines(Region(0, 0, width, height))
            assert all(sum(part.cell_length for part in one) == width for one in strips)
        assert screen(app.view)[0] == "line 0"


async def test_a_megabyte_on_one_line_is_read_like_any_other() -> None:
    app = ViewApp(((Span("日本語 text " * 100_000),), (Span("last"),)))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "ctrl+d")
        made = app.view._flow._made[0]._rows
        assert len(made) < 100
        await press(pilot, "G")
        assert screen(app.view)[-1] == "last"
        assert "characters are not shown" in screen(app.view)[-2] + screen(app.view)[-3]
        assert app.view.search("text") > 1_000


async def test_the_wheel_scrolls() -> None:
    app = ViewApp(lines(100))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot._post_mouse_events([events.MouseScrollDown], app.view, (5, 2))
        assert screen(app.view)[0] == "line 3"
        await pilot._post_mouse_events([events.MouseScrollUp], app.view, (5, 2))
        assert screen(app.view)[0] == "line 0"
