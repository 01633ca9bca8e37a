-- read: who delivers, and since when.
SELECT epoch, pid, host, mode, version, started_ms, heartbeat_ms, state FROM leader WHERE id = 1;

-- take_over: a new epoch; whatever the former owner still writes is fenced by it.
UPDATE leader SET epoch = epoch + 1, pid = :pid, host = :host, mode = :mode, version = :version, started_ms = :now_ms,
                  heartbeat_ms = :now_ms, state = 'running'
 WHERE id = 1 RETURNING epoch;

-- beat: the dispatcher turns. 0 rows: somebody took over.
UPDATE leader SET heartbeat_ms = :now_ms, state = :state WHERE id = 1 AND epoch = :epoch;
