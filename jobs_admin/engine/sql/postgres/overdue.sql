-- The pending jobs whose deadline has passed, longest ago first.
-- Guard: none, it reads; settle_overdue checks again. Index: job_deadline.
SELECT id, project_id, type, run, batch_id
FROM jobs_admin_job
WHERE status = 'pending' AND deadline_at_ms IS NOT NULL AND deadline_at_ms <= :now
ORDER BY deadline_at_ms
LIMIT :limit
