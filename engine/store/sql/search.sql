-- columns: of a page of messages; the rest of the statement is put together by store/search.py.
SELECT m.id, m.uid, m.state, m.target, m.lane, m.channel, m.template, m.subject, m.priority, m.created_ms, m.due_ms,
       m.expires_ms, m.finished_ms, m.attempts, m.failures, m.cycle, m.cycle_ms, m.lease_until_ms, m.cancel_requested,
       m.on_uncertain, m.idempotency_key, m.collapse_key, m.ordering_key, m.ready, m.route, m.hop, m.hop_ms,
       m.queued_by, m.last_code, m.last_word, m.state_reason, m.size;

-- ids: of what matches; the rest of the statement as above.
SELECT m.id;

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

-- indexed_id: everything up to here is in the free text index.
SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'search_indexed_id';

-- index_more: the next slice, outside the enqueue's transaction.
INSERT INTO search (rowid, subject, text)
SELECT id, subject, text FROM searchable WHERE id > :after AND id <= :upto ORDER BY id;

-- set_indexed: in the transaction of index_more.
UPDATE meta SET value = CAST(:upto AS TEXT) WHERE key = 'search_indexed_id';

-- slice_end: the last id of the next slice.
SELECT max(id) FROM (SELECT id FROM messages WHERE id > :after ORDER BY id LIMIT :n);
