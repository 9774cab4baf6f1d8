-- The jobs of one type and priority that are due and not past their deadline, longest due first.
-- Guard: none, it reads; lease checks again. Index: job_lease_order.
SELECT rowid, due_at_ms
FROM jobs_admin_job INDEXED BY job_lease_order
WHERE project_id = :project AND status = 'pending' AND type = :type AND priority = :priority AND due_at_ms <= :now
    AND (deadline_at_ms IS NULL OR deadline_at_ms > :now)
ORDER BY due_at_ms
LIMIT :limit
