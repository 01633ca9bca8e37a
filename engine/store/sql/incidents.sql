-- active: the one of a kind and subject that is not resolved.
SELECT id, state, severity FROM incidents WHERE kind = :kind AND subject = :subject AND state <> 'resolved';

-- active_subjects: how many of a kind are not resolved, the one that stands for the rest left out.
SELECT count(*) FROM (
    SELECT 1 FROM incidents WHERE kind = :kind AND subject <> :many AND state <> 'resolved' LIMIT :most
);

-- active_of: what is not resolved of a kind; raising keeps them few.
SELECT id, kind, subject, detail, state, first_ms, last_ms, count, severity, note, changed_ms, changed_by, alert_uid
  FROM incidents WHERE kind = :kind AND state <> 'resolved' ORDER BY id LIMIT 100;

-- open: a new row; a repeat after the one before was resolved is a new one.
INSERT INTO incidents (kind, subject, detail, severity, state, first_ms, last_ms, count)
VALUES (:kind, :subject, :detail, :severity, 'open', :now_ms, :now_ms, :times);

-- repeat: a counter and the newest words; :state is what it was, or 'open' again where it got worse.
UPDATE incidents
   SET detail = :detail, last_ms = :now_ms, count = count + :times, severity = :severity, state = :state
 WHERE id = :id;

-- unsettled: what is not resolved, the worst first.
SELECT id, kind, subject, detail, state, first_ms, last_ms, count, severity, note, changed_ms, changed_by, alert_uid
  FROM incidents WHERE state <> 'resolved'
 ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END, last_ms DESC, id DESC
 LIMIT :n;

-- newest: every one there is a record of.
SELECT id, kind, subject, detail, state, first_ms, last_ms, count, severity, note, changed_ms, changed_by, alert_uid
  FROM incidents ORDER BY id DESC LIMIT :n;

-- one: by its number.
SELECT id, kind, subject, detail, state, first_ms, last_ms, count, severity, note, changed_ms, changed_by, alert_uid
  FROM incidents WHERE id = :id;

-- change: an operator's word, or the cause is gone. What is resolved stays resolved.
UPDATE incidents SET state = :state, note = :note, changed_ms = :now_ms, changed_by = :by
 WHERE id = :id AND state <> 'resolved';

-- alerted: the message that tells of it.
UPDATE incidents SET alert_uid = :uid WHERE id = :id;

-- untold: open, and no message tells of it: there was no route then, or it could not be queued.
SELECT id, kind, subject, detail, state, first_ms, last_ms, count, severity, note, changed_ms, changed_by, alert_uid
  FROM incidents WHERE state = 'open' AND alert_uid IS NULL ORDER BY id LIMIT :n;

-- told_lately: whether the one before, of the same kind and subject, ended by itself after it had been told of. Among
-- the newest only: a cause that comes and goes must not make its own incidents slower to raise.
SELECT 1 FROM incidents
 WHERE id > :id - 200 AND id < :id AND kind = :kind AND subject = :subject AND state = 'resolved'
   AND changed_by = 'engine' AND alert_uid IS NOT NULL AND first_ms > :since_ms AND first_ms <= :now_ms LIMIT 1;

-- severities: how many are open or acknowledged, the worst first.
SELECT severity, state, count(*) FROM incidents WHERE state <> 'resolved' GROUP BY severity, state
 ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END;

-- old: resolved for long enough, a slice at a time. Never the newest: its number would be given out again.
SELECT id FROM incidents
 WHERE state = 'resolved' AND changed_ms < :before_ms AND id < (SELECT max(id) FROM incidents)
 ORDER BY id LIMIT 500;

-- delete: the audit log still tells its story.
DELETE FROM incidents WHERE id = :id;
