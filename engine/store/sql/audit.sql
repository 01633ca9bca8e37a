-- head: the newest entry; the next one is chained to it.
SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1;

-- append: in the transaction of the act itself.
INSERT INTO audit (seq, body, hash) VALUES (:seq, :body, :hash);

-- page_after: oldest first, for verification and export.
SELECT seq, body, hash FROM audit WHERE seq > :after ORDER BY seq LIMIT :n;

-- page_before: newest first, for reading.
SELECT seq, body, hash FROM audit WHERE seq < :before ORDER BY seq DESC LIMIT :n;

-- of_subject: all that happened to one thing.
SELECT seq, body, hash FROM audit WHERE subject = :subject ORDER BY seq LIMIT 1000;

-- pruned: the highest entry that was archived away; the chain starts after it.
SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'audit_pruned_seq';
