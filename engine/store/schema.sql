-- The schema as all migrations together make it: for reading, never run. A test compares it with the migrations;
-- `python -m tests.store.schema` writes it anew.

CREATE TABLE api_keys (
    id             TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    scopes         TEXT NOT NULL,
    targets        TEXT NOT NULL DEFAULT '[]',
    networks       TEXT NOT NULL DEFAULT '[]',
    salt           BLOB NOT NULL,
    iterations     INTEGER NOT NULL CHECK (iterations >= 1),
    digest         BLOB NOT NULL,
    created_ms     INTEGER NOT NULL,
    created_by     TEXT NOT NULL,
    expires_ms     INTEGER,
    revoked_ms     INTEGER,
    revoked_by     TEXT NOT NULL DEFAULT '',
    successor      TEXT,
    last_used_ms   INTEGER,
    last_used_from TEXT NOT NULL DEFAULT '',
    uses           INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX api_keys_name ON api_keys (name) WHERE revoked_ms IS NULL AND successor IS NULL;

CREATE TABLE attachments (
    message_id   INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    position     INTEGER NOT NULL,
    name         TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size         INTEGER NOT NULL,
    sha256       TEXT NOT NULL REFERENCES blobs (sha256),
    PRIMARY KEY (message_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX attachments_blob ON attachments (sha256);

CREATE TABLE attempts (
    message_id  INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    attempt_no  INTEGER NOT NULL CHECK (attempt_no >= 1),
    target      TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    started_ms  INTEGER NOT NULL,
    finished_ms INTEGER,
    outcome     TEXT CHECK (outcome IN
                ('delivered', 'not_sent', 'rejected', 'throttled', 'unknown', 'misconfigured', 'abandoned')),
    code        TEXT NOT NULL DEFAULT '',
    detail      TEXT NOT NULL DEFAULT '',
    rule        TEXT NOT NULL DEFAULT '',
    next_ms     INTEGER,
    accepted    TEXT NOT NULL DEFAULT '[]',
    refused     TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (message_id, attempt_no),
    CHECK ((outcome IS NULL) = (finished_ms IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    body    TEXT NOT NULL,
    hash    TEXT NOT NULL,
    action  TEXT GENERATED ALWAYS AS (json_extract(body, '$.action')) VIRTUAL,
    actor   TEXT GENERATED ALWAYS AS (json_extract(body, '$.actor')) VIRTUAL,
    subject TEXT GENERATED ALWAYS AS (json_extract(body, '$.subject')) VIRTUAL,
    at      TEXT GENERATED ALWAYS AS (json_extract(body, '$.at')) VIRTUAL
) STRICT;

CREATE INDEX audit_action ON audit (action, seq) WHERE action NOT IN ('message.queued', 'message.delivered');

CREATE INDEX audit_subject ON audit (subject, seq);

CREATE TRIGGER audit_is_append_only_delete BEFORE DELETE ON audit
WHEN OLD.seq > (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'audit_pruned_seq')
BEGIN
    SELECT RAISE (ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_is_append_only_insert BEFORE INSERT ON audit
WHEN NEW.seq <= (SELECT max(seq) FROM audit)
BEGIN
    SELECT RAISE (ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_is_append_only_update BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE (ABORT, 'the audit log is append-only');
END;

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

CREATE INDEX backups_proven ON backups (proven_ms, id) WHERE proof = 'proven';

CREATE INDEX backups_taken ON backups (taken_ms, id) WHERE pruned_ms IS NULL;

CREATE TABLE blobs (
    sha256  TEXT PRIMARY KEY,
    content BLOB NOT NULL
) STRICT;

CREATE TABLE bodies (
    message_id INTEGER PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    text       TEXT,
    html       TEXT,
    data       TEXT,
    headers    TEXT NOT NULL
) STRICT;

CREATE TABLE bulk_items (
    bulk_id      INTEGER NOT NULL REFERENCES bulks (id) ON DELETE CASCADE,
    message_id   INTEGER NOT NULL,
    result       TEXT NOT NULL DEFAULT 'pending' CHECK (result IN ('pending', 'applied', 'skipped', 'undone', 'kept')),
    before_state TEXT,
    PRIMARY KEY (bulk_id, message_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE bulks (
    id            INTEGER PRIMARY KEY,
    action        TEXT NOT NULL,
    filter        TEXT NOT NULL,
    actor         TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('frozen', 'acting', 'done', 'undoing', 'undone')),
    total         INTEGER NOT NULL,
    applied       INTEGER NOT NULL DEFAULT 0,
    skipped       INTEGER NOT NULL DEFAULT 0,
    undone        INTEGER NOT NULL DEFAULT 0,
    undo_until_ms INTEGER
) STRICT;

CREATE INDEX bulks_unfinished ON bulks (id) WHERE state IN ('acting', 'undoing');

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

CREATE INDEX commands_finished ON commands (finished_ms) WHERE finished_ms IS NOT NULL;

CREATE INDEX commands_open ON commands (id) WHERE state IN ('waiting', 'running');

CREATE TABLE counts (
    name TEXT PRIMARY KEY,
    n    INTEGER NOT NULL
, word TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;

CREATE TABLE holds (
    id       INTEGER PRIMARY KEY,
    scope    TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL CHECK (until_ms > since_ms),
    reason   TEXT NOT NULL,
    actor    TEXT NOT NULL,
    ended_ms INTEGER,
    ended_by TEXT
) STRICT;

CREATE UNIQUE INDEX holds_active ON holds (scope) WHERE ended_ms IS NULL;

CREATE TABLE inbound_events (
    id           INTEGER PRIMARY KEY,
    source       TEXT NOT NULL,
    event_id     TEXT NOT NULL,
    proof        TEXT NOT NULL,
    body_sha256  TEXT NOT NULL,
    received_ms  INTEGER NOT NULL,
    remote       TEXT NOT NULL,
    kind         TEXT NOT NULL DEFAULT '',
    content_type TEXT NOT NULL DEFAULT '',
    headers      TEXT NOT NULL DEFAULT '{}',
    body         BLOB,
    size         INTEGER NOT NULL,
    outcome      TEXT NOT NULL CHECK (outcome IN ('queued', 'ignored', 'failed')),
    detail       TEXT NOT NULL DEFAULT '',
    message_uid  TEXT,
    duplicates   INTEGER NOT NULL DEFAULT 0,
    replayed     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX inbound_events_failed ON inbound_events (source, id) WHERE outcome = 'failed';

CREATE UNIQUE INDEX inbound_events_id ON inbound_events (source, event_id);

CREATE INDEX inbound_events_kept ON inbound_events (source, received_ms, id) WHERE body IS NOT NULL;

CREATE INDEX inbound_events_proof ON inbound_events (source, proof);

CREATE INDEX inbound_events_received ON inbound_events (source, received_ms, id);

CREATE INDEX inbound_events_source ON inbound_events (source, id);

CREATE TABLE inbound_rejections (
    source   TEXT NOT NULL,
    reason   TEXT NOT NULL,
    remote   TEXT NOT NULL,
    detail   TEXT NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (source, reason, remote)
) STRICT, WITHOUT ROWID;

CREATE TABLE incidents (
    id       INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL,
    subject  TEXT NOT NULL,
    detail   TEXT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'resolved')),
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    count    INTEGER NOT NULL
, severity TEXT NOT NULL DEFAULT 'medium'
    CHECK (severity IN ('low', 'medium', 'high', 'critical')), note TEXT NOT NULL DEFAULT '', changed_ms INTEGER, changed_by TEXT NOT NULL DEFAULT '', alert_uid TEXT) STRICT;

CREATE UNIQUE INDEX incidents_open ON incidents (kind, subject) WHERE state <> 'resolved';

CREATE INDEX incidents_state ON incidents (state, id);

CREATE TABLE lanes (
    lane               TEXT PRIMARY KEY,
    breaker            TEXT NOT NULL DEFAULT '{}',
    rate_tat_ms        INTEGER NOT NULL DEFAULT 0,
    throttled_until_ms INTEGER NOT NULL DEFAULT 0,
    disabled_reason    TEXT NOT NULL DEFAULT '',
    last_success_ms    INTEGER,
    last_failure_ms    INTEGER,
    last_word          TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE TABLE leader (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    epoch        INTEGER NOT NULL,
    pid          INTEGER NOT NULL,
    host         TEXT NOT NULL,
    mode         TEXT NOT NULL,
    version      TEXT NOT NULL,
    started_ms   INTEGER NOT NULL,
    heartbeat_ms INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('running', 'draining', 'stopped'))
, http TEXT NOT NULL DEFAULT '') STRICT;

CREATE TABLE messages (
    id               INTEGER PRIMARY KEY,
    uid              TEXT NOT NULL,
    state            TEXT NOT NULL CHECK (state IN
                     ('queued', 'sending', 'delivered', 'dead', 'cancelled', 'expired', 'held', 'uncertain')),
    target           TEXT NOT NULL,
    lane             TEXT NOT NULL,
    channel          TEXT NOT NULL,
    template         TEXT NOT NULL,
    subject          TEXT NOT NULL,
    priority         INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    created_ms       INTEGER NOT NULL,
    due_ms           INTEGER NOT NULL,
    expires_ms       INTEGER,
    finished_ms      INTEGER,
    attempts         INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    failures         INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    cycle            INTEGER NOT NULL DEFAULT 1,
    cycle_ms         INTEGER NOT NULL,
    lease_until_ms   INTEGER,
    lease_epoch      INTEGER,
    cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    on_uncertain     TEXT NOT NULL CHECK (on_uncertain IN ('resend', 'ask')),
    idempotency_key  TEXT,
    content_hash     TEXT NOT NULL,
    collapse_key     TEXT,
    ordering_key     TEXT,
    ready            INTEGER NOT NULL DEFAULT 1 CHECK (ready IN (0, 1)),
    route            TEXT NOT NULL DEFAULT '',
    hop              INTEGER NOT NULL DEFAULT 0,
    hop_ms           INTEGER,
    queued_by        TEXT NOT NULL,
    last_code        TEXT NOT NULL DEFAULT '',
    last_word        TEXT NOT NULL DEFAULT '',
    state_reason     TEXT NOT NULL DEFAULT '',
    size             INTEGER NOT NULL,
    CHECK ((state = 'sending') = (lease_until_ms IS NOT NULL)),
    CHECK ((state IN ('delivered', 'dead', 'cancelled', 'expired')) = (finished_ms IS NOT NULL))
) STRICT;

CREATE INDEX messages_cancelled ON messages (id) WHERE state = 'cancelled';

CREATE INDEX messages_collapse ON messages (target, collapse_key, id) WHERE state = 'queued' AND collapse_key IS NOT NULL;

CREATE INDEX messages_dead ON messages (id) WHERE state = 'dead';

CREATE INDEX messages_delivered ON messages (id) WHERE state = 'delivered';

CREATE INDEX messages_due ON messages (lane, template, priority, due_ms, id) WHERE state = 'queued' AND ready = 1;

CREATE INDEX messages_expired ON messages (id) WHERE state = 'expired';

CREATE INDEX messages_expiring ON messages (expires_ms, id) WHERE state = 'queued' AND expires_ms IS NOT NULL;

CREATE INDEX messages_failed ON messages (id) WHERE last_word <> '';

CREATE INDEX messages_finished ON messages (state, finished_ms, id) WHERE finished_ms IS NOT NULL;

CREATE INDEX messages_held ON messages (id) WHERE state = 'held';

CREATE INDEX messages_hopping ON messages (hop_ms, id) WHERE state = 'queued' AND hop_ms IS NOT NULL;

CREATE UNIQUE INDEX messages_idempotency ON messages (idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE INDEX messages_order ON messages (ordering_key, state, id)
    WHERE ordering_key IS NOT NULL AND state NOT IN ('delivered', 'cancelled', 'expired');

CREATE INDEX messages_priority ON messages (priority, id) WHERE priority <> 1;

CREATE INDEX messages_retried ON messages (id) WHERE attempts > 1;

CREATE INDEX messages_route ON messages (route, id) WHERE route <> '';

CREATE INDEX messages_sending ON messages (id) WHERE state = 'sending';

CREATE INDEX messages_target ON messages (channel, target, id);

CREATE INDEX messages_template ON messages (template, id) WHERE template <> '';

CREATE UNIQUE INDEX messages_uid ON messages (uid);

CREATE INDEX messages_uncertain ON messages (id) WHERE state = 'uncertain';

CREATE INDEX messages_unready ON messages (id) WHERE state = 'queued' AND ready = 0;

CREATE TRIGGER messages_counted_delete AFTER DELETE ON messages
BEGIN
    UPDATE counts SET n = n - 1 WHERE name = OLD.state;
    UPDATE counts SET n = n + 1 WHERE name = 'revision';
END;

CREATE TRIGGER messages_counted_insert AFTER INSERT ON messages
BEGIN
    UPDATE counts SET n = n + 1 WHERE name IN (NEW.state, 'revision');
END;

CREATE TRIGGER messages_counted_update AFTER UPDATE OF state ON messages WHEN OLD.state <> NEW.state
BEGIN
    UPDATE counts SET n = n - 1 WHERE name = OLD.state;
    UPDATE counts SET n = n + 1 WHERE name IN (NEW.state, 'revision');
END;

CREATE TRIGGER messages_transition BEFORE UPDATE OF state ON messages
WHEN OLD.state <> NEW.state AND NOT (
       (OLD.state = 'queued'    AND NEW.state IN ('sending', 'held', 'cancelled', 'expired'))
    OR (OLD.state = 'sending'   AND NEW.state IN ('delivered', 'queued', 'dead', 'uncertain', 'cancelled'))
    OR (OLD.state = 'held'      AND NEW.state IN ('queued', 'cancelled'))
    OR (OLD.state = 'dead'      AND NEW.state IN ('queued'))
    OR (OLD.state = 'uncertain' AND NEW.state IN ('queued', 'delivered', 'dead', 'cancelled'))
    OR (OLD.state = 'cancelled' AND NEW.state IN ('queued', 'held')))
BEGIN
    SELECT RAISE (ABORT, 'illegal transition of a message');
END;

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE migrations (
    version    INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    applied_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE rate_limits (
    bucket TEXT PRIMARY KEY,
    tat_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE search USING fts5 (
    subject, text, content = 'searchable', content_rowid = 'id', detail = 'none', tokenize = 'unicode61 remove_diacritics 2'
);

CREATE VIEW searchable (id, subject, text) AS
    SELECT m.id, m.subject, substr(coalesce(b.text, b.html, b.data, ''), 1, 8192)
      FROM messages AS m JOIN bodies AS b ON b.message_id = m.id;

CREATE TABLE secrets (
    name        TEXT PRIMARY KEY,
    version     INTEGER NOT NULL CHECK (version >= 1),
    key_version INTEGER NOT NULL,
    sealed      BLOB NOT NULL,
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE source_states (
    source           TEXT PRIMARY KEY,
    accepted         INTEGER NOT NULL DEFAULT 0,
    duplicates       INTEGER NOT NULL DEFAULT 0,
    replays          INTEGER NOT NULL DEFAULT 0,
    rejected         INTEGER NOT NULL DEFAULT 0,
    last_accepted_ms INTEGER,
    last_rejected_ms INTEGER,
    last_reason      TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE TABLE tags (
    tag        TEXT NOT NULL,
    message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    PRIMARY KEY (tag, message_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_message ON tags (message_id);

CREATE TABLE vault (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    vault_id    TEXT NOT NULL,
    provider    TEXT NOT NULL CHECK (provider IN ('keyring', 'file', 'credential', 'passphrase')),
    root_id     TEXT NOT NULL,
    kdf         TEXT NOT NULL DEFAULT '',
    key_version INTEGER NOT NULL CHECK (key_version >= 1),
    wrapped     BLOB NOT NULL,
    created_ms  INTEGER NOT NULL,
    rotated_ms  INTEGER
) STRICT;
