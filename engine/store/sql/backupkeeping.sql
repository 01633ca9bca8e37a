-- lying: what retention has not taken, without the manifests; its file is looked for now and then.
SELECT id, folder, name, gone_ms FROM backups WHERE pruned_ms IS NULL ORDER BY taken_ms DESC, id DESC LIMIT 10000;

-- proven: the newest that a drill restored and that is there. What is dated ahead of now says nothing of its age.
SELECT name, taken_ms, proven_ms FROM backups
 WHERE proof = 'proven' AND pruned_ms IS NULL AND gone_ms IS NULL AND taken_ms <= :now_ms
 ORDER BY taken_ms DESC, id DESC LIMIT 1;

-- newest: the newest that was made here to be kept, and is there. What a restore saves before it begins is not drilled.
SELECT name, proof, proof_detail FROM backups
 WHERE kind IN ('scheduled', 'manual') AND pruned_ms IS NULL AND gone_ms IS NULL
 ORDER BY taken_ms DESC, id DESC LIMIT 1;

-- damaged: those whose file is there and is not what was written.
SELECT name, proof_detail FROM backups
 WHERE proof = 'failed' AND pruned_ms IS NULL AND gone_ms IS NULL ORDER BY taken_ms DESC, id DESC LIMIT 100;

-- proofs: how many there are of each.
SELECT proof, count(*) FROM backups WHERE pruned_ms IS NULL AND gone_ms IS NULL GROUP BY proof;

-- copies: how many there are of each state.
SELECT state, count(*) FROM backup_copies JOIN backups ON backups.id = backup_id
 WHERE pruned_ms IS NULL GROUP BY state;

-- behind: of each place, the oldest backup that was tried in vain and is newer than what lies there.
SELECT destination, min(taken_ms), backup_copies.detail
  FROM backup_copies JOIN backups ON backups.id = backup_id
 WHERE state <> 'copied' AND attempts > 0 AND pruned_ms IS NULL AND gone_ms IS NULL
   AND taken_ms > coalesce((SELECT max(there.taken_ms)
                              FROM backup_copies AS made JOIN backups AS there ON there.id = made.backup_id
                             WHERE made.destination = backup_copies.destination AND made.state = 'copied'), 0)
 GROUP BY destination;

-- size: of all that lie here.
SELECT coalesce(sum(size), 0) FROM backups WHERE pruned_ms IS NULL AND gone_ms IS NULL;

-- scheduled: the newest one that the schedule made.
SELECT max(id) FROM backups WHERE kind = 'scheduled';

-- leftover: taken by retention, the file perhaps still there: whoever took it may have been killed in between.
SELECT id, folder, name FROM backups WHERE pruned_ms IS NOT NULL AND gone_ms IS NULL LIMIT 1000;

-- forget: rows of files that retention took long ago. The audit log tells of them for longer.
DELETE FROM backups WHERE id IN (
    SELECT id FROM backups WHERE pruned_ms < :before_ms AND gone_ms IS NOT NULL LIMIT 500
);

-- since: when this database learnt to be backed up.
SELECT applied_ms FROM migrations WHERE version = 3;

-- noted: a word of the schedule's or retention's own.
SELECT value FROM meta WHERE key = :key;

-- note: write it down.
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- strike: take it away.
DELETE FROM meta WHERE key = :key;
