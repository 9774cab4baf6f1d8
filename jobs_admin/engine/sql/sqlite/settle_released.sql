-- Give a job back unfinished: pending and due at once, the run stays counted, the retry budget is not charged.
-- Guard: processing under this token and run, no cancel requested. Index: the primary key.
UPDATE jobs_admin_job
SET status = 'pending', due_at_ms = :now, started_at_ms = NULL, lease_token = '', lease_expires_at_ms = NULL, run_ends_at_ms = NULL,
    attempts = attempts - 1, crashes = 0
WHERE id = :id AND project_id = :project AND status = 'processing' AND lease_token = :token AND run = :run
    AND cancel_requested_at_ms IS NULL
RETURNING 1
