-- columns: of a page of messages; the rest of the statement is put together by store/search.py.
SELECT m.id, m.uid, m.state, m.target, m.lane, m.channel, m.template, m.subject, m.priority, m.created_ms, m.due_ms,
       m.expires_ms, m.finished_ms, m.attempts, m.failures, m.cycle, m.cycle_ms, m.lease_until_ms, m.cancel_requested,
       m.on_uncertain, m.idempotency_key, m.collapse_key, m.ordering_key, m.ready, m.route, m.hop, m.hop_ms,
       m.queued_by, m.last_code, m.last_word, m.state_reason, m.size;

-- ids: of what matches; the rest of the statement as above.
SELECT m.id;

-- of_numbers: behind columns; the rows of a page that was put in order before.
FROM messages AS m WHERE m.id IN (SELECT value FROM json_each(:numbers));

-- by_state: what a page in another order is sorted by.
SELECT m.id, m.state;

-- by_target: as above.
SELECT m.id, m.target;

-- by_subject: as above; a place does not carry more of a subject.
SELECT m.id, substr(m.subject, 1, 100);

-- by_due: as above.
SELECT m.id, m.due_ms;

-- by_attempts: as above.
SELECT m.id, m.attempts;

-- by_size: as above.
SELECT m.id, m.size;

-- by_changed: as above; what has not come to its end changed when it was queued.
SELECT m.id, ifnull(m.finished_ms, m.created_ms);

-- targets: every target of a channel, one seek each; of very many ad hoc ones the first 501.
WITH RECURSIVE targets (target) AS (
    SELECT min(target) FROM messages WHERE channel = :channel
    UNION ALL
    SELECT (SELECT min(target) FROM messages WHERE channel = :channel AND target > t.target)
      FROM targets AS t WHERE t.target IS NOT NULL LIMIT 502
)
SELECT target FROM targets WHERE target IS NOT NULL;

-- channels: every channel that has messages, one seek each.
WITH RECURSIVE channels (channel) AS (
    SELECT min(channel) FROM messages
    UNION ALL
    SELECT (SELECT min(channel) FROM messages WHERE channel > c.channel) FROM channels AS c WHERE c.channel IS NOT NULL
)
SELECT channel FROM channels WHERE channel IS NOT NULL LIMIT 100;

-- templates: every template in use, one seek each.
WITH RECURSIVE known (word) AS (
    SELECT min(template) FROM messages WHERE template <> ''
    UNION ALL
    SELECT (SELECT min(template) FROM messages WHERE template <> '' AND template > k.word) FROM known AS k WHERE k.word IS NOT NULL
)
SELECT word FROM known WHERE word IS NOT NULL LIMIT :most;

-- routes: every route in use, one seek each.
WITH RECURSIVE known (word) AS (
    SELECT min(route) FROM messages WHERE route <> ''
    UNION ALL
    SELECT (SELECT min(route) FROM messages WHERE route <> '' AND route > k.word) FROM known AS k WHERE k.word IS NOT NULL
)
SELECT word FROM known WHERE word IS NOT NULL LIMIT :most;

-- tags: every tag, one seek each.
WITH RECURSIVE known (word) AS (
    SELECT min(tag) FROM tags
    UNION ALL
    SELECT (SELECT min(tag) FROM tags WHERE tag > k.word) FROM known AS k WHERE k.word IS NOT NULL
)
SELECT word FROM known WHERE word IS NOT NULL LIMIT :most;

-- indexed_id: everything up to here is in the free text index.
SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'search_indexed_id';

-- index_more: the next slice, outside the enqueue's transaction.
INSERT INTO search (rowid, subject, text)
SELECT id, subject, text FROM searchable WHERE id > :after AND id <= :upto ORDER BY id;

-- set_indexed: in the transaction of index_more.
UPDATE meta SET value = CAST(:upto AS TEXT) WHERE key = 'search_indexed_id';

-- slice_end: the last id of the next slice.
SELECT max(id) FROM (SELECT id FROM messages WHERE id > :after ORDER BY id LIMIT :n);

-- walk_due: one partition of messages_due, in order of due time and number.
m.state = 'queued' AND m.ready = 1 AND m.lane = :lane AND m.template = :template AND m.priority = :priority;

-- walk_unready: what waits for its ordering key's turn; few.
m.state = 'queued' AND m.ready = 0;

-- walk_finished: one state of messages_finished, in order of its end and number.
m.state = :state AND m.finished_ms IS NOT NULL;
