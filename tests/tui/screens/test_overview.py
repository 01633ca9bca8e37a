"""The overview by its keys: boxes, what each item leads to, testing and enabling a target; live, and still at rest."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest

from chronos_tui.cockpit.session import Session
from chronos_tui.screens.overview import BOXES, Minutes, Overview
from chronos_tui.widgets.pane import Pane
from engine.engine import Engine
from engine.model import NewMessage, TargetSpec
from engine.operations import holding, incidents
from engine.rules.breaker import Breaker, BreakerState
from engine.rules.incidents import Kind
from engine.store import lanes
from engine.store.lanes import Lane
from tests.support import Box, opened_box, settings, target
from tests.tui.cockpit import MINUTE_MS, Rig, opened_cockpit, run, seed, troubled

HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\u202e[@click=app.quit]x[/]\r\nnext\u200b"


def busy(box: Box) -> dict[str, int]:
    """Messages in every state, a hold, a target that was disabled."""
    ids = seed(box)
    holding.pause(box.context, "channel:other", for_ms=30 * MINUTE_MS, reason="mail server moves")
    lane = Lane("hook", disabled_reason="410 gone for good", last_failure_ms=box.clock.now_ms() - 2 * MINUTE_MS)
    box.database.write(lambda tx: lanes.save(tx, lane))
    return ids


def pane(rig: Rig, name: str) -> Pane:
    return rig.app.query_one(f"#pane-{name}", Pane)


async def to(rig: Rig, name: str) -> None:
    """Go to a box by tab."""
    for _ in BOXES:
        if pane(rig, name).has_focus:
            return
        await rig.press("tab")
    assert pane(rig, name).has_focus


def under(rig: Rig, name: str) -> str:
    item = pane(rig, name).item
    return "" if item is None else item.key


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_everything_is_seen_at_one_look(tmp_path: Path, size: tuple[int, int]) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=size, panel="overview", fill=busy) as rig:
            text = rig.screen_text()
            for part in (
                "─ Outbox ─", "✗ 1 dead", "! 1 uncertain", "✓ 1 delivered", "delivered      1 ", "failed         2 ",
                "─ Targets ─", "✗ hook", "disabled: 410 gone", "─ Holds ─", "⏸ channel other", "30 min left",
                "─ Backups ─", "No backup yet. 4 b makes one.",
                "─ Audit ─", "hold.started", "─ Engine ─", "heartbeat ok", "database answers",
            ):  # fmt: skip
                assert part in text, part
            assert "more below" not in text
            assert all(len(line) <= size[0] for line in rig.screen_lines())

    run(test())


def test_a_small_terminal_shows_what_matters_first(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(60, 20), panel="overview", fill=busy) as rig:
            assert "✗ 1 dead" in rig.screen_text()
            await rig.pilot.resize_terminal(200, 60)
            await rig.shows("─ Engine ─")
            await rig.pilot.resize_terminal(60, 20)
            await rig.settle()
            assert "✗ 1 dead" in rig.screen_text()

    run(test())


def test_tab_goes_from_box_to_box_and_back(tmp_path: Path) -> None:
    marked = {
        "outbox": ["✗ 1 dead"],
        "audit": ["hold.started"],
        "targets": ["hook"],
        "holds": ["channel other"],
        "backups": ["No backup yet"],
        "engine": ["Engine"],
    }

    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="overview", fill=busy) as rig:
            seen = []
            for _ in range(len(BOXES) + 1):
                name = next(box.name for box in BOXES if pane(rig, box.name).has_focus)
                behind = [line.partition("▸")[2] for line in rig.screen_lines() if "▸" in line]
                assert len(behind) == len(marked[name])
                assert all(words in line for words, line in zip(marked[name], behind, strict=True))
                seen.append(name)
                await rig.press("tab")
            assert seen == [
                "outbox",
                "audit",
                "targets",
                "holds",
                "backups",
                "engine",
                "outbox",
            ]  # as they stand beside each other
            await rig.press("shift+tab", "shift+tab")
            assert pane(rig, "engine").has_focus

    run(test())


def test_the_cursor_moves_over_the_items_of_a_box(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, size=(80, 24), panel="overview") as rig:
            assert under(rig, "outbox") == "dead"
            await rig.press("j", "down")
            assert under(rig, "outbox") == "expired"
            await rig.press("k", "up", "k")
            assert under(rig, "outbox") == "dead"
            await to(rig, "audit")
            await rig.press("G")
            assert under(rig, "audit") == "1"
            assert "▸  55 min message.queued" in rig.screen_text()
            await rig.press("g")
            assert under(rig, "audit") == "14"
            await rig.press("ctrl+d", "pagedown")
            assert under(rig, "audit") == "12"
            await rig.press("ctrl+u", "pageup", "end", "home")
            assert under(rig, "audit") == "14"

    run(test())


@pytest.mark.parametrize(
    ("box", "keys", "shown"),
    [
        ("outbox", ["j"], ["─ Outbox ── state:uncertain", "Invoice 2026-09"]),
        ("targets", ["j"], ["─ Outbox ── target:mail", "New sign-up"]),
        ("audit", ["j"], ["─ Audit ─", "▸  low              14"]),
    ],
)
def test_enter_leads_to_the_thing_and_minus_back(tmp_path: Path, box: str, keys: list[str], shown: list[str]) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="overview", fill=busy) as rig:
            await to(rig, box)
            await rig.press(*keys)
            here = under(rig, box)
            await rig.press("enter")
            for part in shown:
                await rig.shows(part)
            await rig.press("minus")
            await rig.shows("─ Engine ─")
            assert pane(rig, box).has_focus
            assert under(rig, box) == here

    run(test())


def test_an_incident_leads_to_its_page(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="overview", fill=troubled) as rig:
            await to(rig, "engine")
            await rig.press("j")
            assert under(rig, "engine") == "incident 1"
            await rig.press("enter")
            await rig.shows("─ Incidents ──")
            await rig.until(lambda: any(line.startswith("▸     1 ✗ high") for line in rig.screen_lines()))
            await rig.press("minus")
            await rig.shows("─ Engine ─")
            assert under(rig, "engine") == "incident 1"

    run(test())


def test_enter_on_a_hold_asks_and_resumes(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="overview", fill=busy) as rig:
            await to(rig, "holds")
            await rig.press("enter")
            await rig.until(lambda: rig.app.screen.id != "main")
            await rig.press("escape")
            await rig.until(lambda: rig.app.screen.id == "main")
            assert [hold.scope for hold in rig.engine.holds()] == ["channel:other"]
            await rig.press("enter")
            await rig.until(lambda: rig.app.screen.id != "main")
            await rig.press("y")
            await rig.until(lambda: not rig.engine.holds())
            await rig.shows("Nothing is held. p pauses.")

    run(test())


def test_t_tries_a_target_and_shows_the_steps(tmp_path: Path) -> None:
    found = settings({"box": TargetSpec("box", "maildir", {"path": str(tmp_path / "mail")}, lane="box")})

    async def test() -> None:
        async with opened_cockpit(
            tmp_path, panel="overview", fill=lambda _box: {}, configuration=found, read_only=True
        ) as rig:
            await rig.press("t")
            assert rig.app.screen.id == "main"
            await to(rig, "targets")
            await rig.press("t")
            await rig.shows("✓ it could send")
            assert "can be written" in rig.screen_text()
            await rig.press("j", "k", "escape")
            assert rig.app.screen.id == "main"

    run(test())


def test_a_test_that_hangs_keeps_nobody_waiting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        found = settings({"hook": TargetSpec("hook", "webhook", {"url": url}, lane="hook", timeout_ms=20_000)})

        async def test() -> None:
            async with opened_cockpit(tmp_path, panel="overview", fill=lambda _box: {}, configuration=found) as rig:
                await to(rig, "targets")
                await rig.press("t")
                await rig.shows("nothing is sent")
                await rig.press("escape", "j")
                assert rig.app.screen.id == "main"

        run(test())


def test_a_target_that_cannot_be_tried_says_why(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="overview", fill=busy) as rig:
            await to(rig, "targets")
            await rig.press("t")
            await rig.shows("Test of hook")
            await rig.shows("✗")

    run(test())


def test_o_enables_a_target_after_a_question(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="overview", fill=busy) as rig:
            await to(rig, "targets")
            await rig.press("o")
            await rig.shows("disabled: 410 gone for good")
            await rig.press("enter")
            await rig.until(lambda: rig.app.screen.id == "main")
            assert rig.engine.targets()[0].trouble is not None
            await rig.press("o")
            await rig.until(lambda: rig.app.screen.id != "main")
            await rig.press("y")
            await rig.shows("hook sends again")
            assert rig.engine.targets()[0].trouble is None
            await rig.until(lambda: "· hook" in rig.screen_text() or "✓ hook" in rig.screen_text())
            await rig.press("o")
            await rig.shows("nothing keeps hook from sending")

    run(test())


def test_read_only_offers_no_act(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="overview", fill=busy, read_only=True) as rig:
            await to(rig, "targets")
            assert "t test" in rig.screen_lines()[-1]
            assert "enable" not in rig.screen_lines()[-1]
            await rig.press("o")
            assert rig.app.screen.id == "main"
            assert rig.engine.targets()[0].trouble is not None

    run(test())


def test_another_process_is_seen(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="overview") as rig:
            other = Engine.open(rig.engine.paths, {}, actor="cli:you", settings=settings(), clock=rig.clock)
            other.enqueue(NewMessage("hook", text="hi"))
            await rig.shows("· 2 queued")
            await rig.shows("cli:you")
            other.pause("all", for_ms=5 * MINUTE_MS, reason="disk full")
            await rig.shows("⏸ everything  5 min left  by cli:you: disk full")
            other.close()

    run(test())


def test_nothing_is_painted_while_nothing_happens(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="overview", fill=busy) as rig:
            before = [pane(rig, box.name)._shown for box in BOXES]
            rig.clock.advance_ms(10_000)
            rig.app.query_one(Overview).reload()
            await rig.settle()
            after = [pane(rig, box.name)._shown for box in BOXES]
            assert all(one is other for one, other in zip(before, after, strict=True))

            rig.clock.advance_ms(MINUTE_MS)
            rig.app.query_one(Overview).reload()
            await rig.settle()
            assert "29 min left" in rig.screen_text()

    run(test())


def test_what_cannot_be_read_is_said_in_its_box_and_comes_back(tmp_path: Path) -> None:
    def rename(rig: Rig, one: str, other: str) -> None:
        connection = sqlite3.connect(rig.engine.paths.database)
        connection.execute(f"ALTER TABLE {one} RENAME TO {other}")
        connection.commit()
        connection.close()

    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="overview", fill=busy) as rig:
            rename(rig, "incidents", "gone")
            rig.app.query_one(Overview).reload()
            await rig.settle()
            text = rig.screen_text()
            assert text.count("✗ ") >= 3
            assert "30 min left" in text
            assert "hold.started" in text

            rename(rig, "gone", "incidents")
            rig.app.query_one(Overview).reload()
            await rig.settle()
            assert "✗ 1 dead" in rig.screen_text()

    run(test())


def test_a_visit_begins_at_the_box_where_the_last_one_ended(tmp_path: Path) -> None:
    async def test() -> None:
        visit = Session(panel="overview", panels={"overview": {"place": "targets/mail"}})
        async with opened_cockpit(tmp_path, session=visit) as rig:
            assert pane(rig, "targets").has_focus
            assert under(rig, "targets") == "mail"
            assert rig.app.query_one(Overview).scope() == "target:mail"
            rig.app.keep()
            assert visit.panels["overview"] == {"place": "targets/mail"}
        visit = Session(panel="overview", panels={"overview": {"place": "nowhere/x"}})
        async with opened_cockpit(tmp_path, session=visit, fill=lambda _box: {}) as rig:
            assert pane(rig, "outbox").has_focus

    run(test())


def test_hostile_words_are_shown_as_text(tmp_path: Path) -> None:
    name = "evil [b]x[/]"

    def fill(box: Box) -> dict[str, int]:
        ids = seed(box)
        holding.pause(box.context, "all", for_ms=MINUTE_MS * 9, reason=HOSTILE)
        opened = Breaker(BreakerState.OPEN, probe_ms=box.clock.now_ms() + MINUTE_MS, reason=HOSTILE)
        for lane in (Lane(name, breaker=opened), Lane(HOSTILE, disabled_reason=HOSTILE)):
            box.database.write(lambda tx, lane=lane: lanes.save(tx, lane))  # type: ignore[misc]
        box.database.write(lambda tx: incidents.raise_incident(tx, box.context, Kind.TARGET_DISABLED, HOSTILE, HOSTILE))
        return ids

    async def test() -> None:
        found = settings({name: target(name), "hook": target("hook"), "mail": target("mail", channel="other")})
        async with opened_cockpit(tmp_path, panel="overview", fill=fill, configuration=found) as rig:
            for line in rig.screen_lines():
                assert line.isprintable()
                assert not {"\u202e", "\u200b"} & set(line)
            assert "[@click=app.quit]x[/]" in rig.screen_text()
            await to(rig, "targets")
            await rig.press("enter")
            await rig.shows(f'target:"{name}"')

    run(test())


class _Watched:
    """An engine that notes from when on it was asked."""

    def __init__(self, box: Box) -> None:
        from engine.operations.activity import activity

        self.context = box.context
        self.asked: list[int | None] = []
        self._read = activity

    def activity(self, minutes: int, *, since_ms: int | None = None) -> Any:
        self.asked.append(since_ms)
        return self._read(self.context, minutes, since_ms=since_ms)


def test_a_minute_that_is_over_is_read_once(tmp_path: Path) -> None:
    def deliver(box: Box) -> None:
        message = box.put(text="hi")
        for claimed in box.claim():
            assert claimed.taken.id == message.id
            box.finish(claimed)

    with opened_box(tmp_path) as box:
        engine, minutes = _Watched(box), Minutes()
        read = cast("Engine", engine)
        deliver(box)
        first = minutes.read(read)
        assert first.delivered == (*[0] * 59, 1)

        box.clock.advance_ms(3 * MINUTE_MS)
        deliver(box)
        deliver(box)
        second = minutes.read(read)
        assert second.delivered == (*[0] * 56, 1, 0, 0, 2)
        assert second == engine.activity(60)
        assert engine.asked == [None, first.start_ms + 59 * MINUTE_MS, None]

        box.clock.advance_ms(100 * MINUTE_MS)
        assert sum(minutes.read(read).delivered) == 0

        box.clock.jump_ms(-102 * MINUTE_MS)
        assert minutes.read(read) == engine.activity(60)
