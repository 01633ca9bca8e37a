-- ask: what a front end wants done once.
INSERT INTO commands (kind, arguments, actor, asked_ms, expires_ms, state)
VALUES (:kind, :arguments, :actor, :now_ms, :expires_ms, 'waiting');

-- get: one of them.
SELECT id, kind, arguments, actor, asked_ms, expires_ms, state, epoch, started_ms, finished_ms, stage, done, total,
       cancel_requested, result, error, error_kind
  FROM commands WHERE id = :id;

-- open: what waits or runs, the oldest first.
SELECT id, kind, arguments, actor, asked_ms, expires_ms, state, epoch, started_ms, finished_ms, stage, done, total,
       cancel_requested, result, error, error_kind
  FROM commands WHERE state IN ('waiting', 'running') ORDER BY id LIMIT 100;

-- take: nobody else took it, and it is not too late.
UPDATE commands SET state = 'running', epoch = :epoch, started_ms = :now_ms
 WHERE id = :id AND state = 'waiting' AND cancel_requested = 0 AND expires_ms > :now_ms;

-- progress: how far it is.
UPDATE commands SET stage = :stage, done = :done, total = :total WHERE id = :id AND state = 'running';

-- cancel_requested: whether somebody wants it to end.
SELECT cancel_requested FROM commands WHERE id = :id;

-- finish: what came of it, also where whoever does it was taken for dead meanwhile.
UPDATE commands SET state = :state, finished_ms = :now_ms, result = :result, error = :error, error_kind = :error_kind
 WHERE id = :id AND state IN ('running', 'failed');

-- cancel: what waits ends here; what runs ends at its next step.
UPDATE commands SET cancel_requested = 1,
       state = iif(state = 'waiting', 'cancelled', state), finished_ms = iif(state = 'waiting', :now_ms, NULL)
 WHERE id = :id AND state IN ('waiting', 'running');

-- expire: nobody took it in time.
UPDATE commands SET state = 'expired', finished_ms = :now_ms WHERE id = :id AND state = 'waiting';

-- give_up: who did it is gone. Where there is a result already, it was done and only its end was not recorded.
UPDATE commands SET state = iif(result IS NULL, 'failed', 'done'), finished_ms = :now_ms,
       error = iif(result IS NULL, :error, ''), error_kind = iif(result IS NULL, 'TryAgain', '')
 WHERE id = :id AND state = 'running';

-- forget: the audit log tells what was done for longer.
DELETE FROM commands WHERE id IN (
    SELECT id FROM commands WHERE finished_ms IS NOT NULL AND finished_ms < :before_ms ORDER BY finished_ms LIMIT 500
);

-- revision: moves whenever one is asked for, goes on or ends.
SELECT coalesce(max(id), 0), coalesce(sum(done + total + length(stage)), 0), count(*), total(state = 'running'),
       total(cancel_requested)
  FROM commands WHERE state IN ('waiting', 'running');
