-- all: what was counted before this process began.
SELECT bucket, tat_ms FROM rate_limits ORDER BY tat_ms DESC LIMIT :most;

-- save: a bucket's theoretical arrival time.
INSERT INTO rate_limits (bucket, tat_ms) VALUES (:bucket, :tat_ms)
ON CONFLICT (bucket) DO UPDATE SET tat_ms = excluded.tat_ms;

-- forget_rested: a time that has passed says nothing.
DELETE FROM rate_limits WHERE tat_ms <= :now_ms;

-- forget_all: before everything is written anew.
DELETE FROM rate_limits;
