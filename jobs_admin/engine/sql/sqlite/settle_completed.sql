-- End a run as completed and keep its result.
-- Guard: processing under this token, no cancel requested. Index: the primary key.
UPDATE jobs_admin_job
SET status = 'completed', ended_at_ms = :now, lease_token = '', lease_expires_at_ms = NULL, crashes = 0,
    error_type = '', error_message = '', traceback = '', result = :result
WHERE id = :id AND project_id = :project AND status = 'processing' AND lease_token = :token
    AND cancel_requested_at_ms IS NULL
RETURNING type, run, due_at_ms, started_at_ms, worker_id, worker_name, payload_version
