"""Every screen at three sizes, as text. After a change that is meant:

    CHRONOS_TESTS_DRAW_ANEW=1 python -m pytest tests/tui/snapshots/test_snapshots.py; git diff tests/tui/snapshots

Clock, zone, identities and the engine's pid are the test's own, so that the files are the same on every machine.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.operations import commanding, holding
from engine.store import backups as ledger
from engine.store import commands
from engine.store.tx import Tx
from tests.support import Box
from tests.tui.cockpit import MINUTE_MS, Rig, opened_cockpit, run, seed, troubled
from tests.tui.screens.test_backups import row, three
from tests.tui.snapshots.drawing import picture
from tests.tui.views.test_backups import MANIFEST
from tests.tui.views.test_restoring import DONE

FOLDER = Path(__file__).parent / "screens"
DRAW_ANEW = bool(os.environ.get("CHRONOS_TESTS_DRAW_ANEW"))
SIZES = ((80, 24), (120, 40), (200, 60))


def nothing(_box: Box) -> dict[str, int]:
    """Put nothing into the outbox."""
    return {}


def paused(box: Box) -> dict[str, int]:
    """Hold e-mail back for half an hour, ten minutes ago; one target for longer."""
    ids = seed(box)
    holding.pause(box.context, "channel:other", for_ms=30 * MINUTE_MS, reason="the server moves")
    holding.pause(box.context, "target:hook", for_ms=180 * MINUTE_MS)
    box.clock.advance_ms(10 * MINUTE_MS)
    return ids


def running(box: Box) -> dict[str, int]:
    """Three backups, and one that somebody is making."""
    ids = three(box)
    asked = commanding.ask(box.context, "backup", {})
    now_ms = box.clock.now_ms()
    box.database.write(lambda tx: commands.take(tx, now_ms, asked.id, 1))
    box.database.write(lambda tx: commands.progress(tx, asked.id, "packing the database", 45, 100))
    return ids


def restored(box: Box) -> dict[str, int]:
    """Three backups, and a restore that has ended."""
    ids = three(box)
    asked = commanding.ask(box.context, "restore", {})
    now_ms = box.clock.now_ms()

    def work(tx: Tx) -> None:
        commands.take(tx, now_ms, asked.id, 1)
        commands.finish(tx, now_ms, asked.id, state="done", result=DONE, error="", error_kind="")

    box.database.write(work)
    return ids


def elsewhere(box: Box) -> dict[str, int]:
    """A backup in a folder that is not there any more."""
    ids, at_ms = seed(box), box.clock.now_ms() - 26 * 60 * MINUTE_MS
    entry = row(at_ms, Path("/media/usb"), manifest=MANIFEST, encrypted=True, archive_sha256="cd" * 32)
    box.database.write(lambda tx: ledger.insert(tx, entry))
    return ids


@dataclass(frozen=True, slots=True)
class Case:
    """A screen: what there is, where it begins, what is pressed. A key with "=" before it is text to type."""

    panel: str
    keys: tuple[str, ...] = ()
    open: str = ""
    fill: Callable[[Box], dict[str, int]] = seed
    read_only: bool = False


CASES = {
    "overview": Case("overview"),
    "overview-empty": Case("overview", fill=nothing),
    "outbox": Case("outbox", ("j", "space", "j")),
    "outbox-empty": Case("outbox", fill=nothing),
    "outbox-filtered": Case("outbox", ("slash", "=state:dead,held", "enter")),
    "outbox-nothing-found": Case("outbox", ("slash", "=target:mail state:dead", "enter")),
    "outbox-details": Case("outbox", open="dead"),
    "outbox-paused": Case("outbox", fill=paused),
    "outbox-read-only": Case("outbox", read_only=True),
    "filter": Case("outbox", ("slash", "=state:d")),
    "command-line": Case("outbox", ("colon", "=pau")),
    "audit": Case("audit", ("j", "V")),
    "audit-entry": Case("audit", ("j", "j", "enter")),
    "security": Case("security", fill=troubled),
    "security-empty": Case("security", fill=nothing),
    "security-incident": Case("security", ("j", "enter"), fill=troubled),
    "security-keys": Case("security", ("tab", "j"), fill=troubled),
    "security-new-key": Case("security", ("tab", "n", "=n9n", "tab", "tab", "=ho"), fill=troubled),
    "security-revoke": Case("security", ("tab", "X", "=n8n"), fill=troubled),
    "backups": Case("backups", ("j",), fill=three),
    "backups-empty": Case("backups", fill=nothing),
    "backups-one": Case("backups", ("enter",), fill=elsewhere),
    "backups-running": Case("backups", fill=running),
    "backups-read-only": Case("backups", fill=running, read_only=True),
    "backups-restored": Case("backups", ("o",), fill=restored),
    "bulk": Case("outbox", ("space", "space", "space", "x")),
    "compose": Case("outbox", ("n", "=nobody", "tab", "=Maintenance tonight")),
    "help": Case("outbox", ("question_mark",)),
    "palette": Case("outbox", ("ctrl+p", "=re")),
}
PICTURES = [(name, size) for name in CASES for size in SIZES] + [("too-small", (58, 18))]


@pytest.mark.parametrize(("name", "size"), PICTURES, ids=lambda one: one if isinstance(one, str) else _size(one))
def test_the_screen_looks_as_it_did(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    found: list[str] = []
    run(_drawn(CASES.get(name, CASES["outbox"]), size, tmp_path, found))
    path = _path(name, size)
    if DRAW_ANEW:
        path.parent.mkdir(exist_ok=True)
        path.write_text(found[0], encoding="utf-8")
    assert path.exists(), f"{path.name} is missing; CHRONOS_TESTS_DRAW_ANEW=1 draws it"
    before = path.read_text(encoding="utf-8").splitlines()
    changes = "\n".join(difflib.unified_diff(before, found[0].splitlines(), "before", "now", lineterm="", n=1))
    if changes:
        pytest.fail(f"{path.name} has changed; CHRONOS_TESTS_DRAW_ANEW=1 keeps the new one\n{changes}", pytrace=False)


def test_no_picture_is_left_over() -> None:
    assert not {path.name for path in FOLDER.iterdir()} - {_path(name, size).name for name, size in PICTURES}


async def _drawn(case: Case, size: tuple[int, int], tmp_path: Path, found: list[str]) -> None:
    async with opened_cockpit(tmp_path, size=size, fill=case.fill, panel=case.panel, read_only=case.read_only) as rig:
        if case.open:
            rig.app.go("outbox", f"#{rig.ids[case.open]}")
            await rig.settle()
        for key in case.keys:
            await (rig.type(key[1:]) if key.startswith("=") else rig.press(key))
        found.append(await _settled(rig))


async def _settled(rig: Rig) -> str:
    """Draw until nothing changes any more."""
    before = ""
    while before != (now := picture(rig.app)):
        before = now
        await rig.settle()
    return now


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _path(name: str, size: tuple[int, int]) -> Path:
    return FOLDER / f"{name}-{_size(size)}.txt"
