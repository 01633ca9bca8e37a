-- The locked door: secrets, API keys, rate limits, incoming events, and an audit log whose head is known twice.

-- The log's head, kept beside the log in the transaction of each entry: a tail that was cut off, or a last entry that
-- was written anew, no longer agrees with it. Here, because this page is written with every message anyway.
ALTER TABLE counts ADD COLUMN word TEXT NOT NULL DEFAULT '';
INSERT INTO counts (name, n, word)
SELECT 'audit_head', coalesce(max(seq), 0),
       coalesce((SELECT hash FROM audit ORDER BY seq DESC LIMIT 1),
                '0000000000000000000000000000000000000000000000000000000000000000')
  FROM audit;

-- Where the HTTP door of the owner listens; '' when it does not.
ALTER TABLE leader ADD COLUMN http TEXT NOT NULL DEFAULT '';

ALTER TABLE incidents ADD COLUMN severity TEXT NOT NULL DEFAULT 'medium'
    CHECK (severity IN ('low', 'medium', 'high', 'critical'));
ALTER TABLE incidents ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE incidents ADD COLUMN changed_ms INTEGER;
ALTER TABLE incidents ADD COLUMN changed_by TEXT NOT NULL DEFAULT '';
ALTER TABLE incidents ADD COLUMN alert_uid TEXT;
CREATE INDEX incidents_state ON incidents (state, id);

-- The vault: one data key, wrapped by the root key that the provider holds and this file does not.
-- kdf: JSON of the scrypt parameters where the root key is derived from a passphrase, else ''.
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

-- Sealed under the data key of `key_version`, bound to vault, name and version. A name that begins with a dot is ours.
CREATE TABLE secrets (
    name        TEXT PRIMARY KEY,
    version     INTEGER NOT NULL CHECK (version >= 1),
    key_version INTEGER NOT NULL,
    sealed      BLOB NOT NULL,
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- scopes, targets, networks: JSON lists; an empty one of the last two means any. successor: the key that replaced it.
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

-- Written now and then by the process that listens; what was counted since the last time is lost with it.
CREATE TABLE rate_limits (
    bucket TEXT PRIMARY KEY,
    tat_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An event that proved who sent it. event_id: the sender's identity of it. proof: SHA-256 of what its signature covers,
-- so that an old signature under a new id is known. headers: JSON of those that a message may be made of.
-- body: NULL once its retention has passed; the id stays known.
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
CREATE UNIQUE INDEX inbound_events_id ON inbound_events (source, event_id);
CREATE INDEX inbound_events_proof ON inbound_events (source, proof);
CREATE INDEX inbound_events_source ON inbound_events (source, id);
CREATE INDEX inbound_events_failed ON inbound_events (source, id) WHERE outcome = 'failed';
CREATE INDEX inbound_events_kept ON inbound_events (source, received_ms, id) WHERE body IS NOT NULL;
CREATE INDEX inbound_events_received ON inbound_events (source, received_ms, id);

-- Why requests were refused: a repeat is one row and a counter, and a source keeps a bounded number of rows.
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
