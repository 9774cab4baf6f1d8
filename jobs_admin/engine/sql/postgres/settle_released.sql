-- Give jobs back unfinished: pending and due at once, the run stays counted, the retry budget is not charged.
-- Guard: processing under this token and run, no cancel requested. Index: the primary key.
-- Given: id uuid, project bigint, token text, run integer
UPDATE jobs_admin_job AS job
SET status = 'pending', due_at_ms = :now, started_at_ms = NULL, lease_token = '', lease_expires_at_ms = NULL,
    run_ends_at_ms = NULL, attempts = job.attempts - 1, crashes = 0
FROM given
WHERE job.id = given.id AND job.project_id = given.project AND job.status || '' = 'processing'
    AND job.lease_token = given.token AND job.run = given.run AND job.cancel_requested_at_ms IS NULL
RETURNING given.n, 1
