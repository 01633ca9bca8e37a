-- read: which key opens the secrets, and where its root key lies.
SELECT vault_id, provider, root_id, kdf, key_version, wrapped, created_ms, rotated_ms FROM vault WHERE id = 1;

-- insert: the vault is made once.
INSERT INTO vault (id, vault_id, provider, root_id, kdf, key_version, wrapped, created_ms)
VALUES (1, :vault_id, :provider, :root_id, :kdf, :key_version, :wrapped, :now_ms);

-- rewrap: another root key, and with a rotation another data key; with every secret in the same transaction.
UPDATE vault SET provider = :provider, root_id = :root_id, kdf = :kdf, key_version = :key_version, wrapped = :wrapped,
                 rotated_ms = :rotated_ms
 WHERE id = 1;

-- secret: one, to be opened.
SELECT name, version, key_version, sealed, created_ms, updated_ms FROM secrets WHERE name = :name;

-- secrets: all of them, ours too; there are some dozens at most.
SELECT name, version, key_version, sealed, created_ms, updated_ms FROM secrets ORDER BY name;

-- revision: moves with every change of a secret or of the vault.
SELECT count(*), coalesce(sum(version), 0), coalesce(max(updated_ms), 0), coalesce(max(key_version), 0) FROM secrets;

-- put: a new value takes the place of the one before.
INSERT INTO secrets (name, version, key_version, sealed, created_ms, updated_ms)
VALUES (:name, :version, :key_version, :sealed, :now_ms, :now_ms)
    ON CONFLICT (name) DO UPDATE SET version = excluded.version, key_version = excluded.key_version,
                                     sealed = excluded.sealed, updated_ms = excluded.updated_ms;

-- reseal: the same value under another data key.
UPDATE secrets SET key_version = :key_version, sealed = :sealed WHERE name = :name;

-- delete: forget one.
DELETE FROM secrets WHERE name = :name;

-- noted: a word of the vault that needs no key: the root key in passing, the public key of the audit log.
SELECT value FROM meta WHERE key = :key;

-- note: write such a word down.
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- forget: such a word is over.
DELETE FROM meta WHERE key = :key;

-- set_names: every secret that the audit log knows.
SELECT DISTINCT substr(subject, 8) FROM audit
 WHERE action NOT IN ('message.queued', 'message.delivered') AND action = 'secret.set';
