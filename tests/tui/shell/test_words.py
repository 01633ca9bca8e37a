"""Every word of the command line, by typing it in the real cockpit on a real engine."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from chronos_tui.cockpit.themes import THEMES
from chronos_tui.dialogs.choose import Choose
from chronos_tui.dialogs.compose import Compose
from chronos_tui.dialogs.confirm import Confirm
from chronos_tui.dialogs.help import Help
from chronos_tui.dialogs.keymake import MakeKey
from chronos_tui.dialogs.pause import Pause
from chronos_tui.dialogs.reading import Reading
from chronos_tui.screens.outbox import Outbox
from engine.errors import NotFound
from engine.model import RouteStep, State
from tests.support import settings, target
from tests.tui.cockpit import MINUTE_MS, Rig, opened_cockpit, run


async def say(rig: Rig, text: str) -> None:
    """Type a line and accept it."""
    await rig.press("colon")
    await rig.type(text)
    await rig.press("enter")


def footer(rig: Rig) -> str:
    return rig.screen_lines()[-1].strip()


def cockpit(tmp_path: Path, test: Callable[[Rig], Awaitable[None]], **options: Any) -> None:
    async def opened() -> None:
        async with opened_cockpit(tmp_path, **{"size": (100, 30), **options}) as rig:
            await test(rig)

    run(opened())


def test_panels_open_by_their_names_with_a_filter(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "outbox state:dead")
        assert rig.app.present is not None
        assert (rig.app.present.ID, rig.app.present.place()) == ("outbox", "state:dead")
        await say(rig, "audit")
        assert rig.app.present.ID == "audit"
        await say(rig, "overview")
        assert rig.app.present.ID == "overview"

    cockpit(tmp_path, test)


@pytest.mark.parametrize("spelling", ["{0}", "#{0}"])
def test_a_number_opens_the_message(tmp_path: Path, spelling: str) -> None:
    async def test(rig: Rig) -> None:
        dead = rig.ids["dead"]
        await say(rig, spelling.format(dead))
        assert rig.app.present is not None
        assert rig.app.present.place() == f"#{dead}"
        assert "5.7.8 authentication failed" in rig.screen_text()

    cockpit(tmp_path, test)


@pytest.mark.parametrize(
    ("word", "before", "after"),
    [
        ("retry", "dead", State.QUEUED),
        ("cancel", "queued", State.CANCELLED),
        ("hold", "queued", State.HELD),
        ("release", "held", State.QUEUED),
    ],
)
def test_an_act_on_one_number_is_done_at_once(tmp_path: Path, word: str, before: str, after: State) -> None:
    async def test(rig: Rig) -> None:
        number = rig.ids[before]
        await say(rig, f"{word} {number}")
        assert rig.state(number) == after
        assert f"#{number}" in footer(rig)

    cockpit(tmp_path, test)


@pytest.mark.parametrize(
    ("word", "after"),
    [("resend", State.QUEUED), ("settle-delivered", State.DELIVERED), ("settle-dead", State.DEAD)],
)
def test_what_is_final_is_asked_first(tmp_path: Path, word: str, after: State) -> None:
    async def test(rig: Rig) -> None:
        number = rig.ids["uncertain"]
        await say(rig, f"{word} {number}")
        assert rig.state(number) == State.UNCERTAIN
        await rig.press("y")
        assert rig.state(number) == after

    cockpit(tmp_path, test)


def test_an_act_on_a_filter_shows_the_frozen_set_first(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "hold state:queued")
        assert rig.state(rig.ids["queued"]) == State.QUEUED
        assert "Hold 1 message?" in rig.screen_text()
        await rig.press("y")
        await rig.until(lambda: rig.state(rig.ids["queued"]) == State.HELD)

    cockpit(tmp_path, test)


def test_an_act_on_several_numbers_is_asked_as_one(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, f"cancel {rig.ids['queued']} {rig.ids['held']}")
        assert "Cancel 2 messages?" in rig.screen_text()
        await rig.press("y")
        await rig.until(lambda: rig.state(rig.ids["held"]) == State.CANCELLED)
        assert rig.state(rig.ids["queued"]) == State.CANCELLED

    cockpit(tmp_path, test)


def test_an_act_on_a_number_that_there_is_not_says_so(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "retry 4711")
        assert "no message '4711'" in footer(rig)

    cockpit(tmp_path, test)


def test_a_word_of_a_panel_alone_acts_on_what_is_under_the_cursor(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "outbox state:dead")
        await say(rig, "retry")
        assert rig.state(rig.ids["dead"]) == State.QUEUED

    cockpit(tmp_path, test)


def test_a_word_alone_acts_on_nothing_that_was_not_seen(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "cancel")
        assert rig.state(rig.ids["queued"]) == State.QUEUED
        assert "cancel what?" in footer(rig)

    cockpit(tmp_path, test, panel="overview")


def test_the_list_is_sorted_by_name(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "sort size")
        assert isinstance(rig.app.present, Outbox)
        assert rig.app.present.messages.order.value == "size"

    cockpit(tmp_path, test)


def test_export_and_verify_are_the_panels_own(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "export")
        assert "write 8 messages to: outbox.csv" in rig.screen_lines()[-1]
        await rig.press("escape")
        await say(rig, "verify")
        assert rig.app.present is not None
        assert rig.app.present.ID == "audit"
        await rig.until(lambda: "intact" in rig.screen_text() or "verified" in rig.screen_text())

    cockpit(tmp_path, test)


def test_a_pause_needs_no_dialog_where_all_is_said_and_u_takes_it_back(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "pause hook 15m the server's moving")
        (hold,) = rig.engine.holds()
        assert (hold.scope, hold.reason) == ("target:hook", "the server's moving")
        assert hold.until_ms == rig.clock.now_ms() + 15 * MINUTE_MS
        assert footer(rig) == "✓ target hook held until 2026-09-21 15:23:20 UTC; u takes it back"
        await rig.press("u")
        assert rig.engine.holds() == []

    cockpit(tmp_path, test)


def test_undoing_a_longer_pause_gives_the_earlier_one_its_end_back(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "pause hook 15m first")
        rig.clock.advance_ms(5 * MINUTE_MS)
        await say(rig, "pause hook 4h second")
        await rig.press("u")
        (hold,) = rig.engine.holds()
        assert (hold.reason, hold.until_ms) == ("first", rig.clock.now_ms() + 10 * MINUTE_MS)

    cockpit(tmp_path, test)


def test_a_pause_with_something_missing_asks_in_the_dialog(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "pause hook")
        assert isinstance(rig.app.screen, Pause)
        assert "Holds target hook: 1 message waits there now." in rig.screen_text()

    cockpit(tmp_path, test)


def test_a_pause_beyond_a_week_is_refused_while_it_is_typed(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "pause hook 8d")
        assert "7d" in rig.screen_lines()[-2]
        assert rig.engine.holds() == []

    cockpit(tmp_path, test)


def test_resume_asks_and_holds_lists(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "holds")
        assert "nothing is held" in footer(rig)
        await say(rig, "pause hook 15m lunch")
        await rig.until(lambda: rig.app.line.known().held == ("target:hook",))
        await say(rig, "holds")
        assert isinstance(rig.app.screen, Reading)
        assert "lunch" in rig.screen_text()
        await rig.press("escape")
        await say(rig, "resume hook")
        assert isinstance(rig.app.screen, Confirm)
        await rig.press("enter")
        assert len(rig.engine.holds()) == 1
        await say(rig, "resume")
        await rig.press("y")
        assert rig.engine.holds() == []

    cockpit(tmp_path, test)


def test_undo_takes_back_the_last_act_or_the_one_of_that_number(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        queued, held = rig.ids["queued"], rig.ids["held"]
        await say(rig, f"cancel {queued}")
        await say(rig, "undo")
        assert rig.state(queued) == State.QUEUED
        await say(rig, f"release {held}")
        number = rig.engine.bulks()[0].bulk_id
        await say(rig, f"undo {number}")
        await rig.until(lambda: rig.state(held) == State.HELD)
        await say(rig, "undo 4711")
        await rig.shows("no bulk act 4711")

    cockpit(tmp_path, test)


def test_undo_without_an_act_of_this_visit_takes_back_anybodys(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        assert not rig.app.undoable
        await say(rig, "undo")  # the seed held one message a moment ago
        await rig.until(lambda: rig.state(rig.ids["held"]) == State.QUEUED)

    cockpit(tmp_path, test)


@pytest.mark.parametrize("word", ["new", "send"])
def test_a_new_message_may_name_its_target(tmp_path: Path, word: str) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, f"{word} hook")
        assert isinstance(rig.app.screen, Compose)
        assert rig.app.screen.draft().target == "hook"

    cockpit(tmp_path, test)


def test_targets_are_shown_tried_and_enabled(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "target")
        assert "hook" in rig.screen_text()
        assert "mail" in rig.screen_text()
        await rig.press("escape")
        await say(rig, "target hook")
        assert "at a time" in rig.screen_text()
        await rig.press("escape")
        await say(rig, "enable box")
        assert "nothing kept it from sending" in footer(rig)
        await say(rig, "test box")
        await rig.until(lambda: "it could" in rig.screen_text())

    where = tmp_path / "maildir"
    box = target("box", channel="maildir", options={"path": str(where)})
    cockpit(tmp_path, test, configuration=settings({"hook": target("hook"), "mail": target("mail"), "box": box}))


def test_every_theme_is_taken_and_remembered(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        for theme in THEMES:
            await say(rig, f"theme {theme.name}")
            assert rig.app.theme == theme.name
            assert footer(rig) == f"✓ theme {theme.name}"
            rig.app.keep()
            assert rig.app.session.theme == theme.name

    cockpit(tmp_path, test)


def test_an_attached_cockpit_says_who_reads_the_configuration_again(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "reload")
        assert "systemctl reload" in footer(rig)
        assert "kill -HUP" in footer(rig)

    cockpit(tmp_path, test)


def test_help_and_quit(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "help")
        assert isinstance(rig.app.screen, Help)
        await rig.press("escape", "colon")
        await rig.type("quit")
        await rig.pilot.press("enter")
        await rig.until(lambda: not rig.app.is_running)

    cockpit(tmp_path, test)


def test_read_only_refuses_every_word_that_changes_something(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        known = rig.app.line.words().values()
        changing = [word.name for word in known if word.danger.name != "NONE"]
        assert {"pause", "resume", "new", "undo", "enable", "retry", "settle-dead"} <= set(changing)
        for name in changing:
            assert "read-only" in rig.app.line.check(name)
        assert not rig.app.line.check("holds")

    cockpit(tmp_path, test, read_only=True)


def test_the_names_that_can_be_said_are_asked_anew_each_time(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("colon")
        await rig.type("outbox target:")
        assert "outbox target:hook" in rig.app.line.complete("outbox target:", 14)

    cockpit(tmp_path, test)


def test_a_route_is_no_scope(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        assert "hold its targets" in rig.app.line.check("pause alerts 30m")

    routes = {"alerts": (RouteStep("hook"), RouteStep("mail", 900_000))}
    cockpit(tmp_path, test, configuration=settings(routes=routes))


def test_the_words_of_the_locked_door_lead_to_its_panel(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "security")
        assert rig.app.present is not None
        assert rig.app.present.ID == "security"
        await say(rig, "incident ack 7")
        assert "no incident 7" in footer(rig)
        await say(rig, "key create n8n")
        assert isinstance(rig.app.screen, MakeKey)
        await rig.press("escape")
        await say(rig, "secret delete smtp")
        assert "no secret" in footer(rig)
        await say(rig, "replay 7")
        assert "no event 7" in footer(rig)
        await say(rig, "vault")
        await rig.until(lambda: isinstance(rig.app.screen, Choose))
        await rig.press("escape")
        for line, why in (
            ("incident shelve 7", "write ack or resolve"),
            ("incident ack x", "not a number"),
            ("key make n8n", "write create or rotate or revoke"),
            ("secret set smtp hunter2", "nothing more is taken here"),
        ):
            assert why in rig.app.line.check(line)

    cockpit(tmp_path, test)


def test_the_words_of_the_audit_log_sign_and_send_its_head(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "audit")
        await say(rig, "checkpoint")
        await rig.until(lambda: "without a vault" in footer(rig))
        await say(rig, "witness hook")
        await rig.until(lambda: "vault" in footer(rig))

    cockpit(tmp_path, test)


def test_the_words_of_backups_make_drill_and_restore_one(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "backups")
        assert rig.app.present is not None
        assert rig.app.present.ID == "backups"
        await say(rig, "audit")
        await say(rig, "restore")
        assert "restore what? name it" in footer(rig)
        await say(rig, "drill nothing.zip")
        await rig.until(lambda: "nothing.zip" in footer(rig))
        await say(rig, "restore nothing.zip")
        await rig.until(lambda: isinstance(rig.app.screen, Reading))
        await rig.press("escape")
        await say(rig, "backup")
        await rig.until(lambda: [one.kind for one in rig.engine.commands()] == ["backup"])
        assert "nothing is taken here" in rig.app.line.check("backup now")

    cockpit(tmp_path, test)


def test_every_word_was_tried_by_the_tests_above(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        source = Path(__file__).read_text()
        untried = [word for word in rig.app.line.words() if not re.search(rf'"{word}[ "]', source)]
        assert untried == []

    cockpit(tmp_path, test)


def test_a_number_without_a_message_is_not_found(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await say(rig, "#4711")
        with pytest.raises(NotFound):
            rig.engine.detail(4711)
        assert "no message" in footer(rig)

    cockpit(tmp_path, test)
