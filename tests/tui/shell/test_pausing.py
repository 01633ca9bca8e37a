"""`p` and `P`: what is held or let go is said before, with how many wait and until when."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual import events

from chronos_tui.dialogs.choose import Choose
from chronos_tui.dialogs.confirm import Confirm
from chronos_tui.dialogs.pause import Pause
from chronos_tui.views import holds as views
from chronos_tui.views.spans import line_text
from engine.model import Hold, Rate
from tests.support import PATIENCE_S, target
from tests.tui.cockpit import MINUTE_MS, Rig, opened_cockpit, run


def cockpit(tmp_path: Path, test: Callable[[Rig], Awaitable[None]], **options: Any) -> None:
    async def opened() -> None:
        async with opened_cockpit(tmp_path, **{"size": (80, 24), **options}) as rig:
            await test(rig)

    run(opened())


def test_enter_pauses_for_what_is_shown_and_u_takes_it_back(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("p")
        await rig.type("all")
        assert "Holds all messages: 1 message waits there now." in rig.screen_text()
        assert "until 2026-09-21 15:38:20 UTC" in rig.screen_text()
        await rig.press("tab", "tab")
        await rig.type("the server moves")
        await rig.press("enter")
        (hold,) = rig.engine.holds()
        assert (hold.scope, hold.reason) == ("all", "the server moves")
        assert hold.until_ms == rig.clock.now_ms() + 30 * MINUTE_MS
        await rig.press("u")
        assert rig.engine.holds() == []

    cockpit(tmp_path, test)


def test_the_panel_says_what_is_meant_here(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("p")
        assert "target:hook" in rig.screen_text()
        assert "Holds target hook" in rig.screen_text()
        await rig.press("enter")
        assert [hold.scope for hold in rig.engine.holds()] == ["target:hook"]

    cockpit(tmp_path, test, panel="outbox")


def test_what_is_typed_before_the_dialog_is_there_is_meant_for_it(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("2")
        answered = threading.Event()
        rig.app.desk.read("slow", lambda _engine: answered.wait(PATIENCE_S), lambda _answer: None)
        for key in ("p", "ctrl+u", "a", "l"):  # on the list below: all that match, and release
            rig.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await rig.pilot.pause()
        answered.set()
        await rig.until(lambda: isinstance(rig.app.screen, Pause))
        await rig.settle()
        assert isinstance(rig.app.screen, Pause)
        assert len(rig.app.screen_stack) == 2

    cockpit(tmp_path, test)


def test_without_a_scope_or_a_duration_nothing_is_held_and_words_say_what_is_missing(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("p", "enter")
        assert "✗ say what: all, a channel" in rig.screen_text()
        await rig.type("hook")
        await rig.press("tab", "ctrl+u")
        assert "✗ 30m, 4h, at most 7d" in rig.screen_text()
        await rig.press("enter")
        assert isinstance(rig.app.screen, Pause)
        await rig.type("8d")
        assert "✗ a pause lasts from a moment to 7d" in rig.screen_text()
        await rig.press("enter")
        assert rig.engine.holds() == []
        await rig.press("ctrl+w")
        await rig.type("1h")
        await rig.press("enter")
        assert rig.engine.holds()[0].until_ms == rig.clock.now_ms() + 60 * MINUTE_MS

    cockpit(tmp_path, test)


def test_scope_and_duration_are_completed_and_fields_are_walked(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("p")
        await rig.type("ho")
        await rig.press("right")
        assert "Holds target hook" in rig.screen_text()
        await rig.press("down", "ctrl+u")
        await rig.type("1")
        await rig.press("ctrl+n", "ctrl+n")
        assert "until 2026-09-21 16:08:20 UTC" in rig.screen_text()
        await rig.press("ctrl+p", "shift+tab", "up", "tab", "enter")
        assert len(rig.engine.holds()) == 1

    cockpit(tmp_path, test)


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
def test_leaving_holds_nothing(tmp_path: Path, key: str) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("p")
        await rig.type("all")
        await rig.press(key)
        assert rig.app.screen.id == "main"
        assert rig.engine.holds() == []

    cockpit(tmp_path, test)


def test_an_unknown_scope_is_said_once_it_cannot_become_right(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("p")
        await rig.type("hoo")
        assert "✗ nothing called" not in rig.screen_text()
        await rig.type("x")
        assert "✗ nothing called 'hoox' can be paused; did you mean hook?" in rig.screen_text()

    cockpit(tmp_path, test)


def test_resume_says_what_leaves_at_once_and_enter_is_no(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        rig.engine.pause("target:hook", for_ms=30 * MINUTE_MS)
        rig.clock.advance_ms(6 * MINUTE_MS)  # "Good morning" is due now
        await rig.press("P")
        assert isinstance(rig.app.screen, Confirm)
        text = rig.screen_text()
        assert "Target hook: 1 message waits." in text
        assert "After the resume 1 message leaves at once." in text
        await rig.press("enter")
        assert len(rig.engine.holds()) == 1
        await rig.press("P", "y")
        assert rig.engine.holds() == []
        assert "no longer held: target hook" in rig.screen_lines()[-1]

    cockpit(tmp_path, test)


def test_of_several_holds_one_is_chosen_or_all(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        rig.engine.pause("target:hook", for_ms=30 * MINUTE_MS)
        rig.engine.pause("target:mail", for_ms=60 * MINUTE_MS)
        rig.engine.pause("template:x", for_ms=90 * MINUTE_MS)
        await rig.press("P")
        assert isinstance(rig.app.screen, Choose)
        await rig.press("j", "enter", "y")
        assert [hold.scope for hold in rig.engine.holds()] == ["target:hook", "template:x"]
        await rig.press("P", "a", "y")
        assert rig.engine.holds() == []
        await rig.press("P")
        assert "nothing is held" in rig.screen_lines()[-1]

    cockpit(tmp_path, test)


def test_read_only_has_neither_key(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("p", "P", "n")
        assert rig.app.screen.id == "main"

    cockpit(tmp_path, test, read_only=True, panel="outbox")


def test_the_dialog_survives_resizes(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("p")
        for size in ((60, 20), (1, 1), (60, 20)):
            await rig.pilot.resize_terminal(*size)
            await rig.settle()
        await rig.type("all")
        assert "1 message waits there now." in rig.screen_text()
        await rig.press("enter")
        assert len(rig.engine.holds()) == 1

    cockpit(tmp_path, test)


def test_a_hostile_reason_and_actor_are_made_fit_for_a_line() -> None:
    hold = Hold(1, "template:\x1b[2Jx", 0, 60_000, "be\x1b]0;t\x07cause\u202e", "cli:\x1bcroot")
    text = "".join(line_text(line) for line in views.holds([hold], 0, str))
    assert text.isprintable()
    assert "\u202e" not in text


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        ("all", "state:queued"),
        ("channel:email", 'state:queued channel:"email"'),
        ('template:a "b" \\', 'state:queued template:"a \\"b\\" \\\\"'),
    ],
)
def test_what_waits_in_a_scope_is_found_by_a_filter(scope: str, found: str) -> None:
    assert views.filter_of(scope) == found
    assert views.due_filter_of(scope) == f"{found} due<=0s"


def test_how_long_the_backlog_takes_is_said_where_the_rate_is_known() -> None:
    def said(due: int, waiting: int, rate: Rate | None) -> str:
        lines = views.release("target:ops", due, waiting, target("ops", rate=rate))
        return " ".join(line_text(line) for line in lines)

    assert said(120, 150, Rate(20, 60_000)).endswith(
        "After the resume 120 messages leave at once, about 6 min at its rate. 30 messages are not due yet."
    )
    assert "about" not in said(20, 20, Rate(20, 60_000))
    assert "about" not in said(120, 120, None)
    assert said(0, 0, None) == "Target ops: 0 messages wait. Nothing leaves at once."
