"""The outbox panel by its keys: list, filter, order, details. Each key shows its effect on the screen."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import cast

import pytest

from chronos_tui.cockpit.session import Session
from chronos_tui.screens.outbox import Outbox
from engine.model import Attachment, NewMessage, Outcome
from tests.support import Box
from tests.tui.cockpit import MINUTE_MS, Rig, opened_cockpit, run

WIDE = (160, 40)
SMALL = (80, 24)


def panel(rig: Rig) -> Outbox:
    return rig.app.query_one(Outbox)


def rows(rig: Rig) -> list[str]:
    """Return the lines of the list, without the gutter's blanks."""
    lines = rig.screen_lines()
    head = next(at for at, line in enumerate(lines) if line.strip().startswith("# state"))
    found = []
    for line in lines[head + 1 :]:
        if not re.match(r"[▸• ]* \d+ \S ", line):
            break
        found.append(line.strip())
    return found


def numbers(rig: Rig) -> list[int]:
    return [int(line.lstrip("▸• ").split()[0]) for line in rows(rig)]


def cursor(rig: Rig) -> int:
    return next(int(line.lstrip("▸• ").split()[0]) for line in rows(rig) if line.startswith("▸"))


def nothing(_box: Box) -> dict[str, int]:
    return {}


async def _at(rig: Rig, state: str) -> int:
    """Put the cursor on the message in that state."""
    number = rig.ids[state]
    await rig.press("g", *["j"] * (max(rig.ids.values()) - number))
    assert cursor(rig) == number
    return number


def test_it_lists_every_message_newest_first_with_state_and_last_word(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=SMALL, panel="outbox") as rig:
            assert numbers(rig) == [8, 7, 6, 5, 4, 3, 2, 1]
            assert all(len(line) <= 80 for line in rig.screen_lines())
            dead = rows(rig)[5]
            for words in ("3 ✗ dead", "hook", "Backup failed", "3 min", " 2 ", "535 5.7.8"):
                assert words in dead, words
            text = rig.screen_text()
            assert "─ Outbox ──" in text
            assert "8 messages ─" in text
            assert "✗ 1 dead  ! 1 uncertain" in text
            assert "2 Outbox ·1 dead 1 uncertain" in text

    run(test())


@pytest.mark.parametrize("size", [(60, 20), SMALL, (120, 40), (200, 60)])
def test_it_fits_every_size_with_and_without_details(tmp_path: Path, size: tuple[int, int]) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=size, panel="outbox") as rig:
            assert "✗ dead" in rows(rig)[5]
            await rig.press("enter")
            await rig.shows("What to do")
            assert len(rows(rig)) >= 5
            assert all(len(line) <= size[0] for line in rig.screen_lines())

    run(test())


def test_an_empty_outbox_says_what_to_do(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, fill=nothing, panel="outbox") as rig:
            assert "The outbox is empty. n sends a message." in rig.screen_text()
            await rig.press("enter", "r", "y", "i", "e", "space", "G")
            assert "no message is under the cursor" in rig.screen_text()

    run(test())


def test_a_filter_narrows_the_list_and_counts(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=SMALL, panel="outbox") as rig:
            await rig.press("slash")
            await rig.type("state:dead,uncertain")
            await rig.press("enter")
            assert numbers(rig) == [4, 3]
            assert "─ Outbox ── state:dead,uncertain ──" in rig.screen_text()
            assert "2 of 8 ─" in rig.screen_text()
            await rig.press("slash")
            await rig.press("ctrl+u")
            await rig.type("tag:nightly")
            await rig.press("enter")
            assert numbers(rig) == [3]
            await rig.shows("1 of 8")
            await rig.press("escape")
            assert len(numbers(rig)) == 8

    run(test())


def test_a_filter_that_is_wrong_is_refused_with_the_parsers_words(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await rig.press("slash")
            await rig.type("stat:dead")
            await rig.press("enter")
            assert "unknown field stat; did you mean state?" in rig.screen_text()
            await rig.press("escape")
            assert len(numbers(rig)) == 8
            rig.app.go("outbox", "stat:dead")
            await rig.shows("unknown field stat")
            assert len(numbers(rig)) == 8

    run(test())


def test_a_filter_is_completed_by_what_is_in_the_outbox(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await rig.press("slash")
            await rig.type("state:dead tag:ni")
            await rig.shows("tag:nightly")
            await rig.press("tab", "enter")
            assert "── state:dead tag:nightly ──" in rig.screen_text()
            assert numbers(rig) == [3]

    run(test())


def test_a_filter_without_a_match_says_so_and_what_to_do(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            rig.app.go("outbox", "target:nobody")
            await rig.shows("Nothing matches target:nobody")
            assert "esc shows all" in rig.screen_text()

    run(test())


def test_s_sorts_and_turns_the_order_round(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await rig.press("s", "u")
            assert numbers(rig)[:3] == [3, 2, 6]
            assert "by subject ▲" in rig.screen_text()
            assert "subject▲" in rig.screen_text()
            await rig.press("S")
            assert numbers(rig)[:3] == [1, 5, 7]
            assert "by subject ▼" in rig.screen_text()
            await rig.press("s", "r")
            assert numbers(rig)[0] == 3
            await rig.press("s", "escape")
            assert "by tries ▼" in rig.screen_text()
            await rig.press("colon")
            await rig.type("sort number")
            await rig.press("enter")
            assert numbers(rig) == [8, 7, 6, 5, 4, 3, 2, 1]

    run(test())


def test_a_sort_that_the_engine_refuses_says_why_and_changes_nothing(tmp_path: Path) -> None:
    news = [NewMessage("hook", subject=f"number {n}", text="hi") for n in range(20_001)]

    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox", fill=nothing, news=news) as rig:
            await rig.press("s", "u")
            await rig.shows("sorting by subject needs a filter that leaves fewer than 20 000 messages")
            assert "by subject" not in rig.screen_lines()[2]
            assert numbers(rig)[0] == 20_001

    run(test())


def test_thousands_of_rows_are_paged_to_both_ends(tmp_path: Path) -> None:
    news = [NewMessage("hook", subject=f"number {n}", text="hi") for n in range(1, 3_001)]

    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox", fill=nothing, news=news) as rig:
            assert "3 000 messages" in rig.screen_text()
            await rig.press("G")
            assert cursor(rig) == 1
            assert "number 1 " in rig.screen_text()
            await rig.press("g")
            assert cursor(rig) == 3_000
            seen = set(numbers(rig))
            while cursor(rig) > 2_000:
                await rig.press("ctrl+d")
                seen |= set(numbers(rig))
            assert seen >= set(range(2_001, 3_001))
            assert len(panel(rig).messages.rows) <= 1_000

    run(test())


def test_what_is_queued_meanwhile_comes_at_the_top_and_the_cursor_stays(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await _at(rig, "dead")
            rig.engine.enqueue(NewMessage("hook", subject="Just now", text="hi"))
            await rig.shows("Just now")
            assert numbers(rig)[0] == 9
            assert cursor(rig) == rig.ids["dead"]

    run(test())


def test_what_comes_above_the_screen_is_announced(tmp_path: Path) -> None:
    news = [NewMessage("hook", subject=f"number {n}", text="hi") for n in range(300)]

    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox", fill=nothing, news=news) as rig:
            await rig.press("G")
            await rig.press("g", *["ctrl+d"] * 4)
            rig.engine.enqueue_many([NewMessage("hook", text="hi")] * 12)
            await rig.shows("newer above")

    run(test())


def test_enter_opens_the_message_below_and_esc_closes_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=SMALL, panel="outbox") as rig:
            number = await _at(rig, "dead")
            await rig.press("enter")
            text = rig.screen_text()
            assert f"─ #{number} ✗ dead ──" in text
            assert "What to do: r retries it" in text
            await rig.press("escape")
            assert "What to do" not in rig.screen_text()
            assert cursor(rig) == number
            for key in ("q", "minus"):
                await rig.press("enter")
                assert "What to do" in rig.screen_text()
                await rig.press(key)
                assert "What to do" not in rig.screen_text()

    run(test())


def test_the_details_hold_story_tries_headers_body_and_attachments(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(160, 60), panel="outbox") as rig:
            await _at(rig, "dead")
            await rig.press("enter")
            text = rig.screen_text()
            for words in (
                "── Story (times in UTC)",
                "Try 1 to hook: not sent, “connection refused”",
                "“535 5.7.8 authentication failed”",
                "refused ops@example.org: no",
                "X-Job: backup",
                "The disk is full.",
                "backup.log  text/plain, 200 B",
                "cron-1",
                "backup nightly",
            ):
                assert words in text, words

    run(test())


def test_details_stand_beside_the_list_where_there_is_room(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=WIDE, panel="outbox") as rig:
            await rig.press("enter")
            line = next(line for line in rig.screen_lines() if "7 → sending" in line)
            assert "· queued  Good morning" in line or "Waits" in line

    run(test())


def test_the_details_follow_the_cursor_of_the_list(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=WIDE, panel="outbox") as rig:
            await rig.press("enter")
            await rig.shows("─ #8 · queued")
            await rig.press("tab", "j", "j")
            await rig.shows("─ #6 ⏸ held")
            assert cursor(rig) == 6
            await rig.shows("l releases it")

    run(test())


def test_details_follow_what_becomes_of_the_message(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=WIDE, panel="outbox") as rig:
            await _at(rig, "held")
            await rig.press("enter", "l")
            await rig.shows("─ #6 · queued")
            assert panel(rig).details.message is not None

    run(test())


def test_the_text_scrolls_and_is_searched(tmp_path: Path) -> None:
    def fill(box: Box) -> dict[str, int]:
        text = "\n".join(f"line {n} " + ("needle" if n % 50 == 0 else "hay") for n in range(1, 201))
        return {"queued": box.put(subject="Long", text=text).id}

    async def test() -> None:
        async with opened_cockpit(tmp_path, size=SMALL, fill=fill, panel="outbox") as rig:
            await rig.press("enter", "ctrl+d", "ctrl+d")
            assert "What to do" not in rig.screen_text()
            await rig.press("slash")
            await rig.type("needle")
            await rig.press("enter")
            assert "1 of 4" in rig.screen_text()
            assert "line 50 needle" in rig.screen_text()
            await rig.press("n")
            assert "2 of 4" in rig.screen_text()
            assert "line 100 needle" in rig.screen_text()
            await rig.press("N", "N")
            assert "4 of 4" in rig.screen_text()
            await rig.press("e")
            assert "What to do" in rig.screen_text()

    run(test())


def test_e_opens_the_story(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=SMALL, panel="outbox") as rig:
            await _at(rig, "dead")
            await rig.press("e")
            assert "── Story" in rig.screen_text()

    run(test())


def test_z_gives_a_pane_all_the_room_and_takes_it_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=SMALL, panel="outbox") as rig:
            await rig.press("z")
            assert "there is one pane only" in rig.screen_text()
            await rig.press("enter", "z")
            assert "7 → sending" not in rig.screen_text()
            assert "── Facts" in rig.screen_text()
            await rig.press("z")
            assert "7 → sending" in rig.screen_text()
            await rig.press("tab", "z")
            assert "What to do" not in rig.screen_text()
            assert len(rows(rig)) == 8
            await rig.press("escape")
            await rig.shows("What to do")

    run(test())


def test_a_place_is_a_message_a_uid_or_a_filter(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path) as rig:
            rig.app.go("outbox", "#3")
            await rig.shows("─ #3 ✗ dead")
            await rig.settle()
            assert panel(rig).place() == "#3"
            assert cursor(rig) == 3
            rig.app.go("outbox", "state:held")
            await rig.shows("1 of 8")
            assert panel(rig).place() == "state:held"
            uid = rig.engine.detail(4).message.uid
            rig.app.go("outbox", uid)
            await rig.shows("─ #4 ! uncertain")
            rig.app.go("outbox", "#77")
            await rig.shows("no message '#77'")

    run(test())


def test_i_goes_to_the_audit_entries_of_the_message_and_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            number = await _at(rig, "dead")
            await rig.press("i")
            await rig.shows("message.dead")
            assert "message.delivered" not in rig.screen_text()
            await rig.press("minus")
            await rig.shows("due/age")
            assert cursor(rig) == number

    run(test())


def test_a_visit_is_gone_on_with(tmp_path: Path) -> None:
    session = Session()

    async def test() -> None:
        async with opened_cockpit(tmp_path, session=session, panel="outbox") as rig:
            rig.app.go("outbox", "state:dead,held")
            await rig.press("s", "t", "S", "enter")
            await rig.shows("What to do")
            rig.app.keep()
        async with opened_cockpit(tmp_path / "again", session=session) as rig:
            await rig.shows("What to do")
            assert "── state:dead,held ── by target ▼ ──" in rig.screen_text()
            assert sorted(numbers(rig)) == [3, 6]

    run(test())


@pytest.mark.parametrize("saved", [{"filter": "stat:x", "sort": "colour", "details": "yes"}, {"filter": 3, "sort": []}])
def test_a_session_that_makes_no_sense_is_left_out(tmp_path: Path, saved: dict[str, object]) -> None:
    session = Session(panels={"outbox": saved})

    async def test() -> None:
        async with opened_cockpit(tmp_path, session=session, panel="outbox") as rig:
            assert numbers(rig) == [8, 7, 6, 5, 4, 3, 2, 1]
            assert "What to do" not in rig.screen_text()

    run(test())


def test_ages_are_told_anew_when_the_list_is_read_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            assert "55 min" in rig.screen_text()
            rig.clock.advance_ms(10 * MINUTE_MS)
            await rig.shows("1 h")

    run(test())


def test_errors_stand_where_the_rows_would_be_until_they_are_over(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await rig.press("enter")
            await rig.shows("What to do")
            broken = sqlite3.connect(rig.engine.paths.database, isolation_level=None)
            broken.execute("PRAGMA legacy_alter_table = ON")
            broken.execute("ALTER TABLE messages RENAME TO gone")
            panel(rig).reload()
            # Where it breaks depends on the path in it.
            await rig.until(lambda: "\n".join(rig.screen_lines()[1:]).count("SQLITE_ERROR") == 2)
            await rig.press("r", "enter")
            assert len(rig.app.screen_stack) == 1
            broken.execute("ALTER TABLE gone RENAME TO messages")
            broken.close()
            panel(rig).reload()
            await rig.settle()
            assert len(rows(rig)) == 8
            assert "What to do" in rig.screen_text()

    run(test())


HOSTILE = "\x1b[31mred\x1b]0;title\x07\u202eevil\u200b[@click=app.quit]x[/]\x9b2J" + "a\u0301\u0301\u0301\u0301\u0301"


def test_a_hostile_message_shows_its_text_and_nothing_else(tmp_path: Path) -> None:
    def fill(box: Box) -> dict[str, int]:
        subject = "[@click=app.quit]x[/] \u202eevil\u200b a" + "\u0301" * 50
        message = box.put(
            subject=subject,
            text=HOSTILE * 100 + "\n" + "x" * 1_000_000,
            html=f"<script>{HOSTILE}</script>",
            headers=(("X-A", "[/] \u202eevil"),),
            tags=("[@click=app.quit]tag\u202e",),
            idempotency_key="key\u202e[/]",
            attachments=(Attachment("\x1b[2J\u202e[@click=app.quit]evil", "text/\x1b[m", b"x"),),
        )
        (claimed,) = box.claim()
        box.finish(claimed, Outcome("rejected", HOSTILE, HOSTILE, accepted=(HOSTILE,), refused=((HOSTILE, HOSTILE),)))
        return {"dead": message.id}

    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(120, 60), fill=fill, panel="outbox") as rig:
            await rig.press("enter")
            for key in ("z", *["ctrl+d"] * 3, "G", "z", "tab", "space", "h"):
                await rig.press(key)
                text = rig.screen_text()
                assert not set(text) & {"\x1b", "\x9b", "\x07", "\u202e", "\u200b"}
                assert "\u0301" * 5 not in text
            assert "[@click=app.quit]x[/]" in text
            await rig.press("tab", "G", "w")
            text = rig.screen_text()
            assert "save to: [@click=app.quit]evil" in text
            assert not set(text) & {"\x1b", "\u202e"}
            assert cast("object", rig.app.return_code) is None

    run(test())
