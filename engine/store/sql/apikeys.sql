-- insert: a key as it was made; its secret is not in here.
INSERT INTO api_keys (id, name, scopes, targets, networks, salt, iterations, digest, created_ms, created_by, expires_ms)
VALUES (:id, :name, :scopes, :targets, :networks, :salt, :iterations, :digest, :now_ms, :actor, :expires_ms);

-- one: a key with everything but what its secret is compared with, and when its successor took over.
SELECT k.id, k.name, k.scopes, k.targets, k.networks, k.created_ms, k.created_by, k.expires_ms, k.revoked_ms,
       k.revoked_by, k.successor, s.created_ms, k.last_used_ms, k.last_used_from, k.uses, k.iterations
  FROM api_keys AS k LEFT JOIN api_keys AS s ON s.id = k.successor
 WHERE k.id = :id;

-- all: the newest first.
SELECT k.id, k.name, k.scopes, k.targets, k.networks, k.created_ms, k.created_by, k.expires_ms, k.revoked_ms,
       k.revoked_by, k.successor, s.created_ms, k.last_used_ms, k.last_used_from, k.uses, k.iterations
  FROM api_keys AS k LEFT JOIN api_keys AS s ON s.id = k.successor
 ORDER BY k.created_ms DESC, k.id LIMIT 10000;

-- in_force: the one key of a name that was neither revoked nor replaced.
SELECT id FROM api_keys WHERE name = :name AND revoked_ms IS NULL AND successor IS NULL;

-- of_name: every key that ever had a name, the newest first.
SELECT id FROM api_keys WHERE name = :name ORDER BY created_ms DESC, id LIMIT 100;

-- lock: what decides whether a request may come in. Read at each request, so that a revocation holds at once.
SELECT digest, salt, iterations, name, scopes, targets, networks, expires_ms, revoked_ms FROM api_keys WHERE id = :id;

-- replace: the old key keeps working until its overlap ends.
UPDATE api_keys SET successor = :successor, expires_ms = :expires_ms
 WHERE id = :id AND revoked_ms IS NULL AND successor IS NULL;

-- revoke: it opens nothing from now on.
UPDATE api_keys SET revoked_ms = :now_ms, revoked_by = :actor WHERE id = :id AND revoked_ms IS NULL;

-- strengthen: the same secret under more iterations; not over a row that meanwhile changed.
UPDATE api_keys SET salt = :salt, iterations = :iterations, digest = :digest WHERE id = :id AND digest = :was;

-- used: what was counted since the last time.
UPDATE api_keys SET uses = uses + :uses, last_used_ms = :at_ms, last_used_from = :remote WHERE id = :id;
