-- insert: a scope waits until a stated time.
INSERT INTO holds (scope, since_ms, until_ms, reason, actor) VALUES (:scope, :now_ms, :until_ms, :reason, :actor);

-- extend: pausing a paused scope again moves its end. The clock may have been set back since it began.
UPDATE holds SET since_ms = min(since_ms, :now_ms), until_ms = :until_ms, reason = :reason, actor = :actor WHERE scope = :scope AND ended_ms IS NULL;

-- active: what waits now.
SELECT id, scope, since_ms, until_ms, reason, actor FROM holds
 WHERE ended_ms IS NULL AND until_ms > :now_ms ORDER BY scope LIMIT 1000;

-- run_out: holds whose time is over and that nobody has closed yet.
SELECT id, scope FROM holds WHERE ended_ms IS NULL AND until_ms <= :now_ms ORDER BY id LIMIT 100;

-- end_one: by the operator or by its time.
UPDATE holds SET ended_ms = :now_ms, ended_by = :actor WHERE scope = :scope AND ended_ms IS NULL;
