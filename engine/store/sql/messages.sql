-- insert: the message's row; audit entry, body and tags follow in the same transaction.
INSERT INTO messages (uid, state, target, lane, channel, template, subject, priority, created_ms, due_ms, expires_ms,
                      cycle_ms, on_uncertain, idempotency_key, content_hash, collapse_key, ordering_key, ready,
                      route, hop_ms, queued_by, size)
VALUES (:uid, 'queued', :target, :lane, :channel, :template, :subject, :priority, :created_ms, :due_ms, :expires_ms,
        :created_ms, :on_uncertain, :idempotency_key, :content_hash, :collapse_key, :ordering_key, :ready,
        :route, :hop_ms, :queued_by, :size);

-- insert_body: what the message says, apart from its state so that state changes stay small.
INSERT INTO bodies (message_id, text, html, data, headers) VALUES (:message_id, :text, :html, :data, :headers);

-- insert_blob: attachments with equal bytes are stored once.
INSERT INTO blobs (sha256, content) VALUES (:sha256, :content) ON CONFLICT (sha256) DO NOTHING;

-- insert_attachment: names the blob.
INSERT INTO attachments (message_id, position, name, content_type, size, sha256)
VALUES (:message_id, :position, :name, :content_type, :size, :sha256);

-- insert_tag: one row a tag, so that tag:x is a seek.
INSERT OR IGNORE INTO tags (tag, message_id) VALUES (:tag, :message_id);

-- by_idempotency_key: was this key used before?
SELECT id, content_hash FROM messages WHERE idempotency_key = :idempotency_key;

-- waiting_in_collapse: older messages that a new one with the same collapse key replaces; those on the wire are not. What
-- was sent by a route is another address than the target it waits for: who may send by one may not cancel the other's.
SELECT id FROM messages
 WHERE state = 'queued' AND target = :target AND collapse_key IS NOT NULL AND collapse_key = :collapse_key
   AND route = :route
 ORDER BY id LIMIT 1000;

-- by_id: one message.
SELECT id, uid, state, target, lane, channel, template, subject, priority, created_ms, due_ms, expires_ms, finished_ms,
       attempts, failures, cycle, cycle_ms, lease_until_ms, cancel_requested, on_uncertain, idempotency_key,
       collapse_key, ordering_key, ready, route, hop, hop_ms, queued_by, last_code, last_word, state_reason, size
  FROM messages WHERE id = :id;

-- id_of_uid: the short handle of an identity.
SELECT id FROM messages WHERE uid = :uid;

-- body: what a message says.
SELECT m.subject, b.text, b.html, b.data, b.headers
  FROM messages AS m JOIN bodies AS b ON b.message_id = m.id WHERE m.id = :id;

-- attachments: in the order given, with their bytes.
SELECT a.name, a.content_type, b.content
  FROM attachments AS a JOIN blobs AS b ON b.sha256 = a.sha256 WHERE a.message_id = :id ORDER BY a.position;

-- attachment: a single one.
SELECT a.name, a.content_type, b.content
  FROM attachments AS a JOIN blobs AS b ON b.sha256 = a.sha256 WHERE a.message_id = :id AND a.position = :position;

-- attachment_names: without their bytes, for lists.
SELECT name, content_type, size FROM attachments WHERE message_id = :id ORDER BY position;

-- tags: of one message.
SELECT tag FROM tags WHERE message_id = :id ORDER BY tag;

-- tags_of: of a page of messages.
SELECT message_id, tag FROM tags WHERE message_id IN (SELECT value FROM json_each(:ids)) ORDER BY message_id, tag;

-- counts: kept by triggers; GROUP BY state takes seconds at 10 M rows.
SELECT name, n FROM counts WHERE name <> 'audit_head';

-- move: a change of state by operator or time. The guard on the former state makes two acts at once harmless: the
-- second changes no row.
UPDATE messages
   SET state = :state, state_reason = :reason, due_ms = :due_ms, finished_ms = :finished_ms,
       lease_until_ms = NULL, lease_epoch = NULL, cancel_requested = 0
 WHERE id = :id AND state = :before;

-- redrive: a new cycle; attempts go on counting, because they are the fence, and the history stays.
UPDATE messages
   SET state = 'queued', state_reason = '', due_ms = :now_ms, finished_ms = NULL, failures = 0, cycle = cycle + 1,
       cycle_ms = :now_ms, hop_ms = NULL
 WHERE id = :id AND state = :before;

-- due_now: try again at once, without waiting for the backoff.
UPDATE messages SET due_ms = :now_ms WHERE id = :id AND state = 'queued';

-- request_cancel: the attempt on the wire decides; should it fail, the message is cancelled.
UPDATE messages SET cancel_requested = 1 WHERE id = :id AND state = 'sending';

-- withdraw_cancel: a cancel that was only requested is taken back.
UPDATE messages SET cancel_requested = 0 WHERE id = :id AND state = 'sending';

-- order_sending: the message of the key that is on the wire.
SELECT id FROM messages
 WHERE ordering_key IS NOT NULL AND state NOT IN ('delivered', 'cancelled', 'expired')
   AND ordering_key = :ordering_key AND state = 'sending'
 ORDER BY id LIMIT 1;

-- order_waiting: the oldest of the key that wait. However many died before them, this is one seek.
SELECT id, ready FROM messages
 WHERE ordering_key IS NOT NULL AND state NOT IN ('delivered', 'cancelled', 'expired')
   AND ordering_key = :ordering_key AND state = 'queued'
 ORDER BY id LIMIT 10;

-- order_earlier: older messages of the key in one state, which hold it back or not by their target's policy.
SELECT id, target FROM messages
 WHERE ordering_key IS NOT NULL AND state NOT IN ('delivered', 'cancelled', 'expired')
   AND ordering_key = :ordering_key AND state = :state AND id > :after AND id < :before
 ORDER BY id LIMIT 50;

-- set_ready: an ordering key's turn.
UPDATE messages SET ready = :ready WHERE id = :id AND ready <> :ready;

-- expired: what is past its expiry and still waits.
SELECT id FROM messages
 WHERE state = 'queued' AND expires_ms IS NOT NULL AND expires_ms <= :now_ms ORDER BY expires_ms, id LIMIT 500;

-- hopping: what was not accepted in time and has a next step on its route.
SELECT id FROM messages
 WHERE state = 'queued' AND hop_ms IS NOT NULL AND hop_ms <= :now_ms ORDER BY hop_ms, id LIMIT 500;

-- hop: the next step of the route takes over; the identity stays, so that it is one message all the way.
UPDATE messages
   SET state = 'queued', target = :target, lane = :lane, channel = :channel, hop = :hop, hop_ms = :hop_ms,
       due_ms = :now_ms, failures = 0, cycle = cycle + 1, cycle_ms = :now_ms, state_reason = :reason,
       lease_until_ms = NULL, lease_epoch = NULL
 WHERE id = :id AND state = :before;

-- newest: the highest number so far.
SELECT max(id) FROM messages;

-- shift_back: the clock was set back; what waits goes on waiting for as long as it had left. A send time that was asked
-- for (not tried yet, due later than it was made) stands.
UPDATE messages
   SET due_ms = CASE WHEN attempts = 0 AND due_ms > created_ms THEN due_ms ELSE due_ms - :back_ms END,
       hop_ms = hop_ms - :back_ms
 WHERE id > :after AND id <= :upto AND state = 'queued' AND due_ms > :now_ms;

-- is_from_the_future: is there anything for the statement below?
SELECT 1 FROM messages WHERE uid > :newest_uid AND state = 'queued' AND due_ms = created_ms AND due_ms > :now_ms LIMIT 1;

-- due_from_the_future: queued by a process whose clock ran ahead, to leave at once. Identities sort by time, so this is
-- one seek behind the newest that may exist. A send time that was asked for stands.
UPDATE messages SET due_ms = :now_ms
 WHERE uid > :newest_uid AND state = 'queued' AND due_ms = created_ms AND due_ms > :now_ms;

-- end_of_route: the configuration no longer has a further step.
UPDATE messages SET hop_ms = NULL WHERE id = :id;

-- ended_by_step: for a sparkline; messages_finished alone answers it.
SELECT (finished_ms - :start_ms) / :step_ms, count(*) FROM messages
 WHERE state = :state AND finished_ms IS NOT NULL AND finished_ms >= :start_ms AND finished_ms < :end_ms
 GROUP BY 1;
