-- all: breaker, rate and throttle of every lane that ever had trouble or a rate.
SELECT lane, breaker, rate_tat_ms, throttled_until_ms, disabled_reason, last_success_ms, last_failure_ms, last_word
  FROM lanes ORDER BY lane LIMIT 10000;

-- one: a single lane.
SELECT lane, breaker, rate_tat_ms, throttled_until_ms, disabled_reason, last_success_ms, last_failure_ms, last_word
  FROM lanes WHERE lane = :lane;

-- save: the whole state of a lane.
INSERT INTO lanes (lane, breaker, rate_tat_ms, throttled_until_ms, disabled_reason, last_success_ms, last_failure_ms,
                   last_word)
VALUES (:lane, :breaker, :rate_tat_ms, :throttled_until_ms, :disabled_reason, :last_success_ms, :last_failure_ms,
        :last_word)
ON CONFLICT (lane) DO UPDATE SET
    breaker = excluded.breaker, rate_tat_ms = excluded.rate_tat_ms, throttled_until_ms = excluded.throttled_until_ms,
    disabled_reason = excluded.disabled_reason, last_success_ms = excluded.last_success_ms,
    last_failure_ms = excluded.last_failure_ms, last_word = excluded.last_word;

-- reset: the operator says that the target is well again; the next message is the proof.
UPDATE lanes SET breaker = '{}', throttled_until_ms = 0, disabled_reason = '' WHERE lane = :lane;
