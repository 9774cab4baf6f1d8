-- Take unique keys from jobs that held them for a time that is over.
-- Guard: they hold the key, and no longer than until now. Index: job_holds_unique_key.
-- Given: project bigint, type text, unique_key text
UPDATE jobs_admin_job AS job
SET holds_key = false
FROM given
WHERE job.project_id = given.project AND job.type = given.type AND job.unique_key = given.unique_key AND job.holds_key
    AND job.unique_until_ms <= :now
RETURNING given.n, 1
