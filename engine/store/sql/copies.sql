-- enqueue: a copy that is wanted. One that is known already stays as it is.
INSERT INTO backup_copies (backup_id, destination, state, due_ms) VALUES (:backup_id, :destination, 'waiting', :now_ms)
    ON CONFLICT (backup_id, destination) DO NOTHING;

-- missing: whether a backup has no row for a destination.
SELECT NOT EXISTS (SELECT 1 FROM backup_copies WHERE backup_id = :backup_id AND destination = :destination);

-- kept: where every backup that retention has not taken is to lie; retention keeps them few.
SELECT backup_id, destination, state, attempts, due_ms, copied_ms, backup_copies.verified_ms, detail
  FROM backup_copies JOIN backups ON backups.id = backup_id
 WHERE pruned_ms IS NULL ORDER BY backup_id, destination;

-- due: the next one to make. The newest backup first: it is worth most.
SELECT backup_id, destination, attempts, folder, name, size, sha256
  FROM backup_copies JOIN backups ON backups.id = backup_id
 WHERE state = 'waiting' AND due_ms <= :now_ms AND pruned_ms IS NULL AND gone_ms IS NULL
   AND destination IN (SELECT value FROM json_each(:destinations))
 ORDER BY taken_ms DESC, backup_id DESC, destination LIMIT 1;

-- copied: it lies there and reads back as it was written.
UPDATE backup_copies SET state = 'copied', attempts = :attempts, copied_ms = :at_ms, verified_ms = :at_ms,
                         detail = :detail
 WHERE backup_id = :backup_id AND destination = :destination AND state = 'waiting';

-- failed: it did not get there; tried again at :due_ms where :state is waiting.
UPDATE backup_copies SET state = :state, attempts = :attempts, due_ms = :due_ms, detail = :detail
 WHERE backup_id = :backup_id AND destination = :destination AND state = 'waiting';

-- unwanted: copies that were never made, to places that are not configured any more.
DELETE FROM backup_copies
 WHERE state <> 'copied' AND destination NOT IN (SELECT value FROM json_each(:destinations));

-- any_unwanted: whether there is one; looking costs no lock.
SELECT EXISTS (SELECT 1 FROM backup_copies
                WHERE state <> 'copied' AND destination NOT IN (SELECT value FROM json_each(:destinations)));

-- standing: of each destination the newest backup that is to lie there, and when the newest one was taken that does.
SELECT destination, name, taken_ms, state, attempts, detail,
       (SELECT max(there.taken_ms) FROM backup_copies AS made JOIN backups AS there ON there.id = made.backup_id
         WHERE made.destination = newest.destination AND made.state = 'copied')
  FROM (SELECT destination, name, taken_ms, state, attempts, detail,
               row_number() OVER (PARTITION BY destination ORDER BY taken_ms DESC, backup_id DESC) AS place
          FROM backup_copies JOIN backups ON backups.id = backup_id WHERE pruned_ms IS NULL) AS newest
 WHERE place = 1 ORDER BY destination;
