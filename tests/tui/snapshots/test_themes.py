"""The outbox in each theme, in colour. After a change that is meant: pytest tests/tui/snapshots --snapshot-update."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from chronos_tui.cockpit import themes
from chronos_tui.cockpit.session import Session
from tests.tui.cockpit import Rig, ready_cockpit


@pytest.mark.parametrize("theme", [theme.name for theme in themes.THEMES])
def test_the_theme_looks_as_it_did(theme: str, snap_compare: Callable[..., bool], tmp_path: Path) -> None:
    with ready_cockpit(tmp_path, session=Session(theme=theme), panel="outbox") as ready:

        async def look(pilot: Pilot[Any]) -> None:
            rig = Rig(ready.app, pilot, ready.engine, ready.clock, ready.log, ready.ids)
            await rig.settle()
            await rig.press("j", "space", "j")

        assert snap_compare(ready.app, terminal_size=(80, 24), run_before=look)
