"""Retries: grow, stay within the cap, obey the receiver, end."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import RetryPolicy
from engine.rules.backoff import delay_ms, gives_up, rng_for

EXACT = RetryPolicy(jitter=0.0)
policies = st.builds(
    RetryPolicy,
    first_ms=st.integers(0, 10**7),
    cap_ms=st.integers(0, 10**9),
    attempts=st.integers(1, 100),
    max_age_ms=st.integers(0, 10**10),
    jitter=st.floats(0, 1),
)


def test_it_doubles_from_5_s_to_6_h() -> None:
    rng = random.Random(1)
    waits = [delay_ms(EXACT, failure_no, rng) for failure_no in range(1, 16)]
    assert waits[:4] == [5_000, 10_000, 20_000, 40_000]
    assert waits[-3:] == [20_480_000, 21_600_000, 21_600_000]


@given(policies, st.integers(1, 10**9), st.integers())
def test_it_stays_within_the_jitter_round_the_doubled_wait(policy: RetryPolicy, failure_no: int, seed: int) -> None:
    base = min(policy.first_ms * 2 ** min(failure_no - 1, 60), policy.cap_ms)
    wait = delay_ms(policy, failure_no, random.Random(seed))
    assert wait >= 0
    assert base * (1 - policy.jitter) - 1 <= wait <= base * (1 + policy.jitter) + 1


def test_jitter_spreads_to_both_sides() -> None:
    waits = [delay_ms(RetryPolicy(), 1, rng_for(7, message_id, 1)) for message_id in range(500)]
    assert 4_000 <= min(waits) < 4_200
    assert 5_800 < max(waits) <= 6_000
    assert 4_900 < sum(waits) / len(waits) < 5_100


@given(policies, st.integers(1, 100), st.integers(-(10**12), 10**15))
def test_a_longer_retry_after_wins_but_never_beyond_the_cap(policy: RetryPolicy, failure_no: int, asked: int) -> None:
    plain = delay_ms(policy, failure_no, random.Random(3))
    wait = delay_ms(policy, failure_no, random.Random(3), retry_after_ms=asked)
    assert wait == max(plain, min(asked, policy.cap_ms))


def test_no_policy_leads_to_a_wait_below_0() -> None:
    wild = RetryPolicy(jitter=5.0)
    waits = {delay_ms(wild, 1, random.Random(seed), retry_after_ms=-(10**9)) for seed in range(50)}
    assert min(waits) == 0


def test_a_retry_after_of_a_year_parks_nothing_for_a_year() -> None:
    assert delay_ms(EXACT, 1, random.Random(1), retry_after_ms=365 * 86_400_000) == EXACT.cap_ms


@pytest.mark.parametrize("failure_no", [0, -1])
def test_failures_count_from_1(failure_no: int) -> None:
    with pytest.raises(ValueError, match="count from 1"):
        delay_ms(EXACT, failure_no, random.Random(1))


def test_attempts_used_up_end_the_retries() -> None:
    assert gives_up(RetryPolicy(), 15, 0, 1_000) is None
    assert gives_up(RetryPolicy(), 16, 0, 1_000) == "16 attempts used up"
    assert gives_up(RetryPolicy(attempts=1), 1, 0, 1_000) == "1 attempt used up"


def test_age_counts_from_the_cycle_to_the_next_attempt() -> None:
    three_days = 3 * 86_400_000
    assert gives_up(RetryPolicy(), 1, 500, 500 + three_days) is None
    assert gives_up(RetryPolicy(), 1, 500, 501 + three_days) == "older than 3d"


def test_a_clock_set_back_ends_no_retries() -> None:
    assert gives_up(RetryPolicy(), 1, 10**12, 0) is None


@given(st.integers(), st.integers(0), st.integers(0))
def test_the_jitter_is_the_same_for_the_same_seed_message_and_attempt(seed: int, message: int, attempt: int) -> None:
    first = rng_for(seed, message, attempt).random()
    assert first == rng_for(seed, message, attempt).random()
    assert first != rng_for(seed, message, attempt + 1).random()
    assert first != rng_for(seed, message + 1, attempt).random()
    assert first != rng_for(seed + 1, message, attempt).random()


def test_the_jitter_does_not_change_with_a_new_version() -> None:
    assert delay_ms(RetryPolicy(), 3, rng_for(1, 2, 3)) == 16_220
