-- raise: a repeat is one row and a counter.
INSERT INTO incidents (kind, subject, detail, state, first_ms, last_ms, count)
VALUES (:kind, :subject, :detail, 'open', :now_ms, :now_ms, 1)
ON CONFLICT (kind, subject) WHERE state <> 'resolved'
DO UPDATE SET detail = excluded.detail, last_ms = excluded.last_ms, count = count + 1
RETURNING count;

-- open: what is not resolved.
SELECT id, kind, subject, detail, state, first_ms, last_ms, count
  FROM incidents WHERE state <> 'resolved' ORDER BY last_ms DESC LIMIT 200;

-- resolve: the cause is gone.
UPDATE incidents SET state = 'resolved' WHERE kind = :kind AND subject = :subject AND state <> 'resolved';
