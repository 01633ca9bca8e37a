-- old: finished long enough ago, a slice at a time. Never the newest message: its number would be given out again.
SELECT id, ordering_key FROM messages
 WHERE state = :state AND finished_ms IS NOT NULL AND finished_ms < :before_ms
   AND id < (SELECT max(id) FROM messages)
 ORDER BY finished_ms, id LIMIT 500;

-- indexed_text: what the search index must be told to forget.
SELECT id, subject, text FROM searchable WHERE id = :id;

-- forget_text: an external-content index needs the old words to take them out.
INSERT INTO search (search, rowid, subject, text) VALUES ('delete', :id, :subject, :text);

-- delete: body, attempts, tags and attachments go with it (foreign keys).
DELETE FROM messages WHERE id = :id;

-- blobs_of: whose bytes may be needed no longer.
SELECT DISTINCT sha256 FROM attachments WHERE message_id = :id;

-- delete_unused_blob: bytes that no message names any more.
DELETE FROM blobs WHERE sha256 = :sha256 AND NOT EXISTS (SELECT 1 FROM attachments AS a WHERE a.sha256 = :sha256);
