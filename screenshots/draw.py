"""`make screenshots`: draws every screen of the cockpit, and what two commands print. Writes only beside itself.

The same files in every run: the data are screenshots/demo.py's, the clock stands, the zone is UTC.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.text import Text

from chronos_tui.commands import outbox
from chronos_tui.commands.output import Output
from chronos_tui.commands.session import Session
from engine.engine import Engine
from screenshots import demo, door, vaulted
from tests.support import START_MS, FakeClock, data_dir, opened_box
from tests.tui.cockpit import Rig, in_utc, opened_cockpit

WIDTH = 96
FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture of the cockpit: where it begins and what is pressed. A key with "=" before it is text to type.

    open: the message that is opened, by its name in the demo. scene: what there is. engine: what tells of it.
    """

    name: str
    panel: str
    keys: tuple[str, ...] = ()
    open: str = ""
    size: tuple[int, int] = (120, 40)
    scene: ModuleType = demo
    engine: type[Engine] = Engine


SHOTS = (
    Shot("overview", "overview"),
    Shot("outbox", "outbox", ("j",) * 10),
    Shot("outbox-80x24", "outbox", ("j",) * 10, size=(80, 24)),
    Shot("details", "outbox", open="dead"),
    Shot("filter", "outbox", ("slash", "=state:dead ")),
    Shot("bulk", "outbox", ("slash", "=state:dead", "enter", "asterisk", "r")),
    Shot("audit", "audit", (*("j",) * 5, "enter", "V")),
    Shot(
        "compose", "outbox", ("n", "=ops", "tab", "=Maintenance tonight", "tab", "=The shop is closed from 22:00 on.")
    ),
    Shot("help", "outbox", ("question_mark",)),
    Shot("palette", "outbox", ("ctrl+p", "=re")),
    Shot("command-line", "outbox", ("colon", "=pause e")),
    Shot("security", "security", scene=door),
    Shot("incident", "security", ("enter",), size=(80, 24), scene=door),
    Shot("new-key", "security", ("tab", "n", "=backup-box", "tab", "tab", "=ops"), size=(80, 24), scene=door),
    Shot("backups", "backups", size=(100, 30), scene=vaulted, engine=vaulted.OnBox),
    Shot("backup", "backups", ("enter", "z", "G"), size=(80, 24), scene=vaulted, engine=vaulted.OnBox),
    Shot("restore-plan", "backups", ("R",), size=(80, 24), scene=vaulted, engine=vaulted.OnBox),
)


def main() -> None:
    """Draw every picture, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", help="which: " + " ".join(shot.name for shot in SHOTS))
    names = parser.parse_args().name
    for name in [name for name in os.environ if name.startswith(("TEXTUAL", "CHRONOS_")) or name == "NO_COLOR"]:
        del os.environ[name]
    for shot in SHOTS:
        if not names or shot.name in names:
            asyncio.run(_draw(shot))
    if not names:
        _draw_commands()


async def _draw(shot: Shot) -> None:
    with tempfile.TemporaryDirectory() as folder:
        configuration = shot.scene.configuration()
        async with (
            opened_cockpit(
                Path(folder), size=shot.size, fill=shot.scene.fill, configuration=configuration, panel=shot.panel
            ) as rig,
            _told_by(shot.engine, rig, Path(folder)),
        ):
            if shot.open:
                rig.app.go("outbox", f"#{rig.ids[shot.open]}")
                await rig.settle()
            for key in shot.keys:
                await (rig.type(key[1:]) if key.startswith("=") else rig.press(key))
            await _seen(rig)
            svg = rig.app.export_screenshot(title="chronos")
    (FOLDER / f"cockpit-{shot.name}.svg").write_text(svg, encoding="utf-8")


@contextlib.asynccontextmanager
async def _told_by(kind: type[Engine], rig: Rig, folder: Path) -> AsyncIterator[None]:
    """Let the cockpit ask an engine of that kind."""
    if kind is Engine:
        yield
        return
    before, desk = rig.engine, rig.app.desk
    desk.engine = kind.open(data_dir(folder), {}, actor="cockpit:me", settings=before.settings, clock=rig.clock)
    try:
        if rig.app.present is not None:
            rig.app.present.reload()
        await rig.settle()
        yield
    finally:
        desk.stop()
        desk.engine.close()


async def _seen(rig: Rig) -> None:
    """Wait until the picture no longer changes."""
    before = ""
    while before != (now := rig.screen_text()):
        before = now
        await rig.settle()


class _OnDemo(Session):
    """A command's way to the demo's engine, whose clock stands."""

    def __init__(self, engine: Engine, out: Output) -> None:
        super().__init__(None, None, {}, out, [])
        self._engine = engine

    @contextlib.contextmanager
    def engine(self, on_secret: Callable[[str], None] | None = None) -> Iterator[Engine]:
        """See Session.engine."""
        yield self._engine


def _draw_commands() -> None:
    with tempfile.TemporaryDirectory() as folder, in_utc(), _opened(Path(folder), START_MS) as (engine, ids):
        lasted_ms = engine.context.clock.now_ms() - START_MS
        given = argparse.Namespace(id=str(ids["dead"]))
        _draw_command("explain", f"outbox explain {given.id}", lambda session: outbox.explain(session, given), engine)
    # The list counts from the present time, so the afternoon has to end now.
    begin_ms = time.time_ns() // 1_000_000 - lasted_ms
    with tempfile.TemporaryDirectory() as folder, _opened(Path(folder), begin_ms) as (engine, _ids):
        listed = argparse.Namespace(state=None, filter="", limit=20, after=None)
        _draw_command("outbox", "outbox list --limit 20", lambda session: outbox.show_list(session, listed), engine)


@contextlib.contextmanager
def _opened(folder: Path, begin_ms: int) -> Iterator[tuple[Engine, dict[str, int]]]:
    clock, where, configuration = FakeClock(begin_ms), data_dir(folder), demo.configuration()
    where.data_dir.mkdir(mode=0o700, parents=True)
    with opened_box(where.data_dir, configuration, clock) as box:
        ids = demo.fill(box)
    engine = Engine.open(where, {}, actor="cli:me", settings=configuration, clock=clock)
    try:
        yield engine, ids
    finally:
        engine.close()


def _draw_command(name: str, words: str, run: Callable[[Session], int], engine: Engine) -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        run(_OnDemo(engine, Output(as_json=False, jsonl=False, quiet=True, color=True, width=WIDTH)))
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text(f"$ chronos {words}", style="bold"))
        console.print(Text.from_ansi(said.getvalue().rstrip()))
        console.save_svg(str(FOLDER / f"{name}.svg"), title="chronos", unique_id=name)


if __name__ == "__main__":
    main()
