-- head: the newest entry; the next one is chained to it.
SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1;

-- append: in the transaction of the act itself.
INSERT INTO audit (seq, body, hash) VALUES (:seq, :body, :hash);

-- walk: a span of the log by number, with conditions behind it.
SELECT seq, body, hash FROM audit WHERE;

-- by_actor: who did it, row by row.
actor = {0};

-- not_before: times are spelt so that they sort as text.
at >= {0};

-- not_after: as above.
at <= {0};

-- with_text: anywhere in the entry.
body LIKE {0} ESCAPE '\';

-- of_subject: what happened to one thing, newest first.
SELECT seq, body, hash FROM audit
 WHERE subject = :subject AND seq > :after AND seq < :before ORDER BY seq DESC LIMIT :n;

-- of_subject_up: the same, oldest first.
SELECT seq, body, hash FROM audit
 WHERE subject = :subject AND seq > :after AND seq < :before ORDER BY seq LIMIT :n;

-- of_action: one of the rare actions, newest first.
SELECT seq, body, hash FROM audit
 WHERE action NOT IN ('message.queued', 'message.delivered') AND action = :action AND seq > :after AND seq < :before
 ORDER BY seq DESC LIMIT :n;

-- of_action_up: the same, oldest first.
SELECT seq, body, hash FROM audit
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
