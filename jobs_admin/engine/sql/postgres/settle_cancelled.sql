-- End runs of jobs that were asked to be cancelled.
-- Guard: processing under this token and run, a cancel requested. Index: the primary key.
-- Given: id uuid, project bigint, token text, run integer
UPDATE jobs_admin_job AS job
SET status = 'cancelled', ended_at_ms = :now, lease_token = '', lease_expires_at_ms = NULL, run_ends_at_ms = NULL,
    holds_key = job.holds_key AND job.unique_until_ms IS NOT NULL
FROM given
WHERE job.id = given.id AND job.project_id = given.project AND job.status || '' = 'processing'
    AND job.lease_token = given.token AND job.run = given.run AND job.cancel_requested_at_ms IS NOT NULL
RETURNING given.n, 1
