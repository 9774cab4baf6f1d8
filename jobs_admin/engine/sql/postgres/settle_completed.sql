-- End runs as completed and keep their results.
-- Guard: processing under this token, no cancel requested. Index: the primary key.
-- Given: id uuid, project bigint, token text, result text
UPDATE jobs_admin_job AS job
SET status = 'completed', ended_at_ms = :now, lease_token = '', lease_expires_at_ms = NULL, run_ends_at_ms = NULL,
    crashes = 0, error_type = '', error_message = '', traceback = '', result = given.result,
    holds_key = job.holds_key AND job.unique_until_ms IS NOT NULL
FROM given
WHERE job.id = given.id AND job.project_id = given.project AND job.status || '' = 'processing'
    AND job.lease_token = given.token AND job.cancel_requested_at_ms IS NULL
RETURNING
    given.n, job.type, job.run, job.due_at_ms, job.started_at_ms, job.worker_id, job.worker_name, job.payload_version,
    job.batch_id
