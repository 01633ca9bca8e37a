-- all: what was counted before this process began; those used up furthest where there are too many.
SELECT bucket, tat_ms FROM rate_limits ORDER BY tat_ms DESC LIMIT :most;

-- forget_all: before everything is written anew, which is simpler than to follow what rested, and is as cheap.
DELETE FROM rate_limits;

-- save: a bucket's theoretical arrival time by the wall clock.
INSERT INTO rate_limits (bucket, tat_ms) VALUES (:bucket, :tat_ms);
