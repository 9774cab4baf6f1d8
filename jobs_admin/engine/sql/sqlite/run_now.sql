-- Make a job that waits for its time due now.
-- Guard: pending, and due when it was read. Index: the primary key.
UPDATE jobs_admin_job SET due_at_ms = :now
WHERE id = :id AND project_id = :project AND status = 'pending' AND due_at_ms = :was
RETURNING run
