-- Keep a job from ever starting.
-- Guard: pending. Index: the primary key.
UPDATE jobs_admin_job
SET status = 'cancelled', ended_at_ms = :now, cancel_requested_at_ms = :now, cancel_requested_by = :by,
    holds_key = holds_key AND unique_until_ms IS NOT NULL
WHERE id = :id AND project_id = :project AND status = 'pending'
RETURNING type, run, batch_id
