-- The same with their partition keys, for types that have limits by key; without the first :skip ones.
-- Guard: none, it reads; lease checks again. Index: job_lease_order.
SELECT rowid, due_at_ms, partition_key
FROM jobs_admin_job INDEXED BY job_lease_order
WHERE project_id = :project AND status = 'pending' AND type = :type AND priority = :priority AND due_at_ms <= :now
    AND (deadline_at_ms IS NULL OR deadline_at_ms > :now)
ORDER BY due_at_ms
LIMIT :limit OFFSET :skip
