-- Version 1: the outbox, its attempts, the audit log, and what the engine must remember about itself.
-- Times are integer milliseconds UTC. One partial index per state: an index over several states cannot serve a query
-- for one of them, and EXPLAIN would still say SEARCH.

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

-- One row: who delivers. `epoch` grows by one at each take-over and fences what a former owner may still write.
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
) STRICT;
INSERT INTO leader VALUES (1, 0, 0, '', '', '', 0, 0, 'stopped');

-- Without AUTOINCREMENT, which costs a page in every commit: retention never deletes the newest message, so a number once
-- shown as #1042 never names another one.
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

CREATE UNIQUE INDEX messages_uid ON messages (uid);
CREATE UNIQUE INDEX messages_idempotency ON messages (idempotency_key) WHERE idempotency_key IS NOT NULL;

-- The claim: lane by lane (and template by template, so that a held template is skipped without reading its rows).
CREATE INDEX messages_due ON messages (lane, template, priority, due_ms, id) WHERE state = 'queued' AND ready = 1;

-- Pages of one state, newest first; they must end in the id. What is queued is found by messages_due and
-- messages_unready: one index page less in every enqueue.
CREATE INDEX messages_unready ON messages (id) WHERE state = 'queued' AND ready = 0;
CREATE INDEX messages_sending ON messages (id) WHERE state = 'sending';
CREATE INDEX messages_delivered ON messages (id) WHERE state = 'delivered';
CREATE INDEX messages_dead ON messages (id) WHERE state = 'dead';
CREATE INDEX messages_cancelled ON messages (id) WHERE state = 'cancelled';
CREATE INDEX messages_expired ON messages (id) WHERE state = 'expired';
CREATE INDEX messages_held ON messages (id) WHERE state = 'held';
CREATE INDEX messages_uncertain ON messages (id) WHERE state = 'uncertain';

-- Pages by what people filter for.
CREATE INDEX messages_target ON messages (channel, target, id);
CREATE INDEX messages_template ON messages (template, id) WHERE template <> '';
CREATE INDEX messages_route ON messages (route, id) WHERE route <> '';
CREATE INDEX messages_priority ON messages (priority, id) WHERE priority <> 1;
CREATE INDEX messages_retried ON messages (id) WHERE attempts > 1;
CREATE INDEX messages_failed ON messages (id) WHERE last_word <> '';

-- What time does to messages.
CREATE INDEX messages_expiring ON messages (expires_ms, id) WHERE state = 'queued' AND expires_ms IS NOT NULL;
CREATE INDEX messages_hopping ON messages (hop_ms, id) WHERE state = 'queued' AND hop_ms IS NOT NULL;
CREATE INDEX messages_finished ON messages (state, finished_ms, id) WHERE finished_ms IS NOT NULL;

CREATE INDEX messages_collapse ON messages (target, collapse_key, id) WHERE state = 'queued' AND collapse_key IS NOT NULL;
CREATE INDEX messages_order ON messages (ordering_key, state, id)
    WHERE ordering_key IS NOT NULL AND state NOT IN ('delivered', 'cancelled', 'expired');

-- What a message says; never changed after enqueue.
CREATE TABLE bodies (
    message_id INTEGER PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    text       TEXT,
    html       TEXT,
    data       TEXT,
    headers    TEXT NOT NULL
) STRICT;

CREATE TABLE blobs (
    sha256  TEXT PRIMARY KEY,
    content BLOB NOT NULL
) STRICT;

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

CREATE TABLE tags (
    tag        TEXT NOT NULL,
    message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    PRIMARY KEY (tag, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_message ON tags (message_id);

-- Written before the wire is touched; outcome NULL means running, or that its owner died.
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

-- Breaker, rate and throttle of a lane survive a restart: no storm after one.
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

-- A bulk act: the frozen set, what was done to it, and how to take it back.
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

CREATE TABLE bulk_items (
    bulk_id      INTEGER NOT NULL REFERENCES bulks (id) ON DELETE CASCADE,
    message_id   INTEGER NOT NULL,
    result       TEXT NOT NULL DEFAULT 'pending' CHECK (result IN ('pending', 'applied', 'skipped', 'undone', 'kept')),
    before_state TEXT,
    PRIMARY KEY (bulk_id, message_id)
) STRICT, WITHOUT ROWID;

-- Repeats are one row and a counter.
CREATE TABLE incidents (
    id       INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL,
    subject  TEXT NOT NULL,
    detail   TEXT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'resolved')),
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    count    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX incidents_open ON incidents (kind, subject) WHERE state <> 'resolved';

-- `body` is the canonical JSON of the entry without its hash; the columns people search by are computed from it, so
-- that nothing of an entry stands outside what is hashed.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    body    TEXT NOT NULL,
    hash    TEXT NOT NULL,
    action  TEXT GENERATED ALWAYS AS (json_extract(body, '$.action')) VIRTUAL,
    actor   TEXT GENERATED ALWAYS AS (json_extract(body, '$.actor')) VIRTUAL,
    subject TEXT GENERATED ALWAYS AS (json_extract(body, '$.subject')) VIRTUAL,
    at      TEXT GENERATED ALWAYS AS (json_extract(body, '$.at')) VIRTUAL
) STRICT;
CREATE INDEX audit_subject ON audit (subject, seq);
-- Without the two actions that make up nearly all of the log: the rare ones are what people look for.
CREATE INDEX audit_action ON audit (action, seq) WHERE action NOT IN ('message.queued', 'message.delivered');

-- REPLACE deletes without firing a trigger (recursive_triggers is off): a number is given once.
CREATE TRIGGER audit_is_append_only_insert BEFORE INSERT ON audit
WHEN NEW.seq <= (SELECT max(seq) FROM audit)
BEGIN
    SELECT RAISE (ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_is_append_only_update BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE (ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_is_append_only_delete BEFORE DELETE ON audit
WHEN OLD.seq > (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'audit_pruned_seq')
BEGIN
    SELECT RAISE (ABORT, 'the audit log is append-only');
END;

-- Counts per state, and a revision that moves whenever any message changes its state.
CREATE TABLE counts (
    name TEXT PRIMARY KEY,
    n    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counts VALUES
    ('queued', 0), ('sending', 0), ('delivered', 0), ('dead', 0), ('cancelled', 0), ('expired', 0), ('held', 0),
    ('uncertain', 0), ('revision', 0);

CREATE TRIGGER messages_counted_insert AFTER INSERT ON messages
BEGIN
    UPDATE counts SET n = n + 1 WHERE name IN (NEW.state, 'revision');
END;
CREATE TRIGGER messages_counted_update AFTER UPDATE OF state ON messages WHEN OLD.state <> NEW.state
BEGIN
    UPDATE counts SET n = n - 1 WHERE name = OLD.state;
    UPDATE counts SET n = n + 1 WHERE name IN (NEW.state, 'revision');
END;
CREATE TRIGGER messages_counted_delete AFTER DELETE ON messages
BEGIN
    UPDATE counts SET n = n - 1 WHERE name = OLD.state;
    UPDATE counts SET n = n + 1 WHERE name = 'revision';
END;

-- The state machine. rules/states.py holds the same pairs; a test compares them.
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

INSERT INTO meta VALUES ('audit_pruned_seq', '0'), ('search_indexed_id', '0');

-- Free text. Filled in batches outside the enqueue; everything above search_indexed_id is still scanned.
CREATE VIEW searchable (id, subject, text) AS
    SELECT m.id, m.subject, substr(coalesce(b.text, b.html, b.data, ''), 1, 8192)
      FROM messages AS m JOIN bodies AS b ON b.message_id = m.id;
CREATE VIRTUAL TABLE search USING fts5 (
    subject, text, content = 'searchable', content_rowid = 'id', detail = 'none', tokenize = 'unicode61 remove_diacritics 2'
);
