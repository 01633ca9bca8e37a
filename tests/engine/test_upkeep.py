"""The owner's chores: each in its turn, whatever the clock on the wall says and whatever becomes of the one before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import NotPossible
from engine.operations.commanding import Report
from engine.operations.context import Context, Machine
from engine.upkeep import Upkeep, chores, slow_chores
from tests.support import PATIENCE_S, Box, EventLog, opened_box


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with opened_box(tmp_path) as made:
        yield made


def test_no_chore_waits_for_a_clock_that_was_set_back(box: Box) -> None:
    turns = threading.Semaphore(0)

    def chore(_context: Context) -> None:
        turns.release()

    upkeep = Upkeep(box.context, ((5, chore),))
    upkeep.start()
    try:
        assert turns.acquire(timeout=PATIENCE_S), "once at the start"
        for back_ms in (3_600_000, 365 * 86_400_000):
            box.clock.jump_ms(-back_ms)
            box.clock.advance_ms(5_000)
            assert turns.acquire(timeout=PATIENCE_S)
    finally:
        upkeep.stop()


def test_a_chore_that_fails_starves_no_other_and_is_logged_once(box: Box) -> None:
    log = EventLog()
    box.context.machine = Machine(log=log)
    turns = threading.Semaphore(0)

    def refused(_context: Context) -> None:
        raise NotPossible("not today")

    def broken(_context: Context) -> None:
        raise ZeroDivisionError

    def good(_context: Context) -> None:
        turns.release()

    upkeep = Upkeep(box.context, ((5, refused), (5, broken), (5, good)))
    upkeep.start()
    try:
        for _ in range(2):
            assert turns.acquire(timeout=PATIENCE_S)
            box.clock.advance_ms(5_000)
    finally:
        upkeep.stop()
    assert log.names().count("chore_failed") == 1
    assert log.names().count("chore_defect") >= 2


def test_what_was_ended_begins_no_chore(box: Box) -> None:
    turns = threading.Semaphore(0)
    held = threading.Event()

    def first(_context: Context) -> None:
        turns.release()
        assert held.wait(PATIENCE_S)

    def second(_context: Context) -> None:
        turns.release()

    upkeep = Upkeep(box.context, ((5, first), (5, second)))
    upkeep.start()
    assert turns.acquire(timeout=PATIENCE_S)
    upkeep.end()
    held.set()
    upkeep.stop(PATIENCE_S)
    assert not turns.acquire(blocking=False)


def test_a_chore_that_takes_hours_holds_up_no_other_and_ends_with_the_engine(box: Box) -> None:
    """A copy to another continent must not keep the next backup from being made, nor the engine from ending."""
    log = EventLog()
    box.context.machine = Machine(log=log)
    turns, began, ended = threading.Semaphore(0), threading.Event(), threading.Event()
    moved = threading.Event()

    def quick(_context: Context) -> None:
        turns.release()

    def slow(_context: Context, report: Report) -> None:
        began.set()
        try:
            while True:
                report("copying", 0, 1)
                moved.wait(0.01)
        finally:
            ended.set()

    upkeep = Upkeep(box.context, ((5, quick),), ((5, slow),))
    upkeep.start()
    try:
        assert began.wait(PATIENCE_S)
        for _ in range(3):
            assert turns.acquire(timeout=PATIENCE_S)
            box.clock.advance_ms(5_000)
        assert not ended.is_set()
    finally:
        upkeep.stop(PATIENCE_S)
    assert ended.is_set()
    assert log.names() == [], "ending is no trouble"


def test_every_chore_has_a_name_of_its_own() -> None:
    names = [chore.__name__ for _every_s, chore in (*chores(), *slow_chores())]

    assert len(set(names)) == len(names)
