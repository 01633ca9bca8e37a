-- Backups that are proven, where their copies lie, and one-off acts that a front end asks the owner for.

-- Tells one outbox's history from another's, wherever a copy of it lies.
INSERT INTO meta VALUES ('database_id', lower(hex(randomblob(16))));

-- What a front end wants done once, with a result: the owner takes it, one at a time. Nobody took it in time: expired.
CREATE TABLE commands (
    id               INTEGER PRIMARY KEY,
    kind             TEXT NOT NULL,
    arguments        TEXT NOT NULL,
    actor            TEXT NOT NULL,
    asked_ms         INTEGER NOT NULL,
    expires_ms       INTEGER NOT NULL,
    state            TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'expired', 'cancelled')),
    epoch            INTEGER,
    started_ms       INTEGER,
    finished_ms      INTEGER,
    stage            TEXT NOT NULL DEFAULT '',
    done             INTEGER NOT NULL DEFAULT 0,
    total            INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    result           TEXT,
    error            TEXT NOT NULL DEFAULT '',
    error_kind       TEXT NOT NULL DEFAULT '',
    CHECK ((state IN ('waiting', 'running')) = (finished_ms IS NULL))
) STRICT;
CREATE INDEX commands_open ON commands (id) WHERE state IN ('waiting', 'running');
CREATE INDEX commands_finished ON commands (finished_ms) WHERE finished_ms IS NOT NULL;

-- The ledger of backups: what was made here, what a drill said of it, when its file was last read again.
-- sha256: of the file. archive_sha256: of the ZIP inside an encrypted one; the same where it is not encrypted.
-- gone_ms: since when the file is not where it was; pruned_ms: when retention took it.
CREATE TABLE backups (
    id             INTEGER PRIMARY KEY,
    folder         TEXT NOT NULL,
    name           TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('scheduled', 'manual', 'safety', 'found')),
    taken_ms       INTEGER NOT NULL,
    took_ms        INTEGER NOT NULL,
    size           INTEGER NOT NULL,
    sha256         TEXT NOT NULL,
    archive_sha256 TEXT NOT NULL,
    encrypted      INTEGER NOT NULL CHECK (encrypted IN (0, 1)),
    manifest       TEXT NOT NULL,
    proof          TEXT NOT NULL CHECK (proof IN ('proven', 'unproven', 'failed')),
    proof_detail   TEXT NOT NULL DEFAULT '',
    proven_ms      INTEGER,
    drilled_ms     INTEGER,
    drill_took_ms  INTEGER,
    verified_ms    INTEGER,
    verified_ok    INTEGER CHECK (verified_ok IN (0, 1)),
    verified_word  TEXT NOT NULL DEFAULT '',
    gone_ms        INTEGER,
    pruned_ms      INTEGER
) STRICT;
CREATE UNIQUE INDEX backups_file ON backups (folder, name);
CREATE INDEX backups_taken ON backups (taken_ms, id) WHERE pruned_ms IS NULL;
CREATE INDEX backups_proven ON backups (proven_ms, id) WHERE proof = 'proven';

-- A copy of a backup at one place off the box.
CREATE TABLE backup_copies (
    backup_id   INTEGER NOT NULL REFERENCES backups (id) ON DELETE CASCADE,
    destination TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'copied', 'failed')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    due_ms      INTEGER NOT NULL,
    copied_ms   INTEGER,
    verified_ms INTEGER,
    detail      TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (backup_id, destination)
) STRICT, WITHOUT ROWID;
CREATE INDEX backup_copies_due ON backup_copies (due_ms) WHERE state = 'waiting';
