-- head: the newest entry; the next one is chained to it.
SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1;

-- append: in the transaction of the act itself.
INSERT INTO audit (seq, body, hash) VALUES (:seq, :body, :hash);

-- page_after: oldest first, for verification and export.
SELECT seq, body, hash FROM audit WHERE seq > :after ORDER BY seq LIMIT :n;

-- page_before: newest first, for reading.
SELECT seq, body, hash FROM audit WHERE seq < :before ORDER BY seq DESC LIMIT :n;

-- of_subject: what happened to one thing, newest first.
SELECT seq, body, hash FROM audit WHERE subject = :subject AND seq < :before ORDER BY seq DESC LIMIT :n;

-- of_action: one of the rare actions, newest first.
SELECT seq, body, hash FROM audit
 WHERE action NOT IN ('message.queued', 'message.delivered') AND action = :action AND seq < :before
 ORDER BY seq DESC LIMIT :n;

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
