-- Ask for a running job to end as cancelled.
-- Guard: processing, not asked before. Index: the primary key.
UPDATE jobs_admin_job
SET cancel_requested_at_ms = :now, cancel_requested_by = :by
WHERE id = :id AND project_id = :project AND status = 'processing' AND cancel_requested_at_ms IS NULL
RETURNING type, run, batch_id
