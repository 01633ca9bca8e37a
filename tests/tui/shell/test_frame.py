"""The shell itself: panels by number, back, attention, what is remembered, what happens when somebody leaves."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chronos_tui.cockpit.session import Session, load, save
from chronos_tui.cockpit.shell import Cockpit
from engine.model import NewMessage, Role
from engine.rules.redact import Redactor
from tests.support import EventLog, data_dir, opened_engine
from tests.tui.cockpit import MINUTE_MS, Rig, opened_cockpit, run


def left(app: Cockpit) -> bool:
    return app._exit


def first_line(rig: Rig) -> str:
    return rig.screen_lines()[0]


def test_a_number_opens_its_panel_and_minus_leads_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await rig.press("3")
            assert rig.app.present is not None
            assert rig.app.present.ID == "audit"
            await rig.press("1")
            assert rig.app.present.ID == "overview"
            await rig.press("minus")
            assert rig.app.present.ID == "audit"
            await rig.press("minus")
            assert rig.app.present.ID == "outbox"
            await rig.press("minus")
            assert "this is where you began" in rig.screen_text()

    run(story())


def test_the_attention_key_leads_to_what_the_first_line_names(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened_cockpit(tmp_path, panel="overview") as rig:
            assert "1 dead" in first_line(rig)
            await rig.press("exclamation_mark")
            await rig.shows("Backup failed on box")
            assert "Weekly report" not in rig.screen_text()

    run(story())


def test_a_visit_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    file = tmp_path / "cockpit.json"

    async def first() -> None:
        async with opened_cockpit(tmp_path, session=load(file), panel="outbox") as rig:
            await rig.press("slash")
            await rig.type("state:dead")
            await rig.press("enter")
            await rig.shows("Backup failed on box")
            rig.app.exit()
            save(file, rig.app.session, Redactor().redact)

    async def second() -> None:
        async with opened_cockpit(tmp_path, session=load(file), fill=lambda _box: {}) as rig:
            await rig.shows("state:dead")
            await rig.press("slash", "up")
            assert "state:dead" in rig.screen_text()

    run(first())
    assert file.stat().st_mode & 0o777 == 0o600
    run(second())


def test_a_session_that_is_no_session_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "cockpit.json"
    assert load(file) == Session()
    for text in (
        "",
        "[]",
        "{",
        '{"panel": 7, "panels": [], "histories": {"x": "y", "z": [1, "a\\u001b"]}}',
        "x" * 10**6,
    ):
        file.write_text(text)
        assert load(file) == Session()
    save(tmp_path / "no" / "such" / "directory" / "cockpit.json", Session(), Redactor().redact)


def test_no_secret_that_was_typed_is_kept(tmp_path: Path) -> None:
    redactor = Redactor()
    redactor.register("s3cr3t-canary", "smtp")
    session = Session(panels={"outbox": {"filter": "s3cr3t-canary", "sort": "due"}})
    for line in ("pause email 30m the password was s3cr3t-canary", "send https://me:hunter22@example.org/", "holds"):
        session.remember("command", line)

    file = tmp_path / "cockpit.json"
    save(file, session, redactor.redact)

    assert load(file) == Session(panels={"outbox": {"sort": "due"}}, histories={"command": ["holds"]})


def test_a_line_is_remembered_once_and_not_for_ever() -> None:
    session = Session()
    for number in range(150):
        session.remember("command", f"line {number}")
    session.remember("command", "line 100")
    session.remember("", "nowhere")
    session.remember("command", "x" * 5_000)

    lines = session.typed_before("command")
    assert len(lines) == 100
    assert lines[-1] == "line 100"
    assert lines.count("line 100") == 1
    assert session.typed_before("") == []


def test_a_terminal_too_small_says_what_is_missing_and_recovers(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened_cockpit(tmp_path, panel="outbox", size=(80, 24)) as rig:
            await rig.pilot.resize_terminal(59, 19)
            await rig.shows("59x19 is too small: 60x20 are needed")
            assert "Weekly report" not in rig.screen_text()
            for size in ((1, 1), (3, 200), (200, 2)):
                await rig.pilot.resize_terminal(*size)
                await rig.settle()
            await rig.pilot.resize_terminal(80, 24)
            await rig.shows("Weekly report")

    run(story())


def test_read_only_is_said_and_offers_no_act(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened_cockpit(tmp_path, panel="outbox", read_only=True) as rig:
            assert "read-only" in first_line(rig)
            offered = {command.id for command in rig.app.working()}
            assert not offered & {"outbox.retry", "outbox.cancel", "shell.pause", "shell.new", "shell.undo"}
            await rig.press("x", "p")
            assert rig.app.screen.id == "main"

    run(story())


def test_a_database_that_is_gone_is_said_in_the_first_line_until_it_is_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            database = rig.engine.paths.database
            database.rename(tmp_path / "aside")
            await rig.press("1")
            await rig.until(lambda: "the database is gone" in first_line(rig))
            rig.app._second()  # paints the first line anew
            await rig.pilot.pause()
            assert "the database is gone" in first_line(rig)
            (tmp_path / "aside").rename(database)
            await rig.press("2")
            await rig.until(lambda: "delivered by pid" in first_line(rig))

    run(story())


def test_a_minute_later_ages_are_a_minute_older(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened_cockpit(tmp_path, panel="outbox", size=(120, 40)) as rig:
            row = next(line for line in rig.screen_lines() if "New sign-up" in line)
            assert " now " in row
            rig.clock.advance_ms(3 * MINUTE_MS)
            await rig.until(lambda: any("New sign-up" in line and "3 min" in line for line in rig.screen_lines()))

    run(story())


def test_control_c_leaves_at_the_second_time_only(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened_cockpit(tmp_path) as rig:
            await rig.press("ctrl+c")
            assert "once more ^c leaves" in rig.screen_text()
            assert rig.app.is_running
            await rig.pilot.press("ctrl+c")
            await rig.until(lambda: rig.app._exit)

    run(story())


def test_a_cockpit_that_delivers_asks_before_messages_would_wait(tmp_path: Path) -> None:
    async def story() -> None:
        with opened_engine(data_dir(tmp_path)) as engine:
            engine.enqueue(NewMessage("hook", text="hi", not_before_ms=engine.context.clock.now_ms() + 3_600_000))
            app = Cockpit(engine, log=EventLog())
            async with app.run_test(size=(80, 24)) as pilot:
                while engine.role != Role.OWNER or app.situation is None:
                    await pilot.pause(0.02)
                await pilot.press("q", "enter")
                assert not left(app), "Enter never means yes"
                await pilot.press("q", "y")
                while not left(app):
                    await pilot.pause(0.02)
            app.desk.stop()

    asyncio.run(asyncio.wait_for(story(), 60))


def test_a_cockpit_that_is_attached_leaves_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened_cockpit(tmp_path) as rig:
            await rig.pilot.press("q")
            await rig.until(lambda: rig.app._exit)

    run(story())


def test_q_says_that_it_closes_where_it_closes(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            assert rig.screen_lines()[-1].endswith("q quit")
            await rig.press("enter")
            assert rig.screen_lines()[-1].endswith("q close")
            await rig.press("q")
            assert rig.screen_lines()[-1].endswith("q quit")
            assert not left(rig.app)

    run(story())


def test_what_was_said_of_a_panel_does_not_stand_under_another(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            rig.app.say("#4 queued again")
            await rig.shows("#4 queued again")
            await rig.press("3")
            assert "#4 queued again" not in rig.screen_text()

    run(story())


def test_a_filter_typed_in_the_overview_opens_the_outbox(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened_cockpit(tmp_path, panel="overview") as rig:
            await rig.press("slash")
            await rig.type("state:dead")
            await rig.press("enter")
            await rig.shows("Backup failed on box")
            assert rig.app.present is not None
            assert rig.app.present.ID == "outbox"
            assert "Weekly report" not in rig.screen_text()

    run(story())
