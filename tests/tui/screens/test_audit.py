"""The audit panel by its keys: list, filter, details, verification, export, jumps; live and on a log tampered with."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chronos_tui.cockpit.session import Session
from chronos_tui.screens.audit import Audit
from chronos_tui.widgets.auditlist import Entries
from chronos_tui.widgets.textview import TextView
from engine.engine import Engine
from engine.model import NewMessage
from engine.operations.vault import Provider
from engine.rules.durations import rfc3339
from engine.store import audit
from engine.store.tx import Tx
from tests.support import Box, settings
from tests.tui.cockpit import MINUTE_MS, Rig, opened_cockpit, run, seed, troubled

ENTRIES = 14
"""What `seed` leaves in the log."""

MANY = 9_000
HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\u202e[@click=app.quit]x[/]\r\nnext\u200b"


def tamper(rig: Rig, *statements: str) -> None:
    """Change the log as somebody with the file would."""
    connection = sqlite3.connect(rig.engine.paths.database)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit%'")
    for (name,) in names.fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        assert connection.execute(statement).rowcount > 0
    connection.commit()
    connection.close()


def many(box: Box) -> dict[str, int]:
    """A log of which few entries are rare."""

    def work(tx: Tx) -> None:
        for number in range(1, MANY + 1):
            rare = number in (5, 4_000)
            detail = {"n": number, "word": "needle" if rare else "hay"}
            audit.append(tx, box.clock.now_ms(), "cli:me", "backup.made", f"backup:{number}", detail)

    box.database.write(work)
    return {}


def panel(rig: Rig) -> Audit:
    return rig.app.query_one(Audit)


def listed(rig: Rig) -> list[int]:
    """Return the numbers of the entries that are loaded."""
    return [row.key for row in rig.app.query_one(Entries).rows]


def cursor(rig: Rig) -> int | None:
    return rig.app.query_one(Entries).cursor_key


def title(rig: Rig) -> str:
    return next(line for line in rig.screen_lines() if "─ Audit ─" in line)


def text(rig: Rig) -> str:
    """Return the details."""
    return "\n".join("".join(span.text for span in line) for line in rig.app.query_one(TextView).document)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_the_newest_entries_are_listed_in_words(tmp_path: Path, size: tuple[int, int]) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=size, panel="audit") as rig:
            assert listed(rig) == list(range(ENTRIES, 0, -1))
            row = next(line for line in rig.screen_lines() if "message.dead" in line)
            assert "#3" in row
            assert "to hook, try 2" in row
            assert ("2026-09-21 15:06:20" if size[0] >= 110 else "2 min") in row
            assert re.search(r"head 14 [0-9a-f]{8}", title(rig))
            assert all(len(line) <= size[0] for line in rig.screen_lines())

    run(test())


def test_the_keys_of_the_list_move_in_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24), panel="audit", fill=many) as rig:
            await rig.press("j", "down", "j")
            assert cursor(rig) == MANY - 3
            await rig.press("k", "up")
            assert cursor(rig) == MANY - 1
            await rig.press("ctrl+d")
            half = cursor(rig)
            assert half is not None
            assert half < MANY - 5
            await rig.press("ctrl+u", "G")
            assert cursor(rig) == 1
            await rig.press("pageup", "pagedown", "g")
            assert cursor(rig) == MANY
            await rig.press("end", "home")
            assert cursor(rig) == MANY
            assert len(listed(rig)) <= 1_000

    run(test())


def test_a_slash_filters_with_completion_and_objections(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit") as rig:
            await rig.press("slash")
            await rig.type("action:message.de")
            await rig.shows("action:message.dead")
            await rig.press("tab", "enter")
            assert listed(rig) == [6]
            assert "action:message.dead" in title(rig)

            await rig.press("slash", "ctrl+u")
            await rig.type("stat:dead")
            await rig.press("enter")
            assert "stat" in rig.screen_lines()[-2]
            assert listed(rig) == [6]

            await rig.press("ctrl+u")
            await rig.type("actor:nobody")
            await rig.press("enter")
            assert listed(rig) == []
            assert "Nothing matches. / changes the filter, esc drops it." in rig.screen_text()

            await rig.press("escape")
            assert len(listed(rig)) == ENTRIES
            assert rig.app.session.histories["audit"] == ["action:message.dead", "actor:nobody"]

    run(test())


def test_few_entries_of_many_are_found_wherever_they_are_though_each_look_is_short(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit", fill=many) as rig:
            ticks = itertools.count(0, 1_000)  # no look has patience for more than one step
            rig.clock.monotonic_ms = lambda: next(ticks)  # type: ignore[method-assign]
            rig.app.go("audit", "needle")
            await rig.until(lambda: listed(rig) == [4_000, 5])
            await rig.press("G")
            assert cursor(rig) == 5
            await rig.press("g")
            assert cursor(rig) == 4_000

            other = Engine.open(rig.engine.paths, {}, actor="cli:you", settings=settings(), clock=rig.clock)
            other.enqueue(NewMessage("hook", text="hi", idempotency_key="needle"))
            other.close()
            await rig.until(lambda: listed(rig) == [MANY + 1, 4_000, 5])

    run(test())


def test_enter_opens_the_entry_and_esc_leaves_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24), panel="audit") as rig:
            await rig.press("j", "enter")
            assert "entry     13" in rig.screen_text()
            await rig.press("shift+tab", "j")
            assert "entry     12" in text(rig)
            await rig.press("tab", "j", "j")
            assert cursor(rig) == 12
            assert "entry     12" not in rig.screen_text()
            await rig.press("k", "g", "slash")
            await rig.type("canonical")
            await rig.press("enter")
            assert "canonical JSON" in rig.screen_text()
            await rig.press("escape")
            assert "canonical" not in rig.screen_text()
            assert cursor(rig) == 12

    run(test())


def test_z_gives_a_pane_all_the_room_and_takes_it_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24), panel="audit") as rig:
            await rig.press("z")
            assert "─ entry" not in rig.screen_text()
            await rig.press("enter")
            assert "What was hashed" not in rig.screen_text()
            await rig.press("z")
            assert "What was hashed" in rig.screen_text()
            assert "message.queued    #8" not in rig.screen_text()
            await rig.press("escape")
            assert "message.queued    #8" in rig.screen_text()
            await rig.press("shift+tab", "z")
            assert "─ entry" not in rig.screen_text()
            await rig.press("z")
            assert "─ entry 14" in rig.screen_text()

    run(test())


def test_details_stand_beside_the_list_where_there_is_room(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(160, 40), panel="audit") as rig:
            await rig.press("enter")
            row = next(line for line in rig.screen_lines() if "─ entry 14" in line)
            assert row.lstrip().startswith("seq")

    run(test())


def test_a_sound_log_is_verified(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit") as rig:
            await rig.press("V")
            await rig.shows("✓ verified 15:08:20: 14 entries")
            await rig.press("f")
            assert cursor(rig) == ENTRIES

    run(test())


def test_an_open_entry_stays_open_over_a_verification(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit") as rig:
            await rig.press("j", "enter")
            await rig.shows("─ entry 13 ─")
            await rig.press("V")
            await rig.shows("✓ verified")
            await rig.settle()
            assert "─ entry 13 ─" in rig.screen_text()

    run(test())


def test_verification_can_be_asked_for_by_its_name_from_another_panel(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="overview") as rig:
            await rig.press("colon")
            await rig.type("verify")
            await rig.press("enter")
            await rig.shows("✓ verified 15:08:20: 14 entries")

    run(test())


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE audit SET body = replace(body, 'test:me', 'test:us') WHERE seq = 5", "entry 5 was changed"),
        ("UPDATE audit SET body = '\"x\"' WHERE seq = 5", "entry 5 was changed"),
        ("UPDATE audit SET body = json_set(body, '$.detail', 'x') WHERE seq = 5", "entry 5 was changed"),
        ("DELETE FROM audit WHERE seq = 5", "entry 5 is missing"),
    ],
)
def test_a_log_tampered_with_is_still_shown_and_its_first_fault_named_and_found(
    tmp_path: Path, statement: str, why: str
) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit") as rig:
            tamper(rig, statement)
            await rig.press("V")
            await rig.shows(f"✗ {why}")
            await rig.shows("3 Audit ·✗")
            rig.app.go("audit", " ")
            await rig.settle()
            missing = "DELETE" in statement
            await rig.until(lambda: listed(rig)[:1] == [ENTRIES + 1])  # the incident that was opened
            assert listed(rig) == [seq for seq in range(ENTRIES + 1, 0, -1) if seq != 5 or not missing]

            await rig.press("f", "enter")
            assert cursor(rig) == (4 if missing else 5)
            if not missing:
                assert f"✗ {why}" in text(rig)
                assert any(line.startswith("▸") and " ✗ 5 " in f"{line} " for line in rig.screen_lines())

    run(test())


def test_a_verification_can_be_cancelled(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit", fill=many) as rig:
            # All in one turn of the loop: the work is told before it has come anywhere.
            panel(rig).action_verify()
            assert "verifying" in "".join(span.text for span in rig.app.query_one("#audit-title").line)  # type: ignore[attr-defined]
            panel(rig).action_verify()
            assert panel(rig).leave_pane()
            await rig.shows("not verified: cancelled")
            assert "verified 1" not in title(rig)
            await rig.press("V")
            await rig.shows("9 000 entries")

    run(test())


def test_an_export_holds_what_the_documented_verifier_accepts(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "audit-format.md").read_text(encoding="utf-8")
    program = page.partition("```python\n")[2].partition("```")[0]
    path = tmp_path / "log.jsonl"

    async def write(rig: Rig, *keys: str) -> None:
        await rig.press("w", "ctrl+u")
        await rig.type(str(path))
        await rig.press("enter")
        for key in keys:
            await rig.until(lambda: rig.app.screen.id != "main")
            await rig.press(key)
        await rig.shows("entries in")

    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit") as rig:
            await write(rig)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            verifier = [sys.executable, "-c", program]
            found = subprocess.run(verifier, input=path.read_text(), capture_output=True, text=True, check=False)
            assert found.stdout.startswith(f"sound up to entry {ENTRIES}, head "), found.stderr

            path.write_text("precious")
            await rig.press("w", "ctrl+u")
            await rig.type(str(path))
            await rig.press("enter")
            await rig.until(lambda: rig.app.screen.id != "main")
            await rig.press("enter")
            await rig.until(lambda: rig.app.screen.id == "main")
            assert path.read_text() == "precious"

            rig.app.go("audit", "since:5m")
            await rig.settle()
            await write(rig, "y")
            times = [json.loads(line)["at"] for line in path.read_text().splitlines()]
            assert 0 < len(times) < ENTRIES
            assert min(times) >= rfc3339(rig.clock.now_ms() - 5 * MINUTE_MS)
            assert sorted(tmp_path.glob(".*")) == []

    run(test())


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit") as rig:
            await rig.press("w", "ctrl+u")
            await rig.type(str(tmp_path / "nowhere" / "log.jsonl"))
            await rig.press("enter")
            assert "no directory" in rig.screen_text()

    run(test())


def test_o_opens_the_message_and_minus_leads_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit") as rig:
            rig.app.go("audit", "action:message.dead")
            await rig.settle()
            await rig.press("o")
            await rig.shows("─ Outbox ─")
            await rig.shows("Backup failed on box")
            await rig.press("minus")
            await rig.shows("─ Audit ── action:message.dead")

            await rig.press("escape")
            rig.app.engine.pause("all", for_ms=MINUTE_MS, reason="test")
            await rig.until(lambda: listed(rig)[0] == ENTRIES + 1)
            await rig.press("g", "o")
            assert "entry 15 speaks of no message" in rig.screen_text()

    run(test())


def test_y_copies_the_hash_and_in_the_details_the_entry(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit") as rig:
            entry = list(rig.engine.audit_export())[-1]
            await rig.press("y")
            assert f"copied {json.loads(entry)['hash'][:40]}…" in rig.screen_lines()[-1]
            await rig.press("enter", "y")
            assert f"copied {entry[:40]}…" in rig.screen_lines()[-1]

    run(test())


def test_another_process_is_seen_and_the_cursor_stays_where_it_is(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit") as rig:
            await rig.press("j")
            other = Engine.open(rig.engine.paths, {}, actor="cli:you", settings=settings(), clock=rig.clock)
            other.enqueue(NewMessage("hook", text="hi"))
            await rig.until(lambda: listed(rig)[0] == ENTRIES + 1)
            assert cursor(rig) == ENTRIES - 1
            await rig.shows("cli:you")
            await rig.shows("head 15 ")
            other.close()

    run(test())


def test_coming_back_shows_the_filter_and_the_entry_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit") as rig:
            rig.app.go("audit", "action:message.queued")
            await rig.settle()
            await rig.press("j", "j")
            here = cursor(rig)
            await rig.press("1", "minus")
            assert "action:message.queued" in title(rig)
            assert cursor(rig) == here
            rig.app.go("audit", "@6")
            await rig.settle()
            assert cursor(rig) == 6
            rig.app.go("audit", "seq>=")
            await rig.settle()
            assert "filter, column 1" in rig.screen_text()
            assert cursor(rig) == 6
            rig.app.keep()
            assert rig.app.session.panels["audit"] == {"filter": ""}

    run(test())


def test_a_visit_begins_where_the_last_one_ended(tmp_path: Path) -> None:
    async def test() -> None:
        visit = Session(panel="audit", panels={"audit": {"filter": "action:message.dead"}})
        async with opened_cockpit(tmp_path, session=visit) as rig:
            assert listed(rig) == [6]
        visit = Session(panel="audit", panels={"audit": {"filter": "no:such(", "more": 1}})
        async with opened_cockpit(tmp_path, session=visit, fill=lambda _box: {}) as rig:
            assert "action" not in title(rig)

    run(test())


def test_read_only_verifies_and_exports_too(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit", read_only=True) as rig:
            await rig.press("V")
            await rig.shows("✓ verified 15:08:20: 14 entries")
            footer = rig.screen_lines()[-1]
            await rig.press("w", "ctrl+u")
            await rig.type(str(tmp_path / "log.jsonl"))
            await rig.press("enter")
            await rig.until((tmp_path / "log.jsonl").exists)
            assert "✗" not in footer

    run(test())


def test_hostile_entries_are_shown_as_text(tmp_path: Path) -> None:
    def fill(box: Box) -> dict[str, int]:
        detail = {HOSTILE: HOSTILE, "id": HOSTILE, "until": HOSTILE, "list": [{"x": HOSTILE}], "big": "x" * 500_000}

        def work(tx: Tx) -> None:
            for action in ("message.dead", "hold.started", "bulk.retry", HOSTILE):
                audit.append(tx, box.clock.now_ms(), HOSTILE, action, HOSTILE, detail)

        box.database.write(work)
        return seed(box)

    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit", fill=fill) as rig:
            await rig.press("G", "enter")
            for key in ("k", "k", "k"):
                await rig.press("shift+tab", key, "tab", "G", "g")
                for line in rig.screen_lines():
                    assert line.isprintable()
                    assert not {"\u202e", "\u200b"} & set(line)
            assert rig.app.is_running

    run(test())


# Risk, signatures, the witness


def test_the_filter_knows_risks_and_completes_them(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit", fill=troubled) as rig:
            await rig.press("slash")
            await rig.type("risk:cr")
            await rig.shows("risk:critical")
            await rig.press("tab", "enter")
            assert len(listed(rig)) == 1
            row = next(line for line in rig.screen_lines() if line.startswith("▸"))
            assert "✗ critical" in row
            assert "incident.opened" in row
            await rig.press("enter")
            assert re.search(r"risk +✗ critical: \S+", text(rig))

    run(test())


def test_the_head_is_signed_and_sent_to_a_witness(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit") as rig:
            assert "no checkpoint: there is no vault to sign with" in rig.screen_text()
            await rig.press("c")
            await rig.shows("cannot be signed without a vault")
            rig.engine.vault_create(Provider.FILE)
            await rig.shows("no checkpoint: the engine makes one soon")
            await rig.press("c")
            await rig.shows("✓ signed up to ")
            await rig.shows("nobody else knows the head: W sends it")
            await rig.press("W")
            await rig.type("nobody")
            await rig.press("enter")
            assert "no target or route" in rig.screen_text()
            await rig.press("ctrl+u")
            await rig.type("ho")
            await rig.press("tab", "enter")
            await rig.shows("goes to hook as message #")
            await rig.shows("witnessed just now to hook")
            await rig.press("V")
            await rig.shows("signed heads")
            assert rig.engine.audit_signing().sent is not None

    run(test())


def test_read_only_signs_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="audit", read_only=True) as rig:
            assert not {"audit.checkpoint", "audit.witness"} & {command.id for command in rig.app.working()}
            await rig.press("c", "W")
            assert not rig.app.query_one("#prompt").has_class("open")

    run(test())
