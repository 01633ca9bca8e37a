"""How often the cockpit reads anew."""

from __future__ import annotations

from collections.abc import Callable

from chronos_tui.cockpit.pulse import Pulse
from engine.operations.watching import Topic

OUTBOX, ENGINE = frozenset({Topic.OUTBOX}), frozenset({Topic.ENGINE})


class Loop:
    """Time that a test moves, the timers in it, and what was read when."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.read: list[tuple[float, frozenset[Topic]]] = []
        self.pulse = Pulse(self._reload, self._later, lambda: self.now_s)

    def _reload(self, topics: frozenset[Topic]) -> None:
        self.read.append((round(self.now_s, 2), topics))

    def _later(self, wait_s: float, run: Callable[[], None]) -> None:
        self.timers.append((self.now_s + wait_s, run))

    def pass_s(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.timers and min(at for at, _run in self.timers) <= end_s:
            self.timers.sort(key=lambda timer: timer[0])
            self.now_s, run = self.timers.pop(0)
            run()
        self.now_s = end_s


def test_what_moves_after_a_quiet_time_is_read_at_once() -> None:
    loop = Loop()
    loop.pulse.moved(OUTBOX)
    assert loop.read == [(1_000.0, OUTBOX)]


def test_a_heartbeat_keeps_no_message_waiting() -> None:
    loop = Loop()
    for _ in range(20):
        loop.pulse.moved(ENGINE)
        loop.pass_s(0.1)
        loop.pulse.moved(OUTBOX)
        assert loop.read[-1] == (round(loop.now_s, 2), OUTBOX)
        loop.pass_s(4.9)


def test_what_moves_all_the_time_is_read_once_a_second() -> None:
    loop = Loop()
    for _ in range(600):
        loop.pulse.moved(OUTBOX)
        loop.pass_s(0.1)
    assert 60 <= len(loop.read) <= 63
    gaps = [later[0] - sooner[0] for sooner, later in zip(loop.read[10:], loop.read[11:], strict=False)]
    assert all(abs(gap - 1.0) < 0.11 for gap in gaps)


def test_somebody_at_the_keys_is_shown_more() -> None:
    loop = Loop()
    for _ in range(100):
        loop.pulse.key()
        loop.pulse.moved(OUTBOX)
        loop.pass_s(0.1)
    assert 40 <= len(loop.read) <= 50


def test_what_moved_while_it_waited_is_read_together() -> None:
    loop = Loop()
    for _ in range(20):
        loop.pulse.moved(OUTBOX)
    loop.pulse.moved(ENGINE)
    before = len(loop.read)
    loop.pass_s(1.0)
    assert [topics for _at, topics in loop.read[before:]] == [OUTBOX | ENGINE]


def test_a_minute_begins_once() -> None:
    pulse = Loop().pulse
    assert [pulse.new_minute(now_ms) for now_ms in (59_000, 59_999, 60_000, 60_001, 119_000, 120_000)] == [
        False,
        False,
        True,
        False,
        False,
        True,
    ]
