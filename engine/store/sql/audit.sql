-- head: the newest entry; the next one is chained to it.
SELECT seq, CAST(hash AS BLOB) FROM audit ORDER BY seq DESC LIMIT 1;

-- next: what the next entry is chained to: the head that was recorded, not the last row that is there. So a tail that
-- was cut off stays a gap, and a last entry that was written anew is not followed. Behind rows that were put in.
-- A number that no log can reach (2^52) says nothing: canonical JSON ends at 2^53, and nothing could be written any more.
SELECT max(iif(c.n < 4503599627370496, c.n, 0), coalesce((SELECT max(seq) FROM audit), 0)), CAST(c.word AS BLOB)
  FROM counts AS c WHERE c.name = 'audit_head';

-- append: in the transaction of the act itself.
INSERT INTO audit (seq, body, hash) VALUES (:seq, :body, :hash);

-- recorded: the head as it was written beside the log.
SELECT n, CAST(word AS BLOB) FROM counts WHERE name = 'audit_head';

-- record: the head, in the transaction of the entries up to it.
UPDATE counts SET n = :seq, word = :hash WHERE name = 'audit_head';

-- record_anew: somebody took the row away.
INSERT INTO counts (name, n, word) VALUES ('audit_head', :seq, :hash);

-- bounds: how many entries stand where the archived ones stood, and the lowest number of all.
SELECT (SELECT count(*) FROM audit WHERE seq <= :mark), (SELECT min(seq) FROM audit);

-- entry: one of them.
SELECT seq, CAST(body AS BLOB), CAST(hash AS BLOB) FROM audit WHERE seq = :seq;

-- slice: entries as they are stored, byte for byte: what was tampered with need not be text any more.
SELECT seq, CAST(body AS BLOB), CAST(hash AS BLOB) FROM audit
 WHERE seq > :after AND seq < :before ORDER BY seq LIMIT 500;

-- hashes: of a span, to compare with a copy.
SELECT seq, CAST(hash AS BLOB) FROM audit WHERE seq > :after AND seq < :before ORDER BY seq;

-- newest_of: the newest entry of one of the rare actions.
SELECT seq, CAST(body AS BLOB), CAST(hash AS BLOB) FROM audit
 WHERE action NOT IN ('message.queued', 'message.delivered') AND action = :action ORDER BY seq DESC LIMIT 1;

-- schema: the table and what guards it.
SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'audit' AND sql IS NOT NULL ORDER BY name LIMIT 100;

-- mark_pruned: in the transaction of the entry that says so; the trigger lets go of what is not above it.
UPDATE meta SET value = CAST(:seq AS TEXT) WHERE key = 'audit_pruned_seq';

-- delete_pruned: a slice of what was archived.
DELETE FROM audit WHERE seq IN (SELECT seq FROM audit WHERE seq <= :mark ORDER BY seq LIMIT 500);

-- walk: a span of the log by number, with conditions behind it.
SELECT seq, CAST(body AS BLOB), CAST(hash AS BLOB) FROM audit WHERE;

-- by_actor: who did it, row by row.
actor = {0};

-- not_before: times are spelt so that they sort as text.
at >= {0};

-- not_after: as above.
at <= {0};

-- with_text: anywhere in the entry.
body LIKE {0} ESCAPE '\';

-- of_subject: what happened to one thing, newest first.
SELECT seq, CAST(body AS BLOB), CAST(hash AS BLOB) FROM audit
 WHERE subject = :subject AND seq > :after AND seq < :before ORDER BY seq DESC LIMIT :n;

-- of_subject_up: the same, oldest first.
SELECT seq, CAST(body AS BLOB), CAST(hash AS BLOB) FROM audit
 WHERE subject = :subject AND seq > :after AND seq < :before ORDER BY seq LIMIT :n;

-- of_action: one of the rare actions, newest first.
SELECT seq, CAST(body AS BLOB), CAST(hash AS BLOB) FROM audit
 WHERE action NOT IN ('message.queued', 'message.delivered') AND action = :action AND seq > :after AND seq < :before
 ORDER BY seq DESC LIMIT :n;

-- of_action_up: the same, oldest first.
SELECT seq, CAST(body AS BLOB), CAST(hash AS BLOB) FROM audit
 WHERE action NOT IN ('message.queued', 'message.delivered') AND action = :action AND seq > :after AND seq < :before
 ORDER BY seq LIMIT :n;

-- rare_actions: every action but the two that make up nearly all of the log, one seek each.
WITH RECURSIVE actions (action) AS (
    SELECT min(action) FROM audit WHERE action NOT IN ('message.queued', 'message.delivered')
    UNION ALL
    SELECT (SELECT min(action) FROM audit
             WHERE action NOT IN ('message.queued', 'message.delivered') AND action > a.action)
      FROM actions AS a WHERE a.action IS NOT NULL
)
SELECT action FROM actions WHERE action IS NOT NULL LIMIT 200;

-- pruned: the highest entry that was archived away; the chain starts after it.
SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'audit_pruned_seq';

-- actors: of the newest entries; no index has them all.
SELECT DISTINCT actor FROM (SELECT actor FROM audit ORDER BY seq DESC LIMIT 500) WHERE actor IS NOT NULL;

-- actors_of: of the newest entries of one of the rare actions.
SELECT DISTINCT actor FROM (
    SELECT actor FROM audit
     WHERE action NOT IN ('message.queued', 'message.delivered') AND action = :action ORDER BY seq DESC LIMIT 50
) WHERE actor IS NOT NULL;
