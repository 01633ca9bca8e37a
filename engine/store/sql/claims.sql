-- partitions: every (lane, template) with something queued and ready, by seeks instead of a scan of the queue. The
-- lanes first, then the templates of each: a row value (lane, template) > (…) would seek by lane alone and walk it.
WITH RECURSIVE lane_names (lane) AS (
    SELECT min(lane) FROM messages WHERE state = 'queued' AND ready = 1
    UNION ALL
    SELECT (SELECT min(lane) FROM messages WHERE state = 'queued' AND ready = 1 AND lane > l.lane)
      FROM lane_names AS l WHERE l.lane IS NOT NULL LIMIT 10000
), partitions (lane, template) AS (
    SELECT lane, (SELECT min(template) FROM messages WHERE state = 'queued' AND ready = 1 AND lane = l.lane)
      FROM lane_names AS l WHERE lane IS NOT NULL
    UNION ALL
    SELECT p.lane, (SELECT min(template) FROM messages
                     WHERE state = 'queued' AND ready = 1 AND lane = p.lane AND template > p.template)
      FROM partitions AS p WHERE p.template IS NOT NULL LIMIT 20000
)
SELECT lane, template FROM partitions WHERE template IS NOT NULL;

-- due: the head of one partition at one priority.
SELECT id, channel, target, due_ms, size FROM messages
 WHERE state = 'queued' AND ready = 1
   AND lane = :lane AND template = :template AND priority = :priority AND due_ms <= :now_ms
 ORDER BY due_ms, id LIMIT :n;

-- next_due: when the partition's next message of one priority becomes due.
SELECT min(due_ms) FROM messages
 WHERE state = 'queued' AND ready = 1 AND lane = :lane AND template = :template AND priority = :priority;

-- take: the claim. One more attempt, a lease, our epoch. No row: somebody acted on it since we looked.
UPDATE messages
   SET state = 'sending', attempts = attempts + 1, lease_until_ms = :lease_until_ms, lease_epoch = :epoch
 WHERE id = :id AND state = 'queued' AND ready = 1 AND due_ms <= :now_ms AND target = :target AND lane = :lane
   AND (expires_ms IS NULL OR expires_ms > :now_ms)
RETURNING uid, attempts, priority, created_ms;

-- start_attempt: written before the wire is touched; a receipt without this row cannot exist.
INSERT INTO attempts (message_id, attempt_no, target, epoch, started_ms)
VALUES (:message_id, :attempt_no, :target, :epoch, :now_ms);

-- end_attempt: how it ended. Recorded even when the message meanwhile belongs to a later attempt: the receiver's word
-- replaces our guess that the attempt was cut off.
UPDATE attempts
   SET finished_ms = :now_ms, outcome = :outcome, code = :code, detail = :detail, rule = :rule, next_ms = :next_ms,
       accepted = :accepted, refused = :refused
 WHERE message_id = :message_id AND attempt_no = :attempt_no AND (outcome IS NULL OR outcome = 'abandoned');

-- finish: only the attempt that still owns the message may finish it; 0 rows means that we are late.
UPDATE messages
   SET state = :state, state_reason = :reason, due_ms = :due_ms, finished_ms = :finished_ms, failures = :failures,
       last_code = :last_code, last_word = :last_word, lease_until_ms = NULL, lease_epoch = NULL, cancel_requested = 0
 WHERE id = :id AND state = 'sending' AND attempts = :attempt_no AND lease_epoch = :epoch;

-- was_given_up: only the present owner may speak for an attempt that it gave up, and only while nothing else was recorded.
SELECT 1 FROM attempts
 WHERE message_id = :id AND attempt_no = :attempt_no AND outcome = 'abandoned'
   AND epoch = :epoch AND epoch = (SELECT epoch FROM leader WHERE id = 1);

-- take_back: a message that waits again gets back the attempt that was thought cut off and was accepted after all.
UPDATE messages SET state = 'sending', lease_until_ms = :now_ms, lease_epoch = :epoch
 WHERE id = :id AND state = 'queued' AND attempts = :attempt_no;

-- orphans: attempts of an owner that is gone. The lock we hold proves that it is dead.
SELECT id, attempts, lease_epoch FROM messages WHERE state = 'sending' AND lease_epoch < :epoch ORDER BY id LIMIT 500;

-- overdue: our own attempts past their lease; a sender that did not come back.
SELECT id, attempts FROM messages
 WHERE state = 'sending' AND lease_epoch = :epoch AND lease_until_ms < :now_ms ORDER BY id LIMIT 500;

-- attempts: the history of a message, oldest first; the newest thousand.
SELECT message_id, attempt_no, target, epoch, started_ms, finished_ms, outcome, code, detail, rule, next_ms,
       accepted, refused
  FROM attempts WHERE message_id = :id ORDER BY attempt_no DESC LIMIT 1000;

-- accepted: recipients that an earlier attempt at this target already reached.
SELECT accepted FROM attempts WHERE message_id = :id AND target = :target AND accepted <> '[]';
