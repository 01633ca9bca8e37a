"""Keys that arrive in one piece, as over a slow line: each goes to what the one before it opened."""

from __future__ import annotations

import pytest

from tests.interfaces.program import Box
from tests.tui.program.visit import Visit
from tests.tui.pty import key


def _together(*names: str) -> bytes:
    return b"".join(key(name) for name in names)


@pytest.mark.parametrize("driver", [(), ("--plain-terminal",)], ids=["frugal", "plain"])
def test_a_command_typed_ahead_acts_on_nothing_under_the_cursor(thousand: Box, driver: tuple[str, ...]) -> None:
    with Visit(thousand, *driver) as visit:
        visit.send("2")
        visit.wait_for("due/age")
        visit.filter("state:queued")
        visit.wait_for("· queued")
        counts = thousand.ok("status", "--json").json["counts"]
        visit.send(_together(":", "holds", "enter"))  # h would hold it
        visit.wait_for("nothing is held")
        visit.send(_together("/", "xhl", "enter"))  # x would cancel it
        visit.wait_for("xhl")
        visit.send(_together("/", "ctrl+u", "state:queued", "enter", "?"))
        visit.wait_for(lambda lines: any("every key" in line for line in lines) or "Keys" in "\n".join(lines))
        visit.send(_together("ctrl+c"))
        visit.send(_together("3", "x", "h", "l"))  # the audit log has no such acts
        visit.wait_for("─ Audit")
        assert visit.leave() == 0
    assert thousand.ok("status", "--json").json["counts"] == counts
