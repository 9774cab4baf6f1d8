-- Fail a job that may not begin any more.
-- Guard: pending, its deadline has passed. Index: the primary key.
UPDATE jobs_admin_job
SET status = 'failed', ended_at_ms = :now, error_type = 'Expired',
    error_message = 'expired: it had not begun by its deadline', traceback = '',
    holds_key = holds_key AND unique_until_ms IS NOT NULL
WHERE id = :id AND project_id = :project AND status = 'pending' AND deadline_at_ms <= :now
RETURNING 1
