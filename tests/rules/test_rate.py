"""Rate limits: a burst of `count`, then a steady flow; never wedged by a clock."""

from hypothesis import given
from hypothesis import strategies as st

from engine.model import Rate
from engine.rules.rate import allow, capacity, consume, next_ms

NOW = 1_700_000_000_000
rates = st.builds(Rate, limit=st.integers(1, 5_000), per_ms=st.sampled_from([1_000, 60_000, 3_600_000, 86_400_000]))
tats = st.integers(0, 2 * NOW)


def test_a_rested_lane_sends_its_count_at_once_and_then_one_by_one() -> None:
    rate, tat, now = Rate(20, 60_000), 0, NOW
    for _ in range(20):
        ok, tat = allow(tat, rate, now)
        assert ok
    assert allow(tat, rate, now) == (False, tat)
    assert next_ms(tat, rate, now) == NOW + 3_000
    assert not allow(tat, rate, NOW + 2_999)[0]
    assert allow(tat, rate, NOW + 3_000)[0]


@given(rates, st.lists(st.integers(0, 5_000), min_size=1, max_size=200))
def test_no_more_leave_than_the_burst_and_the_time_allow(rate: Rate, steps: list[int]) -> None:
    tat, now, sent = 0, NOW, 0
    for step in steps:
        now += step
        ok, tat = allow(tat, rate, now)
        sent += ok
    assert sent <= rate.limit + (now - NOW) * rate.limit / rate.per_ms


@given(rates, tats)
def test_the_next_time_is_the_first_at_which_one_may_go(rate: Rate, tat: int) -> None:
    at = next_ms(tat, rate, NOW)
    assert NOW <= at <= NOW + rate.per_ms
    if tat <= NOW + rate.per_ms:
        assert capacity(tat, rate, at) >= 1
        assert at == NOW or capacity(tat, rate, at - 1) == 0


@given(rates, tats)
def test_a_batch_takes_what_single_ones_would(rate: Rate, tat: int) -> None:
    free = capacity(tat, rate, NOW)
    assert 0 <= free <= rate.limit
    assert allow(tat, rate, NOW)[0] == (free >= 1)
    after = consume(tat, rate, NOW, free)
    assert capacity(after, rate, NOW) == 0 or free == 0 or rate.limit > rate.per_ms


@given(rates)
def test_a_clock_set_back_costs_one_period_at_most(rate: Rate) -> None:
    tat = consume(0, rate, NOW, rate.limit)
    earlier = NOW - 10 * 366 * 86_400_000
    assert next_ms(tat, rate, earlier) <= earlier + rate.per_ms // rate.limit + 1
    assert capacity(tat, rate, earlier + rate.per_ms // rate.limit + 1) >= 0
    _, stored = allow(tat, rate, earlier)
    assert capacity(stored, rate, earlier + rate.per_ms) == rate.limit


def test_after_a_jump_ahead_the_burst_is_no_greater_than_the_count() -> None:
    assert capacity(0, Rate(20, 60_000), NOW * 2) == 20


def test_the_last_free_place_is_free_now() -> None:
    rate = Rate(20, 60_000)
    tat = consume(0, rate, NOW, 19)
    assert (capacity(tat, rate, NOW), next_ms(tat, rate, NOW)) == (1, NOW)


def test_a_float_from_the_database_is_taken() -> None:
    assert allow(float(NOW), Rate(1, 1_000), NOW) == (True, NOW + 1_000)
