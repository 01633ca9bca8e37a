-- add_event: the id is remembered in the transaction of its message; a second one of the same id breaks on the index.
INSERT INTO inbound_events
       (source, event_id, proof, body_sha256, received_ms, remote, kind, content_type, headers, body, size, outcome,
        detail, message_uid)
VALUES (:source, :event_id, :proof, :body_sha256, :received_ms, :remote, :kind, :content_type, :headers, :body, :size,
        :outcome, :detail, :message_uid);

-- known: an event that came before under this id.
SELECT id, event_id, body_sha256, message_uid FROM inbound_events WHERE source = :source AND event_id = :event_id;

-- known_proof: an event that came before with the same signed content, whatever its id.
SELECT id, event_id, body_sha256, message_uid FROM inbound_events WHERE source = :source AND proof = :proof LIMIT 1;

-- count_duplicates: how often an event came again; counted in batches, for a repeat must not cost a write.
UPDATE inbound_events SET duplicates = duplicates + :n WHERE id = :id;

-- count_source: what happened to a source since the last time; the newest reason stands.
INSERT INTO source_states
       (source, accepted, duplicates, replays, rejected, last_accepted_ms, last_rejected_ms, last_reason)
VALUES (:source, :accepted, :duplicates, :replays, :rejected, :accepted_ms, :rejected_ms, :reason)
    ON CONFLICT (source) DO UPDATE SET
       accepted = accepted + excluded.accepted, duplicates = duplicates + excluded.duplicates,
       replays = replays + excluded.replays, rejected = rejected + excluded.rejected,
       last_accepted_ms = coalesce(excluded.last_accepted_ms, last_accepted_ms),
       last_rejected_ms = coalesce(excluded.last_rejected_ms, last_rejected_ms),
       last_reason = CASE WHEN excluded.last_reason = '' THEN last_reason ELSE excluded.last_reason END;

-- count_rejection: a repeat of the same reason from the same address is one row and a counter.
INSERT INTO inbound_rejections (source, reason, remote, detail, first_ms, last_ms, count)
VALUES (:source, :reason, :remote, :detail, :first_ms, :last_ms, :n)
    ON CONFLICT (source, reason, remote) DO UPDATE SET
       detail = excluded.detail, last_ms = excluded.last_ms, count = count + excluded.count;

-- trim_rejections: a source keeps its newest rows; whoever sends from many addresses must not fill the disk.
DELETE FROM inbound_rejections
 WHERE source = :source
   AND (reason, remote) NOT IN (SELECT reason, remote FROM inbound_rejections WHERE source = :source
                                 ORDER BY last_ms DESC, reason, remote LIMIT :most);

-- states: one row a source that ever heard anything.
SELECT source, accepted, duplicates, replays, rejected, last_accepted_ms, last_rejected_ms, last_reason
  FROM source_states;

-- rejections: the newest reasons of a source; at most as many as trim_rejections leaves.
SELECT reason, remote, detail, first_ms, last_ms, count
  FROM inbound_rejections WHERE source = :source ORDER BY last_ms DESC, reason, remote LIMIT :n;

-- failed: events of a source that were accepted and became no message. By name, for the planner takes the larger index.
SELECT count(*) FROM (SELECT 1 FROM inbound_events INDEXED BY inbound_events_failed
                       WHERE source = :source AND outcome = 'failed' LIMIT 1000);

-- page: newest first below an id, without bodies.
SELECT id, source, event_id, received_ms, remote, kind, size, outcome, detail, message_uid, duplicates, replayed, NULL,
       content_type
  FROM inbound_events WHERE id < :before ORDER BY id DESC LIMIT :n;

-- page_of: the same of one source.
SELECT id, source, event_id, received_ms, remote, kind, size, outcome, detail, message_uid, duplicates, replayed, NULL,
       content_type
  FROM inbound_events WHERE source = :source AND id < :before ORDER BY id DESC LIMIT :n;

-- event: one event with its body.
SELECT id, source, event_id, received_ms, remote, kind, size, outcome, detail, message_uid, duplicates, replayed, body,
       content_type
  FROM inbound_events WHERE id = :id;

-- headers: what was kept of an event's headers.
SELECT headers FROM inbound_events WHERE id = :id;

-- replayed: an event became a message once more; the newest message is the one that is named.
UPDATE inbound_events SET replayed = replayed + 1, outcome = 'queued', detail = :detail, message_uid = :message_uid
 WHERE id = :id;

-- kept: bodies of a source whose time is over, oldest first. By name, or it walks over all whose body is gone already.
SELECT id FROM inbound_events INDEXED BY inbound_events_kept
 WHERE source = :source AND received_ms < :before_ms AND body IS NOT NULL ORDER BY received_ms, id LIMIT :n;

-- drop_body: the event stays known by its id.
UPDATE inbound_events SET body = NULL, headers = '{}' WHERE id = :id;

-- known_for_long: events of a source whose ids need not be known any more, oldest first.
SELECT id FROM inbound_events WHERE source = :source AND received_ms < :before_ms ORDER BY received_ms, id LIMIT :n;

-- forget: the id is free again.
DELETE FROM inbound_events WHERE id = :id;
