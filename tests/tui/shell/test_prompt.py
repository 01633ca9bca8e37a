"""The line at the bottom: completing, history, what is wrong, leaving; by its keys in the real cockpit."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.widget import Widget

from chronos_tui.cockpit.session import Session
from chronos_tui.views.prompt import hints, tail
from chronos_tui.views.spans import line_text
from chronos_tui.widgets.lineinput import LineInput
from chronos_tui.widgets.messages import Messages
from chronos_tui.widgets.panel import Prompt
from chronos_tui.widgets.promptbar import PromptBar
from tests.tui.cockpit import Rig, opened_cockpit, run


def line(rig: Rig) -> LineInput:
    return rig.app.screen.query_one("#line", LineInput)


def hint(rig: Rig) -> str:
    return rig.screen_lines()[-2].strip()


def test_tab_and_shift_tab_go_round_and_the_typed_text_comes_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24)) as rig:
            await rig.press("colon")
            await rig.type("re")
            seen = []
            for key in ("tab", "tab", "shift+tab", "shift+tab", "ctrl+p", "ctrl+n"):
                await rig.press(key)
                seen.append(line(rig).value)
            known = [word for word in rig.app.line.words() if word.startswith("re")]
            assert [one.strip() for one in seen] == [known[0], known[1], known[0], "re", known[-1], "re"]

    run(test())


def test_right_takes_the_first_and_goes_on_from_there(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24)) as rig:
            await rig.press("colon")
            await rig.type("pau")
            await rig.press("right")
            assert line(rig).value == "pause "
            assert "all" in hint(rig)
            await rig.press("left", "right")
            assert line(rig).value == "pause "

    run(test())


def test_up_and_down_bring_back_what_was_accepted_in_this_visit_and_the_last(tmp_path: Path) -> None:
    async def test() -> None:
        session = Session(histories={"command": ["holds"]})
        async with opened_cockpit(tmp_path, size=(80, 24), session=session) as rig:
            await rig.press("colon")
            await rig.type("theme light")
            await rig.press("enter", "colon")
            await rig.type("half")
            seen = []
            for key in ("up", "up", "up", "down", "down", "down"):
                await rig.press(key)
                seen.append(line(rig).value)
            assert seen == ["theme light", "holds", "holds", "theme light", "half", "half"]
            assert session.histories["command"] == ["holds", "theme light"]

    run(test())


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
def test_leaving_gives_the_focus_back_and_does_nothing(tmp_path: Path, key: str) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24), panel="outbox") as rig:
            before: Widget | None = rig.app.query_one(Messages)
            assert rig.app.focused is before
            await rig.press("colon")
            assert line(rig).has_focus
            await rig.type("quit")
            await rig.press(key)
            assert rig.app.focused is before
            assert not rig.app.query_one(PromptBar).has_class("open")
            assert "quit" in rig.screen_lines()[-1]  # the footer is there again

    run(test())


def test_ctrl_u_and_ctrl_w_delete(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24)) as rig:
            await rig.press("colon")
            await rig.type("pause email 30m")
            await rig.press("ctrl+w")
            assert line(rig).value == "pause email "
            await rig.press("ctrl+u")
            assert line(rig).value == ""

    run(test())


def test_a_wrong_line_is_refused_in_red_and_stays(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24)) as rig:
            await rig.press("colon")
            await rig.type("puase")
            assert hint(rig) == "no command 'puase'; did you mean pause?"
            await rig.press("enter")
            assert hint(rig) == "✗ no command 'puase'; did you mean pause?"
            assert line(rig).value == "puase"
            await rig.press("backspace")
            assert not hint(rig).startswith("✗")

    run(test())


def test_what_is_pasted_is_one_line(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24)) as rig:
            await rig.press("colon")
            line(rig).post_message(events.Paste("theme light\nquit"))
            await rig.settle()
            assert "\n" not in line(rig).value
            assert line(rig).value.startswith("theme light")

    run(test())


def test_the_prompt_does_not_blink_and_covers_only_the_last_two_lines(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24), panel="outbox") as rig:
            before = rig.screen_lines()
            await rig.press("colon")
            assert not line(rig).cursor_blink
            assert rig.screen_lines()[:-2] == before[:-2]

    run(test())


def test_a_candidate_that_cannot_be_shown_as_it_is_is_not_offered(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24)) as rig:
            hostile = ["a\x1b[31mred", "a\u202eb", "alright"]
            rig.app.prompt(Prompt("x", lambda _text: None, complete=lambda _text, _cursor: hostile))
            await rig.type("a")
            assert line(rig).candidates == ("alright",)

    run(test())


def test_the_prompt_survives_a_resize_to_the_smallest_screen_and_below(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(120, 40)) as rig:
            await rig.press("colon")
            for size in ((60, 20), (30, 5), (80, 24)):
                await rig.pilot.resize_terminal(*size)
                await rig.settle()
            await rig.type("holds")
            assert rig.screen_lines()[-1] == ":holds"

    run(test())


def test_somebody_who_is_still_typing_is_not_wrong_yet() -> None:
    def said(text: str, *, refused: bool = False, candidates: tuple[str, ...] = ()) -> tuple[str, str]:
        found = hints(text, candidates, None, "it is wrong", "say it", 80, refused=refused)
        return line_text(found).strip(), found[0].role

    assert said("") == ("say it", "dim")
    assert said("state:de", candidates=("state:dead",))[0] == "state:dead"
    assert said("age>") == ("it is wrong", "dim")
    assert said("age> ") == ("✗ it is wrong", "failed")
    assert said("age>", refused=True) == ("✗ it is wrong", "failed")


def test_the_chosen_candidate_is_always_among_those_that_fit() -> None:
    candidates = tuple(f"pause target-{n}" for n in range(30))
    for chosen in range(30):
        shown = hints("pause ", candidates, chosen, "", "", 60)
        assert [span.text for span in shown if span.role == "selected"] == [f"target-{chosen}"]
        assert len(line_text(shown)) <= 60


def test_only_what_is_new_of_a_candidate_is_shown() -> None:
    assert tail("pause em", "pause email ") == "email"
    assert tail("", "outbox ") == "outbox"
    assert tail("state:dead ta", "state:dead target:") == "target:"
