"""The backups panel by its keys, on a real engine: list, one in full, acts whoever does them, a restore to its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from chronos_tui.dialogs.bulk import AskTyped, TypedInput
from chronos_tui.dialogs.confirm import Confirm
from chronos_tui.dialogs.reading import Reading
from chronos_tui.dialogs.restoring import PlanShown, ResultShown
from chronos_tui.screens.backups import Backups
from chronos_tui.views.spans import Span
from chronos_tui.widgets.sheet import Sheet
from chronos_tui.widgets.table import Rows
from chronos_tui.widgets.textview import TextView
from chronos_tui.widgets.underway import UnderWay
from engine.model import State
from engine.operations import commanding
from engine.operations.backup.backups import Backup
from engine.rules.backups import Kind, Name, Proof
from engine.store import backups as ledger
from engine.store import commands
from tests.support import Box, data_dir, settings
from tests.tui.cockpit import MINUTE_MS, Rig, opened_cockpit, run, seed

SMALL, WIDE, HUGE = (80, 24), (120, 40), (200, 60)
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def row(at_ms: int, folder: Path, **changes: Any) -> ledger.Entry:
    """Return a row of the ledger as a backup that is proven leaves it."""
    facts: dict[str, Any] = {
        "id": 0,
        "folder": str(folder),
        "name": Name("box.example.org", at_ms // 1000 * 1000, encrypted=False).text,
        "kind": Kind.SCHEDULED,
        "taken_ms": at_ms,
        "took_ms": 3_000,
        "size": 4_200_000,
        "sha256": "ab" * 32,
        "archive_sha256": "ab" * 32,
        "encrypted": False,
        "manifest": {"instance": "box.example.org", "counts": {"queued": 3}, "audit": {"seq": 12, "hash": "cd" * 32}},
        "proof": Proof.PROVEN,
        "proof_detail": "",
        "proven_ms": at_ms + 5_000,
        "drilled_ms": at_ms + 5_000,
        "drill_took_ms": 2_000,
        "verified_ms": None,
        "verified_ok": None,
        "verified_word": "",
        "gone_ms": None,
        "pruned_ms": None,
    }
    return ledger.Entry(**{**facts, **changes})


def three(box: Box) -> dict[str, int]:
    """Messages in every state, and three backups: proven, not proven, damaged."""
    ids = seed(box)
    now_ms, folder = box.clock.now_ms(), data_dir(box.directory.parent).data_dir / "backups"
    folder.mkdir(mode=0o700)
    rows = [
        row(now_ms - 2 * DAY_MS, folder, verified_ms=now_ms, verified_ok=False, verified_word="chronos.db: damaged"),
        row(now_ms - DAY_MS, folder),
        row(now_ms - 3 * HOUR_MS, folder, proof=Proof.UNPROVEN, proof_detail="the vault is locked", proven_ms=None),
    ]
    for one in rows:
        (folder / one.name).write_bytes(b"PK")
        box.database.write(lambda tx, one=one: ledger.insert(tx, one))  # type: ignore[misc]
    return ids


def cockpit(tmp_path: Path, test: Callable[[Rig], Any], size: tuple[int, int] = SMALL, **how: Any) -> None:
    """Run `test` on the panel with three backups, which are nothing but rows and two bytes each."""

    async def body() -> None:
        how.setdefault("fill", three)
        async with opened_cockpit(tmp_path, size=size, panel="backups", **how) as rig:
            await test(rig)

    run(body())


def panel(rig: Rig) -> Backups:
    return rig.app.query_one(Backups)


def names(rig: Rig) -> list[str]:
    return [str(one.place).rpartition("/")[2] for one in rig.app.query_one("#rows-backups", Rows).rows]


def page(rig: Rig) -> str:
    return "\n".join("".join(span.text for span in line) for line in rig.app.screen.query_one(TextView).document)


def sheet(rig: Rig) -> str:
    return "\n".join("".join(span.text for span in line) for line in rig.app.screen.query_one(Sheet).lines)


def footer(rig: Rig) -> str:
    return rig.screen_lines()[-1]


def offered(rig: Rig) -> set[str]:
    return {command.id for command in rig.app.working() if command.scope == "backups"}


def below(rig: Rig) -> str:
    return "".join(span.text for span in rig.app.query_one(UnderWay).line)


# What is shown


@pytest.mark.parametrize("size", [SMALL, WIDE, HUGE])
def test_the_newest_stands_first_with_proof_age_and_kind(tmp_path: Path, size: tuple[int, int]) -> None:
    async def test(rig: Rig) -> None:
        assert names(rig) == sorted(names(rig), reverse=True)
        shown = [line for line in rig.screen_lines() if re.search("proven|damaged", line)]
        assert "last proven restore 23 h ago" in shown[0]
        for line, said in zip(shown[-3:], ("! unproven", "✓ proven", "✗ damaged"), strict=True):
            assert said in line
            assert "scheduled" in line
        assert all(len(line) <= size[0] for line in rig.screen_lines())

    cockpit(tmp_path, test, size)


def test_without_a_backup_it_says_what_to_do(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.shows("No backup yet. Press b to make one.")
        assert offered(rig) == {"backups.create", "backups.prune"}

    cockpit(tmp_path, test, fill=seed)


@pytest.mark.parametrize("size", [SMALL, WIDE, HUGE])
def test_enter_shows_one_in_full_and_the_cursor_leads_it(tmp_path: Path, size: tuple[int, int]) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("enter")
        assert "the vault is locked" in page(rig)
        assert "entry 12" in page(rig)
        assert rig.app.query_one(TextView).size.height > 4
        await rig.press("tab", "j", "j")
        assert "chronos.db: damaged" in page(rig)
        await rig.press("z")
        assert rig.app.query_one(TextView).has_focus
        await rig.press("escape", "escape")
        assert not panel(rig).has_class("-open")

    cockpit(tmp_path, test, size)


def test_a_read_only_cockpit_looks_and_does_nothing(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        assert offered(rig) == {"backups.audit", "backups.copy"}
        for line in ("backup", f"restore {names(rig)[0]}", f"drill {names(rig)[0]}"):
            rig.app.run_line(line)
            await rig.settle()
            assert "read-only" in footer(rig)
        assert rig.engine.commands() == []

    cockpit(tmp_path, test, read_only=True)


def test_the_audit_log_of_one_is_a_key_away(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        name = names(rig)[0]
        await rig.press("i")
        assert rig.app.present is not None
        assert rig.app.present.place() == f"subject:backup:{name}"

    cockpit(tmp_path, test)


def test_a_file_is_found_by_its_name(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        last = names(rig)[-1]
        rig.app.go("backups", last)
        await rig.settle()
        assert panel(rig).place().endswith(last)
        await rig.press("colon")
        assert rig.app.line.complete("drill chr", 9) == [f"drill {name}" for name in names(rig)]

    cockpit(tmp_path, test)


# What is under way, whoever does it


def take(rig: Rig, stage: str, done: int, total: int) -> int:
    """Be the other process: take what waits, and say how far it is."""
    context = rig.engine.context
    (asked,) = rig.engine.commands()
    now_ms = context.clock.now_ms()

    def work(tx: Any) -> None:
        commands.take(tx, now_ms, asked.id, 1)
        commands.progress(tx, asked.id, stage, done, total)

    context.database.write(work)
    return asked.id


def end(rig: Rig, number: int, state: str, result: Mapping[str, Any] | None = None, error: str = "") -> None:
    context = rig.engine.context
    now_ms = context.clock.now_ms()
    how = {"state": state, "result": result, "error": error, "error_kind": "" if state == "done" else "ChronosError"}
    context.database.write(lambda tx: commands.finish(tx, now_ms, number, **how))  # type: ignore[arg-type]


def test_a_backup_that_another_process_makes_shows_its_stage_and_how_far_it_is(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        assert not rig.app.query_one(UnderWay).display
        commanding.ask(rig.engine.context, "backup", {})
        await rig.until(lambda: "waits for the engine" in below(rig))
        number = take(rig, "packing the database", 45, 100)
        await rig.until(lambda: "packing the database" in below(rig))
        assert re.search("█+─+  45 %", below(rig))
        assert rig.app.query_one(UnderWay).display
        end(rig, number, "failed", error="the disk is full")
        await rig.until(lambda: "the disk is full" in footer(rig))
        await rig.until(lambda: not rig.app.query_one(UnderWay).display)

    cockpit(tmp_path, test)


def test_what_runs_already_when_the_cockpit_comes_is_shown(tmp_path: Path) -> None:
    def running(box: Box) -> dict[str, int]:
        ids = three(box)
        asked = commanding.ask(box.context, "restore", {})

        def work(tx: Any) -> None:
            commands.take(tx, box.clock.now_ms(), asked.id, 1)
            commands.progress(tx, asked.id, "carrying today's rows", 1, 4)

        box.database.write(work)
        return ids

    async def test(rig: Rig) -> None:
        await rig.until(lambda: "restoring · carrying today's rows" in below(rig))
        assert " 25 %" in below(rig)

    cockpit(tmp_path, test, fill=running)


def test_what_runs_is_cancelled_after_a_question(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        assert "backups.cancel" not in offered(rig)
        commanding.ask(rig.engine.context, "backup", {})
        await rig.until(lambda: "backups.cancel" in offered(rig))
        take(rig, "packing", 1, 2)
        await rig.press("x")
        assert isinstance(rig.app.screen, Confirm)
        await rig.press("enter")
        assert not rig.engine.commands()[0].cancel_requested, "enter never means yes"
        await rig.press("x", "y")
        assert rig.engine.commands()[0].cancel_requested
        await rig.until(lambda: "it ends at its next step" in below(rig))

    cockpit(tmp_path, test)


def test_the_bar_is_repainted_at_most_twice_a_second(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        line = rig.app.query_one(UnderWay)
        commanding.ask(rig.engine.context, "backup", {})
        await rig.until(lambda: bool(below(rig)))
        painted = set()
        for done in range(100):
            line.take((Span(f"{done} %"),))
            painted.add(line.line)
        assert len(painted) <= 2

    cockpit(tmp_path, test)


# Real backups


def perform(rig: Rig) -> None:
    """Be the engine that delivers: do what waits."""
    (asked,) = rig.engine.commands()
    commanding.perform(rig.engine.context, asked, rig.engine._performers(), epoch=1)


def made(rig: Rig) -> Backup:
    """Make one backup at once."""
    from engine.operations.backup import backups

    return backups.create(rig.engine.context, Kind.MANUAL)


def test_b_has_a_backup_made_and_proven(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("b")
        await rig.until(lambda: bool(rig.engine.commands()))
        perform(rig)
        await rig.until(lambda: "made in" in footer(rig))
        await rig.until(lambda: len(names(rig)) == 1)
        (one,) = rig.engine.backups()
        assert names(rig) == [one.name]
        assert one.proof == Proof.PROVEN
        assert "✓ proven" in rig.screen_text()

    cockpit(tmp_path, test, fill=seed)


def test_the_command_line_makes_one_too(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        rig.app.go("outbox")
        await rig.settle()
        rig.app.run_line("backup")
        await rig.until(lambda: bool(rig.engine.commands()))
        assert rig.app.present is panel(rig)
        perform(rig)
        await rig.until(lambda: len(names(rig)) == 1)

    cockpit(tmp_path, test, fill=seed)


@pytest.mark.parametrize(("key", "said"), [("v", "Its file is what was written"), ("d", "everything in it is right")])
def test_one_is_verified_and_drilled_step_by_step(tmp_path: Path, key: str, said: str) -> None:
    async def test(rig: Rig) -> None:
        one = made(rig)
        await rig.until(lambda: names(rig) == [one.name])
        await rig.press(key)
        await rig.until(lambda: isinstance(rig.app.screen, Reading))
        await rig.settle()
        assert said in sheet(rig)
        assert "✓ sums" in sheet(rig)
        assert "✓ signature" in sheet(rig)
        after = rig.engine.backup(one.name)
        assert (after.verified_ok if key == "v" else after.proof == Proof.PROVEN) is True
        await rig.press("escape")
        assert rig.app.screen.id == "main"

    cockpit(tmp_path, test, fill=seed)


def test_a_damaged_one_is_told_so(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        one = made(rig)
        data = bytearray(one.path.read_bytes())
        data[len(data) // 2] ^= 1
        one.path.write_bytes(data)
        await rig.until(lambda: names(rig) == [one.name])
        await rig.press("v")
        await rig.until(lambda: isinstance(rig.app.screen, Reading))
        await rig.settle()
        assert "✗ It cannot be relied on." in sheet(rig)
        await rig.press("escape")
        await rig.shows("✗ damaged")

    cockpit(tmp_path, test, fill=seed)


def test_pruning_shows_what_goes_and_wants_its_number(tmp_path: Path) -> None:
    none = {"hourly": 0, "daily": 0, "weekly": 0, "monthly": 0, "yearly": 0, "within_ms": 0}

    async def test(rig: Rig) -> None:
        going = [one.backup.name for one in rig.engine.backup_prune(dry_run=True) if not one.keep]
        assert going
        await rig.press("P")
        await rig.until(lambda: isinstance(rig.app.screen, AskTyped))
        await rig.settle()
        assert f"{len(going)} of 3 backups go" in rig.screen_text()
        assert going[0] in rig.screen_text()
        await rig.press("escape")
        assert len(rig.engine.backups()) == 3
        await rig.press("P")
        await rig.until(lambda: isinstance(rig.app.screen, AskTyped))
        await rig.type(str(len(going)))
        await rig.press("enter")
        await rig.until(lambda: "free again" in footer(rig))
        await rig.until(lambda: len(names(rig)) == 3 - len(going))
        assert not set(names(rig)) & set(going)

    cockpit(tmp_path, test, configuration=settings(backup={"keep": none}))


def test_nothing_is_asked_where_retention_keeps_all(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("P")
        await rig.until(lambda: "nothing goes" in footer(rig))
        assert rig.app.screen.id == "main"

    cockpit(tmp_path, test, fill=seed)


def test_a_file_that_was_found_says_what_it_is(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        name = Name("other-box", rig.clock.now_ms() // 1000 * 1000, encrypted=False).text
        (tmp_path / "data" / "backups" / name).write_bytes(b"PK\x03\x04 and nothing behind it")
        panel(rig).reload()
        await rig.until(lambda: name in names(rig))
        rig.app.go("backups", name)
        await rig.settle()
        await rig.press("enter")
        await rig.until(lambda: "✗ failed" in page(rig))
        assert "found" in page(rig)

    cockpit(tmp_path, test)


# A restore


async def to_the_plan(rig: Rig) -> Backup:
    """Make a backup, let the queued message be delivered since, and open the plan."""
    one = made(rig)
    await rig.until(lambda: names(rig) == [one.name])
    rig.clock.advance_ms(MINUTE_MS)
    await rig.press("R")
    await rig.until(lambda: isinstance(rig.app.screen, PlanShown))
    await rig.settle()
    return one


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_a_restore_is_planned_asked_for_by_name_done_and_told(tmp_path: Path, size: tuple[int, int]) -> None:
    async def test(rig: Rig) -> None:
        one = await to_the_plan(rig)
        assert one.name in page(rig)
        assert "will wait until you release" in page(rig)
        await rig.press("h")
        assert "messages are held: not sent until you release them" in page(rig)
        assert "Good morning" in page(rig)
        await rig.press("h", "R")
        assert isinstance(rig.app.screen, AskTyped)
        await rig.press("enter")
        await rig.type("another box")
        await rig.press("enter")
        assert "that is another name" in rig.screen_text()
        rig.app.screen.query_one(TypedInput).value = ""
        await rig.type("box.example.org")
        await rig.press("enter")
        await rig.until(lambda: bool(rig.engine.commands()))
        perform(rig)
        await rig.until(lambda: isinstance(rig.app.screen, ResultShown))
        await rig.settle()
        assert "restored" in page(rig)
        assert "Good morning" in page(rig)
        assert rig.state(rig.ids["queued"]) == State.HELD
        assert rig.state(rig.ids["delivered"]) == State.DELIVERED
        await rig.press("o")
        assert rig.app.present is not None
        assert rig.app.present.ID == "outbox"
        assert re.fullmatch(r"tag:restored-\d{8}T\d{6}Z", rig.app.present.place())
        await rig.shows("Good morning")
        await rig.press("4")
        await rig.until(lambda: "restored" in below(rig))
        await rig.press("o")
        assert isinstance(rig.app.screen, ResultShown)

    cockpit(tmp_path, test, size, fill=seed)


def test_leaving_the_plan_or_the_question_touches_nothing(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await to_the_plan(rig)
        await rig.press("escape")
        assert rig.app.screen.id == "main"
        await rig.press("R")
        await rig.until(lambda: isinstance(rig.app.screen, PlanShown))
        await rig.press("R", "escape")
        assert rig.app.screen.id == "main"
        assert rig.engine.commands() == []
        assert rig.state(rig.ids["queued"]) == State.QUEUED

    cockpit(tmp_path, test, fill=seed)


def test_a_restore_that_is_refused_says_why_in_full(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.press("R")
        await rig.until(lambda: isinstance(rig.app.screen, Reading))
        await rig.settle()
        said = " ".join(sheet(rig).split())  # where a line ends depends on how long the path is
        assert "not a backup of Chronos" in said
        assert "Everything is as it was before." in said

    cockpit(tmp_path, test)


def test_a_restore_goes_on_when_its_dialog_is_left(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await to_the_plan(rig)
        await rig.press("R")
        await rig.type("box.example.org")
        await rig.press("enter")
        await rig.until(lambda: bool(rig.engine.commands()))
        number = take(rig, "carrying today's rows", 1, 4)
        await rig.shows("esc leaves: it goes on")
        await rig.press("escape")
        assert rig.app.screen.id == "main"
        assert not rig.engine.command(number).cancel_requested
        await rig.until(lambda: "restoring" in below(rig))
        end(rig, number, "failed", error="the disk is full")
        await rig.until(lambda: isinstance(rig.app.screen, Reading))
        await rig.settle()
        assert "the disk is full" in sheet(rig)

    cockpit(tmp_path, test, fill=seed)


def test_the_end_of_the_cockpit_ends_nothing_that_another_process_does(tmp_path: Path) -> None:
    found: list[commanding.Command] = []

    async def test(rig: Rig) -> None:
        await rig.press("b")
        await rig.until(lambda: bool(rig.engine.commands()))
        number = take(rig, "packing the database", 45, 100)
        await rig.until(lambda: "45 %" in below(rig))
        rig.app.desk.stop(0.1)
        found.append(rig.engine.command(number))

    cockpit(tmp_path, test, fill=seed)
    assert found[0].state == "running"
    assert not found[0].cancel_requested
