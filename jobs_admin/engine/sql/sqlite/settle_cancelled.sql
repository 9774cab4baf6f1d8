-- End a run of a job that was asked to be cancelled.
-- Guard: processing under this token and run, a cancel requested. Index: the primary key.
UPDATE jobs_admin_job
SET status = 'cancelled', ended_at_ms = :now, lease_token = '', lease_expires_at_ms = NULL, run_ends_at_ms = NULL,
    holds_key = holds_key AND unique_until_ms IS NOT NULL
WHERE id = :id AND project_id = :project AND status = 'processing' AND lease_token = :token AND run = :run
    AND cancel_requested_at_ms IS NOT NULL
RETURNING 1
