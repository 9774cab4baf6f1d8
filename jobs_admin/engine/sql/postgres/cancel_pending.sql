-- Keep jobs from ever starting.
-- Guard: pending. Index: the primary key.
-- Given: id uuid, project bigint, by text
UPDATE jobs_admin_job AS job
SET status = 'cancelled', ended_at_ms = :now, cancel_requested_at_ms = :now, cancel_requested_by = given.by,
    holds_key = job.holds_key AND job.unique_until_ms IS NOT NULL
FROM given
WHERE job.id = given.id AND job.project_id = given.project AND job.status || '' = 'pending'
RETURNING given.n, job.type, job.run, job.batch_id
