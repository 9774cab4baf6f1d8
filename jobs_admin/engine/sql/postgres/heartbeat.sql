-- Extend leases, not beyond the run's time limit, and say when a cancel was requested, if one was.
-- Guard: processing under this token. Index: the primary key.
-- Given: id uuid, project bigint, token text, expires bigint
UPDATE jobs_admin_job AS job
SET lease_expires_at_ms = least(given.expires, job.run_ends_at_ms)
FROM given
WHERE job.id = given.id AND job.project_id = given.project AND job.status || '' = 'processing'
    AND job.lease_token = given.token
RETURNING given.n, job.cancel_requested_at_ms
