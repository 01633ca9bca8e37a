-- insert: a backup that was made, or found, and stands where the row says.
INSERT INTO backups (folder, name, kind, taken_ms, took_ms, size, sha256, archive_sha256, encrypted, manifest, proof,
                     proof_detail, proven_ms, drilled_ms, drill_took_ms, verified_ms, verified_ok, verified_word)
VALUES (:folder, :name, :kind, :taken_ms, :took_ms, :size, :sha256, :archive_sha256, :encrypted, :manifest, :proof,
        :proof_detail, :proven_ms, :drilled_ms, :drill_took_ms, :verified_ms, :verified_ok, :verified_word);

-- get: one, by its number; pruned ones too.
SELECT id, folder, name, kind, taken_ms, took_ms, size, sha256, archive_sha256, encrypted, manifest, proof,
       proof_detail, proven_ms, drilled_ms, drill_took_ms, verified_ms, verified_ok, verified_word, gone_ms, pruned_ms
  FROM backups WHERE id = :id;

-- of_file: the one that stands for a file; pruned ones too, so that no name is given twice.
SELECT id, folder, name, kind, taken_ms, took_ms, size, sha256, archive_sha256, encrypted, manifest, proof,
       proof_detail, proven_ms, drilled_ms, drill_took_ms, verified_ms, verified_ok, verified_word, gone_ms, pruned_ms
  FROM backups WHERE folder = :folder AND name = :name;

-- kept: what retention has not taken, newest first; retention keeps them few.
SELECT id, folder, name, kind, taken_ms, took_ms, size, sha256, archive_sha256, encrypted, manifest, proof,
       proof_detail, proven_ms, drilled_ms, drill_took_ms, verified_ms, verified_ok, verified_word, gone_ms, pruned_ms
  FROM backups WHERE pruned_ms IS NULL ORDER BY taken_ms DESC, id DESC LIMIT 10000;

-- newest_proven: the one whose restore was proven last, of those that are there.
SELECT id, folder, name, kind, taken_ms, took_ms, size, sha256, archive_sha256, encrypted, manifest, proof,
       proof_detail, proven_ms, drilled_ms, drill_took_ms, verified_ms, verified_ok, verified_word, gone_ms, pruned_ms
  FROM backups WHERE proof = 'proven' AND pruned_ms IS NULL AND gone_ms IS NULL ORDER BY proven_ms DESC, id DESC LIMIT 1;

-- longest_unread: the one whose file was read last before :before_ms, and longest ago.
SELECT id, folder, name, kind, taken_ms, took_ms, size, sha256, archive_sha256, encrypted, manifest, proof,
       proof_detail, proven_ms, drilled_ms, drill_took_ms, verified_ms, verified_ok, verified_word, gone_ms, pruned_ms
  FROM backups WHERE pruned_ms IS NULL AND gone_ms IS NULL AND coalesce(verified_ms, taken_ms) < :before_ms
 ORDER BY coalesce(verified_ms, taken_ms), id LIMIT 1;

-- drilled: what a drill found. When it was proven last stays known.
UPDATE backups SET proof = :proof, proof_detail = :detail, drilled_ms = :at_ms, drill_took_ms = :took_ms,
                   proven_ms = CASE WHEN :proof = 'proven' THEN :at_ms ELSE proven_ms END
 WHERE id = :id;

-- verified: what reading the file again found.
UPDATE backups SET verified_ms = :at_ms, verified_ok = :ok, verified_word = :word WHERE id = :id;

-- gone: the file is not where it was, or is there again (:at_ms NULL). Since when stays as it was first seen.
UPDATE backups SET gone_ms = CASE WHEN :at_ms IS NULL THEN NULL ELSE coalesce(gone_ms, :at_ms) END WHERE id = :id;

-- pruned: retention took the file.
UPDATE backups SET pruned_ms = :at_ms WHERE id = :id AND pruned_ms IS NULL;

-- database_id: tells this outbox's history from any other's.
SELECT value FROM meta WHERE key = 'database_id';

-- told: what files are found by, and what is told of them; for a judge, so every row.
SELECT folder, name, manifest FROM backups;
