-- When jobs are due, and where they stand.
-- Guard: none, it reads. Index: the primary key.
-- Given: id uuid, project bigint
SELECT given.n, job.status, job.due_at_ms
FROM given
JOIN jobs_admin_job AS job ON job.id = given.id AND job.project_id = given.project
