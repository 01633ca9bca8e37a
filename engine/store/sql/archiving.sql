-- revision: moves with whatever an operator sees of backups and their copies. Few rows each; retention keeps them few.
SELECT (SELECT coalesce(max(id), 0) || ' ' || count(*) || ' ' || count(proven_ms) || ' ' || total(drilled_ms) || ' '
               || total(verified_ms) || ' ' || count(gone_ms) || ' ' || total(proof = 'failed')
          FROM backups WHERE pruned_ms IS NULL),
       (SELECT count(*) || ' ' || total(attempts) || ' ' || total(copied_ms) || ' ' || total(verified_ms) || ' '
               || total(state = 'failed') FROM backup_copies);

-- proven: when a drill last restored one that is still where it was.
SELECT max(proven_ms) FROM backups WHERE proof = 'proven' AND pruned_ms IS NULL AND gone_ms IS NULL;

-- newest: when it was taken, how it was proven; of those that are still where they were, but not of what a restore
-- saved before it began, which is not drilled.
SELECT taken_ms, proof, proof_detail FROM backups
 WHERE kind <> 'safety' AND pruned_ms IS NULL AND gone_ms IS NULL ORDER BY taken_ms DESC, id DESC LIMIT 1;

-- held: how many there are, and how many bytes they take.
SELECT count(*), coalesce(sum(size), 0) FROM backups WHERE pruned_ms IS NULL AND gone_ms IS NULL;

-- copies: how many are waiting, and how many of the waiting or failed ones were tried in vain.
SELECT coalesce(sum(state = 'waiting' AND attempts = 0), 0),
       coalesce(sum(state = 'failed' OR (state = 'waiting' AND attempts > 0)), 0)
  FROM backup_copies JOIN backups ON backups.id = backup_id AND pruned_ms IS NULL;

-- restored: the restore that ended last, unless that was long ago.
SELECT id FROM commands WHERE finished_ms > :since_ms AND kind = 'restore' AND state = 'done'
 ORDER BY finished_ms DESC LIMIT 1;
