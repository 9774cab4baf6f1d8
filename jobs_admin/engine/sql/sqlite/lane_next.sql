-- The next priority of one type that has pending jobs, and when its first is due: a skip-scan, one seek a lane.
-- Guard: none, it reads. Index: job_lease_order, covering.
SELECT priority, due_at_ms
FROM jobs_admin_job INDEXED BY job_lease_order
WHERE project_id = :project AND status = 'pending' AND type = :type AND priority > :priority
ORDER BY priority, due_at_ms
LIMIT 1
