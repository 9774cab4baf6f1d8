-- Ask for running jobs to end as cancelled.
-- Guard: processing, not asked before. Index: the primary key.
-- Given: id uuid, project bigint, by text
UPDATE jobs_admin_job AS job
SET cancel_requested_at_ms = :now, cancel_requested_by = given.by
FROM given
WHERE job.id = given.id AND job.project_id = given.project AND job.status || '' = 'processing'
    AND job.cancel_requested_at_ms IS NULL
RETURNING given.n, job.type, job.run, job.batch_id
