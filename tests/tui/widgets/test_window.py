"""The window over an endless list: never a hole, never another row under the cursor because the list moved."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chronos_tui.widgets.window import CHUNK, MOST_ROWS, Ask, Slice, Where, Window
from tests.tui.widgets.support import Source


def settle(window: Window, source: Source) -> int:
    """Answer until nothing is asked any more; return how many answers it took."""
    answers = 0
    while (ask := window.next_ask()) is not None:
        assert window.answer(ask, source.slice(ask))
        answers += 1
        assert answers < 50, f"asks in a circle: {ask}"
    return answers


def opened(source: Source, height: int = 20, *, follow: bool = False) -> Window:
    window = Window(height, follow=follow)
    window.restart()
    settle(window, source)
    return window


def keys(window: Window) -> list[int]:
    return [row.key for row in window.visible]


def test_a_million_rows_open_with_one_chunk() -> None:
    window = opened(Source(range(1_000_000)))

    assert len(window.rows) == CHUNK
    assert window.cursor_key == 999_999


def test_the_end_is_one_ask_away() -> None:
    source = Source(range(1_000_000))
    window = opened(source)

    window.to_end()

    assert settle(window, source) <= 2
    assert window.cursor_key == 0
    assert keys(window) == list(range(19, -1, -1))


def test_paging_drops_the_far_end_and_reaches_every_row_once() -> None:
    source = Source(range(5_000))
    window = opened(source)
    seen = [window.cursor_key]
    for _ in range(4_999):
        window.move(1)
        settle(window, source)
        seen.append(window.cursor_key)
        assert len(window.rows) <= MOST_ROWS

    assert seen == list(range(4_999, -1, -1))
    assert window.at_end
    assert not window.at_start

    for _ in range(4_999):
        window.move(-1)
        settle(window, source)
        assert len(window.rows) <= MOST_ROWS
    assert window.cursor_key == 4_999
    assert window.at_start


def test_a_move_past_the_loaded_rows_waits_and_goes_on() -> None:
    source = Source(range(1_000))
    window = opened(source)

    window.move(CHUNK + 30)

    assert window.cursor_key == 1_000 - CHUNK  # the last that is loaded
    settle(window, source)
    assert window.cursor_key == 999 - CHUNK - 30


def test_moves_during_a_jump_count_from_where_it_lands() -> None:
    source = Source(range(1_000))
    window = opened(source)
    window.to_end()
    ask = window.next_ask()
    assert ask is not None

    window.move(-3)
    window.answer(ask, source.slice(ask))

    assert window.cursor_key == 3


def test_an_outdated_answer_is_ignored() -> None:
    source = Source(range(1_000))
    window = opened(source)
    window.restart()
    first = window.next_ask()
    window.restart()
    second = window.next_ask()
    assert first is not None
    assert second is not None
    assert first[:4] == second[:4]

    assert not window.answer(first, Slice((), at_start=True, at_end=True))
    assert window.rows
    assert window.answer(second, source.slice(second))


def test_a_refresh_waits_for_the_ask_under_way_and_then_happens() -> None:
    source = Source(range(1_000))
    window = opened(source)
    window.move(CHUNK - 50)
    behind = window.next_ask()
    assert behind is not None
    assert behind.where is Where.BEHIND

    window.reload()

    assert window.next_ask() is None
    window.answer(behind, source.slice(behind))
    again = window.next_ask()
    assert again is not None
    assert again.where is Where.AGAIN


def test_a_refresh_keeps_the_cursors_row_at_its_place_on_the_screen() -> None:
    source = Source(range(0, 2_000, 2))
    window = opened(source)
    window.move(15)
    window.move(-5)
    key, place = window.cursor_key, window.cursor - window.top
    source.keys = sorted([*source.keys, 2_001, 2_003, 1_995, 1_989], reverse=True)

    window.reload()
    settle(window, source)

    assert window.cursor_key == key
    assert window.cursor - window.top == place


def test_rows_that_come_above_are_counted_and_seen_when_the_operator_goes_there() -> None:
    source = Source(range(500))
    window = opened(source)
    source.keys = [502, 501, 500, *source.keys]

    window.reload()
    settle(window, source)

    assert window.cursor_key == 499
    assert keys(window)[0] == 499
    assert (window.newer, window.newer_exact) == (3, True)
    window.move(-1)
    assert window.newer == 2
    window.to_start()
    settle(window, source)
    assert window.cursor_key == 502
    assert window.newer == 0


def test_more_new_rows_than_a_chunk_are_at_least_so_many() -> None:
    source = Source(range(500))
    window = opened(source)
    source.keys = [*range(2_000, 499, -1), *source.keys[1:]]
    source.keys = sorted(set(source.keys), reverse=True)

    window.reload()
    settle(window, source)

    assert window.cursor_key == 498
    assert window.newer >= 100
    assert not window.newer_exact


def test_rows_that_keep_coming_are_at_least_so_many() -> None:
    source = Source(range(500))
    window = opened(source)
    for newest in range(550, 2_800, 50):
        source.keys = [*range(newest - 1, newest - 51, -1), *source.keys]
        window.reload()
        settle(window, source)

    assert window.cursor_key == 499
    assert window.newer > 0
    assert not window.newer_exact, window.newer


@pytest.mark.parametrize("refresh", [True, False])
def test_new_rows_are_announced_only_while_the_start_is_loaded(refresh: bool) -> None:
    source = Source(range(5_000))
    window = opened(source)
    source.keys = [5_001, 5_000, *source.keys]
    window.reload()
    settle(window, source)
    assert window.newer == 2

    for _ in range(15 if refresh else 90):
        window.page(1)
        settle(window, source)
    if refresh:
        window.reload()
        settle(window, source)

    assert not window.at_start
    assert window.newer == 0


def test_an_operator_who_pages_on_during_a_refresh_stays_where_they_are() -> None:
    source = Source(range(5_000))
    window = opened(source)
    for _ in range(60):
        window.page(1)
        settle(window, source)
    window.reload()
    again = window.next_ask()
    assert again is not None
    window.page(-30)
    window.move(4)
    key, place = window.cursor_key, window.cursor - window.top

    assert window.answer(again, source.slice(again))
    settle(window, source)

    assert window.cursor_key == key
    assert window.cursor - window.top == place


def test_a_row_that_moved_is_not_listed_twice() -> None:
    source = Source(range(1_000))
    window = opened(source)
    window.move(CHUNK - 50)
    behind = window.next_ask()
    assert behind is not None
    found = source.slice(behind)
    moved = window.rows[10]

    window.answer(behind, found._replace(rows=(moved, *found.rows)))

    assert [row.key for row in window.rows].count(moved.key) == 1
    assert window.cursor_key == 999 - CHUNK + 50


def test_an_answer_without_rows_ends_the_list_until_the_next_refresh() -> None:
    source = Source(range(1_000))
    window = opened(source)
    window.move(CHUNK - 50)
    behind = window.next_ask()
    assert behind is not None

    window.answer(behind, Slice((), at_start=False, at_end=False))
    assert window.next_ask() is None

    window.reload()
    settle(window, source)
    assert not window.at_end


def test_a_list_shorter_than_the_screen_shows_new_rows_at_once() -> None:
    source = Source(range(5))
    window = opened(source)
    source.keys = [6, 5, *source.keys]

    window.reload()
    settle(window, source)

    assert keys(window) == [6, 5, 4, 3, 2, 1, 0]
    assert window.cursor_key == 4
    assert window.newer == 0


def test_a_following_list_shows_new_rows_until_the_cursor_would_leave_the_screen() -> None:
    source = Source(range(500))
    window = opened(source, follow=True)
    source.keys = [501, 500, *source.keys]
    window.reload()
    settle(window, source)
    assert keys(window)[0] == 501
    assert window.cursor_key == 499

    source.keys = [*range(540, 501, -1), *source.keys]
    window.reload()
    settle(window, source)
    assert window.cursor_key == 499
    assert keys(window)[-1] == 499
    assert window.newer == 22


def test_the_row_that_took_its_place_gets_the_cursor() -> None:
    source = Source(range(100))
    window = opened(source)
    window.move(10)
    assert window.cursor_key == 89
    source.keys.remove(89)

    window.reload()
    settle(window, source)

    assert window.cursor_key == 88


def test_the_last_row_gone_leaves_the_cursor_on_the_last() -> None:
    source = Source(range(100))
    window = opened(source)
    window.to_end()
    source.keys = source.keys[:-1]

    window.reload()
    settle(window, source)

    assert window.cursor_key == 1


def test_rows_crowding_in_before_the_cursor_do_not_move_it() -> None:
    source = Source(range(0, 100_000, 100))
    window = opened(source)
    window.move(50)
    key = window.cursor_key
    source.keys = sorted({*source.keys, *range(98_000, 99_000)}, reverse=True)

    window.reload()
    settle(window, source)

    assert window.cursor_key == key


def test_everything_from_the_screen_on_gone_leads_to_what_is_left() -> None:
    source = Source(range(1_000))
    window = opened(source)
    window.to_end()
    settle(window, source)
    source.keys = source.keys[:3]

    window.reload()
    settle(window, source)

    assert keys(window) == [999, 998, 997]
    assert window.cursor_key == 997


def test_a_refresh_asks_for_the_screen_and_a_margin_but_keeps_the_anchor_of_a_range() -> None:
    source = Source(range(5_000))
    window = opened(source)
    for _ in range(60):
        window.page(1)
        settle(window, source)
    assert len(window.rows) > 500

    window.keep = window.rows[100].key
    window.reload()
    settle(window, source)
    assert window.index(window.keep) is not None

    window.keep = None
    window.reload()
    settle(window, source)
    assert len(window.rows) <= 2 * CHUNK + 100


def test_going_to_a_key_loads_what_is_around_it() -> None:
    source = Source(range(100_000))
    window = opened(source)

    window.show(50_000)
    settle(window, source)

    assert window.cursor_key == 50_000
    assert keys(window) == list(range(50_000, 49_980, -1))
    assert window.rows[0].key > 50_000
    window.show(50_001)
    assert window.next_ask() is None  # it is loaded
    assert window.cursor_key == 50_001


def test_going_to_a_key_behind_the_end_leads_to_the_end() -> None:
    source = Source(range(10, 100))
    window = opened(source)

    window.show(5)
    settle(window, source)

    assert window.cursor_key == 10


def test_after_a_failure_nothing_is_asked_until_a_reload_which_asks_the_same() -> None:
    source = Source(range(1_000))
    window = opened(source)
    window.to_end()
    ask = window.next_ask()
    assert ask is not None

    assert window.failed(ask)
    assert window.next_ask() is None
    window.reload()
    settle(window, source)

    assert window.cursor_key == 0


def test_a_failed_prefetch_is_not_tried_in_a_circle() -> None:
    source = Source(range(1_000))
    window = opened(source)
    window.move(CHUNK - 50)
    ask = window.next_ask()
    assert ask is not None
    assert ask.where is Where.BEHIND

    window.failed(ask)

    assert window.next_ask() is None
    assert not window.failed(ask)


def test_the_failure_of_an_outdated_ask_does_not_matter() -> None:
    window = Window(10)
    window.restart()
    first = window.next_ask()
    window.restart()
    second = window.next_ask()

    assert not window.failed(first)
    assert window.failed(second)


@given(st.integers(1, 3_000), st.integers(0, 9_000))
@settings(max_examples=30, deadline=None)
def test_any_screen_on_any_list_settles_and_is_full(height: int, size: int) -> None:
    source = Source(range(size))
    window = opened(source, height)
    for go in (window.to_end, window.to_start, lambda: window.move(size // 2), lambda: window.page(-1)):
        go()
        settle(window, source)
        assert len(window.visible) == min(height, size)


class Live(RuleBasedStateMachine):
    """An operator moves while rows come and go and answers come late; compared with the list itself."""

    def __init__(self) -> None:
        super().__init__()
        self.source = Source(range(0, 6_000, 10))
        self.window = Window(12)
        self.window.restart()
        self.ask: Ask | None = None
        self.found: Slice | None = None
        self.start()

    def start(self) -> None:
        """Let the source see the next ask; its answer may be delivered later, when the list is another one."""
        ask = self.window.next_ask()
        if ask is not None:
            self.ask, self.found = ask, self.source.slice(ask)

    def drain(self) -> None:
        for _ in range(50):
            if self.ask is not None:
                self.deliver()
        assert self.ask is None, "asks in a circle"

    @precondition(lambda self: self.ask is not None)
    @rule()
    def deliver(self) -> None:
        ask, found = self.ask, self.found
        assert ask is not None
        assert found is not None
        self.ask = self.found = None
        key = self.window.cursor_key
        refreshed = ask.where is Where.AGAIN and self.window._jump is None and not self.window._owed
        assert self.window.answer(ask, found)
        if refreshed and any(row.key == key for row in found.rows):
            assert self.window.cursor_key == key
        self.start()

    @rule(key=st.integers(0, 6_200), count=st.integers(1, 400))
    def rows_appear(self, key: int, count: int) -> None:
        self.source.keys = sorted({*self.source.keys, *range(key, key + count)}, reverse=True)

    @rule(key=st.integers(0, 6_200), count=st.integers(1, 1_500))
    def rows_go(self, key: int, count: int) -> None:
        self.source.keys = [one for one in self.source.keys if not key <= one < key + count]

    @rule(delta=st.integers(-300, 300))
    def move(self, delta: int) -> None:
        self.window.move(delta)
        self.start()

    @rule(halves=st.integers(-3, 3))
    def page(self, halves: int) -> None:
        self.window.page(halves)
        self.start()

    @rule(delta=st.integers(-9, 9))
    def scroll(self, delta: int) -> None:
        self.window.scroll(delta)
        self.start()

    @rule(height=st.integers(0, 300))
    def resize(self, height: int) -> None:
        self.window.resize(height)
        self.start()

    @rule(end=st.booleans())
    def jump(self, end: bool) -> None:
        if end:
            self.window.to_end()
        else:
            self.window.to_start()
        self.start()

    @rule(key=st.integers(0, 6_200))
    def show(self, key: int) -> None:
        self.window.show(key)
        self.start()

    @rule()
    def reload(self) -> None:
        self.window.reload()
        self.start()

    @precondition(lambda self: self.ask is not None)
    @rule()
    def fail(self) -> None:
        assert self.window.failed(self.ask)
        self.ask = self.found = None

    @rule()
    def come_to_rest(self) -> None:
        """All answers are in and the list stands still: the window is a true, full and unbroken part of it."""
        self.drain()
        self.window.reload()
        self.start()
        self.drain()
        key = self.window.cursor_key
        self.window.reload()
        settle(self.window, self.source)
        window, listed = self.window, self.source.keys
        assert window.cursor_key == key
        assert len(window.visible) == min(window.height, len(listed))
        loaded = [row.key for row in window.rows]
        if loaded:
            at = listed.index(loaded[0])
            assert listed[at : at + len(loaded)] == loaded
            assert window.at_start == (at == 0)
            assert window.at_end == (at + len(loaded) == len(listed))

    @invariant()
    def the_cursor_is_on_the_screen(self) -> None:
        window = self.window
        if window.rows:
            assert window.top <= window.cursor < window.top + window.height
            assert window.cursor < len(window.rows)
            assert 0 <= window.top <= max(0, len(window.rows) - window.height)
        assert len({row.key for row in window.rows}) == len(window.rows)
        assert len(window.rows) <= max(MOST_ROWS, 8 * window.height) + CHUNK


TestLive = Live.TestCase
TestLive.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
