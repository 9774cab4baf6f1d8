-- End runs as failed: a job is pending again (status 'pending', due at `due`) or over (status 'failed').
-- Guard: processing under this token and run, no cancel requested. Index: the primary key.
-- Given: id uuid, project bigint, token text, run integer, status text, due bigint, error_type text, error_message text,
-- Given: traceback text
UPDATE jobs_admin_job AS job
SET status = given.status, due_at_ms = coalesce(given.due, job.due_at_ms),
    ended_at_ms = CASE WHEN given.due IS NULL THEN :now::bigint END,
    started_at_ms = CASE WHEN given.due IS NULL THEN job.started_at_ms END,
    lease_token = '', lease_expires_at_ms = NULL, run_ends_at_ms = NULL, crashes = 0,
    error_type = given.error_type, error_message = given.error_message, traceback = given.traceback,
    holds_key = job.holds_key AND (given.due IS NOT NULL OR job.unique_until_ms IS NOT NULL)
FROM given
WHERE job.id = given.id AND job.project_id = given.project AND job.status || '' = 'processing'
    AND job.lease_token = given.token AND job.run = given.run AND job.cancel_requested_at_ms IS NULL
RETURNING given.n, 1
