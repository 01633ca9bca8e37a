"""The breaker: opens soon, probes once, comes back, and no clock can wedge it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.breaker import (
    LONGEST_OPEN_MS,
    PROBE_PATIENCE_MS,
    UNLIMITED,
    Breaker,
    BreakerState,
    may_send,
    on_claim,
    on_failure,
    on_success,
)

NOW = 1_700_000_000_000
TEN_YEARS = 10 * 366 * 86_400_000


def fail(b: Breaker, now_ms: int = NOW, times: int = 1) -> Breaker:
    for _ in range(times):
        b = on_failure(b, now_ms, misconfigured=False, reason="connection refused")
    return b


def opened(now_ms: int = NOW) -> Breaker:
    return fail(Breaker(), now_ms, 5)


def test_five_failures_in_a_row_open_it() -> None:
    assert may_send(fail(Breaker(), times=4), NOW) == UNLIMITED
    b = opened()
    assert b.state == BreakerState.OPEN
    assert (b.opened_ms, b.probe_ms, b.reason) == (NOW, NOW + 5_000, "connection refused")
    assert may_send(b, NOW + 4_999) == 0
    assert may_send(b, NOW + 5_000) == 1


def test_a_success_in_between_starts_the_row_anew() -> None:
    b = fail(on_success(fail(Breaker(), times=4), NOW), times=4)
    assert b.state == BreakerState.CLOSED


def test_seven_of_ten_in_30_s_open_it_though_no_five_came_in_a_row() -> None:
    b = Breaker()
    for outcome in (0, 0, 1, 0, 0, 1, 0, 0, 1):
        b = on_success(b, NOW) if outcome else fail(b)
        assert b.state == BreakerState.CLOSED
    assert fail(b).state == BreakerState.OPEN


def test_less_than_70_percent_do_not_open_it() -> None:
    b = Breaker()
    for _ in range(20):
        b = on_success(fail(fail(b)), NOW)
    assert b.state == BreakerState.CLOSED


def test_failures_of_the_last_window_are_forgotten() -> None:
    b = Breaker()
    for step in range(40):
        b = fail(b, NOW + step * 10_000) if step % 4 else on_success(b, NOW + step * 10_000)
    assert b.state == BreakerState.CLOSED
    assert b.window_total <= 3


def test_one_probe_at_a_time() -> None:
    b = opened()
    probing = on_claim(b, NOW + 5_000)
    assert probing.state == BreakerState.HALF_OPEN
    assert may_send(probing, NOW + 5_000) == 0
    assert on_claim(probing, NOW + 5_001) == probing


def test_a_claim_before_its_time_changes_nothing() -> None:
    b = opened()
    assert on_claim(b, NOW + 4_999) == b
    assert on_claim(Breaker(), NOW) == Breaker()


def test_a_probe_that_nobody_reports_on_is_given_up() -> None:
    probing = on_claim(opened(), NOW + 5_000)
    assert may_send(probing, NOW + 5_000 + PROBE_PATIENCE_MS - 1) == 0
    assert may_send(probing, NOW + 5_000 + PROBE_PATIENCE_MS) == 1


def test_failed_probes_double_the_wait_up_to_15_minutes() -> None:
    b, now, waits = opened(), NOW, []
    for _ in range(10):
        waits.append(b.open_ms)
        now = b.probe_ms
        b = fail(on_claim(b, now), now)
    assert waits[:4] == [5_000, 10_000, 20_000, 40_000]
    assert waits[-1] == LONGEST_OPEN_MS


def test_a_probe_that_arrives_closes_it_and_forgets_the_doubling() -> None:
    b = fail(on_claim(opened(), NOW + 5_000), NOW + 5_000)
    assert b.open_ms == 10_000
    b = on_success(on_claim(b, NOW + 15_000), NOW + 15_000)
    assert may_send(b, NOW + 15_000) == UNLIMITED
    assert fail(b, NOW + 15_000, 5).open_ms == 5_000


def test_a_late_failure_while_open_prolongs_nothing() -> None:
    b = opened()
    assert fail(b, NOW + 3_000) == b


def test_a_late_success_while_open_closes_it() -> None:
    assert on_success(opened(), NOW + 1) == Breaker(window_start_ms=NOW + 1, window_total=1)


def test_wrong_settings_open_it_at_once_for_a_minute() -> None:
    b = on_failure(Breaker(), NOW, misconfigured=True, reason="535 bad login")
    assert (b.state, b.probe_ms, b.reason) == (BreakerState.OPEN, NOW + 60_000, "535 bad login")
    b = on_failure(on_claim(b, b.probe_ms), b.probe_ms, misconfigured=True, reason="535 bad login")
    assert b.open_ms == 120_000


def test_wrong_settings_found_while_open_for_5_s_wait_the_minute() -> None:
    b = on_failure(opened(), NOW + 100, misconfigured=True, reason="535 bad login")
    assert (b.open_ms, b.probe_ms) == (60_000, NOW + 60_100)


@pytest.mark.parametrize("jump_ms", [-TEN_YEARS, TEN_YEARS])
def test_a_clock_that_jumps_ten_years_never_keeps_it_closed_for_long(jump_ms: int) -> None:
    for b in (opened(), on_claim(opened(), NOW + 5_000)):
        assert may_send(b, NOW + jump_ms) == 1
        after = fail(on_claim(b, NOW + jump_ms), NOW + jump_ms)
        assert 0 < after.probe_ms - (NOW + jump_ms) <= LONGEST_OPEN_MS


events = st.lists(st.tuples(st.sampled_from("sfmc"), st.integers(-TEN_YEARS, TEN_YEARS)), max_size=60)


@given(events)
def test_whatever_happens_a_probe_may_leave_within_15_minutes(history: list[tuple[str, int]]) -> None:
    b, now = Breaker(), NOW
    for event, jump in history:
        now += jump
        if event == "s":
            b = on_success(b, now)
        elif event == "c":
            b = on_claim(b, now)
        else:
            b = on_failure(b, now, misconfigured=event == "m", reason="x")
        assert may_send(b, now) in {0, 1, UNLIMITED}
        assert any(may_send(b, now + wait) for wait in (0, LONGEST_OPEN_MS))
        assert 0 <= b.window_failed <= b.window_total
