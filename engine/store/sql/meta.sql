-- get: one remembered value.
SELECT value FROM meta WHERE key = :key;

-- put: remember it.
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- revision: moves whenever any message changes its state.
SELECT n FROM counts WHERE name = 'revision';
