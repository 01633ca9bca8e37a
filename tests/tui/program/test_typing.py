"""Keys that arrive in one piece, as over a slow line: each goes to what the one before it opened."""

from __future__ import annotations

import pytest

from tests.interfaces.program import Box
from tests.tui.program.visit import Visit
from tests.tui.pty import key


def _together(*names: str) -> bytes:
    return b"".join(key(name) for name in names)


def test_an_act_typed_behind_a_filter_is_done_to_what_the_filter_found(thousand: Box) -> None:
    with Visit(thousand) as visit:
        visit.panel(2, "report 1000")
        visit.send(_together("/", "state:queued", "enter", "x", "j", "x"))
        visit.wait_for("88 of 1 000")
        visit.send(_together("/", "ctrl+u", "enter", "G", "enter"))
        visit.wait_for("─ #1 ")
        assert visit.leave() == 0
    for message in ("993", "983"):
        assert thousand.ok("outbox", "show", message, "--json").json["state"] == "cancelled"


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
