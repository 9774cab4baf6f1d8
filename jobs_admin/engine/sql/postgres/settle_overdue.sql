-- Fail jobs that may not begin any more.
-- Guard: pending, their deadline has passed. Index: the primary key.
-- Given: id uuid, project bigint
UPDATE jobs_admin_job AS job
SET status = 'failed', ended_at_ms = :now, error_type = 'Expired',
    error_message = 'expired: it had not begun by its deadline', traceback = '',
    holds_key = job.holds_key AND job.unique_until_ms IS NOT NULL
FROM given
WHERE job.id = given.id AND job.project_id = given.project AND job.status || '' = 'pending' AND job.deadline_at_ms <= :now
RETURNING given.n, 1
