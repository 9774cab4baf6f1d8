-- Hand chosen jobs to a worker: a new run, a new token, one more attempt. A lease ends with its run's time limit.
-- Guard: still pending and due, before the deadline. Index: the rowids that lane_due found.
-- Given: ref bigint, expires bigint, type_timeout bigint
UPDATE jobs_admin_job AS job
SET status = 'processing', run = run + 1, attempts = attempts + 1, started_at_ms = :now, ended_at_ms = NULL,
    lease_token = :token, worker_id = :worker_id, worker_name = :worker_name,
    run_ends_at_ms = :now + coalesce(timeout_ms, given.type_timeout) + :grace,
    lease_expires_at_ms = min(
        given.expires, coalesce(:now + coalesce(timeout_ms, given.type_timeout) + :grace, given.expires)
    )
FROM given
WHERE job.rowid = given.ref AND job.status = 'pending' AND job.due_at_ms <= :now
    AND (job.deadline_at_ms IS NULL OR job.deadline_at_ms > :now)
RETURNING
    rowid, id, type, priority, run, attempts, max_retries, created_at_ms, due_at_ms, started_at_ms, payload,
    payload_version, run_ends_at_ms - :now - :grace, deadline_at_ms, tags, batch_id, partition_key, unique_key,
    traceparent, lease_token, lease_expires_at_ms
