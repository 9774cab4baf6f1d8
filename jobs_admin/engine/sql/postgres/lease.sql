-- Hand chosen jobs to a worker: a new run, a new token, one more attempt. A lease ends with its run's time limit.
-- Guard: still pending and due, before the deadline. Index: the primary key; lane_due has locked the rows already, or
-- type_lock keeps other leases away.
-- Given: ref uuid, expires bigint, type_timeout bigint
UPDATE jobs_admin_job AS job
SET status = 'processing', run = job.run + 1, attempts = job.attempts + 1, started_at_ms = :now, ended_at_ms = NULL,
    lease_token = :token, worker_id = :worker_id, worker_name = :worker_name,
    run_ends_at_ms = :now + coalesce(job.timeout_ms, given.type_timeout) + :grace,
    lease_expires_at_ms = least(given.expires, :now + coalesce(job.timeout_ms, given.type_timeout) + :grace)
FROM given
WHERE job.id = given.ref AND job.status || '' = 'pending' AND job.due_at_ms <= :now
    AND (job.deadline_at_ms IS NULL OR job.deadline_at_ms > :now)
RETURNING
    given.n, job.id, job.type, job.priority, job.run, job.attempts, job.max_retries, job.created_at_ms, job.due_at_ms,
    job.started_at_ms, job.payload, job.payload_version, coalesce(job.timeout_ms, given.type_timeout),
    job.deadline_at_ms, job.tags, job.batch_id, job.partition_key, job.unique_key, job.traceparent, job.lease_token,
    job.lease_expires_at_ms
