-- End runs as completed and keep their results.
-- Guard: processing under this token, no cancel requested. Index: the primary key.
-- (The plus signs keep the planner from an index by status.)
-- Given: id text, project bigint, token text, result text
UPDATE jobs_admin_job AS job
SET status = 'completed', ended_at_ms = :now, lease_token = '', lease_expires_at_ms = NULL, run_ends_at_ms = NULL,
    crashes = 0, error_type = '', error_message = '', traceback = '', result = given.result,
    holds_key = holds_key AND unique_until_ms IS NOT NULL
FROM given
WHERE job.id = given.id AND +job.project_id = given.project AND +job.status = 'processing'
    AND job.lease_token = given.token AND job.cancel_requested_at_ms IS NULL
RETURNING id, type, run, due_at_ms, started_at_ms, worker_id, worker_name, payload_version, batch_id
