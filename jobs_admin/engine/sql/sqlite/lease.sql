-- Hand the chosen jobs to a worker: a new run, a new token, one more attempt.
-- Guard: still pending and due. Index: the rowids that lane_due found.
UPDATE jobs_admin_job
SET status = 'processing', run = run + 1, attempts = attempts + 1, started_at_ms = :now, ended_at_ms = NULL,
    lease_token = :token, lease_expires_at_ms = :expires, worker_id = :worker_id, worker_name = :worker_name
WHERE rowid IN (SELECT value FROM json_each(:chosen)) AND status = 'pending' AND due_at_ms <= :now
RETURNING
    id, type, priority, run, attempts, max_retries, created_at_ms, due_at_ms, started_at_ms, payload, payload_version,
    lease_token, lease_expires_at_ms
