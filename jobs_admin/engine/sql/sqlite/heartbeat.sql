-- Extend one lease, not beyond the run's time limit, and say when a cancel was requested, if one was.
-- (The column itself: SQLite 3.40 answers RETURNING ... IS NOT NULL with true for a null.)
-- Guard: processing under this token. Index: the primary key.
UPDATE jobs_admin_job
SET lease_expires_at_ms = min(:expires, coalesce(run_ends_at_ms, :expires))
WHERE id = :id AND project_id = :project AND status = 'processing' AND lease_token = :token
RETURNING cancel_requested_at_ms
