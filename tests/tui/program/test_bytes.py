"""What the cockpit writes to a slow line, in bytes at 80x24, as its design promises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.interfaces.program import Box
from tests.tui.program.visit import Visit

START = 30_000
IDLE_S, IDLE = 10.0, 200
SWITCH = 4_000
SCROLL = 1_200
DOWN = 350


@pytest.fixture
def visit(thousand: Box) -> Iterator[Visit]:
    """The cockpit on a thousand messages, each panel opened once."""
    with Visit(thousand) as made:
        made.wait_header("delivering here")
        for number, sign in ((1, "─ Outbox"), (3, "─ Audit"), (7, "─ Incidents"), (2, "due/age")):
            made.send(str(number))
            made.wait_for(sign)
            made.caught_up()
            made.quiet(150)
        yield made
        assert made.leave() == 0


def _cost(visit: Visit, *keys: str) -> int:
    before = len(visit.raw)
    visit.send(*keys)
    visit.wait_for(lambda _lines: len(visit.raw) > before)
    visit.quiet(150)
    return len(visit.raw) - before


def test_a_start_is_cheap(thousand: Box) -> None:
    with Visit(thousand) as visit:
        visit.wait_header("delivering here")
        visit.quiet(150)
        assert len(visit.raw) <= START
        assert visit.leave() == 0


def test_the_security_panel_costs_what_it_changes(visit: Visit) -> None:
    visit.panel(7, "─ Incidents")
    visit.quiet(150)
    costs = [_cost(visit, key) for key in ("tab", "tab", "tab", "tab", "shift+tab", "tab")]
    assert max(costs) <= SCROLL, costs


def test_a_key_costs_what_it_changes(visit: Visit) -> None:
    assert max(_cost(visit, "j") for _ in range(5)) <= DOWN
    visit.send("g")
    visit.quiet(150)
    _cost(visit, *["j"] * 17)  # to the last row on the screen, or near it
    scrolled = [_cost(visit, "j") for _ in range(6)]
    assert max(scrolled) <= SCROLL
    assert min(scrolled) > 0


def test_a_panel_that_was_open_before_costs_little(visit: Visit) -> None:
    costs = [
        (number, _cost(visit, number)) for number in ("1", "2", "3", "2", "1", "3", "2", "7", "1", "7", "3", "7", "2")
    ]
    assert max(cost for _number, cost in costs) <= SWITCH, costs


def test_at_rest_nothing_is_written(thousand: Box) -> None:
    """Waits for what must not come, in four panels at once: the clock's minute may pass, and no more."""
    with ExitStack() as stack:
        visits = [stack.enter_context(Visit(thousand, up=False)) for _ in range(4)]
        before = []
        for number, visit in zip((1, 2, 3, 7), visits, strict=True):
            visit.wait_for("q quit")
            visit.send(str(number))
            visit.caught_up()
        for visit in visits:
            visit.quiet(1_100)  # what was just opened is read once more when the owner has begun
            before.append(len(visit.raw))
        with pytest.raises(AssertionError, match="was not written"):
            visits[0].wait_raw(b"never", timeout=IDLE_S)
        for visit, start in zip(visits, before, strict=True):
            visit.quiet(10)
            assert len(visit.raw) - start <= IDLE, bytes(visit.raw[start:])
        for visit in visits:
            assert visit.leave() == 0
