"""ctrl+p: found by a part of the name, run where the palette was opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronos_tui.dialogs.help import Help
from chronos_tui.dialogs.palette import Palette
from chronos_tui.views.palette import Item, ranked
from chronos_tui.widgets.lineinput import LineInput
from chronos_tui.widgets.promptbar import PromptBar
from engine.model import State
from tests.tui.cockpit import Rig, opened_cockpit, run


def chosen(rig: Rig) -> str:
    return next(line for line in rig.screen_lines() if "▸" in line and "│" in line)


def test_what_is_chosen_is_done_where_the_palette_was_opened(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24), panel="outbox") as rig:
            await rig.press("slash")
            await rig.type("state:dead")
            await rig.press("enter")
            focus = rig.app.focused
            await rig.press("ctrl+p")
            await rig.type("retry")
            await rig.press("enter")
            assert rig.app.focused is focus
            assert rig.state(rig.ids["dead"]) == State.QUEUED

    run(test())


def test_a_word_that_takes_something_goes_on_in_the_command_line(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24)) as rig:
            await rig.press("ctrl+p")
            await rig.type(":theme")
            await rig.press("enter")
            assert rig.app.query_one(PromptBar).has_class("open")
            assert rig.app.query_one("#line", LineInput).value == "theme "

    run(test())


@pytest.mark.parametrize(("typed", "panel"), [("aud", "audit"), ("outb", "outbox")])
def test_panels_are_in_it(tmp_path: Path, typed: str, panel: str) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24), panel="overview") as rig:
            await rig.press("ctrl+p")
            await rig.type(typed)
            await rig.press("enter")
            assert rig.app.present is not None
            assert panel == rig.app.present.ID

    run(test())


def test_its_keys_move_and_leave(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24)) as rig:
            await rig.press("ctrl+p")
            first = chosen(rig)
            seen = {first}
            for key in ("down", "ctrl+n", "tab"):
                await rig.press(key)
                seen.add(chosen(rig))
            assert len(seen) == 4
            for key in ("up", "ctrl+p", "shift+tab"):
                await rig.press(key)
            assert chosen(rig) == first
            await rig.press("pagedown")
            assert chosen(rig) != first
            await rig.press("pageup")
            assert chosen(rig) == first
            await rig.press("escape")
            assert rig.app.screen.id == "main"
            await rig.press("ctrl+p", "ctrl+c")
            assert rig.app.screen.id == "main"

    run(test())


def test_nothing_of_that_name_is_said_and_enter_does_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24)) as rig:
            await rig.press("ctrl+p")
            await rig.type("zzzz")
            assert "nothing of that name" in rig.screen_text()
            await rig.press("enter")
            assert isinstance(rig.app.screen, Palette)

    run(test())


def test_every_key_that_works_and_every_word_is_in_it_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24), panel="outbox") as rig:
            works = {one.title for one in rig.app.working() if one.id not in {"shell.palette", "shell.panel"}}
            named = {one.line.split()[0] for one in rig.app.working() if one.line}
            words = {f":{one}" for one in rig.app.line.words()} - {f":{one}" for one in named}
            await rig.press("ctrl+p")
            assert isinstance(rig.app.screen, Palette)
            titles = [item.title for item in rig.app.screen._items]
            assert works <= set(titles)
            assert {one for one in titles if one.startswith(":")} == words - {f":{kind.ID}" for kind in rig.app.kinds}
            assert len([one for one in titles if one.startswith(":")]) == len(set(titles) & words)

    run(test())


def test_it_works_on_the_smallest_screen_and_survives_a_resize(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(120, 40)) as rig:
            await rig.press("ctrl+p")
            for size in ((60, 20), (1, 1), (60, 20)):
                await rig.pilot.resize_terminal(*size)
                await rig.settle()
            await rig.type("help")
            assert "every key that" in chosen(rig)
            await rig.press("enter")
            assert isinstance(rig.app.screen, Help)

    run(test())


ITEMS = [
    Item("explain", "why a retry was chosen, or a pane", "e"),
    Item("cancel", "cancel what was not sent yet", "x"),
    Item("retry", "send dead ones again", "r"),
    Item("repaint", "draw the whole screen anew", "^l"),
    Item(":resume", "let what is paused go on", ""),
    Item("next pane", "go to the next pane of this panel", "tab"),
]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("retry", "retry"),
        ("rt", "retry"),
        ("x", "cancel"),
        ("pane", "next pane"),
        ("paused", ":resume"),
        ("again", "retry"),
        ("go on", ":resume"),
        ("RETRY", "retry"),
    ],
)
def test_the_likeliest_comes_first(typed: str, first: str) -> None:
    assert ITEMS[ranked(typed, ITEMS)[0]].title == first


def test_all_are_listed_in_their_order_while_nothing_is_typed() -> None:
    assert ranked("", ITEMS) == list(range(len(ITEMS)))
    assert ranked("qqq", ITEMS) == []
