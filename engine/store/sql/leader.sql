-- read: who delivers, and since when.
SELECT epoch, pid, host, mode, version, started_ms, heartbeat_ms, state, http FROM leader WHERE id = 1;

-- take_over: a new epoch; whatever the former owner still writes is fenced by it.
UPDATE leader SET epoch = epoch + 1, pid = :pid, host = :host, mode = :mode, version = :version, started_ms = :now_ms,
                  heartbeat_ms = :now_ms, state = 'running', http = ''
 WHERE id = 1 RETURNING epoch;

-- beat: the dispatcher turns. 0 rows: somebody took over. Who has stopped listens no longer.
UPDATE leader SET heartbeat_ms = :now_ms, state = :state, http = iif(:state = 'stopped', '', http)
 WHERE id = 1 AND epoch = :epoch;

-- note_http: where the owner's HTTP door listens; fenced like everything of an epoch.
UPDATE leader SET http = :http WHERE id = 1 AND epoch = :epoch;
