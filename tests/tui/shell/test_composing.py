"""`n`: a message is written with the keyboard alone, and queued once however often it is sent."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from chronos_tui.dialogs.compose import Compose
from chronos_tui.dialogs.confirm import Confirm
from engine.model import Priority, State
from tests.support import PATIENCE_S, Box
from tests.tui.cockpit import MINUTE_MS, Rig, opened_cockpit, run


def cockpit(tmp_path: Path, test: Callable[[Rig], Awaitable[None]], **options: Any) -> None:
    async def opened() -> None:
        async with opened_cockpit(tmp_path, **{"size": (80, 24), **options}) as rig:
            await test(rig)

    run(opened())


def count(rig: Rig) -> int:
    return sum(rig.engine.counts().values())


async def fill(rig: Rig, *, subject: str = "Hello", text: str = "First line") -> None:
    await rig.press("n")
    await rig.type("hook")
    await rig.press("tab")
    await rig.type(subject)
    await rig.press("tab")
    await rig.type(text)


def test_the_keys_work_again_after_a_terminal_too_small_for_the_panel_behind(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("n")
        await rig.pilot.resize_terminal(50, 15)
        await rig.pilot.resize_terminal(80, 24)
        await rig.press("escape")
        await rig.shows("enter open")
        await rig.press("enter")
        await rig.shows("── Story")

    cockpit(tmp_path, test, panel="outbox")


def test_a_message_is_written_and_sent_and_u_cancels_it(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await fill(rig)
        await rig.press("enter")
        await rig.type("second")
        await rig.press("tab", "tab")
        await rig.type("30m")
        assert "2026-09-21 15:38:20 UTC, in 30 min" in rig.screen_text()
        await rig.press("tab")
        await rig.type("2h")
        await rig.press("tab", "ctrl+u")
        await rig.type("hi")
        await rig.press("right", "ctrl+s")
        assert rig.app.screen.id == "main"
        (new,) = rig.engine.page(limit=1).messages
        assert rig.engine.content(new.id).text == "First line\nsecond"
        assert (new.subject, new.target, new.priority) == ("Hello", "hook", Priority.HIGH)
        assert new.due_ms == rig.clock.now_ms() + 30 * MINUTE_MS
        assert new.expires_ms == new.due_ms + 120 * MINUTE_MS
        assert new.queued_by == "cockpit:me"
        assert f"queued as #{new.id}, leaves 2026-09-21 15:38:20 UTC; u cancels it" in rig.screen_lines()[-1]
        await rig.press("u")
        assert rig.state(new.id) == State.CANCELLED

    cockpit(tmp_path, test)


def test_a_second_press_does_not_send_twice(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        before = count(rig)
        await fill(rig)
        await rig.pilot.press("ctrl+s", "ctrl+s", "ctrl+s")
        await rig.settle()
        assert count(rig) == before + 1

    cockpit(tmp_path, test)


def test_one_form_is_one_message_even_if_an_answer_is_lost(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        before = count(rig)
        await fill(rig)
        form = rig.app.screen
        assert isinstance(form, Compose)
        judged = form._judge()
        assert judged.new is not None
        rig.engine.enqueue(judged.new)  # stored, but the form never heard of it
        await rig.press("ctrl+s")
        assert count(rig) == before + 1
        assert rig.app.screen.id == "main"

    cockpit(tmp_path, test)


def test_two_forms_with_the_same_words_are_two_messages(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        before = count(rig)
        for _ in range(2):
            await fill(rig)
            await rig.press("ctrl+s")
        assert count(rig) == before + 2

    cockpit(tmp_path, test)


def test_sending_what_is_wrong_goes_to_the_field_and_says_why(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        before = count(rig)
        await fill(rig)
        await rig.press("tab", "tab")
        await rig.type("soon")
        await rig.press("shift+tab", "shift+tab", "shift+tab", "ctrl+s")
        assert count(rig) == before
        assert isinstance(rig.app.screen, Compose)
        assert rig.app.focused is rig.app.screen._fields["when"].line
        assert "✗ 'soon' is not a time" in rig.screen_text()

    cockpit(tmp_path, test)


def test_an_empty_message_is_refused_in_words(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        before = count(rig)
        await rig.press("n")
        await rig.type("hook")
        assert "✗" not in rig.screen_text()
        await rig.press("ctrl+s")
        assert "✗ an empty message" in rig.screen_text()
        assert count(rig) == before

    cockpit(tmp_path, test)


def test_enter_in_a_field_goes_on_and_never_sends(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        before = count(rig)
        await rig.press("n")
        await rig.type("hook")
        await rig.press("enter")
        await rig.type("Hello")
        await rig.press("enter", "enter", "enter")
        assert count(rig) == before
        form = rig.app.screen
        assert isinstance(form, Compose)
        assert (form.draft().subject, form.draft().text) == ("Hello", "\n\n")

    cockpit(tmp_path, test)


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
def test_leaving_asks_before_what_was_typed_is_lost(tmp_path: Path, key: str) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("n")
        await rig.type("hook")
        await rig.press("tab")
        await rig.type("Hello")
        await rig.press(key)
        assert isinstance(rig.app.screen, Confirm)
        await rig.press("enter")
        form = rig.app.screen
        assert isinstance(form, Compose)
        assert form.draft().subject == "Hello"
        await rig.press(key, "y")
        assert rig.app.screen.id == "main"

    cockpit(tmp_path, test)


def test_leaving_an_empty_form_asks_nothing(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("n", "escape")
        assert rig.app.screen.id == "main"

    cockpit(tmp_path, test)


def test_fields_are_walked_and_completed_by_keys(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("n")
        form = rig.app.screen
        assert isinstance(form, Compose)
        await rig.press("ctrl+n")
        assert form.draft().target == "hook"
        await rig.press("ctrl+n")
        assert form.draft().target == "mail"
        await rig.press("ctrl+p")
        assert form.draft().target == "hook"
        await rig.press("down", "up")
        assert rig.app.focused is form._fields["target"].line
        await rig.press("ctrl+u")
        await rig.type("ma")
        await rig.press("right")
        assert form.draft().target == "mail"
        await rig.press("shift+tab")
        assert rig.app.focused is form._fields["priority"].line

    cockpit(tmp_path, test)


def test_a_file_is_attached_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("all well")

    async def test(rig: Rig) -> None:
        await fill(rig)
        await rig.press("tab")
        await rig.type(f"{tmp_path}/rep")
        await rig.press("right")
        assert "1 file, 8 B" in rig.screen_text()
        await rig.press("ctrl+s")
        (new,) = rig.engine.page(limit=1).messages
        assert rig.engine.detail(new.id).attachments == (("report.txt", "text/plain", 8),)

    cockpit(tmp_path, test)


def test_a_file_that_has_gone_meanwhile_keeps_the_form_open(tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_text("all well")

    async def test(rig: Rig) -> None:
        before = count(rig)
        await fill(rig)
        await rig.press("tab")
        await rig.type(str(report))
        form, gate = rig.app.screen, threading.Event()
        rig.app.desk.act(lambda _engine: gate.wait(PATIENCE_S), lambda _answer: None, lambda _text: None)
        await rig.pilot.press("ctrl+s")  # judged now, and read behind what is being done
        report.unlink()
        gate.set()
        await rig.settle()
        assert "no such file" in rig.screen_text()
        assert count(rig) == before
        assert rig.app.screen is form

    cockpit(tmp_path, test)


def test_undoing_what_is_on_the_wire_promises_no_more_than_is_done(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await fill(rig)
        await rig.press("ctrl+s")
        (new,) = rig.engine.page(limit=1).messages
        box = Box(rig.engine.paths.data_dir, rig.engine.settings, rig.clock, rig.engine.context.database)
        assert new.id in {one.taken.id for one in box.claim()}
        await rig.press("u")
        assert rig.state(new.id) == State.SENDING
        assert f"#{new.id} will be cancelled, unless it is just being accepted" in rig.screen_lines()[-1]

    cockpit(tmp_path, test)


def test_the_form_survives_resizes_with_what_was_typed(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await fill(rig)
        for size in ((60, 20), (1, 1), (200, 60), (60, 20)):
            await rig.pilot.resize_terminal(*size)
            await rig.settle()
        text = rig.screen_text()
        assert "First line" in text
        assert "priority" in text
        assert "sends" in text
        before = count(rig)
        await rig.press("ctrl+s")
        assert count(rig) == before + 1

    cockpit(tmp_path, test, size=(120, 40))


def test_its_text_neither_blinks_nor_swallows_the_tab(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await fill(rig)
        form = rig.app.screen
        assert isinstance(form, Compose)
        assert not form._text.cursor_blink
        await rig.press("tab")
        assert rig.app.focused is form._fields["attach"].line

    cockpit(tmp_path, test)
