"""`?` and the footer tell the truth: they are compared with the bindings in every panel and pane."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from chronos_tui.dialogs.help import Help
from chronos_tui.keys import Command, Danger, key_words
from chronos_tui.views.help import document, groups
from chronos_tui.views.spans import line_text, width
from tests.tui.cockpit import Rig, opened_cockpit, run

PLACES = {
    "overview": ("1",),
    "the list": ("2",),
    "the list with marks": ("2", "space"),
    "a message": ("2", "enter"),
    "a message, from the list": ("2", "enter", "tab"),
    "the audit log": ("3",),
    "an audit entry": ("3", "enter"),
}


def cockpit(tmp_path: Path, test: Callable[[Rig], Awaitable[None]], **options: Any) -> None:
    async def opened() -> None:
        async with opened_cockpit(tmp_path, **{"size": (98, 100), **options}) as rig:
            await test(rig)

    run(opened())


def bound(rig: Rig) -> dict[str, str]:
    """Return key → id of what Textual itself would do now."""
    active = rig.app.screen.active_bindings
    return {key: one.binding.id or one.binding.action for key, one in active.items() if one.enabled}


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_help_lists_every_key_that_works_and_no_other(tmp_path: Path, place: str, read_only: bool) -> None:
    async def test(rig: Rig) -> None:
        await rig.press(*PLACES[place])
        works = bound(rig)
        said = {key: command.id for command in rig.app.working() for key in command.keys}
        assert said == works
        commands = rig.app.working()
        await rig.press("question_mark")
        assert isinstance(rig.app.screen, Help)
        text = " ".join(rig.screen_text().replace("│", " ").split())
        for command in commands:
            assert command.help in text, command.id

    cockpit(tmp_path, test, read_only=read_only)


@pytest.mark.parametrize("place", PLACES)
def test_the_footer_names_keys_that_do_what_it_says(tmp_path: Path, place: str) -> None:
    async def test(rig: Rig) -> None:
        await rig.press(*PLACES[place])
        works = bound(rig)
        footer = rig.screen_lines()[-1].split("  ")
        pairs = [one.strip().partition(" ") for one in footer if one.strip()]
        assert len(pairs) > 5
        commands = {command.id: command for command in rig.app.working()}
        by_words = {key_words(key): commands[one] for key, one in works.items()}
        for key, _, title in pairs:
            assert by_words[key].title == title

    cockpit(tmp_path, test)


def test_every_key_of_the_shell_is_offered_where_nothing_is_in_its_way(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        shell = {one for one in rig.app.commands if one.startswith("shell.")}
        assert shell <= set(bound(rig).values())
        assert {"5", "9"}.isdisjoint(bound(rig))  # there are no such panels

    cockpit(tmp_path, test, panel="overview")


def test_read_only_offers_nothing_that_changes_anything(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        for place in PLACES.values():
            await rig.press(*place)
            changing = [one.id for one in rig.app.working() if one.danger is not Danger.NONE]
            assert changing == []

    cockpit(tmp_path, test, read_only=True)


@pytest.mark.parametrize("key", ["escape", "q", "question_mark", "enter", "minus", "ctrl+c"])
def test_help_closes_and_the_place_is_as_it_was(tmp_path: Path, key: str) -> None:
    async def test(rig: Rig) -> None:
        before, focus = rig.screen_lines(), rig.app.focused
        await rig.press("question_mark", key)
        assert rig.app.screen.id == "main"
        assert rig.app.focused is focus
        assert rig.screen_lines() == before

    cockpit(tmp_path, test, panel="outbox")


def test_help_scrolls_to_its_end_on_the_smallest_screen(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("question_mark")
        assert "more lines" in rig.screen_text()
        first = rig.screen_text()
        await rig.press("j")
        assert rig.screen_text() != first
        await rig.press("k")
        assert rig.screen_text() == first
        await rig.press("ctrl+d", "pagedown", "space", "ctrl+u", "pageup", "G")
        assert "more lines" not in rig.screen_text()
        assert "open the panel of that number" in rig.screen_text()
        await rig.press("g")
        assert rig.screen_text() == first
        await rig.press("end", "home", "down", "up")
        assert rig.screen_text() == first

    cockpit(tmp_path, test, panel="outbox", size=(60, 20))


def test_help_survives_resizes(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("question_mark", "G")
        for size in ((60, 20), (1, 1), (80, 24), (200, 60)):
            await rig.pilot.resize_terminal(*size)
            await rig.settle()
        assert "every key that works here" in rig.screen_text()

    cockpit(tmp_path, test, panel="outbox", size=(80, 24))


def test_no_key_acts_on_a_terminal_too_small_to_show_it_and_the_focus_comes_back(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        listed = rig.app.focused
        await rig.pilot.resize_terminal(30, 5)
        await rig.press("x", "n", "p", "u", "colon", "2")
        assert set(bound(rig).values()) == {"shell.leave", "shell.interrupt", "shell.repaint"}
        await rig.pilot.resize_terminal(80, 24)
        await rig.settle()
        assert rig.app.screen.id == "main"
        assert listed is not None
        assert rig.app.focused is listed
        assert {one.state.value for one in rig.engine.page().messages} == set(rig.ids)

    cockpit(tmp_path, test, panel="outbox", size=(80, 24))


COMMANDS = [
    Command("shell.help", ("question_mark",), "help", "every key that works here"),
    Command("outbox.retry", ("r",), "retry", "send it again", danger=Danger.UNDOABLE),
    Command("list.down", ("j", "down"), "down", "one row down"),
    Command("outbox.drop", ("D",), "drop", "asks first", danger=Danger.FINAL),
]


def test_what_a_panel_has_of_its_own_comes_first() -> None:
    titles = [title for title, _commands in groups(COMMANDS, {"outbox": "Outbox"})]
    assert titles == ["Outbox", "In the list", "Everywhere"]


@pytest.mark.parametrize("cells", [56, 76, 116])
def test_the_document_fits_and_loses_no_word(cells: int) -> None:
    long = Command("outbox.long", ("ctrl+d", "pagedown"), "long", "word " * 30 + "end")
    lines = document([*COMMANDS, long], {"outbox": "Outbox"}, cells)
    assert max(width(line) for line in lines) <= cells
    text = " ".join(" ".join(line_text(line) for line in lines).split())
    assert text.count("word") == 30
    assert "j down one row down" in text
    assert text.count("asks first") == 1
