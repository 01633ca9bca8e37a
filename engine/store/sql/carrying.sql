-- attach: today's database, read-only, beside the copy that will take its place.
ATTACH DATABASE :uri AS live;

-- detach: it is about to be replaced.
DETACH DATABASE live;

-- make_was: what waited in the backup, before anything was carried over.
CREATE TEMP TABLE was (uid TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- fill_was: as above.
INSERT INTO temp.was SELECT uid, state FROM main.messages WHERE state IN ('queued', 'sending', 'held');

-- make_moved: rows that take another number, because today another one has theirs.
CREATE TEMP TABLE moved (id INTEGER PRIMARY KEY) STRICT;

-- log: of one of the two, to compare them. The other's last entry is looked for by its number.
SELECT coalesce((SELECT value FROM {schema}.meta WHERE key = 'database_id'), ''),
       coalesce((SELECT max(seq) FROM {schema}.audit), 0),
       coalesce((SELECT hash FROM {schema}.audit ORDER BY seq DESC LIMIT 1), ''),
       coalesce((SELECT CAST(value AS INTEGER) FROM {schema}.meta WHERE key = 'audit_pruned_seq'), 0),
       (SELECT hash FROM {schema}.audit WHERE seq = :others_head);

-- hash_at: of one entry, to find where two logs part.
SELECT l.hash = m.hash FROM live.audit AS l JOIN main.audit AS m ON m.seq = l.seq WHERE l.seq = :seq;

-- states: how many messages stand in each.
SELECT state, count(*) FROM {schema}.messages GROUP BY state;

-- rows: of one table.
SELECT count(*) FROM {schema}.{table};

-- drop_pruned: what today's log has archived by now.
DELETE FROM main.audit WHERE seq <= :pruned;

-- extend_log: what happened since the backup; what it holds already is not read again.
INSERT INTO main.audit (seq, body, hash)
SELECT seq, body, hash FROM live.audit WHERE seq > (SELECT coalesce(max(seq), 0) FROM main.audit) ORDER BY seq;

-- take_head: the head as it was recorded beside today's log.
UPDATE main.counts SET (n, word) = (SELECT n, word FROM live.counts WHERE name = 'audit_head') WHERE name = 'audit_head';

-- take_meta: one word of today's.
INSERT OR REPLACE INTO main.meta SELECT key, value FROM live.meta WHERE key = :key;

-- take_other_meta: every word of today's that has no rule of its own.
INSERT OR REPLACE INTO main.meta
SELECT key, value FROM live.meta WHERE key NOT IN (SELECT value FROM json_each(:own));

-- find_strays: messages of the backup that today have another number, or another content under the same identity.
INSERT INTO temp.moved
SELECT m.id FROM main.messages AS m JOIN live.messages AS l ON l.uid = m.uid
 WHERE l.id <> m.id OR l.content_hash <> m.content_hash;

-- drop_strays: today's row takes their place.
DELETE FROM main.messages WHERE id IN (SELECT id FROM temp.moved);

-- drop_stray_parts: and what belongs to them.
DELETE FROM main.{table} WHERE message_id IN (SELECT id FROM temp.moved);

-- forget_moved: the list is used again.
DELETE FROM temp.moved;

-- find_collisions: rows whose number today is another thing's.
INSERT INTO temp.moved
SELECT m.id FROM main.{table} AS m JOIN live.{table} AS l ON l.id = m.id WHERE ({mine}) IS NOT ({todays});

-- any_moved: nearly always none.
SELECT EXISTS (SELECT 1 FROM temp.moved);

-- shift: beyond every number in use.
SELECT max(coalesce((SELECT max(id) FROM main.{table}), 0), coalesce((SELECT max(id) FROM live.{table}), 0));

-- move: they take a free number; the one that people may have noted down stays the one that is in use today.
UPDATE main.{table} SET {column} = {column} + :shift WHERE {column} IN (SELECT id FROM temp.moved);

-- move_items: the members of the backup's own bulk acts follow their messages.
UPDATE main.bulk_items SET message_id = message_id + :shift
 WHERE message_id IN (SELECT id FROM temp.moved) AND bulk_id NOT IN (SELECT id FROM live.bulks);

-- free_keys: an idempotency key that today is another message's.
UPDATE main.messages SET idempotency_key = NULL
 WHERE idempotency_key IS NOT NULL
   AND EXISTS (SELECT 1 FROM live.messages AS l
                WHERE l.idempotency_key = messages.idempotency_key AND l.uid <> messages.uid);

-- make_today: today's messages as they are to stand after the restore. What waits is held. What ended without having
-- been delivered, and waited in the backup, is held again, with what became of it since.
CREATE TEMP VIEW today AS
SELECT id, uid, becomes AS state, target, lane, channel, template, subject, priority, created_ms, due_ms, expires_ms,
       iif(becomes = 'held', NULL, finished_ms) AS finished_ms, attempts, failures, cycle, cycle_ms,
       NULL AS lease_until_ms, NULL AS lease_epoch, 0 AS cancel_requested, on_uncertain, idempotency_key, content_hash,
       collapse_key, ordering_key, iif(becomes = 'held', ordering_key IS NULL, ready) AS ready, route, hop, hop_ms,
       queued_by, last_code, last_word,
       CASE WHEN becomes = state THEN state_reason
            WHEN state = 'queued'
            THEN 'restored: was queued at ' || strftime('%Y-%m-%dT%H:%M:%SZ', created_ms / 1000, 'unixepoch')
            WHEN state = 'sending' THEN 'restored: was being sent; it may have arrived'
            ELSE 'restored: was ' || was || ' when the backup was taken; since then: '
                 || iif(state_reason = '', state, state_reason)
        END AS state_reason,
       size
  FROM (SELECT l.*, w.state AS was,
               CASE WHEN l.state IN ('queued', 'sending') THEN 'held'
                    WHEN l.state IN ('dead', 'cancelled', 'expired') AND w.state IS NOT NULL THEN 'held'
                    ELSE l.state END AS becomes
          FROM live.messages AS l LEFT JOIN temp.was AS w ON w.uid = l.uid);

-- take_messages: today's row where it differs; but what the backup saw delivered stays delivered.
INSERT OR REPLACE INTO main.messages ({columns})
SELECT {columns} FROM temp.today AS t
 WHERE NOT EXISTS (SELECT 1 FROM main.messages AS m
                    WHERE m.id = t.id AND (({mine}) IS ({todays}) OR (m.state = 'delivered' AND t.state <> 'delivered')));

-- add_messages: only those that the backup, which is the newer one here, no longer has.
INSERT INTO main.messages ({columns})
SELECT {columns} FROM live.messages AS l WHERE NOT EXISTS (SELECT 1 FROM main.messages AS m WHERE m.uid = l.uid);

-- add_bodies: what a message says is never changed.
INSERT INTO main.bodies
SELECT * FROM live.bodies AS l
 WHERE l.message_id NOT IN (SELECT message_id FROM main.bodies)
   AND l.message_id IN (SELECT id FROM main.messages);

-- add_blobs: by their sums alone, until one is missing.
INSERT INTO main.blobs
SELECT * FROM live.blobs WHERE sha256 IN (SELECT sha256 FROM live.blobs EXCEPT SELECT sha256 FROM main.blobs);

-- add_attachments: as bodies.
INSERT OR IGNORE INTO main.attachments
SELECT * FROM live.attachments WHERE message_id IN (SELECT id FROM main.messages);

-- add_tags: as bodies.
INSERT OR IGNORE INTO main.tags SELECT * FROM live.tags WHERE message_id IN (SELECT id FROM main.messages);

-- take_newer: today's row where the backup has another one of that number or name, or none.
INSERT OR REPLACE INTO main.{table}
SELECT l.* FROM live.{table} AS l
 WHERE NOT EXISTS (SELECT 1 FROM main.{table} AS m WHERE ({mine}) IS ({todays}));

-- take_missing: today's row where the backup, which is the newer one here, has none.
INSERT OR IGNORE INTO main.{table} SELECT * FROM live.{table};

-- drop_parts: what the backup holds as parts of things that are here too; today's parts follow.
DELETE FROM main.{table}
 WHERE {parent} IN (SELECT id FROM live.{parents})
   AND NOT EXISTS (SELECT 1 FROM live.{table} AS l WHERE l.{parent} = {table}.{parent} AND l.{key} = {table}.{key});

-- merge_keys: revoked or replaced in either is revoked or replaced; the earlier end holds.
UPDATE main.api_keys
   SET expires_ms = nullif(min(coalesce(l.expires_ms, 9223372036854775807),
                               coalesce(api_keys.expires_ms, 9223372036854775807)), 9223372036854775807),
       revoked_ms = coalesce(l.revoked_ms, api_keys.revoked_ms),
       revoked_by = iif(l.revoked_ms IS NULL, api_keys.revoked_by, l.revoked_by),
       successor = coalesce(l.successor, api_keys.successor),
       last_used_ms = nullif(max(coalesce(l.last_used_ms, 0), coalesce(api_keys.last_used_ms, 0)), 0),
       last_used_from = iif(coalesce(api_keys.last_used_ms, 0) > coalesce(l.last_used_ms, 0),
                            api_keys.last_used_from, l.last_used_from),
       uses = max(l.uses, api_keys.uses)
  FROM live.api_keys AS l WHERE l.id = api_keys.id;

-- revoke_namesakes: of two keys of one name that both open something, and of which only one is known here, that stays.
UPDATE main.api_keys
   SET revoked_by = 'restore',
       revoked_ms = (SELECT max(l.created_ms) FROM live.api_keys AS l WHERE l.name = api_keys.name)
 WHERE revoked_ms IS NULL AND successor IS NULL AND id NOT IN (SELECT id FROM live.api_keys)
   AND EXISTS (SELECT 1 FROM live.api_keys AS l LEFT JOIN main.api_keys AS m ON m.id = l.id
                WHERE l.name = api_keys.name
                  AND coalesce(l.revoked_ms, m.revoked_ms) IS NULL AND coalesce(l.successor, m.successor) IS NULL);

-- add_keys: that the backup does not know.
INSERT INTO main.api_keys SELECT * FROM live.api_keys WHERE id NOT IN (SELECT id FROM main.api_keys);

-- raise_epoch: whatever a former owner of either still writes is fenced.
INSERT OR REPLACE INTO main.leader (id, epoch, pid, host, mode, version, started_ms, heartbeat_ms, state, http)
SELECT l.id, max(l.epoch, m.epoch), l.pid, l.host, l.mode, l.version, l.started_ms, l.heartbeat_ms, 'stopped', ''
  FROM live.leader AS l JOIN main.leader AS m ON m.id = l.id;

-- next_epoch: as above.
UPDATE main.leader SET epoch = epoch + 1, state = 'stopped', http = '' RETURNING epoch;

-- settle_delivered: today's database no longer has it, and the log says that it arrived, whatever the backup thought.
UPDATE main.messages
   SET state = 'delivered', state_reason = 'restored: the audit log says that it was delivered',
       lease_until_ms = NULL, lease_epoch = NULL, cancel_requested = 0,
       finished_ms = (SELECT min(unixepoch(a.at) * 1000 + CAST(substr(a.at, 21, 3) AS INTEGER)) FROM {schema}.audit AS a
                       WHERE a.subject = messages.uid
                         AND (a.action = 'message.delivered'
                              OR (a.action = 'message.settled' AND json_extract(a.body, '$.detail.as') = 'delivered')))
 WHERE state <> 'delivered' {lost}
   AND EXISTS (SELECT 1 FROM {schema}.audit AS a
                WHERE a.subject = messages.uid AND unixepoch(a.at) IS NOT NULL
                  AND (a.action = 'message.delivered'
                       OR (a.action = 'message.settled' AND json_extract(a.body, '$.detail.as') = 'delivered')));

-- lost: where the log is today's, a row of today's has nothing to learn from it.
AND NOT EXISTS (SELECT 1 FROM live.messages AS l WHERE l.uid = messages.uid);

-- hold_waiting: nobody knows what became of these since.
UPDATE main.messages
   SET state = 'held', lease_until_ms = NULL, lease_epoch = NULL, cancel_requested = 0, ready = ordering_key IS NULL,
       state_reason = CASE state
           WHEN 'queued'
           THEN 'restored: was queued at ' || strftime('%Y-%m-%dT%H:%M:%SZ', created_ms / 1000, 'unixepoch')
           ELSE 'restored: was being sent when the backup was taken; it may have arrived' END
 WHERE state IN ('queued', 'sending');

-- end_attempts: whose senders are gone.
UPDATE main.attempts
   SET outcome = 'abandoned', finished_ms = :now_ms, detail = 'cut off by a restore; whether it arrived is unknown',
       rule = 'held by the restore'
 WHERE outcome IS NULL;

-- count_attempts: of two histories of a message: the number of an attempt is given once.
UPDATE main.messages
   SET attempts = (SELECT max(a.attempt_no) FROM main.attempts AS a WHERE a.message_id = messages.id)
 WHERE state <> 'delivered'
   AND EXISTS (SELECT 1 FROM main.attempts AS a WHERE a.message_id = messages.id AND a.attempt_no > messages.attempts);

-- tag_held: so that they can be let go together.
INSERT OR IGNORE INTO main.tags
SELECT :tag, id FROM main.messages WHERE state = 'held' AND substr(state_reason, 1, 10) = 'restored: ';

-- skip_items: a bulk act that was under way must not go on by itself: it might let go what is held.
UPDATE main.bulk_items SET result = 'skipped'
 WHERE result = 'pending' AND bulk_id IN (SELECT id FROM main.bulks WHERE state IN ('acting', 'undoing'));

-- end_bulks: as above.
UPDATE main.bulks
   SET state = iif(state = 'acting', 'done', 'undone'),
       skipped = (SELECT count(*) FROM main.bulk_items AS i WHERE i.bulk_id = bulks.id AND i.result = 'skipped')
 WHERE state IN ('acting', 'undoing');

-- end_commands: what was under way when the backup was taken; of today's, those that run are none of it.
UPDATE main.commands
   SET state = 'failed', finished_ms = :now_ms, error = 'the backup was taken in the middle of it'
 WHERE state IN ('waiting', 'running') AND id NOT IN (SELECT value FROM json_each(:live));

-- answer: of the act that this is.
UPDATE main.commands SET result = :result
 WHERE id = (SELECT max(id) FROM main.commands WHERE kind = 'restore' AND state = 'running');

-- commands_here: today's that are not done.
SELECT id FROM live.commands WHERE state IN ('waiting', 'running') LIMIT 1000;

-- recount: the counts that triggers keep, which were not there.
UPDATE main.counts SET n = (SELECT count(*) FROM main.messages AS m WHERE m.state = counts.name)
 WHERE name NOT IN ('audit_head', 'revision');

-- revise: whoever looks at the revision sees that something changed.
UPDATE main.counts SET n = 1 + max(n, :revision) WHERE name = 'revision';

-- revision_here: as above.
SELECT n FROM live.counts WHERE name = 'revision';

-- triggers: of our own schema.
SELECT sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid;

-- held: what the restore holds, with where it stood, the oldest first.
SELECT m.id, m.uid, m.target, m.subject, coalesce({was}, m.state), m.state_reason
  FROM main.tags AS t JOIN main.messages AS m ON m.id = t.message_id
 WHERE t.tag = :tag ORDER BY m.id LIMIT :n;

-- was_here: where it stands today, else where it stood in the backup.
(SELECT l.state FROM live.messages AS l WHERE l.uid = m.uid), (SELECT w.state FROM temp.was AS w WHERE w.uid = m.uid);

-- was_there: where it stood in the backup.
(SELECT w.state FROM temp.was AS w WHERE w.uid = m.uid);

-- held_by_state: how many, by where they stood.
SELECT coalesce({was}, m.state), count(*)
  FROM main.tags AS t JOIN main.messages AS m ON m.id = t.message_id WHERE t.tag = :tag GROUP BY 1;

-- would_resend: waiting in the backup, and delivered since: what a restore of the file alone would send again.
SELECT count(*) FROM temp.was AS w JOIN main.messages AS m ON m.uid = w.uid WHERE m.state = 'delivered';

-- keys_changed: keys that open something in the backup and no longer do.
SELECT b.id, b.name, iif(l.revoked_ms IS NOT NULL, 'revoked ' || strftime('%Y-%m-%dT%H:%M:%SZ', l.revoked_ms / 1000, 'unixepoch'),
                         'replaced by ' || l.successor)
  FROM main.api_keys AS b JOIN live.api_keys AS l ON l.id = b.id
 WHERE b.revoked_ms IS NULL AND b.successor IS NULL AND (l.revoked_ms IS NOT NULL OR l.successor IS NOT NULL)
 ORDER BY b.name LIMIT 1000;

-- keys_back: keys that open something in the backup and are not known here.
SELECT b.id, b.name FROM main.api_keys AS b
 WHERE b.revoked_ms IS NULL AND b.id NOT IN (SELECT id FROM live.api_keys) ORDER BY b.name LIMIT 1000;

-- waiting_here: what has not come to its end today.
SELECT count(*) FROM live.messages WHERE state IN ('queued', 'sending', 'held', 'uncertain');

-- entries_after: of today's log.
SELECT CAST(body AS BLOB), CAST(hash AS BLOB), seq FROM live.audit WHERE seq > :after ORDER BY seq LIMIT 500;

-- live_secrets: sealed as they are.
SELECT name, version, key_version, sealed, created_ms, updated_ms FROM live.secrets ORDER BY name;

-- live_vault: today's row.
SELECT vault_id, provider, root_id, kdf, key_version, wrapped, created_ms, rotated_ms FROM live.vault WHERE id = 1;

-- drop_vault: another one takes its place.
DELETE FROM main.vault;

-- take_vault: today's.
INSERT INTO main.vault SELECT * FROM live.vault;

-- put_secret: as it is given.
INSERT OR REPLACE INTO main.secrets (name, version, key_version, sealed, created_ms, updated_ms)
VALUES (:name, :version, :key_version, :sealed, :created_ms, :updated_ms);

-- drop_secrets: they are put anew.
DELETE FROM main.secrets;

-- drop_meta: a word that belongs to the vault that is not taken.
DELETE FROM main.meta WHERE key = :key;
