-- Make jobs that wait for their time due now.
-- Guard: pending, and due when they were read. Index: the primary key.
-- Given: id uuid, project bigint, was bigint
UPDATE jobs_admin_job AS job SET due_at_ms = :now
FROM given
WHERE job.id = given.id AND job.project_id = given.project AND job.status || '' = 'pending'
    AND job.due_at_ms = given.was
RETURNING given.n, job.run
