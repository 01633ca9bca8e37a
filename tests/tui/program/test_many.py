"""Very many messages: nothing that the operator does depends on how many there are."""

from __future__ import annotations

import re
from pathlib import Path

from tests.interfaces.program import Box
from tests.tui.program.conftest import MANY
from tests.tui.program.visit import Visit

MOST_MIB = 120


def _resident_mib(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def _number(n: int) -> str:
    return f"{n:,}".replace(",", " ")


def _wait_rows(visit: Visit, sign: str) -> None:
    visit.wait_for(lambda lines: sum(sign in line for line in lines) > 5)


def test_very_many_messages_are_opened_walked_filtered_and_read(many: Box) -> None:
    with Visit(many) as visit:
        visit.panel(2, f"report {MANY} ")
        visit.wait_for(f"{_number(MANY)} messages")
        visit.send("G")
        visit.wait_for(lambda lines: re.search(r"▸ +1 ", "\n".join(lines)) is not None)
        visit.send("enter")
        visit.wait_for("─ #1 ")
        visit.send("G")
        visit.wait_for("Report 1 was written")
        visit.send("q")
        visit.wait_gone("─ #1 ")
        visit.send("g")
        visit.wait_for(lambda lines: any(line.startswith("▸") and f" {MANY} " in line for line in lines))
        for expression, sign in (
            ("state:dead", "✗ dead"),
            ("zebra", "✓ delivered"),
            ("target:ops state:held", "⏸ held"),
            ("tag:nightly", "✓ delivered"),
        ):
            visit.filter(expression)
            visit.wait_for(f"─ {expression} ─")
            _wait_rows(visit, sign)
            visit.send("G")
            visit.caught_up()
            visit.send("ctrl+u", "ctrl+u", "g")
            visit.caught_up()
        visit.say(f"#{MANY // 2}")
        visit.wait_for(f"─ #{MANY // 2} ")
        visit.send("ctrl+d", "ctrl+d", "q")
        visit.panel(1, "─ Outbox")
        visit.panel(3, "─ Audit")
        assert _resident_mib(visit.pid) < MOST_MIB
        assert visit.leave() == 0
        visit.assert_as_before()
