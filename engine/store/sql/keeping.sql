-- revision: moves with whatever an operator sees of incidents, keys, sources, secrets and the vault; many of these
-- counters move without an audit entry. Each table has few rows, or is asked by the index of its few open ones.
SELECT (SELECT max(id) FROM incidents),
       (SELECT count(*) || ' ' || total(count) || ' ' || total(state = 'open') || ' ' || total(alert_uid IS NULL)
          FROM incidents WHERE state <> 'resolved'),
       (SELECT count(*) || ' ' || total(uses) || ' ' || count(revoked_ms) || ' ' || count(successor) || ' '
               || total(last_used_ms) FROM api_keys),
       (SELECT count(*) || ' ' || total(accepted) || ' ' || total(duplicates) || ' ' || total(replays) || ' '
               || total(rejected) FROM source_states),
       (SELECT max(id) FROM inbound_events),
       (SELECT count(*) || ' ' || total(version) || ' ' || total(key_version) FROM secrets),
       (SELECT key_version || ' ' || provider || ' ' || root_id FROM vault);
