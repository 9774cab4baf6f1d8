-- Which jobs hold unique keys.
-- Guard: none, it reads. Index: job_holds_unique_key.
-- Given: project bigint, type text, unique_key text
SELECT given.n, job.id
FROM given
JOIN jobs_admin_job AS job
    ON job.project_id = given.project AND job.type = given.type AND job.unique_key = given.unique_key AND job.holds_key
