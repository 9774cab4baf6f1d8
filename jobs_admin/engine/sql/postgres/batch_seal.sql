-- Take no more members into a batch; sealed again, the first seal stands.
-- Guard: the project's own; waits for who adds members at this moment. Index: the primary key.
UPDATE jobs_admin_batch SET sealed_at_ms = coalesce(sealed_at_ms, :now)
WHERE id = :batch AND project_id = :project
RETURNING id
