"""The security panel by its keys, on a real engine: sections, pages, acts with their questions, what is never kept."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chronos_tui.cockpit.session import Session
from chronos_tui.dialogs.bulk import AskTyped, TypedInput
from chronos_tui.dialogs.choose import Choose
from chronos_tui.dialogs.confirm import Confirm
from chronos_tui.dialogs.keymake import MakeKey
from chronos_tui.dialogs.keyshown import KeyShown
from chronos_tui.dialogs.unseen import Unseen
from chronos_tui.screens.security import Security
from chronos_tui.widgets.once import Once
from chronos_tui.widgets.table import Rows
from chronos_tui.widgets.textview import TextView
from engine.operations import inbound, incidents
from engine.operations.vault import Provider
from engine.rules.apikeys import Scope
from engine.rules.incidents import Kind
from engine.store import incidents as store
from tests import inbox
from tests.support import Box
from tests.tui.cockpit import MINUTE_MS, Rig, opened_cockpit, run, seed, troubled

SMALL, WIDE, HUGE = (80, 24), (120, 40), (200, 60)
DAY_MS = 24 * 60 * MINUTE_MS
KEY = re.compile(r"chr_[0-9a-f]{8}_[A-Za-z0-9_-]{43}_[0-9A-Za-z]{6}")


def panel(rig: Rig) -> Security:
    return rig.app.query_one(Security)


def rows(rig: Rig, section: str) -> list[str]:
    return [str(row.place) for row in rig.app.query_one(f"#rows-{section}", Rows).rows]


def page(rig: Rig) -> str:
    return "\n".join("".join(span.text for span in line) for line in rig.app.query_one(TextView).document)


def footer(rig: Rig) -> str:
    return rig.screen_lines()[-1]


def offered(rig: Rig) -> set[str]:
    return {command.id for command in rig.app.working() if command.scope == "security"}


def cockpit(tmp_path: Path, test: Callable[[Rig], Any], size: tuple[int, int] = SMALL, **how: Any) -> None:
    """Run `test` on the panel with what `troubled` left."""

    async def body() -> None:
        how.setdefault("fill", troubled)
        async with opened_cockpit(tmp_path, size=size, panel="security", **how) as rig:
            await test(rig)

    run(body())


async def to(rig: Rig, section: str) -> None:
    """Go to a section by tab."""
    for _ in range(4):
        if panel(rig).section == section:
            return
        await rig.press("tab")
    assert panel(rig).section == section


# Sections


@pytest.mark.parametrize("size", [SMALL, WIDE, HUGE])
def test_the_worst_that_nobody_looked_after_stands_first(tmp_path: Path, size: tuple[int, int]) -> None:
    async def test(rig: Rig) -> None:
        assert rows(rig, "incidents") == ["3", "1", "2"]
        first = next(line for line in rig.screen_lines() if "✗ critical" in line)
        assert "audit" in first
        assert "open" in first
        assert all(len(line) <= size[0] for line in rig.screen_lines())

    cockpit(tmp_path, test, size)


def test_a_small_screen_shows_one_section_and_tab_goes_through_them(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        for section, title in (
            ("incidents", "─ Incidents ──"),
            ("keys", "─ API keys ──"),
            ("sources", "─ Sources ──"),
            ("secrets", "─ Secrets ──"),
        ):
            assert panel(rig).section == section
            shown = rig.screen_text()
            assert title in shown
            assert shown.count("\n─ ") == 1
            await rig.press("tab")
        assert panel(rig).section == "incidents"
        await rig.press("shift+tab")
        assert panel(rig).section == "secrets"

    cockpit(tmp_path, test)


@pytest.mark.parametrize("size", [WIDE, HUGE])
def test_a_big_screen_shows_all_of_them(tmp_path: Path, size: tuple[int, int]) -> None:
    async def test(rig: Rig) -> None:
        for title in ("─ Incidents ──", "─ API keys ──", "─ Sources ──", "─ Secrets ──"):
            assert title in rig.screen_text()
        for section in ("incidents", "keys"):
            for name in rows(rig, section):
                assert re.search(rf"\b{name}\b", rig.screen_text()), "each has the lines that it needs"
        await rig.press("tab", "j")
        assert panel(rig).section == "keys"
        assert panel(rig).under == rows(rig, "keys")[1]

    cockpit(tmp_path, test, size)


def test_an_empty_box_says_what_to_do(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        shown = rig.screen_text()
        assert "✓ Nothing to look after." in shown
        assert "n makes one, for a program that sends over HTTP." in shown
        assert "sources:" in shown
        assert "n stores one: it asks first where the root key shall be kept." in shown
        assert "root key: no vault yet   v makes one" in shown

    cockpit(tmp_path, test, WIDE, fill=lambda _box: {})


def test_the_panel_comes_back_where_it_was_left(tmp_path: Path) -> None:
    session = Session()

    async def first(rig: Rig) -> None:
        await to(rig, "keys")
        rig.app.keep()

    async def second(rig: Rig) -> None:
        assert panel(rig).section == "keys"

    cockpit(tmp_path, first, session=session)
    assert session.panels["security"] == {"section": "keys"}
    cockpit(tmp_path / "again", second, session=session)


def test_what_happens_elsewhere_is_seen_without_a_key(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        incidents.report(rig.engine.context, Kind.CONFIG_TAMPERED, "config.yaml", "changed by another hand")
        await rig.until(lambda: len(rows(rig, "incidents")) == 4)
        rig.clock.advance_ms(2_000)
        incidents.report(rig.engine.context, Kind.CONFIG_TAMPERED, "config.yaml", "again")
        await rig.until(lambda: any(re.search(r"config\.yaml +2 ", line) for line in rig.screen_lines()))

    cockpit(tmp_path, test)


def test_a_section_that_cannot_be_read_says_so_and_leaves_the_others_alone(tmp_path: Path) -> None:
    async def broken(rig: Rig) -> None:
        panel(rig)._fail("database is locked")
        await rig.settle()
        assert "✗ database is locked" in rig.screen_text()
        panel(rig).reload()
        await rig.settle()
        assert rows(rig, "incidents") == ["3", "1", "2"]

    cockpit(tmp_path, broken)


def test_a_place_is_found_before_anything_was_read_and_a_failed_list_goes_nowhere(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=SMALL, panel="outbox", fill=troubled) as rig:
            rig.app.go("security", "incidents/2")
            await rig.settle()
            assert panel(rig).under == "2"
            panel(rig)._fail("database is locked")
            await rig.press("G", "g")
            assert not panel(rig).jumping(), "keys would wait for it"

    run(test())


def test_the_panel_shown_again_has_the_cursor_where_it_was(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await to(rig, "keys")
        await rig.press("j")
        under = panel(rig).under
        await rig.press("2", "7")
        assert (panel(rig).section, panel(rig).under) == ("keys", under)
        await rig.press("k")
        assert panel(rig).under != under, "the focus is there too"

    cockpit(tmp_path, test)
    cockpit(tmp_path / "wide", test, WIDE)


def test_a_table_that_grows_gets_its_lines(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        for number in range(8):
            rig.engine.api_key_create(f"more-{number}", [Scope.SEND])
        await rig.until(lambda: all(f"more-{number}" in rig.screen_text() for number in range(8)))

    cockpit(tmp_path, test, WIDE)


# The keys of each section


def test_each_section_offers_what_can_be_done_there(tmp_path: Path) -> None:
    everywhere = {"security.vault", "security.next-section", "security.previous-section"}
    on_one = {"security.audit", "security.copy"}

    async def test(rig: Rig) -> None:
        assert offered(rig) == everywhere | on_one | {"security.ack", "security.resolve", "security.history"}
        await to(rig, "keys")
        keys = {"security.make-key", "security.rotate-key", "security.revoke-key"}
        assert offered(rig) == everywhere | on_one | keys
        assert "n new key" in footer(rig)
        await to(rig, "sources")
        assert offered(rig) == everywhere, "there is no source to do something with"
        await to(rig, "secrets")
        assert offered(rig) == everywhere | {"security.store-secret", "security.check-secrets"}
        assert "n new secret" in footer(rig)

    cockpit(tmp_path, test)


def test_read_only_offers_no_act(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        for _ in range(4):
            assert not offered(rig) & {
                "security.ack", "security.resolve", "security.make-key", "security.rotate-key", "security.revoke-key",
                "security.replay", "security.store-secret", "security.change-secret", "security.delete-secret",
                "security.vault",
            }  # fmt: skip
            await rig.press("a", "r", "n", "R", "X", "v", "e")
            assert rig.app.screen.id == "main"
            await rig.press("tab")
        assert rig.app.line.check("key create n9n").endswith("nothing can be changed from here")

    cockpit(tmp_path, test, read_only=True)


# Incidents


@pytest.mark.parametrize("size", [SMALL, WIDE, HUGE])
def test_enter_opens_the_page_of_the_playbook_in_place(tmp_path: Path, size: tuple[int, int]) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("enter")
        assert "The audit log is not what was written" in page(rig)
        for words in ("What it means", "How to check", "What to do", "entry 3 was changed"):
            assert words in page(rig)
        assert "─ incident 3 ─" in rig.screen_text()
        await rig.press("tab", "j")
        assert "event 44 came with another body" in page(rig), "the page follows the cursor"
        await rig.press("z")
        assert "─ Incidents" not in rig.screen_text()
        await rig.press("z", "escape")
        assert "─ incident" not in rig.screen_text()
        assert panel(rig).under == "1"

    cockpit(tmp_path, test, size)


def test_the_page_can_be_searched(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("enter", "slash")
        await rig.type("restore")
        await rig.press("enter")
        assert rig.app.query_one(TextView).found.startswith("1 of")

    cockpit(tmp_path, test)


def test_a_acknowledges_and_r_resolves_with_a_note(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("a")
        assert rig.engine.incident(3).state == "acknowledged"
        assert "incident 3, The audit log is not what was written: acknowledged" in footer(rig)
        await rig.until(lambda: "ack" in next(line for line in rig.screen_lines() if "✗ critical" in line))
        await rig.press("a")
        assert "acknowledged already" in footer(rig)

        await rig.press("r")
        await rig.press("enter")
        assert "incident 3 is over, because:" in rig.screen_text(), "not without a note"
        await rig.type("my own test")
        await rig.press("enter")
        found = rig.engine.incident(3)
        assert (found.state, found.note, found.changed_by) == ("resolved", "my own test", "cockpit:me")
        await rig.until(lambda: rows(rig, "incidents") == ["1", "2"])

    cockpit(tmp_path, test)


def test_h_shows_what_is_resolved_too(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        assert "3 to look after; h shows resolved ones too" in rig.screen_text()
        await rig.press("h")
        assert rows(rig, "incidents") == ["4", "3", "2", "1"]
        assert panel(rig).under == "3", "the cursor stays on its incident"
        await rig.press("g", "enter")
        assert "summer time by hand" in page(rig)
        await rig.press("escape", "h")
        assert rows(rig, "incidents") == ["3", "1", "2"]

    cockpit(tmp_path, test)


def test_i_leads_to_the_audit_log_and_minus_back(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("j", "i")
        assert "subject:incident:1" in rig.screen_text()
        await rig.shows("incident.opened")
        await rig.press("minus")
        assert panel(rig).under == "1"

    cockpit(tmp_path, test)


def test_o_opens_the_message_that_told_of_it(tmp_path: Path) -> None:
    def told(box: Box) -> dict[str, int]:
        ids = troubled(box)
        uid = box.message(ids["dead"]).uid
        box.database.write(lambda tx: store.alerted(tx, 3, uid))
        return ids

    async def test(rig: Rig) -> None:
        assert "security.message" in offered(rig)
        await rig.press("o")
        await rig.shows(f"─ #{rig.ids['dead']} ")
        await rig.press("minus", "j")
        assert "security.message" not in offered(rig)

    cockpit(tmp_path, test, fill=told)


def test_the_first_line_and_the_tabs_call_for_the_operator(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        assert "✗ 2 incidents, 1 critical → !" in rig.screen_lines()[0]
        assert "7 Security ·3" in rig.screen_lines()[1]
        await rig.press("2", "exclamation_mark")
        assert panel(rig).section == "incidents"
        assert panel(rig).under == "3"
        await rig.press("a")
        await rig.shows("✗ 1 incident → !")
        await rig.press("j", "a")
        await rig.until(lambda: "incident" not in rig.screen_lines()[0])
        assert "7 Security ·3" in rig.screen_lines()[1], "they are still to be looked after"

    cockpit(tmp_path, test)


# API keys


async def _made(rig: Rig) -> str:
    """Make a key by the form and return its text from the screen."""
    await to(rig, "keys")
    await rig.press("n")
    assert isinstance(rig.app.screen, MakeKey)
    await rig.type("prog")
    await rig.press("enter")
    await rig.until(lambda: isinstance(rig.app.screen, KeyShown))
    await rig.settle()
    found = KEY.search(rig.screen_text())
    assert found is not None
    return found[0]


def test_a_key_is_made_in_a_form_that_judges_while_it_is_typed(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await to(rig, "keys")
        await rig.press("n", "enter")
        assert "✗ who uses it" in rig.screen_text()
        await rig.type("n8n")
        await rig.press("enter")
        assert "✗ the name n8n is in use by key" in rig.screen_text()
        await rig.type("-2")
        await rig.press("tab", "ctrl+u")
        await rig.type("send,raed")
        assert "did you mean read?" in rig.screen_text()
        await rig.press("ctrl+u")
        await rig.type("send,read")
        await rig.press("tab")
        await rig.type("nowhere")
        assert "no target or route" in rig.screen_text()
        await rig.press("ctrl+u")
        await rig.type("ho")
        await rig.press("right")
        await rig.press("tab")
        await rig.type("10.0.0.1/8")
        assert "not a network" in rig.screen_text()
        await rig.press("ctrl+u")
        await rig.type("10.0.0.0/8,unix")
        await rig.press("tab")
        await rig.type("90d")
        assert "ends 2026-12-20" in rig.screen_text()
        await rig.press("enter")
        await rig.until(lambda: isinstance(rig.app.screen, KeyShown))
        made = rig.engine.api_key("n8n-2")
        assert made.scopes == ("send", "read")
        assert made.targets == ("hook",)
        assert made.networks == ("10.0.0.0/8", "unix")
        assert made.expires_ms == rig.clock.now_ms() + 90 * DAY_MS

    cockpit(tmp_path, test)


def test_the_form_is_left_without_a_key(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await to(rig, "keys")
        before = len(rig.engine.api_keys())
        await rig.press("n")
        await rig.type("prog")
        await rig.press("escape")
        assert rig.app.screen.id == "main"
        assert len(rig.engine.api_keys()) == before

    cockpit(tmp_path, test)


def test_a_new_key_works_and_no_key_of_reflex_closes_what_shows_it(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        made = await _made(rig)
        assert made[4:12] == rig.engine.api_key("prog").id
        for key in ("escape", "enter", "q", "minus", "space", "y", "k", "n", "ctrl+c"):
            await rig.press(key)
            assert isinstance(rig.app.screen, KeyShown), key
            assert made in rig.screen_text()
        assert "Keep it first; then K closes this." in rig.screen_text()
        await rig.press("K")
        assert rig.app.screen.id == "main"
        assert made not in rig.screen_text()

    cockpit(tmp_path, test)


def test_a_narrow_terminal_shows_the_whole_key(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await to(rig, "keys")
        await rig.press("n")
        await rig.type("prog")
        await rig.press("enter")
        await rig.until(lambda: isinstance(rig.app.screen, KeyShown))
        await rig.settle()
        once = rig.app.screen.query_one(Once)
        shown = [line[2 : 2 + once.size.width] for line in rig.screen_lines()]
        assert once.size.height == 2
        assert once.text() in "".join(line.strip() for line in shown)

    cockpit(tmp_path, test, (60, 20))


def test_copying_a_key_does_not_repeat_it(tmp_path: Path) -> None:
    copied: list[str] = []

    async def test(rig: Rig) -> None:
        rig.app._write_past = copied.append  # type: ignore[method-assign, assignment]
        rig.app._env.pop("TMUX", None)
        made = await _made(rig)
        await rig.press("y")
        assert "copied: sent to the terminal's clipboard" in rig.screen_text()
        assert rig.screen_text().count(made) == 1
        await rig.press("K")
        assert made not in rig.screen_text()
        assert rig.app.clipboard == ""

    cockpit(tmp_path, test)
    assert len(copied) == 1
    assert copied[0].startswith("\x1b]52;c;")


def test_a_key_that_was_closed_is_kept_nowhere(tmp_path: Path) -> None:
    """Not in a widget, a log, the session, the database, nor in anything that this process still holds on to."""
    session = Session()

    async def test(rig: Rig) -> None:
        secret = list(await _made(rig))  # the test itself must not hold it either
        await rig.press("y", "K", "ctrl+l")
        await rig.press("n")  # the acts' thread has gone on to something else
        await rig.type("other")
        await rig.press("escape", "tab", "tab", "tab", "tab")
        rig.app.keep()
        found = _holders("".join(secret))
        assert found == []
        assert "".join(secret) not in json.dumps(session.panels) + json.dumps(session.histories)
        assert "".join(secret) not in repr(rig.log.events)

    cockpit(tmp_path, test, session=session)


def _holders(secret: str) -> list[str]:
    """Return what this process holds that has the text in it."""
    for _ in range(3):
        gc.collect()
    found: list[str] = []
    for holder in gc.get_objects():
        waiting = gc.get_referents(holder)
        while waiting:
            one = waiting.pop()
            if isinstance(one, str):
                if one is not secret and secret in one:
                    found.append(f"{type(holder).__name__}: {str(holder)[:200]}")
            elif isinstance(one, tuple | dict | list) and not gc.is_tracked(one):
                waiting += gc.get_referents(one)  # what holds nothing but texts and numbers is not listed by itself
    return found


def test_r_exchanges_a_key_after_its_name_was_typed(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await to(rig, "keys")
        old = panel(rig).under
        await rig.press("R", "ctrl+u")
        await rig.type("31d")
        await rig.press("enter")
        assert "at most 30 d" in rig.screen_text()
        await rig.press("ctrl+u")
        await rig.type("2h")
        await rig.press("enter")
        assert isinstance(rig.app.screen, AskTyped)
        assert "The old one works for 2 h more." in rig.screen_text()
        await rig.type("n9n")
        await rig.press("enter")
        assert "✗ that is another name." in rig.screen_text()
        rig.app.screen.query_one(TypedInput).value = ""
        await rig.type("n8n")
        await rig.press("enter")
        await rig.until(lambda: isinstance(rig.app.screen, KeyShown))
        await rig.settle()
        assert KEY.search(rig.screen_text())
        assert f"The old one, key:{old}, 2 h left." in rig.screen_text() or "120 min left" in rig.screen_text()
        assert rig.engine.api_key(old).successor
        await rig.press("K")

    cockpit(tmp_path, test)


def test_x_revokes_a_key_after_its_name_was_typed(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await to(rig, "keys")
        number = panel(rig).under
        await rig.press("X", "enter", "escape")
        assert rig.engine.api_key(number).revoked_ms is None
        await rig.press("X")
        await rig.type("n8n")
        await rig.press("enter")
        assert rig.engine.api_key(number).revoked_ms is not None
        assert f"n8n (key:{number}) opens nothing any more" in footer(rig)
        await rig.until(lambda: rows(rig, "keys")[-1] == number or rows(rig, "keys")[-2] == number)

    cockpit(tmp_path, test)


def test_a_key_that_was_replaced_tells_by_whom(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await to(rig, "keys")
        await rig.press("j", "j", "enter")
        assert "! replaced" in page(rig)
        assert f"by n8n key:{rig.engine.api_key('n8n').id}" in page(rig)

    cockpit(tmp_path, test)


# Sources


N8N = """
sources:
  n8n: {verify: standard-webhooks, secret: "secret:in", deliver: {target: hook}}
targets: {hook: {channel: maildir, path: x}}
"""


def received(box: Box) -> dict[str, int]:
    """Two events that were taken, one of them twice, and one that was refused for its age."""
    ids = seed(box)
    inbox.ready(box, N8N)
    now_s = box.clock.now_ms() // 1000
    for event_id, at_s in (("m1", now_s), ("m1", now_s), ("m2", now_s), ("m3", now_s - 3_600)):
        inbound.receive(
            box.context, "n8n", inbox.standard(event_id=event_id, at_s=at_s), inbox.BODY, remote="192.0.2.7"
        )
    inbound.flush_counts(box.context)
    box.clock.advance_ms(MINUTE_MS)
    return ids


def test_a_source_says_what_came_from_it_and_why_something_was_refused(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await to(rig, "sources")
        assert "! n8n" in rig.screen_text()
        assert "nothing can be" in rig.screen_text()
        await rig.press("enter")
        await rig.until(lambda: "backup.failed" in page(rig))
        assert "POST /v1/inbound/n8n" in page(rig)
        assert "2; 1 came again, without effect" in page(rig)
        assert "from 192.0.2.7: " in page(rig)
        assert "too old: 3600 s ago" in page(rig), "how far its clock, or the request, is off"
        assert "came once more" in page(rig)
        assert "secret:in missing" in page(rig)
        await rig.press("escape", "tab")
        assert rows(rig, "secrets") == ["in"]
        assert "! missing" in rig.screen_text()

    cockpit(tmp_path, test, fill=received, configuration=inbox.configured(N8N))


def test_a_source_of_which_nothing_is_kept_has_nothing_to_replay(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await to(rig, "sources")
        await rig.press("r")
        assert "no event of n8n is kept" in footer(rig)

    cockpit(tmp_path, test, configuration=inbox.configured(N8N))


def test_an_event_is_replayed_after_it_was_chosen_and_confirmed(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await to(rig, "sources")
        await rig.press("r")
        assert isinstance(rig.app.screen, Choose)
        await rig.press("j", "enter")
        assert isinstance(rig.app.screen, Confirm)
        assert "event 1 of n8n" in rig.screen_text()
        await rig.press("enter")
        assert rig.engine.event(1).replayed == 0, "Enter never means yes"
        rig.app.run_line("replay 1")
        await rig.settle()
        await rig.press("y")
        assert rig.engine.event(1).replayed == 1
        assert re.search(r"event 1 became message #\d+", footer(rig))

    cockpit(tmp_path, test, fill=received, configuration=inbox.configured(N8N))


# Secrets


async def _with_vault(rig: Rig) -> None:
    rig.engine.vault_create(Provider.FILE)
    await rig.until(lambda: "root key: key file" in rig.screen_text())


def test_a_secret_is_stored_unseen(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await _with_vault(rig)
        await to(rig, "secrets")
        await rig.press("n")
        assert isinstance(rig.app.screen, Unseen)
        value = "".join(reversed("enim si 2retnuh"))  # as it stands nowhere, not even in this file
        await rig.type("smtp")
        await rig.press("enter")
        await rig.type(value)
        assert "•" * len(value) in rig.screen_text()
        assert value not in rig.screen_text()
        await rig.press("enter")
        await rig.type("hunter3 is mine")
        await rig.press("enter")
        assert "✗ the two are not the same" in rig.screen_text()
        await rig.type(value)
        await rig.press("enter")
        await rig.until(lambda: "smtp is sealed, version 1" in rig.screen_text())
        await rig.until(lambda: rows(rig, "secrets") == ["smtp"])
        assert "✓ vault" in rig.screen_text()
        assert rig.engine.secrets_check()
        assert _holders(value) == []

    cockpit(tmp_path, test)


def test_a_bad_name_is_refused_in_place(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await _with_vault(rig)
        await to(rig, "secrets")
        await rig.press("n")
        await rig.type("-no")
        await rig.press("enter")
        await rig.type("x")
        await rig.press("enter")
        await rig.type("x")
        await rig.press("enter")
        await rig.until(lambda: "is no name for a secret" in rig.screen_text())
        assert isinstance(rig.app.screen, Unseen)
        await rig.press("escape")
        assert rig.engine.secrets() == []

    cockpit(tmp_path, test)


def test_secrets_are_changed_checked_and_deleted(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await _with_vault(rig)
        rig.engine.secret_set("smtp", "first")
        await to(rig, "secrets")
        await rig.until(lambda: rows(rig, "secrets") == ["smtp"])
        await rig.press("e")
        await rig.type("second")
        await rig.press("tab")
        await rig.type("second")
        await rig.press("enter")
        await rig.until(lambda: "version 2" in footer(rig))
        await rig.press("c")
        await rig.until(lambda: "can be had" in footer(rig))
        await rig.press("X")
        assert "Nothing in the configuration uses it." in rig.screen_text()
        await rig.press("enter")
        assert len(rig.engine.secrets()) == 1
        await rig.type("smtp")
        await rig.press("enter")
        assert rig.engine.secrets() == []
        await rig.until(lambda: rows(rig, "secrets") == [])

    cockpit(tmp_path, test)


def test_the_vault_is_made_where_the_operator_says(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await to(rig, "secrets")
        await rig.press("n")
        await rig.until(lambda: isinstance(rig.app.screen, Choose))
        await rig.settle()
        assert "✗ not here; enter says why" in rig.screen_text()
        await rig.press("c")
        assert "this process was handed no systemd credentials" in rig.screen_text()
        await rig.press("f")
        await rig.until(lambda: isinstance(rig.app.screen, Unseen))
        assert rig.engine.vault() is not None
        await rig.press("escape")
        await rig.shows("root key: key file")

    cockpit(tmp_path, test)


def test_a_passphrase_is_typed_twice_and_the_root_key_can_move_to_it(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await _with_vault(rig)
        rig.engine.secret_set("smtp", "first")
        await rig.press("v")
        await rig.until(lambda: isinstance(rig.app.screen, Choose))
        await rig.press("p")
        await rig.until(lambda: isinstance(rig.app.screen, AskTyped))
        assert "It moves to: passphrase." in rig.screen_text()
        await rig.type("box.example.org")
        await rig.press("enter")
        await rig.until(lambda: isinstance(rig.app.screen, Unseen))
        for _ in range(2):
            await rig.type("correct horse battery staple")
            await rig.press("enter")
        await rig.until(lambda: "the root key is changed" in rig.screen_text())
        state = rig.engine.vault()
        assert state is not None
        assert state.provider == Provider.PASSPHRASE
        assert all(one.ok for one in rig.engine.secrets_check())

    cockpit(tmp_path, test)


# At the command line


def test_the_words_of_the_command_line(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        rig.app.run_line("incident ack 1")
        await rig.settle()
        assert rig.engine.incident(1).state == "acknowledged"
        rig.app.run_line("incident resolve 1 it was me")
        await rig.settle()
        assert rig.engine.incident(1).note == "it was me"
        rig.app.run_line("key revoke cron-box")
        await rig.settle()
        assert isinstance(rig.app.screen, AskTyped)
        await rig.press("escape")
        rig.app.run_line("key revoke nobody")
        await rig.settle()
        assert "no API key" in footer(rig)
        rig.app.run_line("key create n9n")
        await rig.settle()
        assert isinstance(rig.app.screen, MakeKey)
        await rig.press("escape")
        rig.app.run_line("key rotate")
        await rig.settle()
        assert "key rotate what? name it" in footer(rig)
        rig.app.run_line("secret delete nothing")
        await rig.settle()
        assert "no secret 'nothing'" in footer(rig)

    cockpit(tmp_path, test)


def test_names_are_completed(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("colon")
        assert rig.app.line.complete("key rev", 7) == ["key revoke "]
        assert rig.app.line.complete("key revoke c", 12) == ["key revoke cron-box"]

    cockpit(tmp_path, test)
